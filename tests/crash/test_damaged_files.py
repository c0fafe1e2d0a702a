"""Every file that catfs writes, damaged: refused or read as it was written, never anything else.

A short form: `tools/torture.py damage` goes on for as long as wanted.
"""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.errors import CatfsError
from tests.support.damage import BLOCK_BYTES, FORMATS, Format, damaged, is_beginning

CUTS_MAX = 400
"""How many lengths a file is cut to at most."""


@pytest.fixture(scope="module", params=FORMATS)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Format, Path, bytes, object]:
    """Give a format, a sound file of it, its bytes, and what it says."""
    form = FORMATS[request.param]
    path = form.write(tmp_path_factory.mktemp("sound"))
    data = path.read_bytes()
    return form, path, data, form.read(path)


def _check(written: tuple[Format, Path, bytes, object], data: bytes) -> bool:
    """Read a damaged file; say whether it was refused, which is all that may happen besides the truth."""
    form, path, _, sound = written
    path.write_bytes(data)
    try:
        got = form.read(path)
    except CatfsError:
        return True
    assert form.agrees(sound, got), data
    return False


def test_a_file_cut_or_zeroed_anywhere_is_never_believed(
    written: tuple[Format, Path, bytes, object],
) -> None:
    """Torn writes: cut to any length, any block zeroed."""
    form, _, data, _ = written
    step = len(data) // CUTS_MAX + 1
    torn = [data[:size] for size in range(0, len(data), step)]
    torn += [
        data[:start] + bytes(min(BLOCK_BYTES, len(data) - start)) + data[start + BLOCK_BYTES :]
        for start in range(0, len(data), BLOCK_BYTES)
    ]
    refused = sum(_check(written, item) for item in torn)
    assert refused or form.agrees is is_beginning


@settings(max_examples=60)
@given(seed=st.integers(0, 2**64))
def test_a_file_damaged_in_any_way_is_never_believed(
    written: tuple[Format, Path, bytes, object], seed: int
) -> None:
    """Flipped bits, foreign bytes, lost and doubled parts, several at once."""
    _check(written, damaged(written[2], random.Random(seed)))  # noqa: S311  # repeatable
