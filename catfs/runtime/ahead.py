"""The end of a run, prepared while its command runs: in moments without requests its log is followed.

The verdict compares the view with the one that the log alone leads to. Followed from time to time, the log
has only its last records left when the command ends, and what the comparison reads has been read: the content
of changed files, the nodes of their directories. Nothing is decided here. At the end the log must still hold
the bytes that were followed, else it is followed anew; a digest is found again only for a file that was not
written to since (`ContentDigests`).
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from catfs.errors import CatfsError
from catfs.limits import HASH_CHUNK_BYTES
from catfs.overlay import ContentDigests, Replay, View, WriteLog
from catfs.overlay.nodes import File
from catfs.records.log_lines import log_records
from catfs.records.write_record import Record

_FOLLOWED_SECONDS: Final = 0.002
"""How long records are followed between two requests, in seconds; one record is followed to its end."""
_BYTES_MAX: Final = HASH_CHUNK_BYTES
"""Most bytes that are hashed between two requests: half a millisecond. A larger file is left to the end."""
_FOLDED_RECORDS_MAX: Final = 100
"""Most records after which a fold still fits between two requests: they touch so many names at most."""
_CHUNK_BYTES: Final = 1 << 18


class Ahead:
    """Follows the log of a session in pieces.

    Args:
        log: The log.
        path: Where it is.
        view: A fresh view of the same lower, as `Replay` takes it.
        noting: Passes records on and remembers what the end must know of them.
        digests: Remembers digests of content.
        fold: Folds the view, so that whatever the next fold reads is in memory.
    """

    def __init__(
        self,
        log: WriteLog,
        path: Path,
        view: View,
        noting: Callable[[Iterable[Record]], Iterator[Record]],
        digests: ContentDigests,
        fold: Callable[[View], object],
    ) -> None:
        self._log = log
        self._path = path
        self._view = view
        self._noting = noting
        self._digests = digests
        self._fold = fold
        view.gives_back = False  # whoever wrote the log sees to that
        self._replay = Replay(view)
        self._lines: list[bytes] = []
        """Lines that were read and not followed, the next one last."""
        self._rest = b""
        self._read = hashlib.sha256()
        """Of all bytes of the log that were read."""
        self._count = 0
        """Number of records that were followed."""
        self._folded = 0
        """Number of records that had been followed at the last fold."""
        self._to_hash: list[File] = []
        self._known: set[File] = set()
        """Files that were to be hashed once; what changes them again is left to the end."""
        self._gave_up = False
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the log."""
        os.close(self._descriptor)

    def step(self) -> bool:
        """Do a piece, and say whether there was anything to do.

        What goes wrong goes wrong again when the session ends, and is told then.
        """
        if self._gave_up:
            return False
        try:
            if self._count < self._log.sequence:
                return self._follow()
            return self._hash() or self._fold_early()
        except (CatfsError, OSError, EOFError):
            self._gave_up = True
            return False

    def finish(self) -> View | None:
        """Follow the rest of the log, all of which is in its file, and give the view that it leads to.

        Returns:
            None when it could not be followed; whoever follows it from its start finds out why.
        """
        with suppress(CatfsError, OSError):
            while not self._gave_up and self._count < self._log.sequence and self._follow():
                pass
            if not self._gave_up and self._count == self._log.sequence and self._is_as_read():
                return self._view
        self._gave_up = True
        return None

    def _follow(self) -> bool:
        """Follow records for a moment, and say whether any could be read."""
        if not self._lines and not self._read_lines():
            return False
        deadline = time.monotonic() + _FOLLOWED_SECONDS
        for record in self._noting(log_records(self._next_lines(deadline), self._path.name, self._count)):
            self._replay.apply(record)
            self._count += 1
            file = self._replay.changed_file(record)
            if file is not None and file not in self._known:
                self._known.add(file)
                self._to_hash.append(file)
        return True

    def _next_lines(self, deadline: float) -> Iterator[bytes]:
        """Give lines that were read, until a time."""
        while self._lines:
            yield self._lines.pop()
            if time.monotonic() >= deadline:
                return

    def _read_lines(self) -> bool:
        """Read some lines, and say whether there were any."""
        try:
            self._log.flush()
        except OSError:  # a full disk is met at the end, by whoever needs the whole log
            return False
        while not self._lines:
            block = os.read(self._descriptor, _CHUNK_BYTES)
            if not block:
                return False
            self._read.update(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            self._lines = lines[::-1]
        return True

    def _is_as_read(self) -> bool:
        """Say whether the log holds the bytes that were read, and no others."""
        with self._path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest() == self._read.digest()

    def _hash(self) -> bool:
        """Hash one changed file, if it is small, and say whether there was any to look at."""
        if not self._to_hash:
            return False
        file = self._to_hash.pop()
        if file.extents is not None and file.nlink and file.size <= _BYTES_MAX:
            self._digests.digest(self._view, file)
        return True

    def _fold_early(self) -> bool:
        """Fold what there is, if it is little, each time that it has doubled; say whether that was done."""
        if self._count < 2 * self._folded or not self._folded < self._count <= _FOLDED_RECORDS_MAX:
            return False
        self._folded = self._count
        if sum(file.size for file in self._known) > _BYTES_MAX:
            return False
        self._fold(self._view)
        return True
