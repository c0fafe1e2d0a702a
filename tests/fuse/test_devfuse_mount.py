"""What only the direct transport gives: no requests where none are needed, ranges, and who writes."""

import errno
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.linux import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, fallocate
from tests.support.mounted import Mounted

pytestmark = pytest.mark.fuse

_COPIES = 12
_FILES = 100
_CONTENT = bytes(range(1, 251)) * 400


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """Serve copies of a small lower; in the end the log leads to the view."""
    mounted = Mounted("devfuse", tmp_path_factory.mktemp("devfuse"))
    for copy in range(_COPIES):
        lower = mounted.lower / f"{copy:02}"
        (lower / "folder").mkdir(parents=True)
        (lower / "file").write_bytes(_CONTENT)
        (lower / "link").symlink_to("file")
        for index in range(_FILES):
            (lower / f"folder/{index:03}").write_bytes(b"%d" % index)
    with mounted:
        yield mounted
        assert mounted.finish() == {"log_leads_to_view": True}
    assert mounted.errors == ""


_counter = itertools.count()


@pytest.fixture
def top(server: Mounted) -> Path:
    """Give the place of a copy that no other test has."""
    index = next(_counter)
    assert index < _COPIES, "raise _COPIES"
    return server.mount / f"{index:02}"


def _requests(server: Mounted) -> int:
    answer = server.ask("requests")
    assert isinstance(answer, int)
    return answer


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)


def test_what_was_asked_once_is_not_asked_again(server: Mounted, top: Path) -> None:
    """Opening, reading, listing, looking up and following links cost no request the second time."""

    def work() -> None:
        for name in ("file", "link", "folder/007"):
            _read(top / name)
        os.readlink(top / "link")
        os.listdir(top / "folder")
        for index in range(_FILES):
            (top / f"folder/{index:03}").stat()
        assert not (top / "folder/missing").exists()

    work()
    os.listdir(top / "folder")
    before = _requests(server)
    work()
    assert _requests(server) == before


def test_writing_asks_nothing_in_between(server: Mounted, top: Path) -> None:
    """Writes to one file cost one request each: no question for attributes, no flush, no release."""
    with (top / "new").open("wb", 0) as file:
        file.write(b"x")
        before = _requests(server)
        for _ in range(50):
            file.write(b"y")
            os.fsync(file.fileno())
    assert _requests(server) - before <= 55


def test_each_write_is_put_down_to_its_process(server: Mounted, top: Path) -> None:
    """A process that writes through a descriptor it inherited is named, not who opened the file."""
    with (top / "shared").open("wb", 0) as file:
        file.write(b"parent")
        child = subprocess.Popen(["/bin/echo", "child"], stdout=file)
        assert child.wait(30) == 0
    writers = [r["pid"] for r in server.records() if r["op"] == "write" and r["path"] == f"{top.name}/shared"]
    assert writers == [os.getpid(), child.pid]


