"""Capture: a domain is read whole, or it is an error that names the path."""

import ctypes
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catfs.beneath import open_beneath, open_directory_beneath
from catfs.digest import Digest
from catfs.errors import printable
from catfs.merkle import MemoryNodes, Tree
from catfs.proof.capture import Capture, CaptureError, capture
from catfs.records.entry import Entry, Kind, device_digest
from tests.support.trees import SAMPLE_HARD_LINKS, RealTree, build_sample, walk_real
from tests.support.views import tree_of


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """Give a descriptor of an empty directory with the mode 0755."""
    tmp_path.chmod(0o755)
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    yield descriptor
    os.close(descriptor)


def _tree(root: int) -> tuple[Tree, Capture]:
    nodes = MemoryNodes()
    captured = capture(root, nodes)
    return Tree(nodes, captured.root_entry), captured


def test_capture_gives_the_tree_of_what_is_there(root: int, tmp_path: Path) -> None:
    """Every name of the sample, of every kind, has the entry that a plain walk finds."""
    build_sample(RealTree(tmp_path))
    tree, captured = _tree(root)
    seen = walk_real(os.fsencode(tmp_path))
    assert tree == tree_of(MemoryNodes(), seen)
    # A file with several names is read once.
    contents = [item for item in seen.values() if stat.S_ISREG(item.mode)]
    spare = sum(len(paths) - 1 for paths in SAMPLE_HARD_LINKS)
    assert captured.files == len(contents) - spare


def test_an_empty_domain_has_a_tree(root: int) -> None:
    """Nothing but the directory itself is a tree with one entry."""
    tree, captured = _tree(root)
    assert [path for path, _ in tree.items()] == [b""]
    assert (captured.files, captured.size, captured.hard_links) == (0, 0, {})


def test_names_of_one_file_are_told(root: int, tmp_path: Path) -> None:
    """Each file with several names has all its paths, and a file with one name is not among them."""
    build_sample(RealTree(tmp_path))
    _, captured = _tree(root)
    found = sorted(sorted(paths) for paths in captured.hard_links.values())
    assert found == sorted(sorted(paths) for paths in SAMPLE_HARD_LINKS)
    for (device, inode), paths in captured.hard_links.items():
        status = (tmp_path / os.fsdecode(paths[0])).stat()
        assert (status.st_dev, status.st_ino) == (device, inode)


def test_a_name_outside_the_domain_is_no_hard_link(tmp_path: Path) -> None:
    """A file with one name inside and one outside is a plain file of the tree."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_bytes(b"x")
    (tmp_path / "out").chmod(0o644)
    os.link(tmp_path / "out", tmp_path / "in" / "f")
    inner = os.open(tmp_path / "in", os.O_RDONLY | os.O_DIRECTORY)
    tree, captured = _tree(inner)
    os.close(inner)
    assert captured.hard_links == {}
    assert tree.entry(b"f") == Entry(Kind.FILE, 0o644, 1, Digest.of(b"x"))


def test_a_hidden_folder_is_not_part_of_the_domain(root: int, tmp_path: Path) -> None:
    """What is hidden leaves no trace in the tree, at any depth, and nothing else of that name goes."""
    tree, _ = _tree(root)
    for path in ("a/.catfs", "b/.catfs"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "f").write_bytes(b"x")
    status = (tmp_path / "a/.catfs").stat()
    nodes = MemoryNodes()
    captured = capture(root, nodes, {(status.st_dev, status.st_ino)})
    paths = [path for path, _ in Tree(nodes, captured.root_entry).items()]
    assert paths == [b"", b"a", b"b", b"b/.catfs", b"b/.catfs/f"]
    assert captured.files == 1
    assert [path for path, _ in tree.items()] == [b""]


def test_special_files_are_told_by_kind_and_device(root: int, tmp_path: Path) -> None:
    """FIFOs and sockets have no content and are not opened; a device has the digest of its number."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(tmp_path, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
    (tmp_path / "socket").chmod(0o640)
    tree, _ = _tree(root)
    assert tree.entry(b"pipe") == Entry(Kind.FIFO, 0o600)
    assert tree.entry(b"socket") == Entry(Kind.SOCKET, 0o640)
    assert device_digest(os.makedev(1, 3)) == Digest.of(b"1:3")


def test_awkward_names_are_read(root: int, tmp_path: Path) -> None:
    """Names of 255 bytes, with newlines and without any text are names like others."""
    top = os.fsencode(tmp_path)
    names = [b"l" * 255, b"n\nl", b"\xff\xfe", b"-", b" ", b"\\", b"'\""]
    for name in names:
        Path(os.fsdecode(os.path.join(top, name))).write_bytes(name)
    tree, _ = _tree(root)
    for name in names:
        entry = tree.entry(name)
        assert entry is not None
        assert entry.digest == Digest.of(name)


