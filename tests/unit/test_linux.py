"""The system call wrappers do what the calls do, and failures carry errno, call and path."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs import linux


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Iterator[int]:
    """Give a descriptor of an empty folder."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_openat2_opens_a_file_beneath_the_directory(tmp_path: Path, folder: int) -> None:
    """A plain path is opened, and the descriptor is closed on exec."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"content")
    descriptor = linux.openat2(folder, b"a/b", os.O_RDONLY, 0, linux.RESOLVE_BENEATH)
    assert os.read(descriptor, 100) == b"content"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_openat2_creates_with_the_given_mode(tmp_path: Path, folder: int) -> None:
    """The mode is passed on to O_CREAT."""
    os.close(linux.openat2(folder, b"new", os.O_WRONLY | os.O_CREAT, 0o600))
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("path", [b"..", b"a/../..", b"/etc"])
def test_openat2_beneath_refuses_paths_that_leave(tmp_path: Path, folder: int, path: bytes) -> None:
    """RESOLVE_BENEATH turns every way out into EXDEV, named in the error."""
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="openat2: ") as caught:
        linux.openat2(folder, path, os.O_RDONLY, 0, linux.RESOLVE_BENEATH)
    assert caught.value.errno == errno.EXDEV
    assert caught.value.filename == path


def test_openat2_refuses_symlinks_on_request(tmp_path: Path, folder: int) -> None:
    """RESOLVE_NO_SYMLINKS also refuses a symlink in the middle of a path."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="openat2: ") as caught:
        linux.openat2(folder, b"link/x", os.O_RDONLY, 0, linux.RESOLVE_NO_SYMLINKS)
    assert caught.value.errno == errno.ELOOP


def test_a_nul_byte_never_shortens_a_path(tmp_path: Path, folder: int) -> None:
    """A path with a NUL byte is refused instead of acting on what stands before the NUL."""
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="openat2: expected a text without NUL") as caught:
        linux.openat2(folder, b"a\0b", os.O_RDONLY)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="renameat2: expected a text without NUL"):
        linux.renameat2(folder, b"a", folder, b"c\0d")
    assert (tmp_path / "a").exists()


def test_renameat2_replaces_like_rename(tmp_path: Path, folder: int) -> None:
    """Without flags the new name is replaced."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    linux.renameat2(folder, b"a", folder, b"b")
    assert (tmp_path / "b").read_bytes() == b"a"
    assert not (tmp_path / "a").exists()


def test_renameat2_noreplace_refuses_a_taken_name(tmp_path: Path, folder: int) -> None:
    """RENAME_NOREPLACE fails with both names in the error, and nothing moves."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError, match="renameat2: ") as caught:
        linux.renameat2(folder, b"a", folder, b"b", linux.RENAME_NOREPLACE)
    assert (caught.value.filename, caught.value.filename2) == (b"a", b"b")
    assert (tmp_path / "a").read_bytes() == b"a"


def test_renameat2_exchange_swaps_different_kinds(tmp_path: Path, folder: int) -> None:
    """RENAME_EXCHANGE swaps a file and a directory."""
    (tmp_path / "file").write_bytes(b"a")
    (tmp_path / "folder").mkdir()
    linux.renameat2(folder, b"file", folder, b"folder", linux.RENAME_EXCHANGE)
    assert (tmp_path / "file").is_dir()
    assert (tmp_path / "folder").read_bytes() == b"a"