def test_ranges_are_punched_zeroed_and_reserved(top: Path) -> None:
    """FALLOCATE makes holes, zeros and room, as the flags say."""
    path = top / "file"
    with path.open("r+b", 0) as file:
        fallocate(file.fileno(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 5000)
        fallocate(file.fileno(), FALLOC_FL_ZERO_RANGE, 99_000, 3000)
        fallocate(file.fileno(), FALLOC_FL_KEEP_SIZE, 102_000, 5000)
        with pytest.raises(OSError, match="fallocate") as failure:
            fallocate(file.fileno(), 0x08, 0, 4096)
        assert failure.value.errno == errno.EOPNOTSUPP
    assert path.read_bytes() == _CONTENT[:1000] + bytes(5000) + _CONTENT[6000:99_000] + bytes(3000)


def test_holes_and_data_are_found(top: Path) -> None:
    """SEEK_DATA and SEEK_HOLE follow what was written, in whole blocks."""
    with (top / "sparse").open("w+b", 0) as file:
        os.pwrite(file.fileno(), b"x" * 10, 8192)
        os.truncate(file.fileno(), 100_000)
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 8192
        assert os.lseek(file.fileno(), 8192, os.SEEK_HOLE) == 12288
        with pytest.raises(OSError, match="No such device or address"):
            os.lseek(file.fileno(), 12288, os.SEEK_DATA)
    assert (top / "sparse").stat().st_blocks == 1


def test_copied_ranges_stay_apart(server: Mounted, top: Path) -> None:
    """A copy inside the mount moves no bytes, and later changes of either file stay its own."""
    (top / "new").write_bytes(_CONTENT)
    with (top / "new").open("r+b", 0) as source, (top / "copy").open("w+b", 0) as target:
        assert os.copy_file_range(source.fileno(), target.fileno(), len(_CONTENT), 0, 0) == len(_CONTENT)
        os.pwrite(source.fileno(), b"source", 0)
        os.pwrite(target.fileno(), b"target", 100)
    records = [r for r in server.records() if r["op"] == "write"]
    places = {r["path"]: r["data"] for r in records if r["length"] == len(_CONTENT)}
    assert places[f"{top.name}/new"] == places[f"{top.name}/copy"]
    assert (top / "new").read_bytes() == b"source" + _CONTENT[6:]
    assert (top / "copy").read_bytes() == _CONTENT[:100] + b"target" + _CONTENT[106:]
    (top / "new").unlink()
    assert (top / "copy").read_bytes() == _CONTENT[:100] + b"target" + _CONTENT[106:]


def test_lower_files_are_copied(top: Path) -> None:
    """`cp` of a lower tree gives the same contents."""
    subprocess.run(["cp", "-a", top / "folder", top / "twin"], check=True, timeout=30)
    for index in range(_FILES):
        assert (top / f"twin/{index:03}").read_bytes() == b"%d" % index


def test_a_file_without_a_name_is_given_one(top: Path) -> None:
    """O_TMPFILE makes a file that is nowhere until it is linked, and is gone otherwise."""
    for name in (None, "named"):
        descriptor = os.open(top / "folder", os.O_TMPFILE | os.O_RDWR, 0o640)
        os.write(descriptor, b"content")
        assert os.fstat(descriptor).st_nlink == 0
        if name:
            # With a directory descriptor Python calls linkat, which can follow the link in /proc.
            os.link(f"/proc/self/fd/{descriptor}", top / name, src_dir_fd=descriptor)
            os.write(descriptor, b" and more")
        os.close(descriptor)
    assert (top / "named").read_bytes() == b"content and more"
    assert (top / "named").stat().st_mode & 0o7777 == 0o640
    assert len(os.listdir(top / "folder")) == _FILES


def test_a_change_by_the_session_is_seen(server: Mounted, top: Path) -> None:
    """What the session changes on its own account is seen through every cache once the kernel is told."""
    path = top / "file"
    with path.open("rb", 0) as file:
        assert file.read(10) == _CONTENT[:10]
        server.ask(f"change {path.stat().st_ino} other")
        assert path.stat().st_size == 5
        assert os.pread(file.fileno(), 100, 0) == b"other"
    assert path.read_bytes() == b"other"


def test_nodes_go_when_the_kernel_forgets(server: Mounted, top: Path) -> None:
    """What was made and removed leaves no node behind, and nothing that needs a search for cycles."""
    for _ in range(2):
        shutil.copytree(top / "folder", top / "copy")
        shutil.rmtree(top / "copy")
    before = server.ask("nodes")
    server.ask("garbage")
    for _ in range(3):
        shutil.copytree(top / "folder", top / "copy")
        shutil.rmtree(top / "copy")
    assert server.ask("nodes") == before
    cycles = server.ask("garbage")
    assert isinstance(cycles, int)
    assert cycles < _FILES, "removed files and directories must not wait for the search for cycles"


def test_a_cancelled_transport_lets_everybody_go(tmp_path: Path) -> None:
    """Cancelling ends the serving: whoever asks then is told that nobody is there."""
    mounted = Mounted("devfuse", tmp_path)
    (mounted.lower / "file").write_bytes(b"x")
    with mounted:
        assert (mounted.mount / "file").stat().st_size == 1
        mounted.ask("stop")
        mounted.wait()
        with pytest.raises(OSError, match=r"connect|abort") as failure:
            (mounted.mount / "other").stat()
        assert failure.value.errno in {errno.ENOTCONN, errno.ECONNABORTED}
