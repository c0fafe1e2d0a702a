"""A log that is held against its proof: whole or refused, with the first record that is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from catfs.errors import FormatError
from catfs.records import WRITE_LOG_FILE
from catfs.records.log_lines import LogDamageError
from catfs.runtime.log_reading import LogSource, counts_of
from catfs.runtime.sealed_log import SealedLog
from tests.run_samples import log_bytes, sample_run

SAMPLE = sample_run()
LINES = log_bytes().splitlines(keepends=True)


def _pack(plain: bytes, level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(plain)


def _log(folder: Path, data: bytes, *, sealed: bool = True, live: bool = False) -> SealedLog:
    path = folder / WRITE_LOG_FILE
    path.write_bytes(data)
    return SealedLog(LogSource(path, "the log", live, ()), SAMPLE.proof if sealed else None)


def _renumbered(lines: list[bytes]) -> bytes:
    return b"".join(
        json.dumps({**json.loads(line), "seq": seq}).encode() + b"\n" for seq, line in enumerate(lines)
    )


def test_a_whole_log_gives_every_record(tmp_path: Path) -> None:
    """The log that the proof seals is read to its end."""
    log = _log(tmp_path, SAMPLE.files[WRITE_LOG_FILE])
    assert [record.seq for record in log] == [0, 1, 2]
    assert not log.is_cut_off


def test_a_log_that_was_compressed_anew_is_the_same_log(tmp_path: Path) -> None:
    """What counts is the records: another level of compression changes none."""
    assert len(list(_log(tmp_path, _pack(log_bytes(), level=19)))) == 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: _pack(b"".join(LINES))[:-6], r"cut off, after \d whole records"),
        (lambda: _pack(b"".join(LINES[:2])), "record 2 is missing: the proof states 3 records"),
        (
            lambda: _pack(b"".join([*LINES, LINES[2].replace(b'"seq":2', b'"seq":3')])),
            "record 3 is one too many",
        ),
        (lambda: _pack(LINES[0] + LINES[2] + LINES[1]), "expected sequence number 1, got 2, after 1 whole"),
        (lambda: _pack(LINES[0] + LINES[2]), "expected sequence number 1, got 2, after 1 whole"),
        (lambda: _pack(LINES[0] + b"{}\n" + LINES[2]), "line 2 is no record"),
        (lambda: _pack(b"".join(LINES)[:-9]), "the last line is cut off, after 2 whole"),
        (lambda: _pack(_renumbered([LINES[0], LINES[2], LINES[1]])), "record 2 is the first that is older"),
        (lambda: _pack(b"".join(LINES).replace(b"dist", b"dust")), "which one was changed cannot be told"),
    ],
)
def test_a_wrong_log_is_refused_with_its_first_wrong_record(
    tmp_path: Path, damage: Callable[[], bytes], message: str
) -> None:
    """Damage, truncation, reordering and changes are told apart, whether or not every line reads well."""
    with pytest.raises(FormatError, match=message):
        list(_log(tmp_path, damage()))


def test_the_log_of_a_killed_session_ends_where_it_was_cut_off(tmp_path: Path) -> None:
    """Without a proof a last line may be half there, which is said; anything else is damage."""
    log = _log(tmp_path, b"".join(LINES)[:-9], sealed=False, live=True)
    assert (len(list(log)), log.is_cut_off) == (2, True)
    with pytest.raises(LogDamageError, match="the last line is cut off") as caught:
        list(_log(tmp_path, b"".join(LINES)[:-9], sealed=False))
    assert caught.value.records == 2
    with pytest.raises(LogDamageError, match="line 1 is no record"):
        list(_log(tmp_path, b"{}\n", sealed=False, live=True))


def test_an_undo_of_everything_leaves_no_record_that_counts_but_those_behind_it(tmp_path: Path) -> None:
    """`undo 0..` takes back what came before it, and itself."""
    undo = {"seq": 3, "t": 9, "op": "undo", "domain": 0, "ino": 0, "path": "", "pid": 0, "first": 0}
    log = _log(
        tmp_path, b"".join(LINES) + json.dumps(undo, separators=(",", ":")).encode() + b"\n", sealed=False
    )
    assert [counts_of(log.source)(seq) for seq in range(5)] == [False, False, False, False, True]


@given(st.data())
def test_no_changed_byte_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any changed byte makes another log, which is refused, or one of the same records."""
    packed = bytearray(SAMPLE.files[WRITE_LOG_FILE])
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    log = _log(tmp_path_factory.getbasetemp(), bytes(packed))
    try:
        found = list(log)
    except FormatError:
        return
    assert found == list(_log(tmp_path_factory.getbasetemp(), SAMPLE.files[WRITE_LOG_FILE]))
