"""The persisted index of a domain: what each file was when it was last read (docs/formats/index.md).

For every directory it holds a block of columns that is mapped into memory: attributes that change whenever
content may have changed, digests, and names. Who reads a domain again compares attributes and takes
the digests of what did not change.

It is a cache and never trusted: a damaged index is as good as none, a damaged block as good as an
unknown directory, and an entry whose attributes could hide a later change is read again (`may_hide_change`).
"""

import mmap
import os
import stat
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from catfs.digest import DIGEST_BYTES, Digest, checksum
from catfs.errors import FormatError
from catfs.merkle.index_groups import GROUP, GROUP_NAMES, STAT, group_checksum, group_count
from catfs.merkle.nodes import decode_domain_root, encode_domain_root
from catfs.records import Entry, Kind

INDEX_SUFFIX: Final = ".index"
"""Ends the name of an index."""

RACY_NS: Final = 2_000_000_000
"""How long before the reading of a domain began a file must have changed last, in nanoseconds, for its
attributes to prove that it is the same: the coarsest clock of a file system in use (2 s, vfat). Git's
racy-clean rule with the time of the beginning in place of the end, which also covers files that changed
while the reading went on."""

MAGIC = b"catfsidx"
END_MAGIC = b"catfsien"
VERSION = 2
_READ_VERSIONS = (1, VERSION)
"""Version 1 has no groups."""

HEADER = struct.Struct("<8sI4x")
TRAILER = struct.Struct("<QQQqQQQQH32s32sQ8s")
LINK = struct.Struct("<QQI")

TABLE_ROW = struct.Struct("<QQqqqQIIQ32s")
"""One directory of the table: inode and device, mtime and ctime in ns, the ctime of the youngest file in it,
where its block is, how many entries and bytes of names that has, its checksum, and the digest of the node."""

TableRow = tuple[int, int, int, int, int, int, int, int, int, bytes]
"""The fields of one row of the table."""

HardLinkPaths = Mapping[tuple[int, int], list[bytes]]
"""(device, inode) of each file with several names -> its paths in the domain."""

_SEAL_BYTES: Final = 16
_CTIME_AT: Final = 32
_CTIME = struct.Struct("<q")
_ATTRIBUTES = attrgetter("st_ino", "st_dev", "st_size", "st_mtime_ns", "st_ctime_ns", "st_mode", "st_nlink")
_TABLE_KEY = struct.Struct("<QQ")


def stat_row(status: os.stat_result) -> bytes:
    """Give the row of attributes of a file, or of a directory."""
    if stat.S_ISDIR(status.st_mode):
        return STAT.pack(status.st_ino, status.st_dev, 0, 0, 0, status.st_mode, 0)
    return STAT.pack(*_ATTRIBUTES(status))


def row_ctime(row: bytes) -> int:
    """Give the time in ns at which the attributes or content of a file changed last, from its row."""
    ctime: int = _CTIME.unpack_from(row, _CTIME_AT)[0]
    return ctime


def index_name(domain: bytes) -> str:
    """Give the file name of the index of a domain.

    Args:
        domain: Its absolute path.
    """
    return Digest.of(domain).hex[:32] + INDEX_SUFFIX


def hidden_digest(hidden: Collection[tuple[int, int]]) -> Digest:
    """Give the digest that stands for the directories which do not belong to a domain."""
    return Digest.of(b"".join(struct.pack("<QQ", *item) for item in sorted(hidden)))


