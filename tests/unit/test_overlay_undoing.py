"""Which records of a log count when some of them take others back."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.errors import FormatError
from catfs.overlay import ReplayError, Undo, Undone
from catfs.records.write_record import WriteRecord
from tests.support.sample_session import SampleSession
from tests.support.views import ACTOR, create_file, fields_of, write_at


def records(count: int) -> list[WriteRecord]:
    """Give records that say nothing but their place."""
    return [WriteRecord(seq, 0, "read", 0, b"", 1, 0, {}, {}) for seq in range(count)]


def counting(undos: Sequence[Undo], count: int, end: int | None = None) -> list[int]:
    """Give the places of the records that count."""
    return [record.seq for record in Undone(undos).counting(records(count), end)]


def test_without_undo_every_record_counts() -> None:
    """All of a log counts, and of a moment all before it."""
    assert counting([], 4) == [0, 1, 2, 3]
    assert counting([], 4, end=2) == [0, 1]
    assert counting([], 4, end=0) == []


def test_an_undo_takes_back_what_lies_between() -> None:
    """Neither the undone records count nor the undo itself; what comes behind it does."""
    assert counting([Undo(5, 2)], 8) == [0, 1, 6, 7]
    assert counting([Undo(5, 2)], 8, end=5) == [0, 1, 2, 3, 4]
    assert counting([Undo(5, 2)], 8, end=6) == [0, 1]


def test_an_undo_can_be_undone() -> None:
    """Going back to before an undo brings back what it took."""
    assert counting([Undo(5, 2), Undo(7, 5)], 9) == [0, 1, 2, 3, 4, 8]


def test_only_what_is_needed_is_read() -> None:
    """Damage behind a moment is nobody's matter there: one record behind it is looked at, and no more."""
    source = iter(records(9))
    assert [record.seq for record in Undone().counting(source, 3)] == [0, 1, 2]
    assert next(source).seq == 4


@given(st.data())
def test_undos_agree_with_a_list_that_is_cut(data: st.DataObject) -> None:
    """Whatever was undone in whatever order: what counts is what a plain list of states says."""
    states: list[list[int]] = [[]]
    undos: list[Undo] = []
    for seq in range(data.draw(st.integers(0, 30))):
        if seq and data.draw(st.integers(0, 3)) == 0:
            first = data.draw(st.integers(0, seq))
            undos.append(Undo(seq, first))
            states.append(states[first])
        else:
            states.append([*states[-1], seq])
    for end, expected in enumerate(states):
        assert counting(undos, len(states) - 1, end) == expected
    assert counting(undos, len(states) - 1) == states[-1]


def test_an_undo_of_the_future_is_refused() -> None:
    """An undo record names records before itself."""
    with pytest.raises(FormatError, match="record 5: expected to take back records up to itself, got 6"):
        Undone([Undo(5, 6)])


def test_undos_are_found_in_the_lines_of_a_log() -> None:
    """A path that looks like an undo is none, and a damaged line is left to the reader."""
    lines = [
        b'{"seq":0,"op":"create","t":1,"path":"\\"op\\":\\"undo\\"","mode":33188,"uid":0,"gid":0,"ino":9,"pid":1}',
        b'{"seq":1,"op":"undo","t":1,"path":"","first":0,"ino":1,"pid":1}',
        b'{"seq":2,"op":"undo","t":1,"pa',
    ]
    assert Undone.of_lines(lines).ranges(5) == [range(2, 5)]


def test_a_replay_follows_no_undo_that_was_not_resolved() -> None:
    """A log with undo records is never followed as if it had none."""
    session = SampleSession()
    create_file(session.view, b"x")
    session.trace.append("undo", session.view.place_of(session.view.roots[0]), 1, ACTOR, 5, {"first": 0})
    with pytest.raises(ReplayError, match=r"record 1 \(undo \): the records that it takes back"):
        session.replayed()
    session.close()


def test_history_never_changes_a_byte_that_was_written() -> None:
    """Overwriting and dropping leave the data file as it was, so that an earlier moment reads as it did."""
    session = SampleSession()
    session.data.keeps_all = True
    create_file(session.view, b"x", b"first" * 20_000)
    before = session.data.read(0, session.data.size)
    write_at(session.view, b"x", 0, b"other")
    session.view.unlink(session.view.roots[0].ino, b"x", ACTOR)
    session.view.freed.give_back()
    assert session.data.read(0, len(before)) == before
    assert session.data.size == len(before) + 5
    session.close()


def test_an_undo_record_is_read_back() -> None:
    """Its field survives the log."""
    record = WriteRecord(7, 1, "undo", 0, b"", 1, 9, {"first": 3}, {})
    assert WriteRecord.from_dict(fields_of(record)) == record
