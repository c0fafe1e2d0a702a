"""Replay: the log alone leads to the same view, and a damaged one to an error that says where."""

import contextlib
import os
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.errors import FormatError
from catfs.overlay import ReplayError, View
from catfs.overlay.attributes import AttributeChanges
from catfs.overlay.nodes import Actor, File
from catfs.records.write_record import Record, WriteRecord, record_from_dict
from tests.support.sample_session import SampleSession
from tests.support.views import (
    ACTOR,
    content_of,
    create_file,
    fields_of,
    node_at,
    read_lines,
    replayed,
    split,
    whole_state,
)


@pytest.fixture
def session() -> Iterator[SampleSession]:
    """Give a session over the sample tree."""
    session = SampleSession()
    yield session
    session.close()


def _open(view: View, path: bytes) -> int:
    return view.open(node_at(view, path).ino, os.O_RDWR, ACTOR)


def test_every_operation_comes_back_from_the_log(session: SampleSession) -> None:
    """One of each operation, on names that are no text, leads to the same state, times included."""
    _one_of_each(session.view)
    records = session.trace.records()
    changes = [record for record in records if isinstance(record, WriteRecord)]
    assert {record.op for record in changes} == {
        *("create", "mkdir", "mknod", "symlink", "link", "unlink", "rmdir", "rename", "write"),
        *("truncate", "fallocate", "setattr", "setxattr", "removexattr", "read"),
    }
    assert [orjson.dumps(fields_of(record), option=orjson.OPT_SORT_KEYS) for record in changes] == [
        orjson.dumps(orjson.loads(line), option=orjson.OPT_SORT_KEYS) for line in session.trace.lines
    ]
    session.check_roots()
    assert whole_state(session.replayed()) == whole_state(session.view)


def _one_of_each(view: View) -> None:
    top = view.roots[0].ino
    new = create_file(view, b"n\nw\xff", b"content", 0o4755)
    view.mkdir(top, b"\xfe", 0o700, ACTOR)
    view.mknod(top, b"pipe", 0o010644, 0, ACTOR)
    view.symlink(top, b"link", b"to\xff\n", ACTOR)
    view.link(node_at(view, b"e/h1").ino, top, b"more", ACTOR)
    view.unlink(*split(view, b"links/h3"), ACTOR)
    view.rmdir(top, b"\xfe", ACTOR)
    view.rename(top, b"d", top, b"moved", 0, ACTOR)
    handle = _open(view, b"a")
    view.read(handle, 0, 10)
    view.write(handle, 5, b"new")
    view.fallocate(_as_file(view, b"a"), 0, 0, 9000, ACTOR)
    view.setattr(new.ino, AttributeChanges(size=3, mode=0o600, uid=5, gid=6, atime=-7, mtime=8), ACTOR)
    view.setxattr(new.ino, b"user.x", b"\0\xff", 0, ACTOR)
    view.removexattr(node_at(view, b"a").ino, b"user.kept", ACTOR)


def _as_file(view: View, path: bytes) -> File:
    node = node_at(view, path)
    assert isinstance(node, File)
    return node


def test_a_replaced_file_is_not_taken_for_the_one_that_replaced_it(session: SampleSession) -> None:
    """A file that was open when a rename replaced it, and is written to then, leaves its successor alone."""
    view = session.view
    handle = _open(view, b"b")
    view.rename(*split(view, b"a"), *split(view, b"b"), 0, ACTOR)
    view.write(handle, 0, b"to the old one")
    again = session.replayed()
    assert content_of(again, node_at(again, b"b")) == b"the content of a"
    session.check_roots()


def test_a_replaced_file_with_other_names_keeps_its_changes(session: SampleSession) -> None:
    """The same for one that lives on under a name that nobody has looked up."""
    view = session.view
    handle = _open(view, b"e/h1")
    view.rename(*split(view, b"a"), *split(view, b"e/h1"), 0, ACTOR)
    view.write(handle, 0, b"SEVERAL")
    session.check_roots()
    again = session.replayed()
    assert content_of(again, node_at(again, b"links/h3")) == b"SEVERAL names"


def test_files_without_a_name_follow_the_log(session: SampleSession) -> None:
    """Writes to an unlinked file and changes of a removed directory disturb nothing."""
    view = session.view
    handle = _open(view, b"a")
    view.unlink(*split(view, b"a"), ACTOR)
    view.write(handle, 0, b"nobody sees this")
    directory = node_at(view, b"empty")
    open_directory = view.opendir(directory.ino, ACTOR)
    view.rmdir(*split(view, b"empty"), ACTOR)
    view.setattr(directory.ino, AttributeChanges(mode=0o700), ACTOR)
    create_file(view, b"a", b"new")
    view.release(open_directory)
    assert [record.unlinked for record in session.trace.records() if isinstance(record, WriteRecord)] == [
        *(False, True, False, True, False, False),
    ]
    session.check_roots()


def test_times_that_no_log_can_say_are_brought_within_reach(session: SampleSession) -> None:
    """A time far beyond the year 2262 is cut, logged and replayed, not lost."""
    view = session.view
    node = view.setattr(node_at(view, b"a").ino, AttributeChanges(atime=-(1 << 90), mtime=1 << 90), ACTOR)
    assert (node.atime, node.mtime) == (-(1 << 63), (1 << 63) - 1)
    assert whole_state(session.replayed()) == whole_state(view)


