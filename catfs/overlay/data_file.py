"""The session's data file: the one file that holds every new byte of a session.

New bytes are appended, so that writes that follow each other in a file of the view follow each
other here too. Bytes that are overwritten while they still belong to one file are replaced in
place, so that a database rewriting its pages does not grow the data file without end; unless the
session keeps its history, in which no byte that was ever written changes or goes.
"""

import os
from collections.abc import Callable

from catfs.linux import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, fallocate


def sync_once(descriptor: int, problem: OSError | None, on_lost: Callable[[], None]) -> OSError | None:
    """Make a file durable, unless that failed before: then it is never tried again.

    The kernel tells once that it could not keep what was written, and then forgets what it was: the next
    sync would say that all is well.

    Args:
        descriptor: The file.
        problem: What an earlier call gave.
        on_lost: Called when it fails for the first time.

    Returns:
        Why it is not durable; None when it is.
    """
    if problem is None:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            on_lost()
            return error
    return problem


def no_word() -> None:
    """Tell nobody."""


class DataFile:
    """An open data file.

    Args:
        descriptor: Opened for reading and writing; the caller closes it.
        size: Bytes that are already in use, for a session that continues.
        on_lost: Called once when the system could not make it durable.
        keeps_all: Whether overwritten and dropped bytes stay, so that every version can be had later.
    """

    def __init__(
        self,
        descriptor: int,
        size: int = 0,
        on_lost: Callable[[], None] = no_word,
        *,
        keeps_all: bool = False,
    ) -> None:
        self.descriptor = descriptor
        self.size = size
        self.keeps_all = keeps_all
        self.torn = 0
        """How often a write failed, perhaps in its middle: what was known of replaced bytes may not hold."""
        self._on_lost = on_lost
        self._problem: OSError | None = None

    def append(self, data: bytes | memoryview) -> int:
        """Add bytes at the end.

        Returns:
            Their position.

        Raises:
            OSError: as of the system, ENOSPC among them; then nothing counts as added.
        """
        position = self.size
        self.write(position, data)
        self.size = position + len(data)
        return position

    def write(self, position: int, data: bytes | memoryview) -> None:
        """Replace bytes in place.

        Raises:
            OSError: as of the system.
        """
        try:
            written = os.pwrite(self.descriptor, data, position)
            while written < len(data):
                written += os.pwrite(self.descriptor, memoryview(data)[written:], position + written)
        except OSError:
            self.torn += 1
            raise

    def read(self, position: int, length: int) -> bytes:
        """Give exactly `length` bytes.

        Raises:
            OSError: as of the system.
            EOFError: when the file ends before them, so somebody cut it.
        """
        data = os.pread(self.descriptor, length, position)
        while len(data) < length:
            more = os.pread(self.descriptor, length - len(data), position + len(data))
            if not more:
                raise EOFError(
                    f"the data file ends at {position + len(data)}, expected {position + length} bytes"
                )
            data += more
        return data

    def release(self, position: int, length: int) -> None:
        """Give the space of bytes that nothing refers to any more back to the file system.

        Raises:
            OSError: EOPNOTSUPP where the file system cannot.
        """
        fallocate(self.descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, position, length)

    def sync(self) -> None:
        """Make everything written so far durable.

        Raises:
            OSError: as of the system, and from then on every time.
        """
        self._problem = sync_once(self.descriptor, self._problem, self._on_lost)
        if self._problem is not None:
            raise OSError(self._problem.errno, self._problem.strerror)


class ForkedData(DataFile):
    """A data file that somebody else has, and that stays as it is: what is added goes elsewhere.

    So the view of an earlier moment can be worked in, and all that was done there be dropped.

    Args:
        descriptor: The data file, opened for reading.
        size: Its length, in bytes.
        added: Descriptor of an empty file for what is added; the caller closes it.
    """

    def __init__(self, descriptor: int, size: int, added: int) -> None:
        super().__init__(descriptor, size, keeps_all=True)
        self._fork = size
        self._added = DataFile(added)

    def write(self, position: int, data: bytes | memoryview) -> None:
        """Put bytes behind those that are there.

        Raises:
            OSError: as of the system.
        """
        assert position >= self._fork
        self._added.write(position - self._fork, data)

    def read(self, position: int, length: int) -> bytes:
        """Give exactly `length` bytes; otherwise as `DataFile.read`."""
        old = max(0, min(length, self._fork - position))
        data = super().read(position, old) if old else b""
        if old < length:
            data += self._added.read(max(position, self._fork) - self._fork, length - old)
        return data
