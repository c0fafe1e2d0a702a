"""The chain of runs: it grows by whole records, and every other change of it is found."""

import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.ledger import Chain, ChainDamageError, ChainEntry, ChainRecord
from catfs.ledger.chain import CHAIN_FILE, NO_PREVIOUS, read_chain
from catfs.records import Outcome
from catfs.records.schema import validate


def _entry(run_id: str) -> ChainEntry:
    return ChainEntry(run_id, Outcome.RESTORED, Digest.of(run_id.encode()))


def _filled(folder: Path, count: int) -> bytes:
    """Give the bytes of a chain of some runs."""
    chain = Chain(folder, clock=lambda: 7)
    for number in range(count):
        chain.append(_entry(f"run-{number}"))
    return (folder / CHAIN_FILE).read_bytes()


def test_each_record_names_the_digest_of_the_one_before(tmp_path: Path) -> None:
    """Numbers have no gaps, digests are those of the lines, and each line fits the schema."""
    lines = _filled(tmp_path, 4).splitlines()
    previous = NO_PREVIOUS
    for number, line in enumerate(lines):
        record = ChainRecord.from_line(line)
        validate(json.loads(line), "chain-record.v1")
        assert (record.seq, record.previous, record.run_id) == (number, previous, f"run-{number}")
        previous = Digest.of(line)


def test_missing_file_is_an_empty_chain(tmp_path: Path) -> None:
    """A workspace without runs has nothing to check."""
    content = Chain(tmp_path).read()
    assert (content.records, content.damage, content.lost_bytes) == ((), None, 0)


@pytest.mark.parametrize("kept", [1, 20, 300])
def test_unfinished_last_line_is_told_and_cut_off_by_the_next_writer(tmp_path: Path, kept: int) -> None:
    """A writer that was stopped in the middle of its line costs that line only."""
    data = _filled(tmp_path, 3)
    lines = data.splitlines(keepends=True)
    (tmp_path / CHAIN_FILE).write_bytes(b"".join(lines[:2]) + lines[2][:kept])
    content = Chain(tmp_path).read()
    assert (len(content.records), content.damage, content.lost_bytes) == (2, None, kept)
    record = Chain(tmp_path).append(_entry("after"))
    content = Chain(tmp_path).read()
    assert (record.seq, content.lost_bytes, content.damage) == (2, 0, None)
    assert [item.run_id for item in content.records] == ["run-0", "run-1", "after"]


def test_unfinished_first_line_leaves_an_empty_chain(tmp_path: Path) -> None:
    """The first record may be the one that was not finished."""
    (tmp_path / CHAIN_FILE).write_bytes(b'{"adopted"')
    assert Chain(tmp_path).append(_entry("a")).seq == 0
    assert Chain(tmp_path).read().lost_bytes == 0


@pytest.mark.parametrize("number", range(3))
def test_dropped_record_is_missed_wherever_another_follows(tmp_path: Path, number: int) -> None:
    """The record after it names another predecessor."""
    lines = _filled(tmp_path, 4).splitlines(keepends=True)
    content = read_chain(b"".join(lines[:number] + lines[number + 1 :]))
    assert content.damage is not None
    assert (content.damage.dropped, content.damage.number, len(content.records)) == (True, number, number)


def test_swapped_and_repeated_records_are_found(tmp_path: Path) -> None:
    """Order and number of records are part of the chain."""
    first, second, third = _filled(tmp_path, 3).splitlines(keepends=True)
    for data, at in ((second + first + third, 0), (first + first + second, 1), (first + third + second, 1)):
        damage = read_chain(data).damage
        assert damage is not None
        assert (damage.dropped, damage.number) == (True, at)


