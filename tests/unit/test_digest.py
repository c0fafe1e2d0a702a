"""Content is hashed the same however its zeros are told: as bytes, as holes, or by their number."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.digest import Hasher, data_runs, digest_descriptor

_PARTS = st.lists(st.one_of(st.integers(0, 5000), st.binary(max_size=50)), max_size=8)
_MEBIBYTE = 1 << 20


@given(parts=_PARTS)
def test_zeros_by_number_are_zeros(parts: list[int | bytes]) -> None:
    """Runs of zeros given by their length have the digest of the same bytes."""
    hasher, plain = Hasher(), hashlib.sha256()
    for part in parts:
        if isinstance(part, int):
            hasher.update_zeros(part)
            plain.update(bytes(part))
        else:
            hasher.update(part)
            plain.update(part)
    assert hasher.digest().raw == plain.digest()


def test_a_long_hole_at_the_front_is_remembered() -> None:
    """The second time, a file that begins with a longer hole than before is right too."""
    for length in (70 * _MEBIBYTE, 65 * _MEBIBYTE + 1, 80 * _MEBIBYTE):
        hasher = Hasher()
        hasher.update_zeros(length - 5)
        hasher.update_zeros(5)
        hasher.update(b"end")
        plain = hashlib.sha256(bytes(length))
        plain.update(b"end")
        assert hasher.digest().raw == plain.digest()


@pytest.mark.parametrize("size", [0, 1, 5000, 3 * _MEBIBYTE + 7])
@pytest.mark.parametrize("places", [(), (0,), (4095, 70_000), (2 * _MEBIBYTE,), (3 * _MEBIBYTE,)])
def test_sparse_files_are_hashed_whole(tmp_path: Path, size: int, places: tuple[int, ...]) -> None:
    """The digest is that of the content, holes in front, within and at the end included."""
    path = tmp_path / "sparse"
    with path.open("w+b", 0) as file:
        file.truncate(size)
        for place in places:
            if place < size:
                os.pwrite(file.fileno(), b"x" * min(6, size - place), place)
        assert digest_descriptor(file.fileno()).raw == hashlib.sha256(path.read_bytes()).digest()


def test_runs_end_where_they_are_told_to(tmp_path: Path) -> None:
    """No run goes beyond the size that was asked for, and a file of nothing has none."""
    with (tmp_path / "file").open("w+b", 0) as file:
        assert list(data_runs(file.fileno(), 0)) == []
        file.write(b"x" * 10_000)
        assert list(data_runs(file.fileno(), 9_000)) == [(0, 9_000)]
        file.truncate(0)
        assert list(data_runs(file.fileno(), 9_000)) == []
