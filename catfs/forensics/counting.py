"""Which records of a log count: those that an undo took back are there for good, and count no more."""

from bisect import bisect_right
from collections.abc import Callable, Sequence

Counts = Callable[[int], bool]
"""Says of a sequence number whether its record counts."""


def all_count(_seq: int) -> bool:
    """Say yes: the log has no undo."""
    return True


def counts_in(runs: Sequence[range]) -> Counts:
    """Give what says whether a record lies in one of some runs of records.

    Args:
        runs: Ranges of sequence numbers, in order, without overlaps.
    """
    starts = [run.start for run in runs]

    def counts(seq: int) -> bool:
        place = bisect_right(starts, seq) - 1
        return place >= 0 and seq in runs[place]

    return counts
