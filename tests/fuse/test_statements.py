"""What docs/filesystem.md says and no other test shows: times, mappings, streams, limits, transports."""

import errno
import fcntl
import mmap
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.limits import VIEW_FILE_BYTES_MAX
from catfs.linux import FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_KEEP_SIZE, fallocate
from catfs.overlay.access_list import ACCESS_LIST, Tag, pack_access_list
from tests.support.access_lists import access_list
from tests.support.workbench import STEP_SECONDS, TRANSPORTS, Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(60)]

_CONTENT = b"0123456789" * 1000
_OLD_NS = 1_500_000_000_123_456_789


def fill(lower: Path) -> None:
    """Make a few files."""
    for name in ("read", "mapped", "moved", "reserved", "locked", "set"):
        (lower / name).write_bytes(_CONTENT)
        os.utime(lower / name, ns=(_OLD_NS, _OLD_NS))
    (lower / "twin").hardlink_to(lower / "moved")
    (lower / "many").mkdir()
    for index in range(500):
        (lower / f"many/{index}").touch()


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("statements"), fill)


@pytest.fixture
def top(bench: Workbench) -> Path:
    """Give the mount point."""
    return bench.server.mount


def test_reading_moves_no_time(top: Path) -> None:
    """Reading a file or listing a directory leaves all times as they are."""
    before = (top / "read").stat()
    folder = (top / "many").stat()
    assert (top / "read").read_bytes() == _CONTENT
    assert len(os.listdir(top / "many")) == 500
    after = (top / "read").stat()
    assert (after.st_atime_ns, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_atime_ns,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert (top / "many").stat().st_atime_ns == folder.st_atime_ns


def test_times_are_set_one_by_one(top: Path) -> None:
    """Utimensat sets a time to the nanosecond or to now, or leaves it; the change time always moves."""
    before = (top / "set").stat()
    subprocess.run(["touch", "-m", "-d", "@12.000000034", top / "set"], timeout=30, check=True)
    after = (top / "set").stat()
    assert (after.st_mtime_ns, after.st_atime_ns) == (12_000_000_034, before.st_atime_ns)
    assert after.st_ctime_ns > before.st_ctime_ns
    subprocess.run(["touch", "-a", top / "set"], timeout=30, check=True)
    last = (top / "set").stat()
    assert last.st_mtime_ns == 12_000_000_034
    assert last.st_atime_ns > before.st_atime_ns


def test_private_mappings_change_nothing(top: Path) -> None:
    """What is stored through a private mapping is seen there only; a write shows in its other pages."""
    page = mmap.PAGESIZE
    with (top / "mapped").open("r+b", 0) as file:
        with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as mapping:
            mapping[0:4] = b"mine"
            os.pwrite(file.fileno(), b"file", page)
            assert mapping[0:4] == b"mine"
            assert mapping[page : page + 4] == b"file"
        assert os.pread(file.fileno(), 4, 0) == b"0123"


def test_inode_numbers_stay(top: Path) -> None:
    """A file keeps its inode number when it is changed, renamed and linked; hard links share one."""
    number = (top / "moved").stat().st_ino
    with (top / "moved").open("ab") as file:
        file.write(b"more")
    assert (top / "moved").stat().st_ino == number
    (top / "moved").rename(top / "many/moved")
    os.link(top / "many/moved", top / "third")
    assert {(top / name).stat().st_ino for name in ("many/moved", "twin", "third")} == {number}
    assert (top / "twin").read_bytes() == _CONTENT + b"more"
    (top / "many/moved").unlink()


def test_streams_are_stable_and_can_be_sought(top: Path) -> None:
    """A stream gives each name that stays once while others come and go, and goes on at a told position."""
    script = """\
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.readdir.argtypes = libc.telldir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
libc.telldir.restype = ctypes.c_long
stream = libc.opendir(os.fsencode(sys.argv[1]))
def read():
    entry = libc.readdir(stream)
    return ctypes.string_at(entry + 19) if entry else None
first = [read() for _ in range(100)]
place = libc.telldir(stream)
rest = list(iter(read, None))
for name in first[2:12]:
    os.unlink(os.path.join(os.fsencode(sys.argv[1]), name))
for index in range(50):
    open(f"{sys.argv[1]}/fresh{index}", "w").close()
libc.seekdir(stream, place)
again = [name for name in iter(read, None) if not name.startswith(b"fresh")]
assert again == rest, (len(again), len(rest))
names = first + rest
assert len(names) == len(set(names)) == 502, len(names)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, top / "many"], capture_output=True, timeout=STEP_SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()


def test_reserving_depends_on_the_transport(bench: Workbench, top: Path) -> None:
    """Devfuse carries fallocate, pyfuse3 refuses it as not supported; ranges are collapsed by neither."""
    with (top / "reserved").open("r+b", 0) as file:
        if bench.server.transport == "devfuse":
            fallocate(file.fileno(), FALLOC_FL_KEEP_SIZE, 0, 100_000)
            fallocate(file.fileno(), 0, 0, 20_000)
            assert os.fstat(file.fileno()).st_size == 20_000
        else:
            with pytest.raises(OSError, match="fallocate") as failure:
                fallocate(file.fileno(), 0, 0, 20_000)
            assert failure.value.errno == errno.EOPNOTSUPP
        with pytest.raises(OSError, match="fallocate") as failure:
            fallocate(file.fileno(), FALLOC_FL_COLLAPSE_RANGE, 0, 4096)
        assert failure.value.errno == errno.EOPNOTSUPP
        os.posix_fallocate(file.fileno(), 0, 30_000)  # the C library helps itself where it must
        assert os.fstat(file.fileno()).st_size == 30_000


def test_holes_are_told_by_one_transport(bench: Workbench, top: Path) -> None:
    """Devfuse tells where holes are; over pyfuse3 a file counts as data to its end, which is allowed."""
    with (top / "sparse").open("w+b", 0) as file:
        file.truncate(1 << 20)
        os.pwrite(file.fileno(), b"x" * 4096, 1 << 19)
        found = os.lseek(file.fileno(), 0, os.SEEK_DATA)
    assert found == (1 << 19 if bench.server.transport == "devfuse" else 0)


def test_access_lists_depend_on_the_transport(bench: Workbench, top: Path) -> None:
    """A POSIX access control list is kept where the kernel checks access by it, and refused elsewhere."""
    path, value = top / "set", pack_access_list(access_list(6, 4, 0, (Tag.USER, 1000, 7, 7)))
    if bench.server.transport == "devfuse":
        os.setxattr(path, ACCESS_LIST, value)
        assert os.getxattr(path, ACCESS_LIST) == value
        assert stat.S_IMODE(path.stat().st_mode) == 0o670
        return
    with pytest.raises(OSError, match="not supported"):
        os.setxattr(path, ACCESS_LIST, value)
    with pytest.raises(OSError, match="not supported"):
        os.getxattr(path, ACCESS_LIST)


def test_files_without_a_name_depend_on_the_transport(bench: Workbench, top: Path) -> None:
    """Devfuse carries O_TMPFILE, pyfuse3 refuses it as not supported, upon which programs make a name."""
    if bench.server.transport == "devfuse":
        os.close(os.open(top, os.O_TMPFILE | os.O_RDWR))
    else:
        with pytest.raises(OSError, match="not supported"):
            os.open(top, os.O_TMPFILE | os.O_RDWR)


def test_locks_of_open_files_exclude_each_other(top: Path) -> None:
    """Locks that belong to an open file, not to a process, hold between two of them."""
    with (top / "locked").open("r+b") as one, (top / "locked").open("r+b") as two:
        fcntl.flock(one, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(two, fcntl.LOCK_SH | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError) as failure:
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert failure.value.errno == errno.EAGAIN


def test_loops_and_too_many_files_are_told(top: Path) -> None:
    """A circle of symlinks gives ELOOP, and a process with too many files EMFILE, as everywhere."""
    (top / "round").symlink_to("about")
    (top / "about").symlink_to("round")
    with pytest.raises(OSError, match="about") as failure:
        (top / "about").read_bytes()
    assert failure.value.errno == errno.ELOOP
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
        with pytest.raises(OSError, match="read") as failure:
            opened.extend(os.open(top / "read", os.O_RDONLY) for _ in range(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in opened:
            os.close(descriptor)
    assert failure.value.errno == errno.EMFILE


def test_what_is_too_large_is_refused(top: Path) -> None:
    """Targets of 4,096 bytes, attributes of more than 64 KiB, and files beyond the limit get their errno."""
    with pytest.raises(OSError, match="too long"):
        os.symlink("x" * 4096, top / "long")
    with pytest.raises(OSError, match="Argument list too long"):
        os.setxattr(top / "read", "user.large", bytes(65_537))
    with (top / "largest").open("w+b", 0) as file:
        file.truncate(VIEW_FILE_BYTES_MAX)
        assert os.fstat(file.fileno()).st_size == VIEW_FILE_BYTES_MAX
        with pytest.raises(OSError, match="File too large"):
            os.pwrite(file.fileno(), b"x", VIEW_FILE_BYTES_MAX)
        with pytest.raises(OSError, match="File too large"):
            file.truncate(VIEW_FILE_BYTES_MAX + 1)
    (top / "largest").unlink()
