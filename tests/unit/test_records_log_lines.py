"""A write log is read to the end, or to its damage, and never further."""

from io import BytesIO

import hypothesis.strategies as st
import pytest
import zstandard
from hypothesis import given

from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import Record
from tests.run_samples import LOG, START, log_bytes

PLAIN = log_bytes(
    (*LOG, *({"op": "read", "t": START, "path": f"p{i}", "ino": i, "pid": i} for i in range(5)))
)
PACKED = zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN)


def _read(data: bytes) -> tuple[list[Record], LogDamageError | None]:
    """Give the records of a log and what ended the reading."""
    found: list[Record] = []
    try:
        for record in log_records(log_lines(BytesIO(data), "LOG"), "LOG"):
            found.append(record)  # noqa: PERF402 - what came before the damage must stay
    except LogDamageError as error:
        return found, error
    return found, None


WHOLE, _ = _read(PLAIN)


@pytest.mark.parametrize("data", [PLAIN, PACKED], ids=["plain", "packed"])
def test_a_sound_log_is_read_whole(data: bytes) -> None:
    """Plain and compressed give the same records."""
    assert len(WHOLE) == 8
    assert _read(data) == (WHOLE, None)


def test_an_empty_log_has_no_records() -> None:
    """No bytes are no records, plain or compressed."""
    assert _read(b"") == ([], None)
    assert _read(zstandard.ZstdCompressor().compress(b"")) == ([], None)


def test_a_plain_log_that_is_cut_off_loses_only_its_tail() -> None:
    """Every record that was written whole is given, wherever the cut is."""
    for cut in range(len(PLAIN)):
        found, error = _read(PLAIN[:cut])
        whole = PLAIN[:cut].count(b"\n")
        assert found == WHOLE[:whole]
        assert (error is None) == (cut == 0 or PLAIN[cut - 1 : cut] == b"\n")
        assert error is None or error.records == whole


def test_a_packed_log_that_is_cut_off_is_noticed() -> None:
    """No cut of a compressed log passes for a whole one."""
    for cut in range(1, len(PACKED)):
        found, error = _read(PACKED[:cut])
        assert error is not None
        assert found == WHOLE[: len(found)]


def test_every_changed_byte_of_a_packed_log_is_noticed() -> None:
    """The checksum of the frame finds what the records do not show."""
    for at in range(len(PACKED)):
        damaged = bytearray(PACKED)
        damaged[at] ^= 1
        found, error = _read(bytes(damaged))
        # One bit of the frame header says nothing about the content; the digest of the file finds it.
        assert error is not None or found == WHOLE


@pytest.mark.parametrize(
    ("data", "problem", "records"),
    [
        (PLAIN + b"{", "the last line is cut off", 8),
        (PLAIN + b"\n", "line 9 is no JSON", 8),
        (PLAIN + b"[]\n", "line 9 is no record: .*expected a JSON object", 8),
        (PLAIN + PLAIN, "expected sequence number 8, got 0", 8),
        (b"x\n" + PLAIN, "line 1 is no JSON", 0),
        (PACKED + b"x", "something follows the end", 8),
        (PACKED + PACKED, "something follows the end", 8),
        (PACKED[:-1], "cut off", 8),
    ],
)
def test_damage_is_described(data: bytes, problem: str, records: int) -> None:
    """The error says what is wrong and how many records came before."""
    with pytest.raises(LogDamageError, match=f"LOG: .*{problem}") as caught:
        list(log_records(log_lines(BytesIO(data), "LOG"), "LOG"))
    assert caught.value.records == records


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit does not fill the memory."""
    monkeypatch.setattr("catfs.records.log_lines.LINE_BYTES_MAX", 100)
    with pytest.raises(LogDamageError, match="lines of at most 100 bytes"):
        list(log_lines(BytesIO(b"x" * 5000), "LOG"))


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x28\xb5\x2f\xfd"]))
def test_any_bytes_give_records_or_damage(data: bytes, magic: bytes) -> None:
    """No bytes whatever lead to another error."""
    found, error = _read(magic + data)
    assert error is None or error.records == len(found)
