"""A lower as a session has seen it: what a directory held is remembered from the first look.

A view is made twice, once by the command and once from the log. Both must start from the same lower,
also when somebody changes the domain in between; that this happened is told apart, as a conflict. What is
remembered is packed, so that a walk through a domain of a million files does not stay in memory.
"""

import struct
import zlib
from array import array
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from catfs.overlay import DirectoryLower
from catfs.overlay.lower import Names, names_of_scan
from catfs.overlay.nodes import LowerStat, Origin

_LEVEL = 1
"""Effort of compression: the columns of a directory are much alike, so the least is enough."""

_UNSIGNED_COLUMNS = 9
"""Columns before those of times, which are signed."""
_VALUE_BYTES = 8
_UNPACKED_BYTES_MAX = 8 << 20
"""Most bytes of scans that are kept unpacked, but for a single larger one: those of 80,000 names. Whoever
goes to and fro between more of them unpacks one for each name."""


class SeenLower:
    """A lower that remembers its directories; a `Lower`. What is in files it reads afresh.

    Args:
        lower: The real files; the caller closes it.
    """

    def __init__(self, lower: DirectoryLower) -> None:
        self._lower = lower
        self._root = lower.root()
        self._scans: dict[bytes, bytes] = {}
        self._finds: dict[bytes, dict[bytes, LowerStat | None]] = {}
        """Path of a directory to the names that were asked for one by one; None where there was nothing."""
        self._names: dict[bytes, bytes] = {}
        """Path of a directory to the names that it had when somebody wanted them and nothing else."""
        self._readers: dict[bytes, ScanReader] = {}
        """The scans of the directories in which names were looked for last, unpacked."""
        self._unpacked_bytes = 0

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
        if path in self._finds:
            found = _as_found(found, self._finds[path])
        self._scans[path] = pack_scan(found)
        return found

    def find(self, directory: Origin, name: bytes) -> LowerStat | None:
        """Give the attributes that a name in a directory had when it was asked for first, or scanned."""
        path = directory.path()
        packed = self._scans.get(path)
        if packed is not None:
            return self._reader(path, packed).find(name)
        finds = self._finds.setdefault(path, {})
        if name not in finds:
            finds[name] = self._lower.find(directory, name)
        return finds[name]

    def names(self, origin: Origin) -> Names:
        """Give the names that a directory had when it was scanned, or its names were asked for first."""
        path = origin.path()
        if path in self._scans:
            return names_of_scan(unpack_scan(self._scans[path]))
        if path in self._names:
            return unpack_names(self._names[path])
        found = _names_as_found(self._lower.names(origin), self._finds.get(path, {}))
        self._names[path] = pack_names(found)
        return found

    def let_go(self, directory: Origin, name: bytes) -> None:
        """Forget what a name was that was asked for alone: nobody compares anything with it any more."""
        finds = self._finds.get(directory.path())
        if finds is not None and finds.get(name) is not None:
            del finds[name]

    def appeared(self, directory: Origin | None, names: Collection[bytes]) -> list[bytes]:
        """Give the paths of those names that were not in a directory at first and are there now, sorted.

        Args:
            directory: A directory of the lower; None for one that never was there, which holds nothing.
            names: The names to look for.
        """
        if directory is None:
            return []
        path = directory.path()
        finds, packed = self._finds.get(path, {}), self._scans.get(path)
        if packed is not None:
            scan = self._reader(path, packed)
            missing = {name for name in names if scan.find(name) is None}
        else:
            missing = {name for name in names if name in finds and finds[name] is None}
        return [
            b"/".join((*directory.names(), name))
            for name in sorted(missing)
            if self._is_there(directory, name)
        ]

    def _reader(self, path: bytes, packed: bytes) -> "ScanReader":
        """Give the scan of a directory unpacked: several ask for its names, one after the other."""
        reader = self._readers.get(path)
        if reader is None:
            reader = ScanReader(packed)
            if self._unpacked_bytes + reader.size > _UNPACKED_BYTES_MAX:
                self._readers.clear()
                self._unpacked_bytes = 0
            self._readers[path] = reader
            self._unpacked_bytes += reader.size
        return reader

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


class ScanReader:
    """Looks for single names in what was packed.

    Args:
        packed: A scan.
    """

    def __init__(self, packed: bytes) -> None:
        number, _, rest = zlib.decompress(packed).partition(b"/")
        self._count = int(number)
        self._rest = rest
        self._names_at = _columns(self._count).size + 1
        columns, signed_at = memoryview(rest), _UNSIGNED_COLUMNS * self._count * _VALUE_BYTES
        self._unsigned = columns[:signed_at].cast("Q")
        self._signed = columns[signed_at : self._names_at - 1].cast("q")

    @property
    def size(self) -> int:
        """Bytes that it holds unpacked."""
        return len(self._rest)

    def find(self, name: bytes) -> LowerStat | None:
        """Give the attributes of a name; None when it is not among them."""
        rest, start = self._rest, self._names_at
        at = start - 1
        while (at := rest.find(b"/" + name, at)) >= 0:
            end = at + 1 + len(name)
            if end == len(rest) or rest[end : end + 1] == b"/":
                place = rest.count(b"/", start, at + 1)
                return LowerStat(*self._unsigned[place :: self._count], *self._signed[place :: self._count])
            at = end
        return None


def _as_found(
    found: Sequence[tuple[bytes, LowerStat]], finds: Mapping[bytes, LowerStat | None]
) -> list[tuple[bytes, LowerStat]]:
    """Give what a scan found, but for names that were asked for before: those are what they were then."""
    now = dict(found)
    for name, first in finds.items():
        if first is None:
            now.pop(name, None)
        else:
            now[name] = first
    return list(now.items())


def _names_as_found(found: Names, finds: Mapping[bytes, LowerStat | None]) -> Names:
    """Give the names that were listed, but those that were asked for before as they were then."""
    if not finds:
        return found
    before = names_of_scan((name, first) for name, first in finds.items() if first is not None)
    for name, ino, kind in zip(*found, strict=True):
        if name not in finds:
            before.names.append(name)
            before.inodes.append(ino)
            before.kinds.append(kind)
    return before


def pack_names(found: Names) -> bytes:
    """Give the names of a directory in few bytes."""
    columns = found.inodes.tobytes() + found.kinds
    return zlib.compress(b"%d/%b%b" % (len(found.names), columns, b"/".join(found.names)), _LEVEL)


def unpack_names(packed: bytes) -> Names:
    """Give back the names that were packed, in the same order."""
    number, _, rest = zlib.decompress(packed).partition(b"/")
    count = int(number)
    inodes = array("Q")
    kinds_at = count * inodes.itemsize
    names_at = kinds_at + count
    inodes.frombytes(rest[:kinds_at])
    names = rest[names_at:].split(b"/") if count else []
    return Names(names, inodes, bytearray(rest[kinds_at:names_at]))


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
    signed = len(LowerStat._fields) - _UNSIGNED_COLUMNS
    return struct.Struct(f"={_UNSIGNED_COLUMNS * count}Q{signed * count}q")
