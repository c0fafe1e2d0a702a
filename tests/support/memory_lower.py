"""A lower in memory: the real interface without a disk, which counts what it is asked for."""

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from errno import EISDIR, ENOENT, ENOTDIR, ESTALE

from catfs.overlay.lower import Names, names_of_scan
from catfs.overlay.nodes import LowerStat, Origin

BLOCK = 4096
"""Grain of the holes of a sparse file, in bytes."""

DEVICE = 77
"""The device number of everything in a memory lower."""


@dataclass
class MemoryFile:
    """One inode. Times in nanoseconds."""

    ino: int
    mode: int
    uid: int
    gid: int
    content: bytes = b""
    rdev: int = 0
    nlink: int = 1
    mtime: int = 1_000
    ctime: int = 1_000
    is_sparse: bool = False
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    children: dict[bytes, "MemoryFile"] = field(default_factory=dict)

    def lower_stat(self) -> LowerStat:
        """Give the attributes as a lower tells them."""
        size = 4096 if stat.S_ISDIR(self.mode) else len(self.content)
        stored = size
        if self.is_sparse:
            blocks = [self.content[at : at + BLOCK] for at in range(0, size, BLOCK)]
            stored = sum(len(block) for block in blocks if block.strip(b"\0"))
        return LowerStat(
            self.mode,
            self.ino,
            DEVICE,
            self.nlink,
            self.uid,
            self.gid,
            size,
            (stored + 511) // 512,
            self.rdev,
            1_000,
            self.mtime,
            self.ctime,
        )


class MemoryLower:
    """A lower in memory, filled by the methods of `tests.support.trees.Builder`.

    `calls` counts the calls of each method, `bytes_read` the bytes of content that were given; `let_go_of`
    has the directory and the name of each that was let go of.
    """

    def __init__(self) -> None:
        self._inodes = 2
        self._top = MemoryFile(2, stat.S_IFDIR | 0o755, os.geteuid(), os.getegid(), nlink=2)
        self.calls: Counter[str] = Counter()
        self.bytes_read = 0
        self.let_go_of: list[tuple[bytes, bytes]] = []

    def directory(self, path: bytes, mode: int = 0o755) -> None:
        """Make a directory, or set the mode of the top with the path b""."""
        if path:
            self._add(path, stat.S_IFDIR | mode, b"").nlink = 2
            self._parent(path)[0].nlink += 1
        else:
            self._top.mode = stat.S_IFDIR | mode

    def file(
        self, path: bytes, content: bytes, mode: int = 0o644, xattrs: dict[bytes, bytes] | None = None
    ) -> None:
        """Make a regular file."""
        self._add(path, stat.S_IFREG | mode, content).xattrs = dict(xattrs or {})

    def symlink(self, path: bytes, target: bytes) -> None:
        """Make a symlink."""
        self._add(path, stat.S_IFLNK | 0o777, target)

    def fifo(self, path: bytes, mode: int = 0o644) -> None:
        """Make a FIFO."""
        self._add(path, stat.S_IFIFO | mode, b"")

    def link(self, existing: bytes, path: bytes) -> None:
        """Give a file one more name."""
        directory, name = self._parent(path)
        found = self.at(existing)
        found.nlink += 1
        directory.children[name] = found

    def replace(self, path: bytes, content: bytes) -> None:
        """Let another file have a name, as an editor outside the session would."""
        directory, name = self._parent(path)
        del directory.children[name]
        self.file(path, content)

    def remove(self, path: bytes) -> None:
        """Remove a name."""
        directory, name = self._parent(path)
        del directory.children[name]

    def kept_xattrs(self, path: bytes) -> dict[bytes, bytes]:
        """Give the extended attributes that a file has."""
        return dict(self.at(path).xattrs)

    def at(self, path: bytes) -> MemoryFile:
        """Give what is at a path."""
        return self._find(path.split(b"/") if path else [])

    def _parent(self, path: bytes) -> tuple[MemoryFile, bytes]:
        above, _, name = path.rpartition(b"/")
        return self.at(above), name

    def _add(self, path: bytes, mode: int, content: bytes) -> MemoryFile:
        directory, name = self._parent(path)
        self._inodes += 1
        directory.children[name] = MemoryFile(self._inodes, mode, os.geteuid(), os.getegid(), content)
        return directory.children[name]

    def _find(self, names: list[bytes]) -> MemoryFile:
        here = self._top
        for name in names:
            if not stat.S_ISDIR(here.mode):
                raise OSError(ENOTDIR, os.strerror(ENOTDIR))
            if name not in here.children:
                raise OSError(ENOENT, os.strerror(ENOENT))
            here = here.children[name]
        return here

    def root(self) -> LowerStat:
        """Give the attributes of the top."""
        self.calls["root"] += 1
        return self._top.lower_stat()

    def scan(self, origin: Origin) -> list[tuple[bytes, LowerStat]]:
        """Give the names of a directory with their attributes."""
        self.calls["scan"] += 1
        found = self._find(origin.names())
        if not stat.S_ISDIR(found.mode):
            raise OSError(ENOTDIR, os.strerror(ENOTDIR))
        return [(name, child.lower_stat()) for name, child in found.children.items()]

    def find(self, directory: Origin, name: bytes) -> LowerStat | None:
        """Give the attributes of a name in a directory."""
        self.calls["find"] += 1
        return self.stat(Origin(directory, name, directory.lower_stat, directory.domain))

    def names(self, origin: Origin) -> Names:
        """Give the names of a directory."""
        self.calls["names"] += 1
        return names_of_scan(
            (name, child.lower_stat()) for name, child in self._find(origin.names()).children.items()
        )

    def let_go(self, directory: Origin, name: bytes) -> None:
        """Note that nobody remembers a name any more."""
        self.let_go_of.append((directory.path(), name))

    def stat(self, origin: Origin) -> LowerStat | None:
        """Give the attributes as they are now, or None when the name is gone."""
        self.calls["stat"] += 1
        try:
            return self._find(origin.names()).lower_stat()
        except OSError:
            return None

    def readlink(self, origin: Origin) -> bytes:
        """Give the target of a symlink."""
        self.calls["readlink"] += 1
        return self._find(origin.names()).content

    def xattrs(self, origin: Origin) -> dict[bytes, bytes]:
        """Give every extended attribute."""
        self.calls["xattrs"] += 1
        return dict(self._find(origin.names()).xattrs)

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        """Read from a regular file.

        Raises:
            OSError: ESTALE when it is not the file that was scanned any more.
        """
        self.calls["read"] += 1
        found = self._find(origin.names())
        if stat.S_ISDIR(found.mode):
            raise OSError(EISDIR, os.strerror(EISDIR))
        if not found.lower_stat().same_file(origin.lower_stat):
            raise OSError(ESTALE, os.strerror(ESTALE))
        data = found.content[offset : offset + length]
        self.bytes_read += len(data)
        return data

    def seek(self, origin: Origin, offset: int, whence: int) -> int:
        """Find the next data or the next hole, or the end: blocks of zeros are holes."""
        self.calls["seek"] += 1
        content = self._find(origin.names()).content
        while offset < len(content):
            block = content[offset : (offset // BLOCK + 1) * BLOCK]
            if bool(block.strip(b"\0")) is (whence == os.SEEK_DATA):
                return offset
            offset += len(block)
        return len(content)