class KnownDirectory:
    """What an index says of one directory; its columns are read when they are asked for.

    Args:
        index: The mapped index.
        place: Its place in the table.
        row: Its row of the table.
        groups: Number of groups that its names have; 0 for none.

    Besides its columns it has: `place`; `mtime`, when its set of names changed last, and `ctime`, when it
    changed last, in ns; `newest`, the ctime of the youngest file in it, in ns, 0 when there is none; and
    `node`, the 32 bytes of the digest of its node.
    """

    __slots__ = ("_count", "_groups", "_map", "_names", "_start", "ctime", "mtime", "newest", "node", "place")

    def __init__(self, index: mmap.mmap, place: int, row: TableRow, groups: int) -> None:
        self._map = index
        self._groups = groups
        self.place = place
        _, _, self.mtime, self.ctime, self.newest, self._start, self._count, self._names, _, self.node = row

    @property
    def rows(self) -> bytes:
        """The row of attributes of each name."""
        return self._map[self._start : self._start + self._count * STAT.size]

    @property
    def digests(self) -> bytes:
        """32 bytes for each name: of the content, of the link target, of the node; as in the tree."""
        start = self._start + self._count * STAT.size
        return self._map[start : start + self._count * DIGEST_BYTES]

    @property
    def names(self) -> bytes:
        """The names, ascending, joined by NUL."""
        return self._map[self._names_at : self._names_at + self._names]

    def entries(self) -> dict[bytes, tuple[bytes, bytes]]:
        """Give each name with its row of attributes and the 32 bytes of its digest."""
        if not self._count:
            return {}
        return {name: self._at(at) for at, name in enumerate(self.names.split(b"\0"))}

    def find(self, name: bytes) -> tuple[bytes, bytes] | None:
        """Give the row of attributes and the 32 bytes of the digest of one name, or None.

        Raises:
            FormatError: when the group is damaged that the name must be in.
        """
        if self._groups:
            return self._find_in_group(name)
        start, end = self._names_at, self._names_at + self._names
        at = self._map.find(name, start, end)
        while at >= 0:
            is_whole = (at == start or self._map[at - 1] == 0) and (
                at + len(name) == end or self._map[at + len(name)] == 0
            )
            if is_whole:
                return self._at(self._map[start:at].count(b"\0"))
            at = self._map.find(name, at + 1, end)
        return None

    def check(self) -> None:
        """Check every group of names.

        Raises:
            FormatError: when one is damaged.
        """
        for group in range(self._groups):
            self._group(group)

    def _find_in_group(self, name: bytes) -> tuple[bytes, bytes] | None:
        """Find a name in its group. What led there was not checked; that it is the right group is."""
        after = bisect_right(range(self._groups), name, key=self._first_name)
        group = max(after - 1, 0)
        names = self._group(group)
        if (name < names[0]) is not (after == 0) or (
            group + 1 < self._groups and name >= self._group(group + 1)[0]
        ):
            raise _damaged_group(group, "expected ascending names")
        at = bisect_left(names, name)
        return self._at(group * GROUP_NAMES + at) if at < len(names) and names[at] == name else None

    def _first_name(self, group: int) -> bytes:
        start, end = self._group_range(group)
        stop = self._map.find(b"\0", start, end)
        return self._map[start : end if stop < 0 else stop]

    def _group_range(self, group: int) -> tuple[int, int]:
        """Give where the names of a group begin and end."""
        table_at = self._names_at + self._names
        (start, _) = GROUP.unpack_from(self._map, table_at + group * GROUP.size)
        if group + 1 == self._groups:
            return self._names_at + start, table_at
        (after, _) = GROUP.unpack_from(self._map, table_at + (group + 1) * GROUP.size)
        return self._names_at + start, self._names_at + after - 1

    def _group(self, group: int) -> list[bytes]:
        """Give the names of a group.

        Raises:
            FormatError: when the group is damaged.
        """
        first, last = group * GROUP_NAMES, min((group + 1) * GROUP_NAMES, self._count)
        digests_at = self._start + self._count * STAT.size
        start, end = self._group_range(group)
        names = self._map[start:end]
        got = group_checksum(
            self._map[self._start + first * STAT.size : self._start + last * STAT.size],
            self._map[digests_at + first * DIGEST_BYTES : digests_at + last * DIGEST_BYTES],
            names,
        )
        (_, expected) = GROUP.unpack_from(self._map, self._names_at + self._names + group * GROUP.size)
        if got != expected:
            raise _damaged_group(group, f"expected checksum {expected:016x}, got {got:016x}")
        return names.split(b"\0")

    @property
    def _names_at(self) -> int:
        return self._start + self._count * (STAT.size + DIGEST_BYTES)

    def _at(self, at: int) -> tuple[bytes, bytes]:
        row_at = self._start + at * STAT.size
        digest_at = self._start + self._count * STAT.size + at * DIGEST_BYTES
        return self._map[row_at : row_at + STAT.size], self._map[digest_at : digest_at + DIGEST_BYTES]


def _damaged_group(group: int, problem: str) -> FormatError:
    return FormatError(f"group {group} of a directory of an index", problem, hint="the domain is read anew")


class IndexFacts(NamedTuple):
    """What an index says of the domain as a whole.

    Args:
        root: (device, inode) of the domain's directory.
        root_entry: Its entry: its digest is that of the whole tree.
        started: When the reading began, in ns since 1970.
        files: Number of regular files.
        size: Bytes in them.
        hidden: Stands for the directories that were left out.
    """

    root: tuple[int, int]
    root_entry: Entry
    started: int
    files: int
    size: int
    hidden: Digest


