"""What a view may expect of every lower: the real directory and the one in memory."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from errno import ENOENT, ENOTDIR, ESTALE
from pathlib import Path

import pytest

from catfs.overlay import DirectoryLower, Lower
from catfs.overlay.nodes import LowerStat, Origin
from tests.support.memory_lower import MemoryLower
from tests.support.trees import SAMPLE_HARD_LINKS, Builder, RealTree, build_sample


@dataclass(frozen=True)
class Ground:
    """A lower and the way to change what it shows."""

    lower: Lower
    tree: Builder

    def origin(self, path: bytes) -> Origin:
        """Scan down to a path, as a view does."""
        here = Origin(None, b"", self.lower.root(), 0)
        for name in path.split(b"/") if path else ():
            here = Origin(here, name, dict(self.lower.scan(here))[name], 0)
        return here

    def status(self, path: bytes) -> LowerStat:
        """Give the attributes that a scan tells."""
        return self.origin(path).lower_stat


@pytest.fixture(params=["directory", "memory"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """Give the sample tree below each lower."""
    if request.param == "memory":
        memory = MemoryLower()
        build_sample(memory)
        yield Ground(memory, memory)
        return
    real = RealTree(tmp_path)
    build_sample(real)
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lower = DirectoryLower(root)
    yield Ground(lower, real)
    lower.close()
    os.close(root)


def test_scan_gives_every_name_once(ground: Ground) -> None:
    """A scan gives all names, whatever their bytes, and neither `.` nor `..`."""
    found = ground.lower.scan(ground.origin(b""))
    names = [b"a", b"b", b"d", b"e", b"empty", b"links", b"s", b"shared", b"tool", b"\xff\xfe"]
    assert sorted(name for name, _ in found) == sorted(names)
    assert [name for name, _ in ground.lower.scan(ground.origin(b"\xff\xfe"))] == [b"n\nl"]
    assert ground.lower.scan(ground.origin(b"empty")) == []


def test_seeking_ends_at_the_end(ground: Ground) -> None:
    """In a file without holes data begins where it is looked for, and the next hole is its end."""
    tool = ground.origin(b"tool")
    assert ground.lower.seek(tool, 5, os.SEEK_DATA) == 5
    assert ground.lower.seek(tool, 5, os.SEEK_HOLE) == 12


def test_holes_are_found_where_the_file_system_tells(tmp_path: Path) -> None:
    """A real sparse file has its data where it was written, and none behind it."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"data")
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lower = DirectoryLower(root)
    top = Origin(None, b"", lower.root(), 0)
    origin = Origin(top, b"sparse", dict(lower.scan(top))[b"sparse"], 0)
    assert lower.seek(origin, 0, os.SEEK_DATA) == 1 << 19
    assert 1 << 19 < lower.seek(origin, 1 << 19, os.SEEK_HOLE) <= (1 << 19) + 65_536
    assert lower.seek(origin, (1 << 20) - 1, os.SEEK_DATA) == 1 << 20
    lower.close()
    os.close(root)


def test_attributes_are_told_whole(ground: Ground) -> None:
    """Kind, mode, owner, size and link count are those of the file."""
    tool = ground.status(b"tool")
    assert (tool.mode, tool.size, tool.nlink) == (stat.S_IFREG | 0o4755, 12, 1)
    assert (tool.uid, tool.gid) == (os.geteuid(), os.getegid())
    assert ground.status(b"shared").mode == stat.S_IFDIR | 0o2755
    assert ground.status(b"d/p").mode == stat.S_IFIFO | 0o622
    assert stat.S_ISLNK(ground.status(b"s").mode)
    assert ground.lower.root().mode == stat.S_IFDIR | 0o755


def test_names_of_one_file_have_one_inode(ground: Ground) -> None:
    """Hard links show the same inode and their number."""
    for paths in SAMPLE_HARD_LINKS:
        found = [ground.status(path) for path in paths]
        assert {status.ino for status in found} == {found[0].ino}
        assert {status.nlink for status in found} == {len(paths)}


def test_stat_gives_what_is_there_now(ground: Ground) -> None:
    """A stat sees a change, and None once the name or the directory above it is gone."""
    origin = ground.origin(b"d/sub/a")
    assert ground.lower.stat(origin) == origin.lower_stat
    ground.tree.replace(b"d/sub/a", b"other")
    now = ground.lower.stat(origin)
    assert now is not None
    assert not now.same_file(origin.lower_stat)
    ground.tree.remove(b"d/sub/a")
    assert ground.lower.stat(origin) is None
    below = Origin(origin, b"x", origin.lower_stat, 0)
    assert ground.lower.stat(below) is None
    assert ground.lower.stat(ground.origin(b"")) == ground.lower.root()


def test_reading_the_lower_gives_the_bytes_asked_for(ground: Ground) -> None:
    """A read is short at the end of the file only."""
    origin = ground.origin(b"d/a")
    whole = bytes(range(256)) * 40
    assert ground.lower.read(origin, 0, len(whole)) == whole
    assert ground.lower.read(origin, 1000, 300) == whole[1000:1300]
    assert ground.lower.read(origin, len(whole) - 1, 10) == whole[-1:]
    assert ground.lower.read(origin, len(whole) + 1, 10) == b""
    assert ground.lower.read(ground.origin(b"b"), 0, 10) == b""


def test_reading_another_file_than_the_scanned_one_is_refused(ground: Ground) -> None:
    """When another file has the name, its bytes are never given for the first one's."""
    origin = ground.origin(b"a")
    ground.tree.replace(b"a", b"the content of b")
    with pytest.raises(OSError, check=lambda error: error.errno == ESTALE):
        ground.lower.read(origin, 0, 4)


def test_link_targets_are_bytes(ground: Ground) -> None:
    """A symlink gives its target as it is."""
    assert ground.lower.readlink(ground.origin(b"s")) == b"nowhere/\xff"
    assert ground.lower.readlink(ground.origin(b"d/s")) == b"nowhere"


def test_extended_attributes_are_given_whole(ground: Ground) -> None:
    """Files and directories give all their extended attributes, and none where there are none."""
    for path in (b"a", b"b", b"d", b""):
        assert ground.lower.xattrs(ground.origin(path)) == ground.tree.kept_xattrs(path)


def test_missing_and_wrong_kinds_are_the_errors_of_the_system(ground: Ground) -> None:
    """Scanning nothing is ENOENT, scanning a file ENOTDIR."""
    top = ground.origin(b"")
    with pytest.raises(OSError, check=lambda error: error.errno == ENOENT):
        ground.lower.scan(Origin(top, b"missing", top.lower_stat, 0))
    with pytest.raises(OSError, check=lambda error: error.errno == ENOTDIR):
        ground.lower.scan(ground.origin(b"a"))
