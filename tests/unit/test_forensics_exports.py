"""Exports of a log: every record, process and file is there, whatever the format and the names."""

import csv
import importlib
import io
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.digest import Digest
from catfs.errors import UsageError
from catfs.forensics.counting import counts_in
from catfs.forensics.exports import (
    TABLES,
    CsvFolder,
    ParquetFolder,
    SqliteFile,
    Subject,
    TraceFacts,
    Type,
    tables,
    write_runtime_trace,
    write_tables,
    write_trace_events,
)
from catfs.records.write_record import Record, record_from_dict
from tests.support.workspaces import LOG, START

ARROW: Any = importlib.import_module("pyarrow")
PARQUET: Any = importlib.import_module("pyarrow.parquet")

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "exports.md"

FACTS = TraceFacts(
    run_id="run-1",
    host="box of ann",
    started=START,
    ended=START + 3 * 10**9,
    domains=(b"/home/ann/tree",),
    subjects=(Subject(b"out/it.whl", Digest.of(b"the wheel")),),
    declaration=Digest.of(b"job"),
)


def _records(log: Sequence[Mapping[str, object]] = LOG) -> list[Record]:
    return [
        record_from_dict({"seq": seq, "t": START + seq * 10**6, **fields}) for seq, fields in enumerate(log)
    ]


def _process(pid: int, parent: int, name: str, start: int = 5) -> dict[str, object]:
    return {
        "op": "process",
        "pid": pid,
        "process": pid,
        "parent": parent,
        "start": start,
        "uid": 0,
        "exe": f"/bin/{name}",
        "cwd": "/",
        "argv": [name],
    }


def _change(op: str, path: str, ino: int, pid: int, **fields: object) -> dict[str, object]:
    return {"op": op, "path": path, "ino": ino, "pid": pid, **fields}