def test_paths_longer_than_a_system_call_takes_are_read(root: int, tmp_path: Path) -> None:
    """A file below 5,000 bytes of path is found, and so is its directory from the top."""
    names = [b"d%d" % number + b"x" * 200 for number in range(25)]
    here = os.dup(root)
    for name in names:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    leaf = os.open(b"leaf", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
    os.write(leaf, b"deep")
    os.close(leaf)
    os.close(here)
    path = b"/".join([*names, b"leaf"])
    assert len(path) > 5000
    tree, _ = _tree(root)
    assert tree.entry(path) == Entry(Kind.FILE, 0o644, 4, Digest.of(b"deep"))
    descriptor = open_beneath(root, [*names, b"leaf"], os.O_RDONLY)
    assert os.read(descriptor, 10) == b"deep"
    os.close(descriptor)
    directory = open_directory_beneath(root, names)
    assert os.listdir(directory) == ["leaf"]
    os.close(directory)
    assert tmp_path.exists()


def _before_opening(monkeypatch: pytest.MonkeyPatch, name: bytes, action: Callable[[], None]) -> None:
    """Let something happen between the look at a file and its opening."""
    real_open = os.open

    def act_and_open(path: bytes | str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == name:
            action()
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", act_and_open)


def test_a_file_that_changes_while_it_is_read_is_an_error(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that were written between the first look and the last are noticed."""
    (tmp_path / "f").write_bytes(b"before")
    _before_opening(monkeypatch, b"f", lambda: os.truncate(tmp_path / "f", 3))
    with pytest.raises(CaptureError, match="f changed while it was read") as caught:
        _tree(root)
    assert caught.value.path == b"f"


def test_a_file_that_became_a_pipe_does_not_stop_the_reading(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO put in place of a file after the look at it is noticed and not waited for."""
    (tmp_path / "f").write_bytes(b"")

    def replace() -> None:
        (tmp_path / "f").unlink()
        os.mkfifo(tmp_path / "f")

    _before_opening(monkeypatch, b"f", replace)
    with pytest.raises(CaptureError, match=r"because (f|it) "):
        _tree(root)


def test_a_name_that_goes_while_it_is_read_is_an_error(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that was listed and is gone at the look at it makes no silent gap."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"")
    real_listdir = os.listdir

    def list_and_remove(descriptor: int) -> list[str]:
        names = real_listdir(descriptor)
        if names == ["f"]:
            (tmp_path / "d" / "f").unlink()
        return names

    monkeypatch.setattr(os, "listdir", list_and_remove)
    with pytest.raises(CaptureError, match="d cannot be read: No such file"):
        _tree(root)


def test_an_unreadable_file_or_folder_is_an_error(tmp_path: Path) -> None:
    """What may not be read is named, with the way to it, and not left out."""
    (tmp_path / "d\n").mkdir()
    (tmp_path / "d\n" / "secret").write_bytes(b"x")
    (tmp_path / "d\n" / "secret").chmod(0)
    error = _capture_without_privilege(tmp_path)
    assert error.path == b"d\n/secret"
    assert str(error).endswith(r"because d\n/secret cannot be opened: Permission denied")
    (tmp_path / "d\n").chmod(0)
    error = _capture_without_privilege(tmp_path)
    (tmp_path / "d\n").chmod(0o755)
    assert error.path == b"d\n"


def _capture_without_privilege(folder: Path) -> CaptureError:
    """Read a domain in a thread that may not read everything, also when the tests run as root."""
    caught: list[CaptureError] = []

    def read() -> None:
        if os.geteuid() == 0:
            _set_file_user(65534)
        try:
            capture(descriptor, MemoryNodes())
        except CaptureError as error:
            caught.append(error)

    folder.chmod(0o755)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    printable(b"\n")  # loads a codec, which that user may not be allowed to read
    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    os.close(descriptor)
    assert len(caught) == 1
    return caught[0]


def _set_file_user(uid: int) -> None:
    """Let the calling thread open files as another user (setfsuid(2) is per thread)."""
    ctypes.CDLL(None).setfsuid(uid)


def test_progress_is_told_now_and_then(root: int, tmp_path: Path) -> None:
    """The number of files and bytes so far is told, never less than before."""
    for number in range(130):
        (tmp_path / str(number)).write_bytes(b"12")
    told: list[tuple[int, int]] = []
    capture(root, MemoryNodes(), progress=lambda files, size: told.append((files, size)))
    assert told == sorted(told)
    assert (64, 128) <= told[-1] <= (130, 260)


def test_symlinks_on_the_way_are_not_followed(root: int, tmp_path: Path) -> None:
    """A path through a symlink, or one that leads upward, is refused."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_beneath(root, [b"link", b"f"], os.O_RDONLY)
    with pytest.raises(OSError, match=r"Too many levels of symbolic links|Not a directory"):
        open_directory_beneath(root, [b"link"])
    with pytest.raises(OSError, match="Invalid cross-device link"):
        open_beneath(root, [b"..", b"f"], os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No such file"):
        open_beneath(root, [b"real", b"x" * 255] * 30, os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_can_be_made_beneath(root: int, tmp_path: Path) -> None:
    """A new file gets its mode, and the descriptor is not inherited by children."""
    (tmp_path / "d").mkdir()
    descriptor = open_beneath(root, [b"d", b"new"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert stat.S_IMODE((tmp_path / "d" / "new").stat().st_mode) == 0o600
    top = open_directory_beneath(root, [])
    assert os.fstat(top).st_ino == os.fstat(root).st_ino
    os.close(top)
