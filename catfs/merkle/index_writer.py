"""Writing the index of a domain: block by block while the domain is read, published in one step.

It is a cache, so nothing is flushed to the disk: after a power cut checksums tell whether it is whole.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from catfs.digest import DIGEST_BYTES, checksum
from catfs.durable import write_fully
from catfs.merkle.index import (
    END_MAGIC,
    HEADER,
    LINK,
    MAGIC,
    TABLE_ROW,
    TRAILER,
    VERSION,
    HardLinkPaths,
    IndexFacts,
    IndexReader,
    KnownDirectory,
)
from catfs.merkle.index_groups import STAT, group_table

_BUFFER_BYTES = 1 << 20
_NEW_SUFFIX: Final = ".new"


class IndexBusyError(Exception):
    """Another process is writing the same index. Internal to those who read domains: they do without."""


class IndexWriter:
    """Writes a new index in place of the one that is there, if any.

    Use it as a context manager: leaving it without `finish` leaves the old index.

    Args:
        path: The file; its folder exists.
        old: The index whose blocks `keep` takes over; None when there is none.

    Raises:
        IndexBusyError: when another process is writing it.
        OSError: when the file cannot be made.
    """

    def __init__(self, path: Path, old: IndexReader | None = None) -> None:
        self._path = path
        self._new = path.with_name(path.name + _NEW_SUFFIX)
        self._old = old
        self._table: list[bytes] = []
        self._kept: list[KnownDirectory] = []
        self._buffer: list[bytes] = []
        self._end = 0
        self._written = 0
        self._has_changes = False
        self._descriptor = _opened_alone(self._new)
        self._append(HEADER.pack(MAGIC, VERSION))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            # The name goes first, and only then the lock: nobody else's file can be removed.
            with suppress(FileNotFoundError):
                self._new.unlink()
            os.close(self._descriptor)
            self._descriptor = -1

    def keep(self, known: KnownDirectory) -> None:
        """Take over a directory as the old index has it."""
        self._kept.append(known)

    def add(self, status: os.stat_result, names: bytes, rows: bytes, digests: bytes, node: bytes) -> None:
        """Add a directory.

        Args:
            status: Its attributes before it was read.
            names: The names in it, ascending, joined by NUL.
            rows: The row of attributes of each name.
            digests: The 32 bytes of each name's digest.
            node: The 32 bytes of the digest of its node.

        Raises:
            OSError: when a write fails; then the old index stays.
        """
        self._has_changes = True
        count = len(rows) // STAT.size
        assert len(digests) == count * DIGEST_BYTES
        newest = max((ctime for _, _, _, _, ctime, _, _ in STAT.iter_unpack(rows)), default=0)
        self._add(
            (status.st_ino, status.st_dev, status.st_mtime_ns, status.st_ctime_ns, newest),
            (rows, digests, names),
            node,
        )

    def finish(self, facts: IndexFacts, hard_links: HardLinkPaths) -> bool:
        """Put the index in place of the old one, unless it says the same, and say whether it was replaced.

        Args:
            facts: What is known of the domain as a whole.
            hard_links: The paths of each file with several names.

        Raises:
            OSError: when a write fails; then the old index stays.
        """
        if self._old is not None and not self._has_changes and len(self._kept) == len(self._old):
            is_same = facts._replace(started=self._old.facts.started) == self._old.facts
            if is_same and self._old.version == VERSION and hard_links == self._old.hard_links():
                return False
        self._copy_kept()
        self._table.sort(key=lambda row: TABLE_ROW.unpack(row)[:2])
        links = [
            LINK.pack(dev, ino, len(path)) + path
            for (dev, ino), paths in sorted(hard_links.items())
            for path in sorted(paths)
        ]
        tail = b"".join([*self._table, *links])
        trailer = self._trailer(len(self._table), len(links), facts)
        self._append(tail)
        self._append(trailer[:-16])
        self._append(_checked(tail + trailer[:-16]))
        self._flush()
        os.rename(self._new, self._path)
        os.close(self._descriptor)
        self._descriptor = -1
        return True

    def _trailer(self, count: int, links: int, facts: IndexFacts) -> bytes:
        """Give the trailer, with an empty checksum."""
        return TRAILER.pack(
            *(count, self._end, links, facts.started, facts.files, facts.size, *facts.root),
            *(facts.root_entry.mode, facts.root_entry.digest.raw, facts.hidden.raw, 0, END_MAGIC),
        )

    def _copy_kept(self) -> None:
        """Copy the blocks that stay, with their rows of the table."""
        for known in self._kept:
            assert self._old is not None
            row = self._old.table_row(known.place)
            self._add(row[:5], (known.rows, known.digests, known.names), known.node)

    def _add(
        self, times: tuple[int, int, int, int, int], columns: tuple[bytes, bytes, bytes], node: bytes
    ) -> None:
        """Write the block of a directory, and note its row of the table.

        Args:
            times: Its first five fields.
            columns: Rows, digests and names.
            node: The 32 bytes of the digest of its node.
        """
        rows, digests, names = columns
        groups = group_table(rows, digests, names)
        block = b"".join((*columns, groups))
        count = len(rows) // STAT.size
        # The groups have checksums of their own, and the table of groups has this one.
        expected = checksum(groups or block)
        self._table.append(TABLE_ROW.pack(*times, self._end, count, len(names), expected, node))
        self._append(block)

    def _append(self, data: bytes) -> None:
        self._buffer.append(data)
        self._end += len(data)
        if self._end - self._written >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        write_fully(self._descriptor, b"".join(self._buffer))
        self._buffer.clear()
        self._written = self._end


def _checked(covered: bytes) -> bytes:
    return checksum(covered).to_bytes(8, "little") + END_MAGIC


def _opened_alone(path: Path) -> int:
    """Open the new file for one writer at a time; what a killed one left is written over."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held the lock before may have given the file its final name, or removed it.
        is_there = os.path.samestat(os.fstat(descriptor), os.stat(path))
        if is_there:
            os.ftruncate(descriptor, 0)
    except (BlockingIOError, FileNotFoundError):
        is_there = False
    if not is_there:
        os.close(descriptor)
        raise IndexBusyError(path)
    return descriptor
