"""Extents: where the bytes of a file are, against a list that says it byte by byte."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.overlay.extents import Extents, Piece, Source

Byte = tuple[Source, int]
"""Source and position of one byte; the position of a byte in a hole is 0."""


def _bytes_of(extents: Extents) -> list[Byte]:
    found: list[Byte] = []
    for start, piece in extents.ranges():
        assert start == len(found)
        assert piece.length > 0
        hole = piece.source is Source.HOLE
        found += [(piece.source, 0 if hole else piece.position + shift) for shift in range(piece.length)]
    return found


def _check(extents: Extents, model: list[Byte]) -> None:
    """The ranges have no gaps, none continues the one before, and they say what the model says."""
    assert _bytes_of(extents) == model
    assert extents.size == len(model)
    pieces = [piece for _, piece in extents.ranges()]
    assert len(pieces) == len(extents)
    for before, after in itertools.pairwise(pieces):
        if before.source is after.source:
            assert before.source is not Source.HOLE
            assert before.position + before.length != after.position
    assert all(piece.position == 0 for piece in pieces if piece.source is Source.HOLE)
    assert extents.stored_bytes() == sum(source is not Source.HOLE for source, _ in model)


def _rebuilt(model: list[Byte]) -> Extents:
    """Give the extents of a model, built byte by byte from the left."""
    extents = Extents()
    for offset, (source, position) in enumerate(model):
        extents.replace(offset, 1, source, position)
    return extents


_SMALL = st.integers(0, 24)
_REPLACE = st.tuples(st.just("replace"), _SMALL, st.integers(1, 12), st.sampled_from(Source), _SMALL)
_RESIZE = st.tuples(st.just("resize"), _SMALL, st.just(1), st.just(Source.HOLE), st.just(0))


@given(
    size=st.integers(0, 20),
    source=st.sampled_from([Source.HOLE, Source.LOWER]),
    steps=st.lists(_REPLACE | _RESIZE, max_size=12),
)
@settings(max_examples=70)
def test_extents_say_of_each_byte_where_it_is(
    size: int, source: Source, steps: list[tuple[str, int, int, Source, int]]
) -> None:
    """After any replacements and resizes, every byte is where the last one that met it says."""
    extents = Extents(size, source)
    model: list[Byte] = [(source, offset if source else 0) for offset in range(size)]
    for action, offset, length, new, position in steps:
        if action == "resize":
            extents.resize(offset)
            model = (model + [(Source.HOLE, 0)] * offset)[:offset]
        else:
            extents.replace(offset, length, new, position if new else 0)
            model += [(Source.HOLE, 0)] * (offset + length - len(model))
            model[offset : offset + length] = [
                (new, position + shift if new else 0) for shift in range(length)
            ]
        _check(extents, model)
    assert extents == _rebuilt(model)
    assert extents.key() == _rebuilt(model).key()


@given(
    size=st.integers(1, 20),
    position=_SMALL,
    offset=_SMALL,
    length=st.integers(1, 20),
)
@settings(max_examples=60)
def test_a_place_in_the_data_file_is_told_only_for_one_run(
    size: int, position: int, offset: int, length: int
) -> None:
    """`data_position` answers exactly when the whole range lies in one run of the data file."""
    extents = Extents(size, Source.LOWER)
    extents.replace(3, 7, Source.DATA, position)
    found = extents.data_position(offset, length)
    expected = position + offset - 3 if offset >= 3 and offset + length <= 10 else None
    assert found == expected


def test_ordered_writes_make_one_range() -> None:
    """A file written in order costs one range, however many writes it took."""
    extents = Extents()
    for block in range(1000):
        extents.replace(block * 4096, 4096, Source.DATA, 512 + block * 4096)
    assert list(extents.pieces(0, extents.size)) == [Piece(Source.DATA, 512, 4_096_000)]


def test_a_small_change_of_a_large_file_is_three_ranges() -> None:
    """4 KiB in the middle of a gigabyte leave the rest in the lower."""
    extents = Extents(1 << 30, Source.LOWER)
    extents.replace(1 << 20, 4096, Source.DATA, 0)
    assert list(extents.pieces(0, extents.size)) == [
        Piece(Source.LOWER, 0, 1 << 20),
        Piece(Source.DATA, 0, 4096),
        Piece(Source.LOWER, (1 << 20) + 4096, (1 << 30) - (1 << 20) - 4096),
    ]
    assert extents.stored_bytes() == 1 << 30


def test_pieces_are_clipped_to_what_is_asked() -> None:
    """A range behind the end, of no length, or across ranges gives no byte too many."""
    extents = Extents(10, Source.LOWER)
    extents.replace(4, 2, Source.HOLE)
    assert list(extents.pieces(3, 2)) == [Piece(Source.LOWER, 3, 1), Piece(Source.HOLE, 0, 1)]
    assert list(extents.pieces(8, 100)) == [Piece(Source.LOWER, 8, 2)]
    assert not list(extents.pieces(10, 1))
    assert not list(extents.pieces(3, 0))


def test_a_write_behind_the_end_leaves_a_hole() -> None:
    """What lies between the end and the write reads as zeros and is one hole with a hole before it."""
    extents = Extents()
    extents.resize(5)
    extents.replace(9, 1, Source.DATA, 3)
    assert list(extents.pieces(0, 10)) == [Piece(Source.HOLE, 0, 9), Piece(Source.DATA, 3, 1)]


@pytest.mark.parametrize(
    "change",
    [
        lambda extents: extents.resize(9),
        lambda extents: extents.resize(11),
        lambda extents: extents.replace(0, 1, Source.DATA, 0),
        lambda extents: extents.replace(0, 1, Source.LOWER, 1),
        lambda extents: extents.replace(0, 10, Source.HOLE),
    ],
)
def test_different_ranges_have_different_keys(change: Callable[[Extents], None]) -> None:
    """The key tells apart every size, source and position."""
    extents, other = Extents(10, Source.LOWER), Extents(10, Source.LOWER)
    assert extents.key() == other.key()
    change(other)
    assert extents.key() != other.key()
    assert extents != other
    assert extents != "other"
