"""A log as three tables: its records one by one as they come, then its processes and its files.

Memory grows with the number of processes and files, not with that of records.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Final, Protocol

from catfs.forensics.counting import Counts, all_count
from catfs.forensics.exports.columns import FILES, PROCESSES, RECORDS, Row, Table
from catfs.forensics.lifetimes import FileLife, FileTable
from catfs.forensics.processes import Process, ProcessTable
from catfs.records.write_record import ProcessRecord, Record, WriteRecord
from catfs.values import dataclass

BATCH_ROWS: Final = 122_880
"""Rows handed over at a time, and rows of a row group in Parquet: those of a row group of DuckDB, so that
each is read by one of its threads; few enough to be held in memory."""

_NUMBERS = (
    "offset",
    "length",
    "mode",
    "uid",
    "gid",
    "rdev",
    "atime",
    "mtime",
    "ctime",
    "size",
    "flags",
    "data",
    "ino2",
    "first",
)
_NO_NUMBERS = (None,) * len(_NUMBERS)


class TableSink(AbstractContextManager["TableSink"], Protocol):
    """Where tables are written to, whatever the format; left without an error, it finishes them."""

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows of a table; a table is written in one go, before the next one begins.

        Args:
            table: The table.
            rows: Some of its rows, at most BATCH_ROWS; none for a table that has none.
        """


@dataclass(frozen=True, slots=True)
class TableCounts:
    """How many rows were written.

    Args:
        records: Rows of the table records.
        processes: Rows of the table processes.
        files: Rows of the table files.
    """

    records: int
    processes: int
    files: int


def write_tables(records: Iterable[Record], sink: TableSink, counts: Counts = all_count) -> TableCounts:
    """Write the three tables of a log.

    Args:
        records: All its records, in order.
        counts: Which of them count; files know nothing of the others.
        sink: Where to; it is finished at the end.

    Raises:
        FormatError: from the records, or when one lacks a field that its operation needs.
        OSError: when the sink cannot be written to.
    """
    tables = _Tables(counts)
    with sink:
        rows: list[Row] = []
        for record in records:
            rows.append(tables.row(record))
            if len(rows) == BATCH_ROWS:
                sink.add(RECORDS, rows)
                rows = []
        sink.add(RECORDS, rows)
        _add_all(sink, PROCESSES, tables.process_rows())
        _add_all(sink, FILES, map(_file_row, tables.files.lives()))
    return TableCounts(tables.records, len(tables.processes.processes), len(tables.files))


def text_of(name: bytes) -> str:
    r"""Give a name as text, exactly when it is UTF-8; bytes that are not stand as `\xff`."""
    return name.decode("utf-8", "backslashreplace")


def path_cells(path: bytes) -> tuple[str, bytes | None]:
    """Give a path as text, and its bytes when the text does not say them."""
    try:
        return path.decode(), None
    except UnicodeDecodeError:
        return text_of(path), path


def _add_all(sink: TableSink, table: Table, rows: Iterable[Row]) -> None:
    left = iter(rows)
    batch = list(islice(left, BATCH_ROWS))
    sink.add(table, batch)
    while batch := list(islice(left, BATCH_ROWS)):
        sink.add(table, batch)


@dataclass(slots=True)
class _Activity:
    """What one process did: times of its first and last record, and counts of those that were not undone."""

    first: int
    last: int
    changes: int = 0
    writes: int = 0
    written: int = 0
    reads: int = 0


class _Tables:
    """What the tables of processes and files are made from, growing record by record."""

    def __init__(self, counts: Counts) -> None:
        self.records = 0
        self._record_counts = counts
        self.processes = ProcessTable()
        self.files = FileTable()
        self._activities: list[_Activity] = []

    def row(self, record: Record) -> Row:
        """Take a record in and give its row."""
        self.records += 1
        process = self.processes.note(record)
        number = None if process is None else process.number
        if number is not None:
            self._count(number, record)
        if isinstance(record, ProcessRecord):
            return _process_record_row(record, number)
        undone = not self._record_counts(record.seq)
        if not undone:
            self.files.note(record, number)
        return _record_row(record, number, undone)

    def process_rows(self) -> Iterable[Row]:
        """Give the rows of the processes."""
        return map(_process_row, self.processes.processes, self._activities)

    def _count(self, number: int, record: Record) -> None:
        if number == len(self._activities):
            self._activities.append(_Activity(record.t, record.t))
        activity = self._activities[number]
        activity.last = record.t
        if isinstance(record, WriteRecord) and self._record_counts(record.seq):
            activity.changes += 1
            if record.op == "write":
                activity.writes += 1
                activity.written += record.number("length")
            elif record.op == "read":
                activity.reads += 1


def _record_row(record: WriteRecord, process: int | None, undone: bool) -> Row:
    numbers, texts = record.numbers, record.texts
    cells = tuple(map(numbers.get, _NUMBERS)) if numbers else _NO_NUMBERS
    path2: tuple[str | None, bytes | None] = (None, None)
    name = digest = None
    if texts:
        path2 = path_cells(texts["path2"]) if "path2" in texts else path2
        name = text_of(texts["name"]) if "name" in texts else None
        digest = text_of(texts["digest"]) if "digest" in texts else None
    return (
        *(record.seq, record.t, record.op, record.domain),
        *path_cells(record.path),
        *path2,
        *(record.ino, record.pid, process),
        *cells,
        *(name, texts.get("value"), digest, record.unlinked, undone),
    )


def _process_record_row(record: ProcessRecord, process: int | None) -> Row:
    head = (record.seq, record.t, "process", None, None, None, None, None, None, record.pid, process)
    return (*head, *_NO_NUMBERS, None, None, None, False, False)


def _process_row(process: Process, activity: _Activity) -> Row:
    last = process.last
    return (
        *(process.number, process.pid, process.parent_pid, process.parent, process.start),
        *(activity.first, activity.last),
        text_of(last.exe),
        tuple(map(text_of, last.argv)),
        text_of(last.cwd),
        last.uid,
        tuple(text_of(program.exe) for program in process.programs),
        *(activity.changes, activity.writes, activity.written, activity.reads),
    )


def _file_row(life: FileLife) -> Row:
    born, died = life.born, life.died
    return (
        *(life.ino, life.domain, *path_cells(life.path)),
        tuple(map(text_of, life.names)),
        life.kind.value,
        *(life.first.seq, life.last.seq, life.first.t, life.last.t, life.last.process),
        *((None, None) if born is None else (born.seq, born.process)),
        None if died is None else died.seq,
        *(life.is_temporary, life.lifetime_ns, life.writes, life.written, life.length),
        None if life.digest is None else text_of(life.digest),
        life.was_read,
    )
