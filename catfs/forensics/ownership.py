"""Byte ranges of one file and who owns each: what was written there last.

A range that nobody owns holds bytes of the original. Ranges are kept in order, without overlaps; a new
owner replaces whatever it covers.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

from catfs.records.write_record import WriteRecord
from catfs.values import dataclass

Owner = TypeVar("Owner")

_KEEP_SIZE = 0x01
"""FALLOC_FL_KEEP_SIZE of fallocate(2): the size stays as it is."""


@dataclass(frozen=True, slots=True)
class OwnedRange(Generic[Owner]):
    """A range of bytes with one owner.

    Args:
        start: First byte.
        end: The byte behind the last one.
        owner: Who wrote it last.
    """

    start: int
    end: int
    owner: Owner

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.end - self.start


class Ownership(Generic[Owner]):
    """Who owns which bytes of a file.

    Args:
        size: Size of the file in bytes; None for one of the original whose size is not known.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._owners: list[Owner] = []

    def __iter__(self) -> Iterator[OwnedRange[Owner]]:
        return map(OwnedRange, self._starts, self._ends, self._owners)

    @property
    def owned_bytes(self) -> int:
        """Number of bytes that somebody owns."""
        return sum(self._ends) - sum(self._starts)

    def apply(self, record: WriteRecord, owner: Owner) -> None:
        """Take in what a record does to the bytes of the file; other operations do nothing.

        Args:
            record: A record about this file.
            owner: Who did it.

        Raises:
            FormatError: when the record lacks a field.
        """
        if record.op == "create":
            self.size = 0
        elif record.op == "base" and self.size is None:
            self.size = record.numbers.get("size")
        elif record.op == "write":
            self.write(record.number("offset"), record.number("length"), owner)
        elif record.op == "truncate":
            self.resize(record.number("length"), owner)
        elif record.op == "fallocate":
            self._reserve(record.number("offset"), record.number("length"), record.number("mode"), owner)

    def write(self, offset: int, length: int, owner: Owner) -> None:
        """Give a range to an owner; a gap between the old end and the range is theirs too.

        Args:
            offset: First byte.
            length: Number of bytes.
            owner: Who wrote it.
        """
        start = offset if self.size is None else min(offset, self.size)
        self._put(start, offset + length, owner)
        if self.size is not None:
            self.size = max(self.size, offset + length)

    def resize(self, size: int, owner: Owner) -> None:
        """Cut the file, or extend it by zeros that belong to an owner."""
        if self.size is not None and size > self.size:
            self._put(self.size, size, owner)
        else:
            self._cut(size)
        self.size = size

    def _reserve(self, offset: int, length: int, mode: int, owner: Owner) -> None:
        """Take in a fallocate: zeros in place of what is there, and a larger size where asked for."""
        end = offset + length
        if mode & ~_KEEP_SIZE:
            inside = end if self.size is None else min(end, self.size)
            if inside > offset:
                self._put(offset, inside, owner)
        if not mode & _KEEP_SIZE and self.size is not None and end > self.size:
            self.resize(end, owner)

    def _cut(self, size: int) -> None:
        index = bisect_left(self._starts, size)
        del self._starts[index:], self._ends[index:], self._owners[index:]
        if index and self._ends[-1] > size:
            self._ends[-1] = size

    def _put(self, start: int, end: int, owner: Owner) -> None:
        starts, ends, owners = self._starts, self._ends, self._owners
        if not ends or start >= ends[-1]:
            if ends and start == ends[-1] and owners[-1] == owner:
                ends[-1] = end
            else:
                starts.append(start)
                ends.append(end)
                owners.append(owner)
            return
        first = bisect_right(ends, start)  # the first range that ends behind the start
        last = bisect_left(starts, end)  # the first range that begins at or behind the end
        pieces = [(start, end, owner)]
        if first < last:
            if starts[first] < start:
                pieces.insert(0, (starts[first], start, owners[first]))
            if ends[last - 1] > end:
                pieces.append((end, ends[last - 1], owners[last - 1]))
        pieces = _joined(pieces)
        starts[first:last] = [piece[0] for piece in pieces]
        ends[first:last] = [piece[1] for piece in pieces]
        owners[first:last] = [piece[2] for piece in pieces]


def _joined(pieces: list[tuple[int, int, Owner]]) -> list[tuple[int, int, Owner]]:
    """Join neighbours that have one owner."""
    joined: list[tuple[int, int, Owner]] = []
    for start, end, owner in pieces:
        if joined and joined[-1][2] == owner:
            joined[-1] = (joined[-1][0], end, owner)
        else:
            joined.append((start, end, owner))
    return joined
