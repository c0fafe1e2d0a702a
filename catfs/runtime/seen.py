"""A lower as a session has seen it: what a directory held is remembered from the first look.

A view is made twice, once by the command and once from the log. Both must start from the same lower,
also when somebody changes the domain in between; that this happened is told apart, as a conflict. What is
remembered is packed, so that a walk through a domain of a million files does not stay in memory.
"""

import struct
import zlib
from collections.abc import Collection, Sequence
from itertools import chain

from catfs.overlay import DirectoryLower
from catfs.overlay.nodes import LowerStat, Origin

_LEVEL = 1
"""Effort of compression: the columns of a directory are much alike, so the least is enough."""


class SeenLower:
    """A lower that remembers its directories; a `Lower`. What is in files it reads afresh.

    Args:
        lower: The real files; the caller closes it.
    """

    def __init__(self, lower: DirectoryLower) -> None:
        self._lower = lower
        self._root = lower.root()
        self._scans: dict[bytes, bytes] = {}

    def root(self) -> LowerStat:
        """Give the attributes that the domain's directory had at first."""
        return self._root

    def scan(self, origin: Origin) -> list[tuple[bytes, LowerStat]]:
        """Give the names that a directory had when it was scanned for the first time."""
        path = origin.path()
        packed = self._scans.get(path)
        if packed is not None:
            return unpack_scan(packed)
        found = self._lower.scan(origin)
        self._scans[path] = pack_scan(found)
        return found

    def appeared(self, directory: Origin | None, names: Collection[bytes]) -> list[bytes]:
        """Give the paths of those names that were not in a directory at first and are there now, sorted.

        Args:
            directory: A directory of the lower; None for one that never was there, which holds nothing.
            names: The names to look for.
        """
        if directory is None or directory.path() not in self._scans:
            return []
        scanned = {name for name, _ in unpack_scan(self._scans[directory.path()])}
        return [
            b"/".join((*directory.names(), name))
            for name in sorted(set(names) - scanned)
            if self._is_there(directory, name)
        ]

    def _is_there(self, directory: Origin, name: bytes) -> bool:
        return self._lower.stat(Origin(directory, name, directory.lower_stat, directory.domain)) is not None

    def stat(self, origin: Origin) -> LowerStat | None:
        """Give the attributes as they are now, or None when the name is gone."""
        return self._lower.stat(origin)

    def readlink(self, origin: Origin) -> bytes:
        """Give the target of a symlink."""
        return self._lower.readlink(origin)

    def xattrs(self, origin: Origin) -> dict[bytes, bytes]:
        """Give every extended attribute of a file or directory."""
        return self._lower.xattrs(origin)

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        """Read from a regular file."""
        return self._lower.read(origin, offset, length)

    def seek(self, origin: Origin, offset: int, whence: int) -> int:
        """Find the next data or the next hole of a regular file."""
        return self._lower.seek(origin, offset, whence)


def pack_scan(found: Sequence[tuple[bytes, LowerStat]]) -> bytes:
    """Give the names of a directory with their attributes in few bytes."""
    if not found:
        return zlib.compress(b"0", _LEVEL)
    names, stats = zip(*found, strict=True)
    columns = _columns(len(found)).pack(*chain.from_iterable(zip(*stats, strict=True)))
    return zlib.compress(b"%d/%b/%b" % (len(found), columns, b"/".join(names)), _LEVEL)


def unpack_scan(packed: bytes) -> list[tuple[bytes, LowerStat]]:
    """Give back what was packed, in the same order."""
    number, _, rest = zlib.decompress(packed).partition(b"/")
    count = int(number)
    if not count:
        return []
    columns = _columns(count)
    values = columns.unpack_from(rest)
    names = rest[columns.size + 1 :].split(b"/")
    rows = zip(*(values[at : at + count] for at in range(0, len(values), count)), strict=True)
    return [(name, LowerStat(*row)) for name, row in zip(names, rows, strict=True)]


def _columns(count: int) -> struct.Struct:
    """Give the layout of the attributes of so many names, one column after the other; times are signed."""
    return struct.Struct(f"={9 * count}Q{3 * count}q")