class IndexReader:
    """An index, mapped into memory; a context manager that gives the memory back.

    The file may be replaced while it is open here; then the old one goes on being read.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: when there is none.
        OSError: when it cannot be opened.
        FormatError: when its frame is damaged. Damage in a block is found when the block is read.
    """

    def __init__(self, path: Path) -> None:
        self._name = f"index {path}"
        self.damaged_blocks = 0
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            size = os.fstat(descriptor).st_size
            if size < HEADER.size + TRAILER.size:
                raise self._damaged(f"expected at least {HEADER.size + TRAILER.size} bytes, got {size}")
            self._map = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        try:
            self._read_frame()
        except FormatError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many directories it knows."""
        return self._count

    def close(self) -> None:
        """Give the memory back; the index cannot be used any more."""
        self._map.close()

    def may_hide_change(self, ctime: int) -> bool:
        """Say whether a file that changed last at a time may have changed again without a trace.

        A change after the reading began gives a later ctime than every one recorded before, unless both fall
        into one tick of the file system's clock.

        Args:
            ctime: As recorded, in ns.
        """
        return ctime >= self.facts.started - RACY_NS

    def directory(self, dev: int, ino: int) -> KnownDirectory | None:
        """Give what is known of a directory, or None; a damaged block is counted and not given.

        Args:
            dev: Its device.
            ino: Its inode.
        """
        place = self._place(dev, ino)
        return None if place is None else self.at(place)

    def at(self, place: int) -> KnownDirectory | None:
        """Give what is known of the directory at a place of the table; None when its block is damaged."""
        known = self._part_at(place)
        if known is not None:
            try:
                known.check()
            except FormatError:
                self.damaged_blocks += 1
                return None
        return known

    def part(self, dev: int, ino: int) -> KnownDirectory | None:
        """Give what is known of a directory to who asks for few of its names; otherwise as `directory`.

        The groups of a large one are not checked: `find` checks those that it looks at.
        """
        place = self._place(dev, ino)
        return None if place is None else self._part_at(place)

    def _place(self, dev: int, ino: int) -> int | None:
        place = bisect_left(range(self._count), (ino, dev), key=self._key)
        return place if place < self._count and self._key(place) == (ino, dev) else None

    def _part_at(self, place: int) -> KnownDirectory | None:
        row = self.table_row(place)
        _, _, _, _, _, start, count, names, expected, _ = row
        end = start + count * (STAT.size + DIGEST_BYTES) + names
        groups = group_count(count) if self.version > 1 else 0
        if groups:
            start, end = end, end + groups * GROUP.size
        # Only an offset that was made up leads outside; the checksum of what is there tells.
        with memoryview(self._map) as view, view[start:end] as covered:
            if checksum(covered) == expected and end <= self._table_at:
                return KnownDirectory(self._map, place, row, groups)
        self.damaged_blocks += 1
        return None

    def table_row(self, place: int) -> TableRow:
        """Give the row of the table at a place."""
        fields: TableRow = TABLE_ROW.unpack_from(self._map, self._table_at + place * TABLE_ROW.size)
        return fields

    def hard_links(self) -> dict[tuple[int, int], list[bytes]]:
        """Give the paths of each file with several names, by (device, inode)."""
        found: dict[tuple[int, int], list[bytes]] = {}
        at = self._links_at
        for _ in range(self._links):
            dev, ino, length = LINK.unpack_from(self._map, at)
            at += LINK.size
            found.setdefault((dev, ino), []).append(self._map[at : at + length])
            at += length
        return found

    def _key(self, place: int) -> tuple[int, int]:
        """Give (inode, device) of the directory at a place, by which the table ascends."""
        ino, dev = _TABLE_KEY.unpack_from(self._map, self._table_at + place * TABLE_ROW.size)
        return ino, dev

    def _read_frame(self) -> None:
        """Check everything but the blocks, so that no later look-up can go astray."""
        magic, version = HEADER.unpack_from(self._map)
        if magic != MAGIC or version not in _READ_VERSIONS:
            raise self._damaged(f"expected it to begin as an index of version 1 to {VERSION}")
        self.version: int = version
        trailer_at = len(self._map) - TRAILER.size
        fields = TRAILER.unpack_from(self._map, trailer_at)
        (count, table_at, links), end = fields[:3], fields[-1]
        started, files, size, dev, ino, mode, node, hidden, expected = fields[3:-1]
        links_at = table_at + count * TABLE_ROW.size
        if end != END_MAGIC or not HEADER.size <= table_at <= links_at <= trailer_at:
            raise self._damaged("expected it to end with a table and a trailer that fits")
        with memoryview(self._map) as view, view[table_at:-_SEAL_BYTES] as covered:
            got = checksum(covered)
        if got != expected:
            raise self._damaged(f"expected checksum {expected:016x}, got {got:016x}")
        self._table_at: int = table_at
        self._links_at: int = links_at
        self._links: int = links
        self._count: int = count
        if mode > 0o7777:
            raise self._damaged(f"expected a root mode up to 0o7777, got {mode:#o}")
        # Encoded and read back, so that the root entry passes the checks of a domain root.
        entry = decode_domain_root(encode_domain_root(Entry(Kind.DIRECTORY, mode, 0, Digest(node))))
        self.facts = IndexFacts((dev, ino), entry, started, files, size, Digest(hidden))

    def _damaged(self, problem: str) -> FormatError:
        return FormatError(self._name, problem, hint="the domain is read anew")