def test_cleared_set_id_bits_come_back_from_the_log(session: SampleSession) -> None:
    """What a write by somebody without privilege clears is in the log on its own."""
    view = session.view
    handle = view.open(node_at(view, b"tool").ino, os.O_WRONLY, Actor(1, 1000, 1000))
    view.write(handle, 0, b"#!/bin/false")
    assert node_at(view, b"tool").mode == 0o100755
    assert whole_state(session.replayed()) == whole_state(view)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"op": "unlink", "path": "missing"}, "there is no such file"),
        ({"op": "create", "path": "no/such", "mode": 33188, "uid": 0, "gid": 0}, "there is no directory no"),
        ({"op": "create", "path": "a", "mode": 33188, "uid": 0, "gid": 0}, "File exists"),
        ({"op": "create", "path": "", "mode": 33188, "uid": 0, "gid": 0}, "a name cannot be empty"),
        ({"op": "create", "path": "new", "mode": 1 << 40, "uid": 0, "gid": 0}, "expected a mode of 16 bits"),
        ({"op": "create", "path": "new", "mode": 33188}, "create needs the field uid"),
        ({"op": "mknod", "path": "new", "mode": 0o040755, "uid": 0, "gid": 0}, "Operation not permitted"),
        ({"op": "mknod", "path": "new", "mode": 0o150000, "uid": 0, "gid": 0}, "Invalid argument"),
        ({"op": "write", "path": "a", "offset": 0, "length": 4, "data": 0}, "its bytes end at 4 of the data"),
        ({"op": "write", "path": "a", "offset": 0, "length": 0, "data": 0}, "a length of at least 1"),
        ({"op": "write", "path": "d", "offset": 0, "length": 1, "data": 0}, "expected a regular file"),
        (
            {"op": "write", "path": "a", "offset": (1 << 63) - 1, "length": 9, "data": 0},
            "expected a range that ends by",
        ),
        ({"op": "truncate", "path": "a", "domain": 9, "length": 0}, "expected one of 1 domains, got 9"),
        ({"op": "rename", "path": "a", "path2": "b", "flags": 64}, "Invalid argument"),
    ],
)
def test_a_record_that_does_not_fit_is_named(
    session: SampleSession, fields: dict[str, object], problem: str
) -> None:
    """The error says which record it is and why it cannot be followed."""
    record = record_from_dict({"seq": 7, "t": 1, "ino": 99, "pid": 1, **fields})
    with pytest.raises(FormatError, match=f"record 7.*{problem}"):
        replayed([record], session.lower, session.data)


def test_a_replay_error_keeps_the_record(session: SampleSession) -> None:
    """Whoever catches the error can look at the record."""
    record = record_from_dict({"seq": 3, "t": 1, "ino": 9, "pid": 1, "op": "rmdir", "path": "n\no"})
    with pytest.raises(ReplayError, match=r"record 3 \(rmdir n\\no\)") as caught:
        replayed([record], session.lower, session.data)
    assert caught.value.record is record


def _sample_log() -> tuple[SampleSession, list[bytes]]:
    session = SampleSession()
    _one_of_each(session.view)
    return session, session.trace.lines


def _follow(session: SampleSession, records: list[Record]) -> None:
    """Replay, and fold unless a damaged size made a file too large to be hashed in a test."""
    view = replayed(records, session.lower, session.data)
    if all(node.size < 1 << 20 for node in view.nodes.values()):
        session.fold(view)


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from([0, 1, 7, 0o100644, 1 << 48, (1 << 63) - 1]),
    st.text(max_size=5),
    st.sampled_from(["a", "d", "e/h1", "empty", "", ".", "..", "/", "a/b", "write", "process", "//"]),
    st.lists(st.text(max_size=2), max_size=2),
)
_KEYS = st.sampled_from(
    [
        *("seq", "op", "t", "path", "path2", "path_base64", "ino", "ino2", "pid", "domain", "unlinked"),
        *("offset", "length", "mode", "uid", "gid", "rdev", "atime", "mtime", "flags", "data"),
        *("name", "value", "value_base64", "unknown"),
    ]
)


@given(data=st.data())
@settings(max_examples=50)
def test_a_damaged_field_is_an_error_of_format_or_replay(data: st.DataObject) -> None:
    """Whatever one field is replaced by, the log is followed or refused in words, and never crashes."""
    session, lines = _sample_log()
    place = data.draw(st.integers(0, len(lines) - 1))
    fields = orjson.loads(lines[place])
    key = data.draw(st.sampled_from(sorted(fields)) | _KEYS)
    fields[key] = data.draw(_VALUES)
    if data.draw(st.integers(0, 5)) == 0:
        del fields[key]
    with contextlib.suppress(FormatError):
        records = [*read_lines(lines[:place]), record_from_dict(fields), *read_lines(lines[place + 1 :])]
        _follow(session, records)
    session.close()


@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_line_is_an_error_of_format(data: st.DataObject) -> None:
    """Any byte of a line may change: it is no JSON, no record, another record, or still followed."""
    session, lines = _sample_log()
    place = data.draw(st.integers(0, len(lines) - 1))
    line = bytearray(lines[place])
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    # That a line is no JSON is told by the reader of lines, which knows the name of the file.
    with contextlib.suppress(FormatError, orjson.JSONDecodeError):
        _follow(session, read_lines([*lines[:place], bytes(line), *lines[place + 1 :]]))
    session.close()


@given(st.recursive(_VALUES, lambda inner: st.dictionaries(_KEYS, inner, max_size=8), max_leaves=8))
@settings(max_examples=40)
def test_anything_that_is_no_record_is_refused(value: object) -> None:
    """No JSON value makes reading a record fail in another way than by a FormatError."""
    with contextlib.suppress(FormatError):
        record_from_dict(value)
