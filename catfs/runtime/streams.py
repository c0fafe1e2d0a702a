"""What a command prints: passed on to whoever reads it, and kept with the run.

Each stream is a pipe of our own, so that both can be done. The command must not notice: it waits when the
reader is slow, and gets SIGPIPE when the reader is gone, as it would outside.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import trio

from catfs.durable import write_fully
from catfs.errors import MachineError
from catfs.limits import KEPT_OUTPUT_BYTES_MAX
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class Stream:
    """One output stream of a command.

    Args:
        pipe: Read end of the pipe that the command writes to; it is closed at the end.
        terminal: Descriptor to which everything is passed on, or None.
        keep: File in which it is kept.
        keep_bytes_max: Most bytes that are kept; a last line says how many came after them.
    """

    pipe: int
    terminal: int | None
    keep: Path
    keep_bytes_max: int = KEPT_OUTPUT_BYTES_MAX


async def copy_stream(stream: Stream, lost: list[OSError]) -> None:
    """Pass a stream on and keep it, until its writers have closed it or its reader has gone away.

    Args:
        stream: The stream.
        lost: Takes the error when something could not be kept; the stream is passed on all the same.
    """
    kept = _KeptOutput(stream, lost)
    terminal = stream.terminal
    try:
        async with trio.lowlevel.FdStream(stream.pipe) as source:
            async for block in source:
                kept.add(block)
                if terminal is None:
                    continue
                try:
                    await trio.to_thread.run_sync(write_fully, terminal, block)
                except BrokenPipeError:
                    return  # closes our end: the next write of the command finds no reader either
                except OSError:
                    terminal = None  # a terminal that was hung up; a signal says so to whom it concerns
    finally:
        kept.close()


def check_kept(lost: Sequence[OSError]) -> None:
    """Do nothing when all that a command printed could be kept.

    Args:
        lost: What `copy_stream` collected.

    Raises:
        MachineError: when something is missing.
    """
    if lost:
        raise MachineError(
            f"what the command printed cannot be kept: {lost[0].strerror}; nothing was committed",
            hint="make room in the workspace and run again",
        )


class _KeptOutput:
    """The file in which a stream is kept, up to its bound."""

    def __init__(self, stream: Stream, lost: list[OSError]) -> None:
        self._descriptor = os.open(stream.keep, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._room = stream.keep_bytes_max
        self._dropped = 0
        self._lost = lost

    def add(self, block: bytes | bytearray) -> None:
        """Keep a block, or the part of it that there is room for."""
        kept = block[: self._room]
        self._room -= len(kept)
        self._dropped += len(block) - len(kept)
        self._write(kept)

    def close(self) -> None:
        """Say in a last line how much is missing, if anything is, and close the file."""
        if self._dropped:
            self._write(b"\n[catfs: %d more bytes were printed and not kept]\n" % self._dropped)
        os.close(self._descriptor)

    def _write(self, data: bytes | bytearray) -> None:
        if not self._lost:
            try:
                write_fully(self._descriptor, data)
            except OSError as error:
                self._lost.append(error)
