"""Which runs of the data file belong to more than one file.

Copying a range inside a session copies no bytes: both files point at the same run of the data file.
From then on that run may neither be overwritten in place nor given back.
"""

from bisect import bisect_left, bisect_right


class SharedRanges:
    """A set of byte positions, kept as runs that neither overlap nor touch."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        """Give the number of runs."""
        return len(self._starts)

    def add(self, position: int, length: int) -> None:
        """Add the positions of a run.

        Args:
            position: Its first byte.
            length: Number of bytes, at least 1.
        """
        end = position + length
        first = bisect_left(self._ends, position)
        last = bisect_right(self._starts, end)
        if first < last:
            position = min(position, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [position]
        self._ends[first:last] = [end]

    def overlaps(self, position: int, length: int) -> bool:
        """Say whether any byte of a run is shared."""
        index = bisect_right(self._ends, position)
        return index < len(self._starts) and self._starts[index] < position + length
