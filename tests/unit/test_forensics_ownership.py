"""Who owns which bytes: every operation against one owner for each single byte."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from catfs.errors import FormatError
from catfs.forensics import Ownership
from catfs.records.write_record import WriteRecord
from tests.support.log_maker import LogMaker


def _ranges(ownership: Ownership[str]) -> list[tuple[int, int, str]]:
    return [(found.start, found.end, found.owner) for found in ownership]


def test_a_later_write_takes_what_it_covers() -> None:
    """What is left of an earlier one stays with its owner, on both sides."""
    ownership = Ownership[str](0)
    ownership.write(0, 10, "first")
    ownership.write(3, 4, "second")
    assert _ranges(ownership) == [(0, 3, "first"), (3, 7, "second"), (7, 10, "first")]
    ownership.write(0, 10, "third")
    assert _ranges(ownership) == [(0, 10, "third")]


def test_neighbours_of_one_owner_are_one_range() -> None:
    """Sequential writes of one owner are told once."""
    ownership = Ownership[str](0)
    for offset in range(0, 40, 4):
        ownership.write(offset, 4, "cc")
    assert _ranges(ownership) == [(0, 40, "cc")]
    assert ownership.owned_bytes == 40


def test_bytes_of_the_original_belong_to_nobody() -> None:
    """In a file of the original only what was written has an owner."""
    ownership = Ownership[str]()
    ownership.write(100, 5, "ed")
    assert _ranges(ownership) == [(100, 105, "ed")]


def test_cutting_takes_the_end_away() -> None:
    """Bytes behind the new end have no owner any more, and extending gives zeros to who did it."""
    ownership = Ownership[str](0)
    ownership.write(0, 10, "cc")
    ownership.resize(4, "sh")
    ownership.resize(6, "dd")
    assert _ranges(ownership) == [(0, 4, "cc"), (4, 6, "dd")]


def test_a_gap_belongs_to_who_wrote_behind_it() -> None:
    """The zeros between the old end and a write are there because of the write."""
    ownership = Ownership[str](2)
    ownership.write(5, 1, "dd")
    assert _ranges(ownership) == [(2, 6, "dd")]


def test_records_are_taken_in() -> None:
    """Each operation on bytes does what it does to the file; the others do nothing."""
    log = LogMaker()
    ino = log.create("a")
    log.write("a", ino, 0, 8)
    log.add("fallocate", "a", ino, offset=2, length=2, mode=3)
    log.add("fallocate", "a", ino, offset=8, length=4, mode=0)
    log.add("fallocate", "a", ino, offset=12, length=4, mode=1)
    log.add("truncate", "a", ino, length=11)
    log.add("unlink", "a", ino)
    ownership = Ownership[str]()
    for record in log.records:
        assert isinstance(record, WriteRecord)
        ownership.apply(record, f"r{record.seq}")
    assert _ranges(ownership) == [(0, 2, "r1"), (2, 4, "r2"), (4, 8, "r1"), (8, 11, "r3")]
    assert ownership.size == 11


def test_the_size_of_an_original_is_known_from_a_mounted_session() -> None:
    """Its `base` record says it, so what extends the file has an owner."""
    log = LogMaker()
    log.add("base", "a", 9, mode=1, size=4, mtime=3, ctime=4)
    log.add("truncate", "a", 9, length=6)
    ownership = Ownership[str]()
    for record in log.records:
        assert isinstance(record, WriteRecord)
        ownership.apply(record, "dd")
    assert _ranges(ownership) == [(4, 6, "dd")]


def test_a_record_without_its_range_is_refused() -> None:
    """The record and the missing field are named."""
    log = LogMaker()
    log.add("write", "a", 9)
    (record,) = log.records
    assert isinstance(record, WriteRecord)
    with pytest.raises(FormatError, match="record 0: write needs the field offset"):
        Ownership[str]().apply(record, "x")


SMALL = st.integers(0, 30)
STEPS = st.lists(st.tuples(st.sampled_from(["write", "resize", "punch"]), SMALL, SMALL), max_size=30)


@given(STEPS)
def test_ranges_are_those_of_a_byte_by_byte_model(steps: list[tuple[str, int, int]]) -> None:
    """Random writes, cuts and holes give each byte the owner that a plain list gives it."""
    log, model = LogMaker(), list[int]()
    log.create("a")
    for number, (action, first, second) in enumerate(steps, 1):
        if action == "write":
            log.write("a", 1, first, second + 1)
            model += [number] * (first + second + 1 - len(model))
            model[first : first + second + 1] = [number] * (second + 1)
        elif action == "resize":
            log.add("truncate", "a", 1, length=first)
            model = model[:first] + [number] * (first - len(model))
        else:
            log.add("fallocate", "a", 1, offset=first, length=second + 1, mode=3)
            covered = len(model[first : first + second + 1])
            model[first : first + covered] = [number] * covered
    ownership = Ownership[int]()
    for record in log.records:
        assert isinstance(record, WriteRecord)
        ownership.apply(record, record.seq)
    found = [owned.owner for owned in ownership for _ in range(owned.length)]
    assert found == model
    assert all(
        a.end < b.start or a.owner != b.owner
        for a, b in zip(list(ownership), list(ownership)[1:], strict=False)
    )
