"""A mount and a plain directory side by side: every call is made on both, with the same outcome.

Unlike `tests.support.twin` both sides are real, so the kernel with its caches stands between, and other
users can be tried.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from catfs.linux import renameat2

_Answer = TypeVar("_Answer")

USERS = {"root": (0, 0), "ann": (1000, 1000), "bob": (1001, 1000)}
"""User and group ids of those who work in a pair; two of them share a group."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file or directory that is open on both sides.

    Args:
        view: The descriptor in the mount.
        plain: The one in the plain directory.
        user: Who opened it, and uses it: a name in USERS.
    """

    view: int
    plain: int
    user: str = "root"


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Make file system calls with the rights of a user.

    Args:
        user: A name in USERS.
    """
    uid, gid = USERS[user]
    try:
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def outcome(action: Callable[[], _Answer]) -> tuple[_Answer | None, str]:
    """Give what an action answers, or the name of its errno."""
    try:
        return action(), ""
    except OSError as error:
        return None, errno.errorcode[error.errno or 0]


class Pair:
    """Two directories that must behave in the same way.

    Args:
        view: A directory in a mount.
        plain: A directory outside with the same content.
    """

    def __init__(self, view: Path, plain: Path) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self.tops = OpenFile(os.open(view, flags), os.open(plain, flags))
        self.plain = os.fsencode(plain)
        self.open_files: list[OpenFile] = []

    def close(self) -> None:
        """Close what is open."""
        while self.open_files:
            self.close_file(self.open_files[-1])
        os.close(self.tops.view)
        os.close(self.tops.plain)

    def paths(self, *kinds: int) -> list[bytes]:
        """Give all paths but that of the top, sorted.

        Args:
            kinds: The formats (S_IFREG and so on) that are wanted; none for all.
        """
        found = []
        for folder, directories, files in os.walk(self.plain):
            for name in (*directories, *files):
                path = os.path.join(folder, name)
                if not kinds or stat.S_IFMT(os.lstat(path).st_mode) in kinds:
                    found.append(path[len(self.plain) + 1 :])
        return sorted(found)

    def both(self, action: Callable[[int], _Answer], user: str = "root") -> tuple[_Answer | None, str]:
        """Do something on both sides, and compare answer and errno.

        Args:
            action: Gets the descriptor of the top of a side, and gives something that both sides must
                have in common.
            user: Who does it.
        """
        with acting_as(user):
            expected = outcome(lambda: action(self.tops.plain))
            got = outcome(lambda: action(self.tops.view))
        assert got == expected, f"the plain directory answers {expected}, the mount {got}"
        return got

    def on_open(self, file: OpenFile, action: Callable[[int], _Answer]) -> None:
        """Do something to an open file on both sides, first outside, and compare answer and errno."""
        with acting_as(file.user):
            expected = outcome(lambda: action(file.plain))
            got = outcome(lambda: action(file.view))
        assert got == expected, f"the plain file answers {expected}, the mounted one {got}"

    def open(self, path: bytes, flags: int, mode: int, user: str) -> None:
        """Open or make a file on both sides; it stays open."""
        if self._is_device(path):
            return  # a view has device nodes, but its mount opens none
        opened: list[int] = []

        def action(top: int) -> None:
            opened.append(os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, mode, dir_fd=top))

        if self.both(action, user)[1] == "":
            self.open_files.append(OpenFile(opened[1], opened[0], user))

    def _is_device(self, path: bytes) -> bool:
        found, _ = outcome(lambda: os.stat(path, dir_fd=self.tops.plain))
        return found is not None and stat.S_ISCHR(found.st_mode)

    def close_file(self, file: OpenFile) -> None:
        """Close a file on both sides."""
        self.open_files.remove(file)
        os.close(file.view)
        os.close(file.plain)

    def rename(self, path: bytes, new: bytes, flags: int, user: str) -> None:
        """Rename, replace or exchange."""
        self.both(lambda top: renameat2(top, path, top, new, flags), user)

    def compare_open(self, file: OpenFile) -> None:
        """Compare the content and attributes of an open file, which may have no name any more."""
        self.on_open(file, _attributes_of_open)
        self.on_open(file, lambda descriptor: os.pread(descriptor, os.fstat(descriptor).st_size + 1, 0))

    def compare(self, *, is_deep: bool = True) -> None:
        """Compare everything.

        Args:
            is_deep: Whether content is read, too.
        """
        seen = _everything(self.tops.view, is_deep=is_deep)
        expected = _everything(self.tops.plain, is_deep=is_deep)
        for path in sorted(seen.keys() | expected.keys()):
            assert seen.get(path) == expected.get(path), path


def _attributes_of_open(descriptor: int) -> tuple[int, ...]:
    found = os.fstat(descriptor)
    # Size and links of a directory are each file system's own affair, but for one that is gone.
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    links = min(found.st_nlink, 1) if stat.S_ISDIR(found.st_mode) else found.st_nlink
    return (found.st_mode, links, size, found.st_uid, found.st_gid)


def _everything(top: int, *, is_deep: bool) -> dict[bytes, object]:
    found: dict[bytes, object] = {}
    for folder, directories, files, inner in os.fwalk(b".", dir_fd=top):
        for name in (*directories, *files):
            found[os.path.normpath(os.path.join(folder, name))] = _facts(inner, name, is_deep=is_deep)
    return found


def _facts(folder: int, name: bytes, *, is_deep: bool) -> object:
    """Give what must be the same: times only where a program has set them, which whole seconds tell."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    is_directory = stat.S_ISDIR(found.st_mode)
    content: object = b""
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(name, dir_fd=folder)
    elif is_deep and stat.S_ISREG(found.st_mode):
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            names = os.listxattr(descriptor)
            content = (
                os.pread(descriptor, found.st_size + 1, 0),
                {n: os.getxattr(descriptor, n) for n in names},
            )
        finally:
            os.close(descriptor)
    return (
        found.st_mode,
        (found.st_uid, found.st_gid),
        found.st_rdev,
        0 if is_directory else found.st_nlink,
        0 if is_directory else found.st_size,
        0 if found.st_mtime_ns % 10**9 else found.st_mtime_ns,
        content,
    )
