"""What a session has seen of a directory is kept in few bytes, and comes back as it was."""

import os
import stat
from array import array
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from catfs.overlay import DirectoryLower
from catfs.overlay.lower import Names
from catfs.overlay.nodes import LowerStat, Origin
from catfs.runtime.seen import ScanReader, SeenLower, pack_names, pack_scan, unpack_names, unpack_scan

_NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name)
_UNSIGNED = st.integers(0, 2**64 - 1)
_TIMES = st.integers(-(2**63), 2**63 - 1)
_STATS = st.builds(LowerStat, *[_UNSIGNED] * 9, *[_TIMES] * 3)


@given(found=st.lists(st.tuples(_NAMES, _STATS), max_size=5))
def test_a_packed_scan_comes_back(found: list[tuple[bytes, LowerStat]]) -> None:
    """Names of any bytes and attributes of any size are the same, in the same order."""
    assert unpack_scan(pack_scan(found)) == found


@given(found=st.dictionaries(_NAMES, _STATS, max_size=5), other=_NAMES)
def test_single_names_are_found_in_a_packed_scan(found: dict[bytes, LowerStat], other: bytes) -> None:
    """Each name has its own attributes, and a name that is only a part of one is not there."""
    reader = ScanReader(pack_scan(list(found.items())))
    for name in (*found, other, other[:1]):
        assert reader.find(name) == found.get(name)


def test_a_name_is_seen_as_it_was_at_first(tmp_path: Path) -> None:
    """What was asked for by name stands in a later scan as it was then, and is told apart when it appears."""
    for name in ("kept", "changed", "removed"):
        (tmp_path / name).touch()
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lower = DirectoryLower(root)
    seen = SeenLower(lower)
    top = Origin(None, b"", seen.root(), 0)
    first = {name: seen.find(top, name) for name in (b"changed", b"removed", b"absent")}
    assert (first[b"absent"], seen.appeared(top, [b"absent", b"other"])) == (None, [])
    (tmp_path / "changed").write_bytes(b"longer")
    (tmp_path / "removed").unlink()
    (tmp_path / "absent").touch()
    assert seen.appeared(top, [b"absent", b"other"]) == [b"absent"]
    assert {name: seen.find(top, name) for name in first} == first
    scanned = dict(seen.scan(top))
    assert set(scanned) == {b"kept", b"changed", b"removed"}
    assert scanned[b"changed"] == first[b"changed"]
    assert seen.find(top, b"kept") == scanned[b"kept"]
    assert seen.appeared(top, [b"absent", b"kept"]) == [b"absent"]
    lower.close()
    os.close(root)


def test_a_directory_is_seen_as_it_was_at_first(tmp_path: Path) -> None:
    """A second scan gives what the first one gave, whatever happened since, and tells what appeared."""
    for index in range(1000):
        (tmp_path / f"file-{index:04}").touch()
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lower = DirectoryLower(root)
    seen = SeenLower(lower)
    top = Origin(None, b"", seen.root(), 0)
    first = seen.scan(top)
    (tmp_path / "new").touch()
    (tmp_path / "file-0000").unlink()
    assert seen.scan(top) == first
    assert len(pack_scan(first)) < 50 * len(first)
    assert seen.appeared(top, [b"new", b"file-0001", b"nowhere"]) == [b"new"]
    lower.close()
    os.close(root)


@given(found=st.lists(st.tuples(_NAMES, _UNSIGNED, st.integers(1, 15)), max_size=5))
def test_packed_names_come_back(found: list[tuple[bytes, int, int]]) -> None:
    """Names of any bytes keep their numbers, kinds and order."""
    names = Names([name for name, _, _ in found], array("Q"), bytearray(kind for _, _, kind in found))
    names.inodes.extend(ino for _, ino, _ in found)
    assert unpack_names(pack_names(names)) == names


def test_names_are_listed_as_they_were_at_first(tmp_path: Path) -> None:
    """A second list is the first one; what was asked for before, or scanned, stands in it as seen."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    (tmp_path / "removed").touch()
    status = (tmp_path / "hidden").stat()
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lower = DirectoryLower(root, [(status.st_dev, status.st_ino)])
    seen = SeenLower(lower)
    top = Origin(None, b"", seen.root(), 0)
    seen.find(top, b"removed")
    seen.find(top, b"late")
    (tmp_path / "removed").unlink()
    (tmp_path / "late").touch()
    first = _listed(seen, top)
    assert {name: kind for name, (_, kind) in first.items()} == {
        b"sub": stat.S_IFDIR >> 12,
        b"link": stat.S_IFLNK >> 12,
        b"fifo": stat.S_IFIFO >> 12,
        b"file": stat.S_IFREG >> 12,
        b"removed": stat.S_IFREG >> 12,
    }
    assert first[b"sub"][0] == (tmp_path / "sub").stat().st_ino
    (tmp_path / "file").unlink()
    assert _listed(seen, top) == first
    scanned = SeenLower(lower)
    found = dict(scanned.scan(top))
    (tmp_path / "sub").rmdir()
    assert _listed(scanned, top) == {name: (it.ino, it.mode >> 12) for name, it in found.items()}
    lower.close()
    os.close(root)


def test_what_nobody_remembers_is_asked_for_again(tmp_path: Path) -> None:
    """Letting go of a name that was there forgets it; that a name was not there stays known."""
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    (tmp_path / "there").touch()
    lower = DirectoryLower(root)
    seen = SeenLower(lower)
    top = Origin(None, b"", seen.root(), 0)
    before = seen.find(top, b"there")
    seen.find(top, b"absent")
    for name in (b"there", b"absent", b"never"):
        seen.let_go(top, name)
        (tmp_path / os.fsdecode(name)).write_bytes(b"longer")
    now = seen.find(top, b"there")
    assert before is not None
    assert now is not None
    assert (before.size, now.size) == (0, 6)
    assert seen.find(top, b"absent") is None
    assert seen.appeared(top, [b"absent", b"there"]) == [b"absent"]
    lower.close()
    os.close(root)


def _listed(lower: SeenLower, origin: Origin) -> dict[bytes, tuple[int, int]]:
    """Give what a list of names says of each."""
    return {name: (ino, kind) for name, ino, kind in zip(*lower.names(origin), strict=True)}
