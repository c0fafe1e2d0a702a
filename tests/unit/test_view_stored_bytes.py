"""The space that a file takes is kept beside its ranges, and always agrees with them."""

from hypothesis import given
from hypothesis import strategies as st

from catfs.overlay.extents import Extents, Source

_STEPS = st.lists(
    st.tuples(
        st.sampled_from([None, Source.HOLE, Source.DATA, Source.LOWER]),
        st.integers(0, 60),
        st.integers(1, 40),
    ),
    max_size=20,
)


@given(size=st.integers(0, 80), first=st.sampled_from([Source.HOLE, Source.LOWER]), steps=_STEPS)
def test_stored_bytes_agree_with_the_ranges(
    size: int, first: Source, steps: list[tuple[Source | None, int, int]]
) -> None:
    """After any sequence of replaced ranges and new sizes the count is that of the ranges."""
    extents = Extents(size, first)
    for number, (source, offset, length) in enumerate(steps):
        if source is None:
            extents.resize(offset)
        else:
            extents.replace(offset, length, source, 0 if source is Source.HOLE else 1000 * number)
        ranges = [piece for _, piece in extents.ranges()]
        assert extents.stored_bytes() == sum(p.length for p in ranges if p.source is not Source.HOLE)