def _trace(log: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    write_trace_events(_records(log), stream, "a log")
    events: list[dict[str, Any]] = json.loads(stream.getvalue())["traceEvents"]
    return events


def _statement(log: Sequence[Mapping[str, object]], base: Mapping[bytes, bytes] | None = None) -> Any:
    known = base or {}
    stream = io.BytesIO()
    write_runtime_trace(
        _records(log),
        stream,
        FACTS,
        lambda _, path: Digest.of(known[path]) if path in known else None,
    )
    return json.loads(stream.getvalue())


def test_the_formats_of_tables_say_the_same(tmp_path: Path) -> None:
    """Parquet, SQLite and CSV hold the same cells, each in the way of its format."""
    for sink in (ParquetFolder(tmp_path / "p"), CsvFolder(tmp_path / "c"), SqliteFile(tmp_path / "s")):
        write_tables(_records(), sink)
    database = sqlite3.connect(tmp_path / "s")
    for table in TABLES:
        packed = PARQUET.read_table(tmp_path / "p" / f"{table.name}.parquet")
        rows = list(zip(*map(_cells, packed.columns), strict=True))
        assert packed.column_names == [column.name for column in table.columns]
        cells = database.execute(f"SELECT * FROM {table.name}").fetchall()  # noqa: S608  # names of catfs
        with (tmp_path / "c" / f"{table.name}.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
        assert len(rows) == len(cells) == len(lines) - 1
        for place, column in enumerate(table.columns):
            for row, cell, line in zip(rows, cells, lines[1:], strict=True):
                _assert_same(column.type, row[place], cell[place], line[place])
    database.close()


def _cells(column: Any) -> list[Any]:
    """Give the cells of a column of Parquet; times as numbers, for Python has none with nanoseconds."""
    if ARROW.types.is_timestamp(column.type):
        column = column.cast("int64")
    cells: list[Any] = column.to_pylist()
    return cells


def _assert_same(kind: Type, packed: Any, cell: object, text: str) -> None:
    if packed is None:
        assert (cell, text) == (None, "")
    elif kind is Type.TIME:
        assert packed == cell == int(text)
    elif kind is Type.TEXTS:
        assert packed == json.loads(str(cell)) == json.loads(text)
    elif kind is Type.BYTES:
        assert packed == cell == bytes.fromhex(text)
    else:
        assert (packed, text) == (cell, str(cell))


def test_rows_are_handed_over_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rows are held than a batch has, and a Parquet row group is one batch."""
    monkeypatch.setattr(tables, "BATCH_ROWS", 2)
    write_tables(_records(), ParquetFolder(tmp_path / "p"))
    file = PARQUET.ParquetFile(tmp_path / "p" / "records.parquet")
    groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [2, 2, 2, 2, 1]
    assert (groups[1].column(0).statistics.min, groups[1].column(0).statistics.max) == (2, 3)
    file.close()


@given(name=st.binary())
def test_names_of_any_bytes_come_through(name: bytes) -> None:
    """What is text is there as it is; what is not is there in bytes too, and as an escaped text."""
    text, raw = tables.path_cells(name)
    assert (text.encode() if raw is None else raw) == name
    assert len(text.encode()) >= len(name)


def test_a_log_without_records_gives_tables_without_rows(tmp_path: Path) -> None:
    """Every table is there with its columns."""
    counts = write_tables([], ParquetFolder(tmp_path / "p"))
    write_tables([], CsvFolder(tmp_path / "c"))
    assert (counts.records, counts.processes, counts.files) == (0, 0, 0)
    for table in TABLES:
        assert PARQUET.read_table(tmp_path / "p" / f"{table.name}.parquet").num_rows == 0
        assert (tmp_path / "c" / f"{table.name}.csv").read_text("utf-8").startswith(table.columns[0].name)


def test_parquet_without_pyarrow_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optional extra is named, and nothing is made."""

    def refuse(name: str) -> object:
        """Find no module."""
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(UsageError, match=r"pyarrow, which is not there.*pip install 'catfs\[parquet\]'"):
        ParquetFolder(tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_the_page_names_every_column() -> None:
    """docs/formats/exports.md has the columns of each table in order, with what they mean."""
    text = PAGE.read_text("utf-8")
    for table in TABLES:
        rows = "".join(f"| `{c.name}` | {c.type.value} | {c.meaning} |\n" for c in table.columns)
        assert rows in text, f"the page should have\n{rows}"


def test_the_queries_of_the_page_run(tmp_path: Path) -> None:
    """Each ready query is one that SQL takes; most find something even in a small log."""
    write_tables(_records(), SqliteFile(tmp_path / "s"))
    queries = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(queries) >= 6
    database = sqlite3.connect(tmp_path / "s")
    found = [database.execute(re.sub(r"'log/(\w+)\.parquet'", r"\1", query)).fetchall() for query in queries]
    database.close()
    assert sum(map(bool, found)) >= 4


def test_a_trace_has_processes_as_tracks_and_files_as_slices() -> None:
    """Each program is a slice of its process, each file that it changed another one in the tracks below."""
    events = _trace(LOG)
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {0: "no program", 70: "make 70", 71: "cc1 71"}
    files = [event for event in events if event.get("cat") == "file"]
    assert {(event["pid"], event["name"]) for event in files} == {
        (70, "out"),
        (70, "out/it.whl"),
        (70, "old\\xff"),
        (71, "build/x.o"),
    }
    wheel = next(event for event in files if event["name"] == "out/it.whl")
    assert (wheel["ts"], wheel["dur"], wheel["args"]["bytes_written"]) == (5000.0, 2000.0, 9)
    assert [event["args"]["bytes"] for event in events if event["ph"] == "C"] == [1, 10]


def test_slices_of_one_track_never_overlap() -> None:
    """Files that are written alternately lie in tracks of their own: viewers nest what overlaps."""
    writes = [
        _change("write", f"f{place % 3}", place % 3 + 10, 7, offset=0, length=1, data=0) for place in range(9)
    ]
    files = [event for event in _trace([_process(7, 1, "sh"), *writes]) if event.get("cat") == "file"]
    assert len({event["tid"] for event in files}) == len(files) == 3
    later = _change("create", "g", 20, 7, mode=0o100644, uid=0, gid=0)
    files = [event for event in _trace([_process(7, 1, "sh"), *writes, later]) if event.get("cat") == "file"]
    assert len({event["tid"] for event in files}) == 3


def test_processes_that_had_one_id_have_tracks_of_their_own() -> None:
    """An id that was used twice means two processes, told apart by their start."""
    log = [
        _process(7, 1, "sh", start=5),
        _change("mkdir", "a", 10, 7, mode=0o40755, uid=0, gid=0),
        _process(7, 1, "cc", start=6),
        _change("mkdir", "b", 11, 7, mode=0o40755, uid=0, gid=0),
    ]
    names = {e["pid"]: e["args"]["name"] for e in _trace(log) if e["name"] == "process_name"}
    assert sorted(names.values()) == ["cc 7", "no program", "sh 7"]


def test_the_counter_of_a_long_trace_stays_short() -> None:
    """Samples are dropped where they stand close, never the total."""
    write = _change("write", "f", 10, 7, offset=0, length=2, data=0)
    samples = [e for e in _trace([_process(7, 1, "sh"), *[write] * 9000]) if e["ph"] == "C"]
    assert len(samples) <= 4097
    assert samples[-1]["args"]["bytes"] >= 2 * 8990
    totals = [event["args"]["bytes"] for event in samples]
    assert totals == sorted(totals)


def test_a_statement_says_what_in_toto_asks_for() -> None:
    """Type, subject with digest, predicate with monitor, process and log: each field that is required."""
    statement = _statement(LOG)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/runtime-trace/v0.1"
    assert statement["subject"] == [{"name": "out/it.whl", "digest": {"sha256": Digest.of(b"the wheel").hex}}]
    predicate = statement["predicate"]
    assert predicate["monitor"]["type"] == "urn:catfs:write-log:v1"
    assert predicate["monitoredProcess"] == {
        "hostID": "urn:catfs:host:box%20of%20ann",
        "type": "urn:catfs:run:v1",
        "event": "run-1",
    }
    assert predicate["metadata"]["buildStartedOn"] == "2026-02-02T02:40:00Z"
    programs = predicate["monitorLog"]["process"]
    assert [(item["processBinary"], item["arguments"], item["parent"]) for item in programs] == [
        ("/usr/bin/make", ["make", "all"], None),
        ("/usr/bin/cc1", ["cc1", "-O2"], 0),
    ]
    for file in predicate["monitorLog"]["fileAccess"]:
        assert file.keys() & {"uri", "digest", "content"}
    assert predicate["monitorLog"]["fileAccess"][-1]["uri"] == "file:///home/ann/tree/old%FF"


def test_a_statement_has_the_digests_of_what_was_read_and_written() -> None:
    """A file of the original has the digest that it had before; what was left the one of the end."""
    left = Digest.of(b"left").hex
    log = [
        _process(7, 1, "sh"),
        _change("read", "src/main.c", 10, 7),
        _change("create", "a.o", 11, 7, mode=0o100644, uid=0, gid=0),
        _change("content", "a.o", 11, 0, length=4, digest=left),
    ]
    files = _statement(log, {b"src/main.c": b"int main;"})["predicate"]["monitorLog"]["fileAccess"]
    by_name = {(file["name"], file["annotations"]["access"]): file.get("digest") for file in files}
    assert by_name == {
        ("src/main.c", "read"): {"sha256": Digest.of(b"int main;").hex},
        ("a.o", "write"): {"sha256": left},
    }


def test_what_was_read_under_a_moved_name_has_no_digest() -> None:
    """Once something was renamed to or from a path above, the original at that path says nothing any more."""
    log = [
        _process(7, 1, "sh"),
        _change("rename", "other", 12, 7, path2="src", flags=0),
        _change("read", "src/main.c", 10, 7),
    ]
    files = _statement(log, {b"src/main.c": b"int main;"})["predicate"]["monitorLog"]["fileAccess"]
    assert [file.get("digest") for file in files if file["annotations"]["access"] == "read"] == [None]


UNDONE: Sequence[Mapping[str, object]] = [
    _process(7, 1, "sh"),
    _change("create", "kept", 10, 7, mode=0o100644, uid=0, gid=0),
    _change("create", "back", 11, 7, mode=0o100644, uid=0, gid=0),
    _change("write", "back", 11, 7, offset=0, length=5, data=0),
    _change("undo", "", 0, 0, first=2),
]
"""A log in which the records 2 and 3 were taken back."""


def test_what_was_undone_is_marked_and_makes_no_file(tmp_path: Path) -> None:
    """Every record is there, those that count no more with a mark; files are what counts alone."""
    counts = counts_in([range(2), range(5, 9)])
    write_tables(_records(UNDONE), SqliteFile(tmp_path / "s"), counts)
    database = sqlite3.connect(tmp_path / "s")
    assert database.execute("SELECT seq FROM records WHERE undone").fetchall() == [(2,), (3,), (4,)]
    assert database.execute("SELECT first FROM records WHERE op = 'undo'").fetchall() == [(2,)]
    assert database.execute("SELECT path FROM files").fetchall() == [("kept",)]
    assert database.execute("SELECT changes, written FROM processes").fetchall() == [(1, 0)]
    database.close()
    stream = io.BytesIO()
    write_trace_events(_records(UNDONE), stream, "a log", counts)
    events = json.loads(stream.getvalue())["traceEvents"]
    assert [event["name"] for event in events if event.get("cat") == "file"] == ["kept"]
    stream = io.BytesIO()
    write_runtime_trace(_records(UNDONE), stream, FACTS, lambda *_: None, counts)
    log = json.loads(stream.getvalue())["predicate"]["monitorLog"]
    assert [file["name"] for file in log["fileAccess"]] == ["kept"]


@given(st.lists(st.integers(0, 50), min_size=2, max_size=9, unique=True).map(sorted))
def test_what_counts_is_what_lies_in_a_range(edges: list[int]) -> None:
    """A number counts exactly when one of the ranges has it."""
    runs = [range(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=False)]
    counts = counts_in(runs)
    for seq in range(60):
        assert counts(seq) == any(seq in run for run in runs)