def test_renameat2_reports_a_machine_without_a_number(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown architecture gets ENOSYS with its name, not a random system call."""
    monkeypatch.setattr("platform.machine", lambda: "m68k")
    with pytest.raises(OSError, match="renameat2: no call number known for m68k") as caught:
        linux.renameat2(folder, b"a", folder, b"b")
    assert caught.value.errno == errno.ENOSYS


def test_fallocate_punches_a_hole_and_keeps_the_size(tmp_path: Path) -> None:
    """The punched range reads as zeros, the rest stays."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * 12288)
    descriptor = os.open(file, os.O_RDWR)
    linux.fallocate(descriptor, linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_KEEP_SIZE, 4096, 4096)
    os.close(descriptor)
    assert file.read_bytes() == b"x" * 4096 + bytes(4096) + b"x" * 4096


def test_fallocate_takes_offsets_beyond_32_bits(tmp_path: Path) -> None:
    """Offset and length are 64 bits wide."""
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    linux.fallocate(descriptor, 0, (1 << 33) + 5, 1)
    assert os.fstat(descriptor).st_size == (1 << 33) + 6
    os.close(descriptor)


def test_fallocate_reports_a_bad_range(tmp_path: Path) -> None:
    """A length of 0 is refused by the kernel and says which call it was."""
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match="fallocate: ") as caught:
        linux.fallocate(descriptor, 0, 0, 0)
    os.close(descriptor)
    assert caught.value.errno == errno.EINVAL


def test_syncfs_accepts_a_folder_and_refuses_a_closed_descriptor(folder: int) -> None:
    """Any descriptor of the file system will do; a bad one is EBADF."""
    linux.syncfs(folder)
    with pytest.raises(OSError, match="syncfs: ") as caught:
        linux.syncfs(-1)
    assert caught.value.errno == errno.EBADF


def test_unshare_refuses_unknown_flags() -> None:
    """The kernel's EINVAL arrives with the name of the call."""
    with pytest.raises(OSError, match="unshare: ") as caught:
        linux.unshare(0x1)
    assert caught.value.errno == errno.EINVAL


def test_setns_refuses_what_is_no_namespace(folder: int) -> None:
    """A folder is no namespace."""
    with pytest.raises(OSError, match="setns: ") as caught:
        linux.setns(folder, linux.CLONE_NEWNS)
    assert caught.value.errno == errno.EINVAL


def test_umount2_refuses_what_is_no_mount(tmp_path: Path) -> None:
    """Nothing is mounted there: an error that names the path."""
    with pytest.raises(OSError, match="umount2: ") as caught:
        linux.umount2(os.fsencode(tmp_path), linux.UMOUNT_NOFOLLOW)
    assert caught.value.filename == os.fsencode(tmp_path)


def test_mount_refuses_an_unknown_file_system(tmp_path: Path) -> None:
    """The error carries source and target."""
    with pytest.raises(OSError, match="mount: ") as caught:
        linux.mount(b"none", os.fsencode(tmp_path), b"no-such-file-system", 0)
    assert caught.value.filename2 == os.fsencode(tmp_path)


def test_threads_share_memory_and_processes_do_not() -> None:
    """A thread runs in the memory of its process; a child has its own."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    try:
        assert thread.native_id is not None
        assert linux.share_memory(os.getpid(), thread.native_id)
        assert not linux.share_memory(os.getpid(), child.pid)
    finally:
        done.set()
        thread.join()
        child.communicate()
    with pytest.raises(ProcessLookupError, match="kcmp: "):
        linux.share_memory(os.getpid(), child.pid)


def test_an_interrupted_call_is_repeated(tmp_path: Path) -> None:
    """A signal that arrives while openat2 waits for the writer of a fifo does not make it fail."""
    os.mkfifo(tmp_path / "fifo")
    seen: list[int] = []

    def open_other_end(number: int, _frame: object) -> None:
        """Let the waiting openat2 go on once the signal has been handled."""
        seen.append(number)
        seen.append(os.open(tmp_path / "fifo", os.O_RDWR))

    previous = signal.signal(signal.SIGALRM, open_other_end)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        descriptor = linux.openat2(linux.AT_FDCWD, os.fsencode(tmp_path / "fifo"), os.O_RDONLY)
    finally:
        signal.signal(signal.SIGALRM, previous)
    os.close(descriptor)
    os.close(seen[1])
    assert seen[0] == signal.SIGALRM
