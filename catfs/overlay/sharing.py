"""Which runs of the data file belong to more than one file, and which to none any more.

Copying a range inside a session copies no bytes: both files point at the same run of the data file.
From then on that run may neither be overwritten in place nor given back. What no file points at any
more is given back to the disk.
"""

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise

from catfs.limits import DUE_BYTES_MAX, RELEASE_BYTES_MIN, SMALL_RUNS_MAX
from catfs.overlay.data_file import DataFile


class RangeSet:
    """A set of positions in the data file, kept as runs that neither overlap nor touch."""

    __slots__ = ("_ends", "_starts", "total")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.total = 0
        """Number of positions in it."""

    def __len__(self) -> int:
        """Give the number of runs."""
        return len(self._starts)

    def add(self, position: int, length: int) -> tuple[int, int]:
        """Add the positions of a run.

        Args:
            position: Its first byte.
            length: Number of bytes, at least 1.

        Returns:
            Start and end of the run that holds them now.
        """
        end = position + length
        first = bisect_left(self._ends, position)
        last = bisect_right(self._starts, end)
        if first < last:
            position = min(position, self._starts[first])
            end = max(end, self._ends[last - 1])
        self.total += end - position - sum(self._ends[first:last]) + sum(self._starts[first:last])
        self._starts[first:last] = [position]
        self._ends[first:last] = [end]
        return position, end

    def drop(self, position: int) -> None:
        """Take the run away that starts at a position."""
        index = bisect_left(self._starts, position)
        self.total -= self._ends[index] - self._starts[index]
        del self._starts[index], self._ends[index]

    def pop(self) -> tuple[int, int]:
        """Take the run away that starts first, and give its start and end.

        Raises:
            IndexError: when there is none.
        """
        start, end = self._starts.pop(0), self._ends.pop(0)
        self.total -= end - start
        return start, end

    def keep_only(self, used: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Keep what is used, and take the rest away.

        Args:
            used: Position and length of runs, in any order; they may overlap.

        Returns:
            Position and length of each run that was taken away.
        """
        kept, taken = RangeSet(), []
        for position, length in used:
            kept.add(position, length)
        found = RangeSet()
        for start, end in zip(self._starts, self._ends, strict=True):
            for low, high in pairwise((start, *kept._edges(start, end), end)):
                if kept.overlaps(low, high - low):
                    found.add(low, high - low)
                else:
                    taken.append((low, high - low))
        self._starts, self._ends, self.total = found._starts, found._ends, found.total
        return taken

    def _edges(self, start: int, end: int) -> list[int]:
        """Give where runs begin and end within a range, in order."""
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        runs = zip(self._starts[first:last], self._ends[first:last], strict=True)
        return [edge for run in runs for edge in run if start < edge < end]

    def clear(self) -> None:
        """Take all away."""
        self._starts.clear()
        self._ends.clear()
        self.total = 0

    def overlaps(self, position: int, length: int) -> bool:
        """Say whether any byte of a run is in the set."""
        index = bisect_right(self._ends, position)
        return index < len(self._starts) and self._starts[index] < position + length


class FreedRanges:
    """What no file points at any more, on its way back to the disk.

    A run that is small waits until its neighbours are free too: files that are made one after the other
    often go together. One that is large enough is due, and goes at once, or in a quiet moment where somebody
    sees to it: the system call takes the file system a millisecond, and the program that removes its files
    would wait for it.

    Args:
        data: The data file.
    """

    def __init__(self, data: DataFile) -> None:
        self._data = data
        self._waiting: list[tuple[int, int]] = []
        self._small = RangeSet()
        self._due = RangeSet()
        self.waits = False
        """Whether somebody calls `release_next` in quiet moments, so that what is due can wait for one."""

    def add(self, position: int, length: int) -> None:
        """Note a run that is free once the log that frees it is on the disk."""
        self._waiting.append((position, length))

    def give_back(self) -> None:
        """Let all runs so far go back, but for small ones that stand alone: what is due may wait.

        Where it waits, only what is due beyond DUE_BYTES_MAX goes at once.
        """
        for position, length in self._waiting:
            start, end = self._small.add(position, length)
            if end - start >= RELEASE_BYTES_MIN:
                self._small.drop(start)
                self._due.add(start, end - start)
        self._waiting.clear()
        while self._due.total > (DUE_BYTES_MAX if self.waits else 0):
            self.release_next()
        if len(self._small) > SMALL_RUNS_MAX:
            self._small.clear()

    @property
    def due_bytes(self) -> int:
        """Bytes that are due."""
        return self._due.total

    def release_next(self) -> bool:
        """Give the space of one run that is due back to the disk, and say whether there was one."""
        if not self._due:
            return False
        start, end = self._due.pop()
        with contextlib.suppress(OSError):  # where the file system cannot, the space stays taken
            self._data.release(start, end - start)
        return True

    def release(self) -> bool:
        """Give the space of everything that is due back to the disk, and say whether there was anything."""
        was_due = self.release_next()
        while self.release_next():
            pass
        return was_due
