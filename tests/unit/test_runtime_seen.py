"""What a session has seen of a directory is kept in few bytes, and comes back as it was."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from catfs.overlay import DirectoryLower
from catfs.overlay.nodes import LowerStat, Origin
from catfs.runtime.seen import ScanReader, SeenLower, pack_scan, unpack_scan

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
