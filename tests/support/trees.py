"""Trees for tests: one description, built on the disk or in memory, and a list of all that is in one."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EOPNOTSUPP
from pathlib import Path
from typing import Protocol


class Builder(Protocol):
    """Something that a tree can be built in. Paths are relative, parents are made first."""

    def directory(self, path: bytes, mode: int = 0o755) -> None:
        """Make a directory, or set the mode of the top with the path b""."""
        ...

    def file(
        self, path: bytes, content: bytes, mode: int = 0o644, xattrs: dict[bytes, bytes] | None = None
    ) -> None:
        """Make a regular file."""
        ...

    def symlink(self, path: bytes, target: bytes) -> None:
        """Make a symlink."""
        ...

    def fifo(self, path: bytes, mode: int = 0o644) -> None:
        """Make a FIFO."""
        ...

    def link(self, existing: bytes, path: bytes) -> None:
        """Give a file one more name."""
        ...

    def replace(self, path: bytes, content: bytes) -> None:
        """Let another file have a name."""
        ...

    def remove(self, path: bytes) -> None:
        """Remove a name."""
        ...

    def kept_xattrs(self, path: bytes) -> dict[bytes, bytes]:
        """Give the extended attributes that a file has."""
        ...


class RealTree:
    """Builds in a real directory.

    Args:
        top: An existing directory.
    """

    def __init__(self, top: Path) -> None:
        self.top = os.fsencode(top)

    def at(self, path: bytes) -> bytes:
        """Give the absolute path of a relative one."""
        return self.top + b"/" + path if path else self.top

    def directory(self, path: bytes, mode: int = 0o755) -> None:
        """Make a directory, or set the mode of the top with the path b""."""
        if path:
            os.mkdir(self.at(path))
        os.chmod(self.at(path), mode)

    def file(
        self, path: bytes, content: bytes, mode: int = 0o644, xattrs: dict[bytes, bytes] | None = None
    ) -> None:
        """Make a regular file; the attributes stay away where the file system has none."""
        descriptor = os.open(self.at(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.pwrite(descriptor, content, 0)
            os.fchmod(descriptor, mode)
            for name, value in (xattrs or {}).items():
                _set_xattr(descriptor, name, value)
        finally:
            os.close(descriptor)

    def symlink(self, path: bytes, target: bytes) -> None:
        """Make a symlink."""
        os.symlink(target, self.at(path))

    def fifo(self, path: bytes, mode: int = 0o644) -> None:
        """Make a FIFO."""
        os.mkfifo(self.at(path))
        os.chmod(self.at(path), mode)

    def link(self, existing: bytes, path: bytes) -> None:
        """Give a file one more name."""
        os.link(self.at(existing), self.at(path), follow_symlinks=False)

    def replace(self, path: bytes, content: bytes) -> None:
        """Let another file have a name."""
        self.file(path + b".new", content)
        os.rename(self.at(path + b".new"), self.at(path))

    def remove(self, path: bytes) -> None:
        """Remove a name."""
        os.unlink(self.at(path))

    def kept_xattrs(self, path: bytes) -> dict[bytes, bytes]:
        """Give the extended attributes that a file has."""
        names = os.listxattr(self.at(path), follow_symlinks=False)
        return {os.fsencode(name): os.getxattr(self.at(path), name) for name in names}


def _set_xattr(descriptor: int, name: bytes, value: bytes) -> None:
    try:
        os.setxattr(descriptor, name, value)
    except OSError as error:
        if error.errno != EOPNOTSUPP:
            raise


def build_sample(tree: Builder) -> None:
    """Build the tree that the overlay's tests start from.

    It has files of every kind, empty and non-empty directories, names that are no text, and hard
    links into directories that nobody needs to look at for a while.
    """
    tree.directory(b"")
    for path in (b"d", b"d/sub", b"d/sub/deep", b"e", b"empty", b"links", b"\xff\xfe"):
        tree.directory(path)
    tree.directory(b"shared", 0o2755)
    tree.file(b"a", b"the content of a", xattrs={b"user.kept": b"old", b"user.other": b"\0\xff"})
    tree.file(b"b", b"", 0o600)
    tree.file(b"tool", b"#!/bin/true\n", 0o4755)
    tree.file(b"d/a", bytes(range(256)) * 40)
    tree.file(b"d/sub/a", b"x" * 5000, 0o755)
    tree.file(b"d/sub/deep/a", b"deep")
    tree.file(b"e/h1", b"several names")
    tree.link(b"e/h1", b"d/sub/h2")
    tree.link(b"e/h1", b"links/h3")
    tree.file(b"\xff\xfe/n\nl", b"odd name")
    tree.file(b"links/h4", b"two names")
    tree.link(b"links/h4", b"e/h5")
    tree.symlink(b"s", b"nowhere/\xff")
    tree.symlink(b"d/s", b"nowhere")
    tree.fifo(b"d/p", 0o622)


SAMPLE_HARD_LINKS = ([b"e/h1", b"d/sub/h2", b"links/h3"], [b"links/h4", b"e/h5"])
"""The names of each file of the sample that has several."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be seen of one name.

    Args:
        mode: Format and permission bits.
        nlink: Number of names; 0 for a directory, where file systems disagree.
        size: Bytes of a file or link target; 0 for other kinds.
        content: Content of a file, target of a symlink, else nothing.
        mtime: In nanoseconds; 0 where it is not compared.
    """

    mode: int
    nlink: int
    size: int
    content: bytes = b""
    mtime: int = 0


def walk_real(top: bytes, *, times: bool = False) -> dict[bytes, Seen]:
    """Give everything below a real directory and itself, by relative path.

    Args:
        top: The directory.
        times: Whether times of modification are wanted.
    """
    found: dict[bytes, Seen] = {}
    for path, status in _walk(top):
        is_directory = stat.S_ISDIR(status.st_mode)
        content = b""
        if stat.S_ISREG(status.st_mode):
            content = Path(os.fsdecode(path)).read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        nlink = 0 if is_directory else status.st_nlink
        mtime = status.st_mtime_ns if times else 0
        found[path[len(top) + 1 :]] = Seen(status.st_mode, nlink, len(content), content, mtime)
    return found


def _walk(top: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    yield top, os.lstat(top)
    for folder, directories, files in os.walk(top):
        for name in (*directories, *files):
            yield os.path.join(folder, name), os.lstat(os.path.join(folder, name))


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """Give a descriptor of a folder."""
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield root
    finally:
        os.close(root)
