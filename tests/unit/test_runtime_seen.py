"""What a session has seen of a directory is kept in few bytes, and comes back as it was."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from catfs.overlay import DirectoryLower
from catfs.overlay.nodes import LowerStat, Origin
from catfs.runtime.seen import SeenLower, pack_scan, unpack_scan

_NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name)
_UNSIGNED = st.integers(0, 2**64 - 1)
_TIMES = st.integers(-(2**63), 2**63 - 1)
_STATS = st.builds(LowerStat, *[_UNSIGNED] * 9, *[_TIMES] * 3)


@given(found=st.lists(st.tuples(_NAMES, _STATS), max_size=5))
def test_a_packed_scan_comes_back(found: list[tuple[bytes, LowerStat]]) -> None:
    """Names of any bytes and attributes of any size are the same, in the same order."""
    assert unpack_scan(pack_scan(found)) == found


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
