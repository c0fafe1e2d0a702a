"""What a server holds on to: forgotten nodes return, descriptors are bounded, content is not in memory."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.limits import FORGETS_PER_SWEEP, LOWER_DESCRIPTORS_MAX
from tests.support.mounted import Mounted
from tests.support.workbench import TRANSPORTS

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(100)]

FOLDERS, FILES = 100, 200
_BIG_BYTES = 1 << 30
_PATIENCE_SECONDS = 30.0
_OWN_DESCRIPTORS = 64
"""More than a server needs besides those of the lower: log, data file, connection, pipes of trio."""


@pytest.fixture(scope="module", params=TRANSPORTS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """Serve 20,000 files, and a large sparse one."""
    mounted = Mounted(request.param, tmp_path_factory.mktemp("memory"), 120)
    for folder in range(FOLDERS):
        (mounted.lower / f"{folder}").mkdir()
        for name in range(FILES):
            (mounted.lower / f"{folder}/{name}").touch()
    for name in range(2 * LOWER_DESCRIPTORS_MAX):
        (mounted.lower / f"0/{name}").write_bytes(b"x")
    with (mounted.lower / "big").open("wb") as file:
        file.truncate(_BIG_BYTES)
    with mounted:
        yield mounted


def _walk(top: Path) -> int:
    """Look at everything once and give the number of files."""
    return sum(entry.stat().st_nlink for folder in range(FOLDERS) for entry in os.scandir(top / f"{folder}"))


def _nodes(server: Mounted) -> int:
    nodes = server.ask("nodes")
    assert isinstance(nodes, int)
    return nodes


def _resident_bytes(server: Mounted) -> int:
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_nodes_return_after_the_kernel_forgets(server: Mounted) -> None:
    """Once the kernel has dropped its caches, the server keeps few of 20,000 nodes, and shows all again."""
    few = _nodes(server) + FOLDERS + max(FORGETS_PER_SWEEP, FOLDERS * FILES // 8)
    before = _walk(server.mount)
    assert _nodes(server) > FOLDERS * FILES
    end, pause = time.monotonic() + _PATIENCE_SECONDS, threading.Event()
    while _nodes(server) > few and time.monotonic() < end:
        Path("/proc/sys/vm/drop_caches").write_text("2\n", encoding="ascii")
        pause.wait(0.2)
    assert _nodes(server) <= few
    assert _walk(server.mount) == before


def test_descriptors_are_bounded(server: Mounted) -> None:
    """Reading more files of the lower than the limit of descriptors leaves no more than that open."""
    for name in range(2 * LOWER_DESCRIPTORS_MAX):
        assert (server.mount / f"0/{name}").read_bytes() == b"x"
    _walk(server.mount)
    count = len(os.listdir(f"/proc/{server.pid}/fd"))
    assert count <= 2 * LOWER_DESCRIPTORS_MAX + _OWN_DESCRIPTORS


def test_a_small_write_into_a_large_file_stores_little(server: Mounted) -> None:
    """Writing 4 KiB into a file of 1 GiB of the lower stores 4 KiB."""
    before = server.ask("stored")
    assert isinstance(before, int)
    with (server.mount / "big").open("r+b", 0) as file:
        file.seek(_BIG_BYTES // 2)
        file.write(b"x" * 4096)
    assert server.ask("stored") == before + 4096
    assert (server.mount / "big").stat().st_size == _BIG_BYTES


def test_memory_does_not_grow_with_bytes_written(server: Mounted) -> None:
    """After 64 MiB written the server is larger by a small part of that."""
    block = os.urandom(1 << 20)
    with (server.mount / "new").open("wb", 0) as file:
        file.write(block)
        before = _resident_bytes(server)
        for _ in range(64):
            file.write(block)
    assert _resident_bytes(server) - before < 8 << 20
