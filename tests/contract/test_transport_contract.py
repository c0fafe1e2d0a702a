"""What programs may expect of a mount, whichever transport serves it: the same tests over both.

One server per transport serves all of them; each test works in a copy of the sample of its own. When
the last one is done the mount goes, and then the log must lead to the view and the lower must be
what it was.
"""

import contextlib
import errno
import fcntl
import functools
import itertools
import mmap
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from catfs.linux import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2
from tests.support.mounted import Mounted
from tests.support.walk import walk

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(100)]

_COPIES = 48
_BIG = bytes(range(256)) * 1200
_MANY = 400
_NOBODY = 65534


@dataclass(frozen=True)
class Place:
    """A copy of the sample.

    Args:
        view: Where programs see it.
        lower: Where it really is.
        server: Serves it.
    """

    view: Path
    lower: Path
    server: Mounted


def _fill(lower: Path) -> None:
    sample = lower / "sample"
    (sample / "inner/deep").mkdir(parents=True)
    (sample / "small").write_bytes(b"lower content\n")
    (sample / "big").write_bytes(_BIG)
    (sample / "inner/file").write_bytes(b"inside")
    (sample / "inner/deep/file").write_bytes(b"deep inside")
    (sample / "script").write_text("#!/bin/sh\necho ran $1\n")
    (sample / "script").chmod(0o755)
    (sample / "link").symlink_to("small")
    (sample / "twin").hardlink_to(sample / "small")
    (sample / "private").mkdir(0o700)
    os.utime(sample / "big", ns=(1_000_000_001, 1_500_000_000_123_456_789))
    for index in range(_COPIES):
        shutil.copytree(sample, lower / f"{index:02}", symlinks=True)
        (lower / f"{index:02}/twin").unlink()
        (lower / f"{index:02}/twin").hardlink_to(lower / f"{index:02}/small")
    (lower / "many").mkdir()
    for index in range(_MANY):
        (lower / f"many/{index:04}").write_bytes(b"%d" % index)


