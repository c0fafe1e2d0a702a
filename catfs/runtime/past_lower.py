"""The original as it was when a run began, long after: names from its tree, content from where it still is.

Content is looked for in the domain, where a file counts only when it has the digest that the tree gives,
and among the originals that the run kept of what its commit replaced.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from errno import ESTALE
from pathlib import Path
from typing import Final

from catfs.digest import Digest, digest_descriptor
from catfs.merkle import Tree
from catfs.overlay import DataFile, DirectoryLower, HardLinks
from catfs.overlay.lower import Names, lower_stat_of, names_of_scan, origin_at
from catfs.overlay.nodes import LowerStat, Origin
from catfs.records import Entry, Kind
from catfs.records.entry import device_digest

_FORMATS: Final = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.SOCKET: stat.S_IFSOCK,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
}

_DEVICE: Final = 1
"""Device number of everything in a past lower: it is one file system."""

_INODE_FIRST: Final = 2


class PastLower:
    """A `Lower` that shows what a tree says.

    Args:
        tree: The tree of the original.
        place: Where the domain is now; None where it is not to be looked at.
        hard_links: Its files with several names.
        kept: Digest of each kept original to where it is in the data: offset and size.
        data: The data of the history; None where it is gone.
        time: When the run began, in nanoseconds since 1970: the times of what is not there any more.

    Raises:
        OSError: when the domain cannot be opened.
    """

    def __init__(
        self,
        tree: Tree,
        place: Path | None,
        hard_links: Sequence[Sequence[bytes]] = (),
        kept: Mapping[Digest, tuple[int, int]] | None = None,
        data: DataFile | None = None,
        time: int = 0,
    ) -> None:
        self._tree = tree
        self._kept = kept or {}
        self._data = data
        self._time = time
        self._root: int | None = None
        self._now: DirectoryLower | None = None
        if place is not None:
            self._root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._now = DirectoryLower(self._root)
        self._groups = tuple(hard_links)
        self._first_names = {path: min(group) for group in hard_links for path in group}
        self._link_counts = {path: len(group) for group in hard_links for path in group}
        self._inodes: dict[bytes, int] = {}
        self._sound: dict[bytes, Origin | None] = {}
        """Path to what is there in the domain and still has the content; None for what has not."""

    def close(self) -> None:
        """Close what was opened of the domain."""
        if self._now is not None:
            self._now.close()
        if self._root is not None:
            os.close(self._root)

    def hard_links(self) -> HardLinks:
        """Give the files with several names as `fold` wants them, by device and inode of this lower."""
        found: dict[tuple[int, int], list[bytes]] = {}
        for group in self._groups:
            entry = self._tree.entry(group[0])
            if entry is not None:
                lower_stat = self._stat(group[0], entry)
                found[lower_stat.dev, lower_stat.ino] = list(group)
        return found

    def root(self) -> LowerStat:
        """Give the attributes of the domain's own directory."""
        entry = self._tree.entry(b"")
        assert entry is not None
        return self._stat(b"", entry)

    def scan(self, origin: Origin) -> list[tuple[bytes, LowerStat]]:
        """Give the names of a directory with their attributes."""
        path = origin.path()
        prefix = path + b"/" if path else b""
        return [(name, self._stat(prefix + name, entry)) for name, entry in self._tree.directory(path)]

    def find(self, directory: Origin, name: bytes) -> LowerStat | None:
        """Give the attributes of a name in a directory, or None."""
        return self.stat(Origin(directory, name, directory.lower_stat, directory.domain))

    def names(self, origin: Origin) -> Names:
        """Give the names of a directory."""
        return names_of_scan(self.scan(origin))

    def let_go(self, directory: Origin, name: bytes) -> None:
        """Do nothing: the tree remembers everything."""

    def stat(self, origin: Origin) -> LowerStat | None:
        """Give the attributes of a name, or None."""
        path = origin.path()
        entry = self._tree.entry(path)
        return None if entry is None else self._stat(path, entry)

    def readlink(self, origin: Origin) -> bytes:
        """Give the target of a symlink.

        Raises:
            OSError: ESTALE when nobody has it any more.
        """
        path = origin.path()
        entry = self._entry(path)
        there = self._there(path)
        if there is not None and self._now is not None and stat.S_ISLNK(there.lower_stat.mode):
            target = self._now.readlink(there)
            if Digest.of(target) == entry.digest:
                return target
        return self._read_kept(path, entry, 0, entry.size)

    def xattrs(self, origin: Origin) -> dict[bytes, bytes]:
        """Give the extended attributes that the domain has there now: the tree says nothing of them."""
        there = self._there(origin.path())
        if self._now is None or there is None:
            return {}
        if stat.S_IFMT(there.lower_stat.mode) not in {stat.S_IFREG, stat.S_IFDIR}:
            return {}
        return self._now.xattrs(there)

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        """Read from a regular file; fewer bytes than wanted only at its end.

        Raises:
            OSError: ESTALE when nobody has its content any more.
        """
        path = origin.path()
        if path not in self._sound:
            self._sound[path] = self._sound_file(path)
        sound = self._sound[path]
        if sound is not None and self._now is not None:
            descriptor = self._now.descriptor(sound)
            if lower_stat_of(os.fstat(descriptor)).same_file(sound.lower_stat):
                return os.pread(descriptor, length, offset)
        return self._read_kept(path, self._entry(path), offset, length)

    def seek(self, origin: Origin, offset: int, whence: int) -> int:
        """Find the next data or the next hole of a regular file: all counts as data, which is allowed."""
        return offset if whence == os.SEEK_DATA else self._entry(origin.path()).size

    def _entry(self, path: bytes) -> Entry:
        entry = self._tree.entry(path)
        if entry is None:
            raise OSError(ESTALE, "the original had nothing there", path)
        return entry

    def _read_kept(self, path: bytes, entry: Entry, offset: int, length: int) -> bytes:
        position = self._kept.get(entry.digest)
        if self._data is None or position is None:
            problem = "what the original held there is gone: it was changed after the run"
            raise OSError(ESTALE, problem, path)
        start, size = position
        return self._data.read(start + offset, max(0, min(length, size - offset)))

    def _there(self, path: bytes) -> Origin | None:
        """Give what the domain has at a path now, or None."""
        return None if self._now is None else origin_at(self._now, 0, path)

    def _sound_file(self, path: bytes) -> Origin | None:
        """Give the file that the domain has at a path now, if it has the content that the tree says."""
        there, entry = self._there(path), self._entry(path)
        if there is None or not stat.S_ISREG(there.lower_stat.mode) or there.lower_stat.size != entry.size:
            return None
        assert self._now is not None
        return there if digest_descriptor(self._now.descriptor(there)) == entry.digest else None

    def _stat(self, path: bytes, entry: Entry) -> LowerStat:
        """Give the attributes of an entry; owner and times are those of what looks the same there now."""
        mode = _FORMATS[entry.kind] | entry.mode
        there = self._there(path)
        now = None if there is None or there.lower_stat.mode != mode else there.lower_stat
        size = 4096 if entry.kind is Kind.DIRECTORY else entry.size
        rdev = 0 if now is None or device_digest(now.rdev) != entry.digest else now.rdev
        uid, gid = (os.geteuid(), os.getegid()) if now is None else (now.uid, now.gid)
        times = (self._time,) * 3 if now is None else (now.atime, now.mtime, now.ctime)
        first = self._first_names.get(path, path)
        ino = self._inodes.setdefault(first, len(self._inodes) + _INODE_FIRST)
        nlink = 2 if entry.kind is Kind.DIRECTORY else self._link_counts.get(path, 1)
        return LowerStat(mode, ino, _DEVICE, nlink, uid, gid, size, (size + 511) // 512, rdev, *times)
