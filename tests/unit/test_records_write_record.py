"""Lines of a write log become records, strictly."""

from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from catfs.errors import FormatError
from catfs.records.schema import validate
from catfs.records.write_record import OPERATIONS, ProcessRecord, WriteRecord, record_from_dict
from tests.run_samples import LOG

WRITE: dict[str, Any] = {
    "seq": 4,
    "op": "write",
    "t": 1_770_000_000_123_456_789,
    "path": "a/b",
    "offset": 0,
    "length": 5,
    "data": 10,
    "ino": 1 << 48,
    "pid": 7,
}
PROCESS: dict[str, Any] = {"seq": 0, **LOG[0]}
NUMBERS = {"mode": 1, "uid": 0, "gid": 0, "offset": 0, "length": 1, "data": 0, "flags": 0, "rdev": 259}
NUMBERS |= {"size": 3, "mtime": -1, "ctime": 5, "first": 0}


def test_a_write_is_read() -> None:
    """Each field of a change arrives."""
    record = record_from_dict(WRITE)
    assert record == WriteRecord(
        seq=4,
        t=1_770_000_000_123_456_789,
        op="write",
        domain=0,
        path=b"a/b",
        ino=1 << 48,
        pid=7,
        numbers={"offset": 0, "length": 5, "data": 10},
        texts={},
    )


def test_a_process_is_read() -> None:
    """Each field of a process arrives."""
    record = record_from_dict(PROCESS)
    assert isinstance(record, ProcessRecord)
    assert (record.exe, record.argv, record.cwd) == (b"/usr/bin/cc", (b"cc", b"-c"), b"/home/ann/tree")
    assert (record.pid, record.process, record.parent, record.start, record.uid) == (7, 7, 1, 99, 1000)


def test_names_that_are_not_text_are_read() -> None:
    """Paths and arguments in base64 come back as they were."""
    fields = {**WRITE, "path_base64": "YS9i/w=="}
    del fields["path"]
    record = record_from_dict(fields)
    assert isinstance(record, WriteRecord)
    assert record.path == b"a/b\xff"
    arguments = {**PROCESS, "argv_base64": ["Y2M=", "/w=="]}
    del arguments["argv"]
    process = record_from_dict(arguments)
    assert isinstance(process, ProcessRecord)
    assert process.argv == (b"cc", b"\xff")


def test_times_before_1970_are_kept() -> None:
    """A file may get a time that counts backwards."""
    record = record_from_dict({**WRITE, "op": "setattr", "mtime": -5})
    assert isinstance(record, WriteRecord)
    assert record.number("mtime") == -5


def test_a_file_without_a_name_says_so() -> None:
    """A change of an unlinked file is marked."""
    record = record_from_dict({**WRITE, "unlinked": True})
    assert isinstance(record, WriteRecord)
    assert record.unlinked


def test_what_an_operation_needs_is_asked_for_by_name() -> None:
    """A missing number or text is an error that names operation and field."""
    record = record_from_dict(WRITE)
    assert isinstance(record, WriteRecord)
    with pytest.raises(FormatError, match="record 4: write needs the field flags"):
        record.number("flags")
    with pytest.raises(FormatError, match="record 4: write needs the field path2"):
        record.text("path2")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"op": "format"}, "expected an operation of the write log, got 'format'"),
        ({"op": None}, "expected an operation"),
        ({"seq": -1}, "expected a whole number for seq"),
        ({"seq": True}, "expected a whole number for seq"),
        ({"t": "now"}, "expected a whole number for t"),
        ({"path": 5}, "expected text for path"),
        ({"path": None}, "the field path is missing"),
        ({"path_base64": "YQ=="}, "expected text for path or base64"),
        ({"offset": "0"}, "expected a whole number for offset"),
        ({"unlinked": 1}, "expected true or false for unlinked"),
        ({"colour": "red"}, "unknown fields: colour"),
    ],
)
def test_a_bad_change_is_refused(change: dict[str, Any], problem: str) -> None:
    """Unknown operations and fields and other types are named."""
    with pytest.raises(FormatError, match=problem):
        record_from_dict({**WRITE, **change})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"pid": -1}, "expected a whole number for pid"),
        ({"argv": "cc"}, "expected a list of texts for argv"),
        ({"argv": [1]}, "expected a list of texts for argv"),
        ({"path": "a"}, "unknown fields: path"),
        ({"exe": 1}, "expected text for exe"),
    ],
)
def test_a_bad_process_is_refused(change: dict[str, Any], problem: str) -> None:
    """Unknown fields and other types are named."""
    with pytest.raises(FormatError, match=problem):
        record_from_dict({**PROCESS, **change})


@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_only_an_object_is_a_record(value: object) -> None:
    """Anything but an object is refused."""
    with pytest.raises(FormatError, match="expected a JSON object"):
        record_from_dict(value)


@pytest.mark.parametrize("op", sorted(OPERATIONS))
def test_the_schema_knows_every_operation(op: str) -> None:
    """A record of each operation fits the schema, and one without what it needs does not."""
    fields = {"seq": 0, "op": op, "t": 1, "path": "a", "ino": 2, "pid": 3}
    full = {**fields, **NUMBERS, "path2": "b", "name": "user.x", "value": "y", "digest": "0" * 64}
    validate(full, "write-record.v1")
    record_from_dict(full)
    if op not in {"unlink", "rmdir", "setattr", "read"}:
        with pytest.raises(FormatError, match="does not fit the schema"):
            validate(fields, "write-record.v1")


def test_the_schema_knows_processes() -> None:
    """The record of a process fits the schema; with a path it does not."""
    validate(PROCESS, "write-record.v1")
    with pytest.raises(FormatError, match="does not fit the schema"):
        validate({**PROCESS, "path": "a"}, "write-record.v1")


@given(st.data())
def test_bent_records_give_a_format_error_or_a_record(data: st.DataObject) -> None:
    """However one field is bent, no other error comes out."""
    fields = dict(data.draw(st.sampled_from([WRITE, PROCESS])))
    key = data.draw(st.sampled_from(sorted(fields)))
    junk = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=4)
        | st.lists(st.text(max_size=2), max_size=2)
    )
    suffix = data.draw(st.sampled_from(["", "_base64"]))
    fields[key + suffix] = data.draw(junk)
    try:
        record = record_from_dict(fields)
    except FormatError:
        return
    assert record.seq >= 0


@given(st.binary(max_size=40))
def test_a_line_of_any_bytes_gives_a_format_error_or_a_record(line: bytes) -> None:
    """Whatever JSON stands in a line, no other error comes out."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return
    with pytest.raises(FormatError, match="expected"):
        record_from_dict(value)
