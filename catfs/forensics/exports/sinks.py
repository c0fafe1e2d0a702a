"""The formats of tables: Parquet and CSV, a folder with a file for each table, and SQLite, one file."""

import csv
import importlib
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from catfs.errors import UsageError
from catfs.forensics.exports.columns import TABLES, Column, Row, Table, Type, Value

_COMPRESSION: Final = "zstd"
_DICTIONARY_BYTES: Final = 16 << 20
"""Longest dictionary of a column in a row group, in bytes: the paths of a whole row group fit, so that a
pattern is held against each path once and not against each record."""

_SQL_TYPES: Final = {Type.BYTES: "BLOB", Type.TEXT: "TEXT", Type.TEXTS: "TEXT"}
_SQL_INDEXES: Final = (
    "CREATE INDEX records_path ON records (path)",
    "CREATE INDEX records_ino ON records (ino)",
    "CREATE INDEX records_process ON records (process)",
    "CREATE INDEX files_path ON files (path)",
    "CREATE INDEX files_ino ON files (ino)",
)


class _Files:
    """Files that are open together, by table, and closed together, whatever happens.

    Args:
        folder: Where they are made.

    Raises:
        OSError: when the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._open = ExitStack()
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()


class ParquetFolder(_Files):
    """A folder with `records.parquet`, `processes.parquet` and `files.parquet`.

    Args:
        folder: Where it is made.

    Raises:
        UsageError: when pyarrow is not installed.
        OSError: when the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
            self._parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise UsageError(
                f"Parquet is written by pyarrow, which is not there: {error}",
                hint="pip install 'catfs[parquet]' brings it; csv and sqlite need nothing",
            ) from None
        super().__init__(folder)

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows as one row group; see `TableSink`."""
        schema = self._schema(table)
        if table.name not in self._writers:
            self._writers[table.name] = self._open.enter_context(self._writer(table, schema))
        if rows:
            columns = [
                self._arrow.array(cells, field.type)
                for cells, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            made = self._arrow.Table.from_arrays(columns, schema=schema)
            self._writers[table.name].write_table(made, row_group_size=len(rows))

    def _writer(self, table: Table, schema: object) -> Any:
        texts = [column.name for column in table.columns if column.type is Type.TEXT]
        return self._parquet.ParquetWriter(
            self._folder / f"{table.name}.parquet",
            schema,
            compression=_COMPRESSION,
            use_dictionary=texts,
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            data_page_version="1.0",
            sorting_columns=[self._parquet.SortingColumn(0)] if table.key == table.columns[0].name else None,
        )

    def _schema(self, table: Table) -> Any:
        arrow = self._arrow
        types = {
            Type.INTEGER: arrow.int64(),
            Type.TIME: arrow.timestamp("ns"),
            Type.TEXT: arrow.string(),
            Type.TEXTS: arrow.list_(arrow.string()),
            Type.BYTES: arrow.binary(),
            Type.FLAG: arrow.bool_(),
        }
        return arrow.schema(
            [
                arrow.field(column.name, types[column.type], metadata={"meaning": column.meaning})
                for column in table.columns
            ]
        )


class CsvFolder(_Files):
    """A folder with `records.csv`, `processes.csv` and `files.csv`, each with a line of column names.

    UTF-8, as in RFC 4180. Times are nanoseconds since 1970, bytes are in hexadecimal, flags 0 and 1, lists
    JSON; nothing is an empty cell.

    Args:
        folder: Where it is made.

    Raises:
        OSError: when it cannot be made.
    """

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows; see `TableSink`."""
        if table.name not in self._writers:
            path = self._folder / f"{table.name}.csv"
            file = self._open.enter_context(path.open("w", encoding="utf-8", newline=""))
            self._writers[table.name] = csv.writer(file)
            self._writers[table.name].writerow(column.name for column in table.columns)
        self._writers[table.name].writerows([_csv_cell(cell) for cell in row] for row in rows)


class SqliteFile:
    """One SQLite database with a table each. Times are nanoseconds since 1970, lists are JSON.

    Args:
        path: Where it is made.

    Raises:
        OSError: when it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.touch(exist_ok=False)
        self._database = sqlite3.connect(path, isolation_level=None)
        # Nobody sees the file before it is whole, and whoever publishes it brings it to the disk.
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("BEGIN")
        for table in TABLES:
            columns = ", ".join(_sql_column(column, table) for column in table.columns)
            self._database.execute(f"CREATE TABLE {table.name} ({columns})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for statement in _SQL_INDEXES:
                self._database.execute(statement)
            self._database.execute("COMMIT")
        self._database.close()

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows; see `TableSink`."""
        marks = ", ".join("?" * len(table.columns))
        lists = [place for place, column in enumerate(table.columns) if column.type is Type.TEXTS]
        statement = f"INSERT INTO {table.name} VALUES ({marks})"  # noqa: S608  # names of this package
        self._database.executemany(statement, (_with_json(row, lists) for row in rows) if lists else rows)


def _sql_column(column: Column, table: Table) -> str:
    unique = " PRIMARY KEY" if column.name == table.key else ""
    return f"{column.name} {_SQL_TYPES.get(column.type, 'INTEGER')}{unique}"


def _with_json(row: Row, places: Sequence[int]) -> list[Value]:
    cells = list(row)
    for place in places:
        cells[place] = _json(cells[place])
    return cells


def _json(value: Value) -> str:
    return orjson.dumps(value).decode()


def _csv_cell(value: Value) -> Value:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, bytes):
        return value.hex()
    return _json(value) if isinstance(value, tuple) else value
