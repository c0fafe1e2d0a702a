"""Promises about what a command prints: passed on whole, kept up to a bound, and ended with its reader."""

import os
from pathlib import Path

import pytest
import trio

from catfs.errors import MachineError
from catfs.runtime.streams import Stream, check_kept, copy_stream


def _copy(data: bytes, terminal: int | None, keep: Path, keep_bytes_max: int = 1000) -> list[OSError]:
    """Copy what was written to a pipe that is closed by now."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    lost: list[OSError] = []
    trio.run(copy_stream, Stream(reading, terminal, keep, keep_bytes_max), lost)
    return lost


def test_a_stream_is_passed_on_and_kept(tmp_path: Path) -> None:
    """Reader and file get the same bytes."""
    reading, writing = os.pipe()
    assert _copy(b"words", writing, tmp_path / "kept") == []
    assert os.read(reading, 100) == b"words"
    assert (tmp_path / "kept").read_bytes() == b"words"
    os.close(reading)
    os.close(writing)


def test_beyond_the_bound_everything_is_passed_on_and_counted(tmp_path: Path) -> None:
    """The file has the first bytes and says how many are missing; the reader misses none."""
    reading, writing = os.pipe()
    _copy(b"0123456789", writing, tmp_path / "kept", keep_bytes_max=4)
    assert os.read(reading, 100) == b"0123456789"
    assert (tmp_path / "kept").read_bytes() == b"0123\n[catfs: 6 more bytes were printed and not kept]\n"
    os.close(reading)
    os.close(writing)


def test_exactly_the_bound_is_kept_without_a_word(tmp_path: Path) -> None:
    """A stream that just fits has no line about missing bytes."""
    _copy(b"0123", None, tmp_path / "kept", keep_bytes_max=4)
    assert (tmp_path / "kept").read_bytes() == b"0123"


def test_a_reader_that_is_gone_closes_the_pipe(tmp_path: Path) -> None:
    """The writer finds no reader either, although it goes on writing."""
    reading, writing = os.pipe()
    gone_reading, gone_writing = os.pipe()
    os.close(gone_reading)
    os.write(writing, b"first")

    async def copy() -> None:
        with trio.fail_after(10):
            await copy_stream(Stream(reading, gone_writing, tmp_path / "kept"), [])

    trio.run(copy)
    with pytest.raises(BrokenPipeError, match="Broken pipe"):
        os.write(writing, b"second")
    os.close(writing)
    os.close(gone_writing)
    assert (tmp_path / "kept").read_bytes() == b"first"


def test_what_cannot_be_kept_is_told_and_still_passed_on(tmp_path: Path) -> None:
    """A full disk loses nothing for the reader, and ends the run without a commit."""
    (tmp_path / "kept").symlink_to("/dev/full")
    reading, writing = os.pipe()
    lost = _copy(b"words", writing, tmp_path / "kept")
    assert os.read(reading, 100) == b"words"
    with pytest.raises(MachineError, match="cannot be kept: No space left on device; nothing was committed"):
        check_kept(lost)
    os.close(reading)
    os.close(writing)