@pytest.fixture(scope="module", params=["pyfuse3", "devfuse"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """Serve a lower full of samples; in the end the log leads to the view, and nothing was written below."""
    mounted = Mounted(request.param, tmp_path_factory.mktemp(request.param))
    mounted.lower.chmod(0o755)
    _fill(mounted.lower)
    before = walk(mounted.lower)
    with mounted:
        yield mounted
        assert mounted.finish() == {"log_leads_to_view": True}
    assert walk(mounted.lower) == before
    assert mounted.errors == ""


_counters: dict[int, Iterator[int]] = {}


@pytest.fixture
def place(server: Mounted) -> Place:
    """Give a copy of the sample that no other test has."""
    index = next(_counters.setdefault(id(server), itertools.count()))
    assert index < _COPIES, "raise _COPIES"
    name = f"{index:02}"
    return Place(server.mount / name, server.lower / name, server)


def _as_nobody(place: Place, action: Callable[[], object]) -> int:
    """Run something in a child without privileges and give its errno, 0 for success.

    It works in the copy itself, because the folders above it are closed to others.
    """
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            os.chdir(place.view)
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
            action()
            status = 0
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _overwrite(path: Path) -> None:
    with path.open("r+b", 0) as file:
        file.write(b"x")


def test_shows_the_lower_as_it_is(place: Place) -> None:
    """Names, kinds, modes, sizes, times, link counts, contents and targets are those of the lower."""
    assert sorted(os.listdir(place.view)) == sorted(os.listdir(place.lower))
    for name in os.listdir(place.lower):
        seen, real = os.lstat(place.view / name), os.lstat(place.lower / name)
        for field in ("st_mode", "st_size", "st_nlink", "st_uid", "st_gid", "st_mtime_ns", "st_ino"):
            assert getattr(seen, field) == getattr(real, field), (name, field)
    assert (place.view / "big").read_bytes() == _BIG
    assert os.readlink(place.view / "link") == "small"
    assert (place.view / "inner/deep/file").read_bytes() == b"deep inside"


def test_new_files_hold_what_was_written(place: Place) -> None:
    """A new file has the content written to it, its size, and the mode less the umask."""
    path = place.view / "new"
    path.write_bytes(_BIG)
    assert path.read_bytes() == _BIG
    assert path.stat().st_size == len(_BIG)
    assert path.stat().st_blocks * 512 >= len(_BIG)
    assert not (place.lower / "new").exists()


def test_exclusive_creation_fails_on_a_taken_name(place: Place) -> None:
    """O_EXCL refuses a name that exists, in the lower or in the view."""
    (place.view / "new").touch()
    for name in ("small", "new"):
        with pytest.raises(FileExistsError, match=name):
            (place.view / name).open("x")


def test_a_missing_name_appears_when_it_is_made(place: Place) -> None:
    """The kernel's memory that a name is missing ends when the name is made or renamed to."""
    for name in ("made", "moved"):
        with pytest.raises(FileNotFoundError, match=name):
            (place.view / name).stat()
    (place.view / "made").touch()
    (place.view / "small").rename(place.view / "moved")
    assert (place.view / "made").exists()
    assert (place.view / "moved").read_bytes() == b"lower content\n"


def test_opening_with_truncation_empties_a_file(place: Place) -> None:
    """O_TRUNC empties lower files and new ones, also when they are empty, and stays in the view."""
    for name in ("small", "big", "new"):
        path = place.view / name
        for content in (b"first", b"", b"second"):
            path.write_bytes(content)
            assert path.stat().st_size == len(content)
            assert path.read_bytes() == content
    assert (place.lower / "big").read_bytes() == _BIG


def test_appending_goes_to_the_end(place: Place) -> None:
    """Two descriptors with O_APPEND add to each other's bytes, on top of lower content."""
    with (place.view / "small").open("ab", 0) as one, (place.view / "small").open("ab", 0) as two:
        one.write(b"1")
        two.write(b"2")
        one.write(b"3")
    assert (place.view / "small").read_bytes() == b"lower content\n123"


def test_a_change_in_the_middle_keeps_the_rest(place: Place) -> None:
    """A write into a lower file changes its range only."""
    with (place.view / "big").open("r+b", 0) as file:
        file.seek(100_001)
        file.write(b"changed")
    assert (place.view / "big").read_bytes() == _BIG[:100_001] + b"changed" + _BIG[100_008:]


def test_truncation_cuts_and_extends(place: Place) -> None:
    """A file that was cut and extended reads as zeros where it was cut."""
    os.truncate(place.view / "big", 1000)
    os.truncate(place.view / "big", 3000)
    assert (place.view / "big").read_bytes() == _BIG[:1000] + bytes(2000)


def test_an_unlinked_file_lives_as_long_as_it_is_open(place: Place) -> None:
    """A file without a name is still read and written through its descriptor."""
    with (place.view / "big").open("r+b", 0) as file:
        (place.view / "big").unlink()
        assert not (place.view / "big").exists()
        file.write(b"on")
        file.seek(0)
        assert file.read(4) == b"on" + _BIG[2:4]
        assert os.fstat(file.fileno()).st_nlink == 0
        os.truncate(file.fileno(), 1)
        assert os.fstat(file.fileno()).st_size == 1


def test_renaming_replaces(place: Place) -> None:
    """A rename over a file replaces it; a rename of a lower directory keeps all below."""
    (place.view / "big").rename(place.view / "small")
    assert (place.view / "small").read_bytes() == _BIG
    (place.view / "inner").rename(place.view / "private/outer")
    assert (place.view / "private/outer/deep/file").read_bytes() == b"deep inside"
    with pytest.raises(FileNotFoundError, match="inner"):
        (place.view / "inner").stat()


def test_renaming_refuses_what_posix_refuses(place: Place) -> None:
    """A directory goes neither below itself nor over a full one, and a file not over a directory."""
    cases = [
        ("inner", "inner/deep/x", errno.EINVAL),
        ("private", "inner", errno.ENOTEMPTY),
        ("small", "inner", errno.EISDIR),
        ("inner", "small", errno.ENOTDIR),
    ]
    for old, new, expected in cases:
        with pytest.raises(OSError, match=old) as failure:
            (place.view / old).rename(place.view / new)
        assert failure.value.errno == expected, (old, new)


def test_renaming_with_flags(place: Place) -> None:
    """NOREPLACE refuses a taken name; EXCHANGE swaps a file and a directory."""
    folder = os.open(place.view, os.O_RDONLY)
    with pytest.raises(FileExistsError, match="small"):
        renameat2(folder, b"small", folder, b"big", RENAME_NOREPLACE)
    renameat2(folder, b"small", folder, b"fresh", RENAME_NOREPLACE)
    renameat2(folder, b"fresh", folder, b"inner", RENAME_EXCHANGE)
    os.close(folder)
    assert (place.view / "inner").read_bytes() == b"lower content\n"
    assert (place.view / "fresh/deep/file").read_bytes() == b"deep inside"


def test_a_rename_may_leave_a_whiteout(place: Place) -> None:
    """With WHITEOUT the old name is a character device of number 0, which a plain removal takes away."""
    folder = os.open(place.view, os.O_RDONLY)
    renameat2(folder, b"small", folder, b"big", RENAME_WHITEOUT)
    with pytest.raises(FileExistsError, match="inner"):
        renameat2(folder, b"big", folder, b"inner", RENAME_WHITEOUT | RENAME_NOREPLACE)
    os.close(folder)
    left = (place.view / "small").lstat()
    assert (stat.S_ISCHR(left.st_mode), left.st_rdev) == (True, 0)
    assert (place.view / "big").read_bytes() == b"lower content\n"
    (place.view / "small").unlink()
    assert "small" not in os.listdir(place.view)


def test_hard_links_are_one_file(place: Place) -> None:
    """Names of one file share content and count each other, in the lower and in the view."""
    os.link(place.view / "small", place.view / "inner/third")
    (place.view / "twin").write_bytes(b"shared")
    assert (place.view / "inner/third").read_bytes() == b"shared"
    assert (place.view / "small").stat().st_nlink == 3
    (place.view / "small").unlink()
    assert (place.view / "twin").stat().st_nlink == 2


def test_symlinks_hold_any_target(place: Place) -> None:
    """A symlink gives back its target, with as many bytes as its size says."""
    target = b"/nowhere/\xff\n" + b"x" * 3000
    os.symlink(target, os.fsencode(place.view / "long"))
    assert os.readlink(os.fsencode(place.view / "long")) == target
    assert (place.view / "long").lstat().st_size == len(target)


def test_directories_are_made_and_removed(place: Place) -> None:
    """Only an empty directory goes, and link counts follow."""
    links = place.view.stat().st_nlink
    (place.view / "new/sub").mkdir(parents=True)
    assert place.view.stat().st_nlink == links + 1
    with pytest.raises(OSError, match="not empty"):
        (place.view / "new").rmdir()
    (place.view / "new/sub").rmdir()
    (place.view / "new").rmdir()
    assert place.view.stat().st_nlink == links


def test_a_directory_is_listed_whole_while_it_is_emptied(place: Place) -> None:
    """Removing what a listing gives, as it comes, leaves nothing behind and skips nothing."""
    shutil.copytree(place.server.mount / "many", place.view / "copy")
    seen = []
    with os.scandir(place.view / "copy") as entries:
        for entry in entries:
            seen.append(entry.name)
            os.unlink(entry.path)
    assert sorted(seen) == [f"{index:04}" for index in range(_MANY)]
    (place.view / "copy").rmdir()


def test_a_listing_follows_changes(place: Place) -> None:
    """A new listing has new names and lacks removed ones, however often it was read before."""
    for _ in range(3):
        assert "small" in os.listdir(place.view)
    (place.view / "small").unlink()
    (place.view / "fresh").touch()
    names = os.listdir(place.view)
    assert "small" not in names
    assert "fresh" in names


def test_a_removed_directory_reads_empty(place: Place) -> None:
    """A directory that is gone but open has no entries and takes no new names."""
    (place.view / "gone").mkdir()
    folder = os.open(place.view / "gone", os.O_RDONLY)
    (place.view / "gone").rmdir()
    assert os.listdir(folder) == []
    with pytest.raises(FileNotFoundError, match="x"):
        os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
    os.close(folder)


def test_attributes_are_kept(place: Place) -> None:
    """Mode, owner and times are what was set, to the nanosecond and before 1970."""
    path = place.view / "small"
    path.chmod(0o4751)
    os.chown(path, 12, 34)
    os.utime(path, ns=(-1_500_000_000, 2_123_456_789))
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12, 34, 0o751)
    assert (found.st_atime_ns, found.st_mtime_ns) == (-1_500_000_000, 2_123_456_789)
    assert found.st_ctime_ns > 10**18


def test_permissions_are_enforced(place: Place) -> None:
    """Somebody without privileges is refused what the mode does not allow."""
    (place.view / "private/secret").write_bytes(b"x")
    assert _as_nobody(place, Path("small").read_bytes) == 0
    assert _as_nobody(place, Path("private/secret").read_bytes) == errno.EACCES
    assert _as_nobody(place, Path("mine").touch) == errno.EACCES
    (place.view / "small").chmod(0o600)
    assert _as_nobody(place, Path("small").read_bytes) == errno.EACCES


def test_set_id_bits_go_when_somebody_else_writes(place: Place) -> None:
    """A write or truncation without privileges takes the set-id bits; one by root keeps them."""

    def mode(name: str) -> int:
        """Ask for the mode alone, as stat(1) does: the kernel answers that from what it has cached."""
        shown = subprocess.run(["stat", "-c", "%a", place.view / name], capture_output=True, check=True)
        return int(shown.stdout, 8)

    for name in ("written", "cut", "kept"):
        (place.view / name).write_bytes(b"12345")
        (place.view / name).chmod(0o6777)
    assert _as_nobody(place, lambda: _overwrite(Path("written"))) == 0
    assert _as_nobody(place, lambda: os.truncate("cut", 1)) == 0
    _overwrite(place.view / "kept")
    assert (mode("written"), mode("cut"), mode("kept")) == (0o777, 0o777, 0o6777)
    for name, group in (("stranger", 0), ("member", _NOBODY)):
        (place.view / name).write_bytes(b"12345")
        os.chown(place.view / name, 0, group)
        (place.view / name).chmod(0o6666)
        assert _as_nobody(place, functools.partial(_overwrite, Path(name))) == 0
    assert (mode("stranger"), mode("member")) == (0o666, 0o2666)


def test_extended_attributes_are_kept(place: Place) -> None:
    """Attributes are set, replaced, listed and removed, under the flags of setxattr."""
    path = place.view / "small"
    os.setxattr(path, "user.one", b"1", os.XATTR_CREATE)
    os.setxattr(path, "user.two", b"", 0)
    with pytest.raises(FileExistsError, match="exists"):
        os.setxattr(path, "user.one", b"2", os.XATTR_CREATE)
    with pytest.raises(OSError, match="No data"):
        os.setxattr(path, "user.none", b"2", os.XATTR_REPLACE)
    assert os.listxattr(path) == ["user.one", "user.two"]
    assert os.getxattr(path, "user.one") == b"1"
    os.removexattr(path, "user.one")
    assert os.listxattr(path) == ["user.two"]
    os.setxattr(path, "user.long", bytes(60_000))
    assert os.getxattr(path, "user.long") == bytes(60_000)


def test_mapped_memory_and_descriptors_agree(place: Place) -> None:
    """What is stored through a mapping is read through a descriptor, and the other way round."""
    with (place.view / "big").open("r+b", 0) as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[5000:5003] = b"map"
        assert os.pread(file.fileno(), 3, 5000) == b"map"
        os.pwrite(file.fileno(), b"file", 9000)
        assert mapping[9000:9004] == b"file"
        mapping.flush()
    assert (place.view / "big").read_bytes()[4999:5004] == _BIG[4999:5000] + b"map" + _BIG[5003:5004]


def test_direct_access_bypasses_no_change(place: Place) -> None:
    """Reads and writes with O_DIRECT see, and are seen by, all others."""
    path = place.view / "big"
    buffer = mmap.mmap(-1, 8192)
    buffer[:] = b"d" * 8192
    descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
    try:
        assert os.pwrite(descriptor, buffer, 4096) == 8192
        assert path.read_bytes()[4095:12289] == _BIG[4095:4096] + b"d" * 8192 + _BIG[12288:12289]
        assert os.preadv(descriptor, [buffer], 0) == 8192
        assert buffer[:4096] == _BIG[:4096]
    finally:
        os.close(descriptor)


def test_any_name_is_taken(place: Place) -> None:
    """Names are bytes: not UTF-8, with a newline, 255 long; 256 are too many."""
    top = os.fsencode(place.view)
    for name in (b"\xff\xfe", b"new\nline", b" ", b"\\", b"x" * 255):
        with open(top + b"/" + name, "wb") as file:
            file.write(name)
        assert name in os.listdir(top)
        with open(top + b"/" + name, "rb") as file:
            assert file.read() == name
    with pytest.raises(OSError, match="File name too long"):
        os.mkdir(top + b"/" + b"x" * 256)


def test_a_path_may_be_longer_than_a_system_call_takes(place: Place) -> None:
    """Directories nest beyond 4,096 bytes, reached step by step."""
    folder = os.open(place.view, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=folder)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    descriptor = os.open("file", os.O_CREAT | os.O_RDWR, dir_fd=folder)
    assert os.write(descriptor, b"far down") == 8
    assert os.pread(descriptor, 100, 0) == b"far down"
    os.close(descriptor)
    os.close(folder)


def test_fifos_and_sockets_connect(place: Place) -> None:
    """A FIFO carries bytes and a socket is connected to, by their names in the view."""
    os.mkfifo(place.view / "fifo")
    reader = os.open(place.view / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(place.view / "fifo", os.O_WRONLY)
    os.write(writer, b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    os.close(writer)
    folder = os.open(place.view, os.O_RDONLY)
    address = f"/proc/self/fd/{folder}/socket"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(address)
        listener.listen()
        client.connect(address)
    os.close(folder)
    assert stat.S_ISSOCK((place.view / "socket").stat().st_mode)


def test_locks_exclude_each_other(place: Place) -> None:
    """Locks of both kinds hold between processes."""
    path = place.view / "small"
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX)
        for lock in (fcntl.flock, fcntl.lockf):
            command = "import fcntl,sys; fcntl.%s(open(sys.argv[1],'r+b'), fcntl.LOCK_EX|fcntl.LOCK_NB)"
            ended = subprocess.run(
                ["python3", "-c", command % lock.__name__, path], capture_output=True, timeout=30, check=False
            )
            assert b"BlockingIOError" in ended.stderr


def test_programs_are_executed(place: Place) -> None:
    """A script of the lower and a copied program run from the view."""
    ran = subprocess.run([place.view / "script", "it"], capture_output=True, timeout=30, check=True)
    assert ran.stdout == b"ran it\n"
    shutil.copy("/bin/true", place.view / "true")
    subprocess.run([place.view / "true"], timeout=30, check=True)


def test_space_is_reported(place: Place) -> None:
    """The file system says how much room there is and how long names may be."""
    found = os.statvfs(place.view)
    assert found.f_namemax == 255
    assert found.f_bsize > 0
    assert found.f_frsize > 0


def test_syncing_succeeds(place: Place) -> None:
    """Files and directories can be synced, again and again."""
    with (place.view / "small").open("ab") as file:
        for _ in range(3):
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
            os.fdatasync(file.fileno())
    folder = os.open(place.view, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def test_many_threads_lose_nothing(place: Place) -> None:
    """Names and bytes that several threads make at once are all there."""

    def work(number: int) -> None:
        for index in range(40):
            path = place.view / f"t{number}-{index}"
            path.write_bytes(b"%d/%d" % (number, index))
            path.rename(path.with_suffix(".done"))
            with (place.view / "common").open("ab", 0) as file:
                file.write(b"%03d%03d\n" % (number, index))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(place.view.glob("*.done"))) == 240
    assert (place.view / "t5-39.done").read_bytes() == b"5/39"
    assert len(set((place.view / "common").read_bytes().split(b"\n"))) == 241


def test_unanswered_controls_are_refused(place: Place) -> None:
    """A control that means nothing here is refused as such, not with an error of the file system."""
    with (place.view / "small").open("rb") as file, pytest.raises(OSError) as failure:  # noqa: PT011
        fcntl.ioctl(file, 0x5401, bytes(64))
    assert failure.value.errno in {errno.ENOTTY, errno.ENOSYS}


def test_the_log_names_who_made_a_file(place: Place) -> None:
    """The record of a creation has the process that made the file, and its program."""
    made = subprocess.Popen(["/bin/mkdir", place.view / "by-child"])
    assert made.wait(30) == 0
    records = place.server.records()
    path = f"{place.view.name}/by-child"
    assert [r["pid"] for r in records if r.get("path") == path and r["op"] == "mkdir"] == [made.pid]
    programs = [r["exe"] for r in records if r["op"] == "process" and r["pid"] == made.pid]
    assert programs == [os.path.realpath("/bin/mkdir")]


def test_new_names_take_the_group_of_a_set_gid_directory(place: Place) -> None:
    """Files and directories made in a set-gid directory have its group; directories have the bit too."""
    (place.view / "shared").mkdir()
    os.chown(place.view / "shared", 0, 4321)
    (place.view / "shared").chmod(0o2775)
    (place.view / "shared/file").touch()
    (place.view / "shared/sub").mkdir()
    assert (place.view / "shared/file").stat().st_gid == 4321
    assert (place.view / "shared/sub").stat().st_gid == 4321
    assert (place.view / "shared/sub").stat().st_mode & stat.S_ISGID


def test_times_move_with_changes(place: Place) -> None:
    """Writing moves the times of a file, making and removing names those of its directory."""
    path, folder = place.view / "small", place.view
    before = path.stat().st_mtime_ns
    with path.open("ab", 0) as file:
        file.write(b"x")
    assert path.stat().st_mtime_ns > before
    before = folder.stat().st_mtime_ns
    (folder / "one").touch()
    made = folder.stat().st_mtime_ns
    (folder / "one").unlink()
    assert before < made < folder.stat().st_mtime_ns


@pytest.mark.parametrize("transport", ["pyfuse3", "devfuse"])
def test_a_dead_server_leaves_an_error_and_no_hang(transport: str, tmp_path: Path) -> None:
    """When the server is killed, what programs ask for fails at once, and the mount can be taken away."""
    mounted = Mounted(transport, tmp_path)
    (mounted.lower / "file").write_bytes(b"x")
    with mounted:
        descriptor = os.open(mounted.mount / "file", os.O_RDWR)
        mounted.kill()
        with pytest.raises(OSError, match="not connected"):
            (mounted.mount / "other").stat()
        with contextlib.suppress(OSError):  # closing may report that nobody is there to hear of it
            os.close(descriptor)
        with pytest.raises(OSError, match="connect") as failure:
            os.listdir(mounted.mount)
        assert failure.value.errno in {errno.ENOTCONN, errno.ECONNABORTED}
    assert (mounted.lower / "file").read_bytes() == b"x"