def test_record_made_anew_breaks_the_chain_behind_it(tmp_path: Path) -> None:
    """Whoever changes a record and its checksum is found out by the digest that the next one names."""
    lines = _filled(tmp_path, 3).splitlines(keepends=True)
    old = ChainRecord.from_line(lines[1][:-1])
    new = ChainRecord(old.seq, old.previous, old.time, "other", old.outcome, old.proof)
    damage = read_chain(lines[0] + new.line() + b"\n" + lines[2]).damage
    assert damage is not None
    assert (damage.dropped, damage.number) == (True, 2)


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_flipped_bit_is_found_in_its_record(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    """No record with a changed byte is believed, nor any behind it."""
    data = bytearray(_filled(tmp_path_factory.mktemp("chain"), 3))
    at %= len(data)
    data[at] ^= 1 << bit
    content = read_chain(bytes(data))
    line = bytes(data[:at]).count(b"\n")
    assert content.damage is not None or content.lost_bytes
    assert len(content.records) <= line + (content.damage is None)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_crash(data: bytes) -> None:
    """A file of chance has no record, and says why."""
    content = read_chain(data)
    assert content.records == ()
    assert (content.damage is not None) == (b"\n" in data)


def test_nothing_is_appended_to_a_damaged_last_record(tmp_path: Path) -> None:
    """The next record would vouch for what nobody wrote."""
    data = _filled(tmp_path, 2)
    (tmp_path / CHAIN_FILE).write_bytes(data[:-5] + b"x" + data[-4:])
    with pytest.raises(ChainDamageError, match="record 1 from the end of the chain of runs") as caught:
        Chain(tmp_path).append(_entry("after"))
    assert caught.value.dropped is False
    assert (tmp_path / CHAIN_FILE).read_bytes() == data[:-5] + b"x" + data[-4:]


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    """Many writers at once give one whole chain with each run once."""
    names = [f"run-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Chain(tmp_path).append(_entry(name)), names))
    content = Chain(tmp_path).read()
    assert content.damage is None
    assert sorted(record.run_id for record in content.records) == sorted(names)


def test_run_that_is_there_already_is_not_put_in_twice(tmp_path: Path) -> None:
    """A writer whose run was adopted meanwhile finds it there."""
    first = Chain(tmp_path).append(_entry("a"), lambda _records, _is_all: [_entry("b")])
    again = Chain(tmp_path).append(_entry("b"))
    assert (first.seq, again.seq, again.adopted) == (1, 0, True)
    assert [record.run_id for record in Chain(tmp_path).read().records] == ["b", "a"]


def test_writer_is_told_the_last_records_only(tmp_path: Path) -> None:
    """A long chain is not read whole for each new record."""
    data = _filled(tmp_path, 1)
    line = ChainRecord.from_line(data[:-1])
    lines, previous = [], NO_PREVIOUS
    for number in range(900):
        record = ChainRecord(number, previous, 7, f"run-{number}", line.outcome, line.proof)
        lines.append(record.line() + b"\n")
        previous = Digest.of(record.line())
    (tmp_path / CHAIN_FILE).write_bytes(b"".join(lines))
    told: list[tuple[int, bool]] = []

    def missed(records: object, is_all: bool) -> list[ChainEntry]:
        assert isinstance(records, list)
        told.append((len(records), is_all))
        return []

    assert Chain(tmp_path).append(_entry("new"), missed).seq == 900
    assert told[0][0] < 900
    assert told[0][1] is False
    assert Chain(tmp_path).read().damage is None


def test_reader_waits_for_a_writer(tmp_path: Path) -> None:
    """The lock of a writer is the one that readers ask for."""
    _filled(tmp_path, 1)
    descriptor = os.open(tmp_path / CHAIN_FILE, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(Chain(tmp_path).read)
        assert not reading.done()
        os.close(descriptor)
        assert len(reading.result(10).records) == 1


def test_record_with_another_field_is_refused() -> None:
    """Unknown fields and versions are errors."""
    record = ChainRecord(0, NO_PREVIOUS, 7, "a", Outcome.RESTORED, NO_PREVIOUS)
    value = json.loads(record.line())
    for changed, problem in (
        ({**value, "more": 1}, "unknown fields"),
        ({**value, "schema": "chain-record.v2"}, "expected the schema"),
        ({**value, "checksum": "0" * 16}, "checksum"),
        ({**value, "seq": -1}, "seq"),
    ):
        line = json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(FormatError, match=problem):
            ChainRecord.from_line(line)
