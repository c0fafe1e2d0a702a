"""A random program for hypothesis that works in a mount and in a plain directory at the same time."""

import mmap
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from catfs.linux import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    fallocate,
)
from catfs.overlay.access_list import ACCESS_LIST, DEFAULT_LIST, AccessList, Tag, pack_access_list
from tests.support.access_lists import access_list
from tests.support.mounted import Mounted
from tests.support.pair import USERS, OpenFile, Pair
from tests.support.trees import RealTree, build_sample

COPIES_SPARE = 24
"""Copies of the sample beyond one for each example: a failing example is run again."""

NAMES = [b"a", b"b", b"d", b"sub", b"h1", b"\xff", b"n\nl", b"l" * 255, b"l" * 256]
"""What new things are called; some of these are in the sample, one is too long."""

USER = st.sampled_from([*USERS, "root", "root"])
FILE_MODES = st.sampled_from([0o644, 0o600, 0o755, 0o666, 0o4755, 0o2775, 0o2644, 0o6777, 0o000])
DIRECTORY_MODES = st.sampled_from([0o755, 0o700, 0o777, 0o1777, 0o2775, 0o3777, 0o555])
OPEN_FLAGS = st.sampled_from(
    [
        os.O_RDWR,
        os.O_RDWR,
        os.O_RDWR | os.O_TRUNC,
        os.O_RDWR | os.O_APPEND,
        os.O_RDONLY,
        os.O_WRONLY | os.O_CREAT,
        os.O_RDWR | os.O_CREAT | os.O_EXCL,
        os.O_RDWR | os.O_CREAT | os.O_TRUNC,
        os.O_RDONLY | os.O_DIRECTORY,
        os.O_RDWR | os.O_NOFOLLOW,
    ]
)
OFFSETS = st.sampled_from([0, 1, 50, 4095, 4096, 5000, 9000])
LENGTHS = st.sampled_from([1, 50, 4096, 5000])
SIZES = st.sampled_from([0, 1, 13, 4096, 5000, 12_000])
FILL = st.binary(min_size=1, max_size=5)
RENAME_FLAGS = st.sampled_from([0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE])
FALLOCATE_MODES = st.sampled_from(
    [
        0,
        FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_ZERO_RANGE,
        FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
    ]
)
TARGETS = st.sampled_from([b"nowhere", b"a", b"d/a", b".", b"sub", b"no/\xff\n"])
XATTR_NAMES = st.sampled_from([b"user.kept", b"user.other", b"user.new"])
NAMED = st.tuples(
    st.sampled_from([Tag.USER, Tag.GROUP]),
    st.sampled_from([1000, 1001, 65534]),
    st.integers(0, 7),
    st.integers(0, 7),
)
"""Kind, number, permissions and mask of a named entry."""
LIST_NAMES = st.sampled_from([ACCESS_LIST, DEFAULT_LIST])
LISTS = st.builds(access_list, *[st.integers(0, 7)] * 3, named=st.none() | NAMED)
"""Access lists: permissions of owner, group and others, those of one named user or group, and a mask."""
TIMES = st.integers(-(10**9), 2 * 10**9).map(lambda seconds: seconds * 10**9)


class MountMachine(RuleBasedStateMachine):
    """A random program in a copy of the sample, on both sides.

    Args:
        server: Serves the mount.
        plain: The folder of the copies outside.
        name: A copy of the sample that no program has used.
    """

    def __init__(self, server: Mounted, plain: Path, name: str) -> None:
        super().__init__()
        self.is_complete = server.transport == "devfuse"
        self.pair = Pair(server.mount / name, plain / name)

    def teardown(self) -> None:
        """Compare everything, and clean up."""
        try:
            for file in self.pair.open_files:
                self.pair.compare_open(file)
            self.pair.compare()
        finally:
            self.pair.close()

    def some_path(self, data: st.DataObject, *kinds: int) -> bytes:
        """Choose something that exists, of some kinds of file when they are given."""
        return data.draw(st.sampled_from(self.pair.paths(*kinds) or [b"nothing"]), label="path")

    def some_place(self, data: st.DataObject) -> bytes:
        """Choose a name in a directory that exists, whether or not it is taken."""
        directory = data.draw(st.sampled_from([b"", *self.pair.paths(stat.S_IFDIR)]), label="directory")
        return os.path.join(directory, data.draw(st.sampled_from(NAMES), label="name"))

    def some_file(self, data: st.DataObject) -> OpenFile:
        """Choose an open file."""
        return data.draw(st.sampled_from(self.pair.open_files), label="open file")

    def has_open_files(self) -> bool:
        """Say whether a file is open."""
        return bool(self.pair.open_files)

    def can_reserve(self) -> bool:
        """Say whether a file is open and the transport carries fallocate."""
        return self.is_complete and self.has_open_files()

    @rule(data=st.data(), flags=OPEN_FLAGS, mode=FILE_MODES, user=USER)
    def make_or_open(self, data: st.DataObject, flags: int, mode: int, user: str) -> None:
        """Open a name, which may have to be made."""
        self.pair.open(self.some_place(data), flags, mode, user)

    @rule(data=st.data(), flags=OPEN_FLAGS, user=USER)
    def open_existing(self, data: st.DataObject, flags: int, user: str) -> None:
        """Open something that exists, through symlinks too."""
        path = self.some_path(data, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO)
        self.pair.open(path, flags, 0o644, user)

    @rule(data=st.data(), mode=DIRECTORY_MODES, user=USER)
    def mkdir(self, data: st.DataObject, mode: int, user: str) -> None:
        """Make a directory."""
        path = self.some_place(data)
        self.pair.both(lambda top: os.mkdir(path, mode, dir_fd=top), user)

    @rule(data=st.data(), kind=st.sampled_from([stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK]), user=USER)
    def mknod(self, data: st.DataObject, kind: int, user: str) -> None:
        """Make a FIFO, a device node or a socket."""
        path, number = self.some_place(data), os.makedev(1, 3) if kind == stat.S_IFCHR else 0
        self.pair.both(lambda top: os.mknod(path, kind | 0o640, number, dir_fd=top), user)

    @rule(data=st.data(), points_at=TARGETS, user=USER)
    def symlink(self, data: st.DataObject, points_at: bytes, user: str) -> None:
        """Make a symlink, which may lead to itself."""
        path = self.some_place(data)
        self.pair.both(lambda top: os.symlink(points_at, path, dir_fd=top), user)

    @rule(data=st.data(), user=USER)
    def link(self, data: st.DataObject, user: str) -> None:
        """Give something one more name."""
        path, new = self.some_path(data), self.some_place(data)
        self.pair.both(
            lambda top: os.link(path, new, src_dir_fd=top, dst_dir_fd=top, follow_symlinks=False), user
        )

    @rule(data=st.data(), user=USER)
    def unlink(self, data: st.DataObject, user: str) -> None:
        """Remove a name."""
        path = self.some_path(data)
        self.pair.both(lambda top: os.unlink(path, dir_fd=top), user)

    @rule(data=st.data(), user=USER)
    def rmdir(self, data: st.DataObject, user: str) -> None:
        """Remove a directory."""
        path = self.some_path(data, stat.S_IFDIR, stat.S_IFDIR, stat.S_IFREG)
        self.pair.both(lambda top: os.rmdir(path, dir_fd=top), user)

    @rule(data=st.data(), flags=RENAME_FLAGS, user=USER)
    def rename(self, data: st.DataObject, flags: int, user: str) -> None:
        """Rename something."""
        self.pair.rename(self.some_path(data), self.some_place(data), flags, user)

    @rule(data=st.data(), flags=RENAME_FLAGS, user=USER)
    def rename_onto(self, data: st.DataObject, flags: int, user: str) -> None:
        """Rename something to a name that is taken."""
        self.pair.rename(self.some_path(data), self.some_path(data), flags, user)

    @rule(data=st.data(), mode=FILE_MODES | DIRECTORY_MODES, user=USER)
    def chmod(self, data: st.DataObject, mode: int, user: str) -> None:
        """Change the mode of something."""
        path = self.some_path(data, stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO)
        self.pair.both(lambda top: os.chmod(path, mode, dir_fd=top), user)

    @rule(data=st.data(), owner=st.sampled_from([(0, 0), (1000, 1000), (-1, 1000), (1001, -1)]), user=USER)
    def chown(self, data: st.DataObject, owner: tuple[int, int], user: str) -> None:
        """Change the owner of something, not following symlinks."""
        path = self.some_path(data)
        self.pair.both(lambda top: os.chown(path, *owner, dir_fd=top, follow_symlinks=False), user)

    @rule(data=st.data(), times=st.tuples(TIMES, TIMES), user=USER)
    def utimens(self, data: st.DataObject, times: tuple[int, int], user: str) -> None:
        """Change the times of something, not following symlinks."""
        path = self.some_path(data)
        self.pair.both(lambda top: os.utime(path, ns=times, dir_fd=top, follow_symlinks=False), user)

    @rule(data=st.data(), user=USER)
    def touch(self, data: st.DataObject, user: str) -> None:
        """Set the times of something to now, which needs other rights."""
        path = self.some_path(data, stat.S_IFREG, stat.S_IFDIR)
        self.pair.both(lambda top: os.utime(path, dir_fd=top), user)

    @rule(data=st.data(), name=XATTR_NAMES, value=st.binary(max_size=9), flags=st.integers(0, 2), user=USER)
    def setxattr(self, data: st.DataObject, name: bytes, value: bytes, flags: int, user: str) -> None:
        """Set an extended attribute."""
        path = self.some_path(data, stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO)
        self.pair.both(lambda top: os.setxattr(_below(top, path), name, value, flags), user)

    @rule(data=st.data(), name=XATTR_NAMES, user=USER)
    def removexattr(self, data: st.DataObject, name: bytes, user: str) -> None:
        """Remove an extended attribute."""
        path = self.some_path(data, stat.S_IFREG, stat.S_IFDIR)
        self.pair.both(lambda top: os.removexattr(_below(top, path), name), user)

    def is_whole(self) -> bool:
        """Say whether the transport carries everything."""
        return self.is_complete

    @precondition(is_whole)
    @rule(data=st.data(), name=LIST_NAMES, entries=LISTS, user=USER)
    def set_access_list(self, data: st.DataObject, name: bytes, entries: AccessList, user: str) -> None:
        """Set an access list, and see that the mode goes with it."""
        path, value = self.some_path(data), pack_access_list(entries)
        self.pair.both(lambda top: os.setxattr(_below(top, path), name, value), user)
        self.pair.both(lambda top: os.stat(path, dir_fd=top).st_mode, user)

    @precondition(is_whole)
    @rule(data=st.data(), name=LIST_NAMES, user=USER)
    def look_at_access_list(self, data: st.DataObject, name: bytes, user: str) -> None:
        """Ask for an access list, which something new may have inherited."""
        path = self.some_path(data, stat.S_IFREG, stat.S_IFDIR)
        self.pair.both(lambda top: os.getxattr(_below(top, path), name), user)

    @precondition(is_whole)
    @rule(data=st.data(), name=LIST_NAMES, user=USER)
    def remove_access_list(self, data: st.DataObject, name: bytes, user: str) -> None:
        """Remove an access list."""
        path = self.some_path(data, stat.S_IFREG, stat.S_IFDIR)
        self.pair.both(lambda top: os.removexattr(_below(top, path), name), user)

    @rule(data=st.data(), user=USER)
    def look(self, data: st.DataObject, user: str) -> None:
        """Ask for the attributes of something, and list a directory."""
        path, folder = self.some_path(data), self.some_path(data, stat.S_IFDIR)
        self.pair.both(lambda top: os.stat(path, dir_fd=top).st_mode, user)
        self.pair.both(lambda top: os.access(path, os.W_OK, dir_fd=top, effective_ids=True), user)
        self.pair.both(lambda top: sorted(os.listdir(_below(top, folder))), user)

    @precondition(has_open_files)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """Close a file."""
        self.pair.close_file(self.some_file(data))

    @precondition(has_open_files)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Read an open file and ask for its attributes."""
        self.pair.compare_open(self.some_file(data))

    @precondition(has_open_files)
    @rule(data=st.data(), offset=OFFSETS, length=LENGTHS, fill=FILL)
    def write(self, data: st.DataObject, offset: int, length: int, fill: bytes) -> None:
        """Write to an open file."""
        content = (fill * length)[:length]
        self.pair.on_open(self.some_file(data), lambda file: os.pwrite(file, content, offset))

    @precondition(has_open_files)
    @rule(data=st.data(), size=SIZES)
    def truncate(self, data: st.DataObject, size: int) -> None:
        """Cut or extend an open file."""
        self.pair.on_open(self.some_file(data), lambda file: os.ftruncate(file, size))

    @precondition(has_open_files)
    @rule(data=st.data(), mode=FILE_MODES)
    def fchmod(self, data: st.DataObject, mode: int) -> None:
        """Change the mode of an open file."""
        self.pair.on_open(self.some_file(data), lambda file: os.fchmod(file, mode))

    @precondition(has_open_files)
    @rule(data=st.data(), offset=OFFSETS, fill=FILL)
    def store(self, data: st.DataObject, offset: int, fill: bytes) -> None:
        """Store through a shared mapping of an open file."""
        self.pair.on_open(self.some_file(data), lambda file: _store(file, offset, fill))

    @precondition(has_open_files)
    @rule(data=st.data(), offsets=st.tuples(OFFSETS, OFFSETS), length=LENGTHS)
    def copy_range(self, data: st.DataObject, offsets: tuple[int, int], length: int) -> None:
        """Copy a range from one open file to another."""
        source, target = self.some_file(data), self.some_file(data)
        sources = iter((source.plain, source.view))
        self.pair.on_open(
            target, lambda file: os.copy_file_range(next(sources), file, length, offsets[0], offsets[1])
        )

    @precondition(can_reserve)
    @rule(data=st.data(), mode=FALLOCATE_MODES, offset=OFFSETS, length=LENGTHS)
    def reserve(self, data: st.DataObject, mode: int, offset: int, length: int) -> None:
        """Reserve, zero or punch a range of an open file."""
        self.pair.on_open(self.some_file(data), lambda file: fallocate(file, mode, offset, length))


def _below(top: int, path: bytes) -> bytes:
    """Give a path for calls that know no directory descriptor."""
    return b"/proc/self/fd/%d/%s" % (top, path)


def _store(file: int, offset: int, fill: bytes) -> bytes:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or not found.st_size or found.st_mode & 0o6000:
        return b""  # a mapping writes without rights of its own, and when the kernel likes
    with mmap.mmap(file, 0) as mapping:
        place = min(offset, found.st_size - 1)
        part = fill[: found.st_size - place]
        mapping[place : place + len(part)] = part
        mapping.flush()
        return mapping[:]


def fill_with_samples(lower: Path, count: int) -> None:
    """Make copies of the sample in which several users have something to do.

    Args:
        lower: An empty directory.
        count: Number of copies.
    """
    lower.chmod(0o755)
    (lower / "000").mkdir()
    build_sample(RealTree(lower / "000"))
    (lower / "000").chmod(0o777)
    for path, owner, mode in (("d", 1000, 0o775), ("d/a", 1000, 0o664), ("e", 1001, 0o1777), ("s", 1000, 0)):
        os.chown(lower / "000" / path, owner, 1000, follow_symlinks=False)
        if mode:
            (lower / "000" / path).chmod(mode)
    (lower / "000/shared").chmod(0o3777)
    for index in range(1, count):
        subprocess.run(["cp", "-a", lower / "000", lower / f"{index:03}"], timeout=30, check=True)


def run_random_programs(server: Mounted, plain: Path, examples: int, steps: int) -> None:
    """Run random programs on both sides.

    Args:
        server: Serves the mount of a lower with `examples + COPIES_SPARE` samples.
        plain: A copy of the lower.
        examples: Number of programs.
        steps: Most steps of each.

    Raises:
        AssertionError: when the sides differ in anything.
    """
    names: Iterator[str] = iter(sorted(os.listdir(plain)))

    class Program(MountMachine):
        def __init__(self) -> None:
            super().__init__(server, plain, next(names))

    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        # Making a failing program shorter takes longer than a test may take.
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(Program, settings=chosen)
