"""Where the bytes of one file are: an ordered, gap-free list of ranges from 0 to the file's size.

Each range lies in the lower file, in the session's data file, or nowhere (a hole, which reads as
zeros). The list is three parallel arrays, 24 bytes a range, so that a gigabyte written at random
in 4 KiB blocks costs 6 MiB of memory and a file written in order costs one range.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple


class Source(IntEnum):
    """Where the bytes of a range are."""

    HOLE = 0
    LOWER = 1
    DATA = 2


class Piece(NamedTuple):
    """A run of bytes with one source.

    Args:
        source: Where the bytes are.
        position: Offset of the first byte in the lower file or in the data file; 0 for a hole.
        length: Number of bytes, at least 1.
    """

    source: Source
    position: int
    length: int


class Extents:
    """The ranges of one file. Neighbours that continue each other are always one range.

    Args:
        size: Size of the file, in bytes.
        source: Where all its bytes are at first: LOWER for a file that exists below, else HOLE.
    """

    __slots__ = ("_positions", "_sources", "_starts", "_stored", "size")

    def __init__(self, size: int = 0, source: Source = Source.HOLE) -> None:
        self.size = size
        self._starts = array("q")
        self._sources = array("b")
        self._positions = array("q")
        if size:
            self._starts.append(0)
            self._sources.append(source)
            self._positions.append(0)
        self._stored = size if source is not Source.HOLE else 0
        """Bytes that are not holes: kept beside the ranges, because every stat asks for it."""

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Extents):
            return NotImplemented
        return self.key() == other.key()

    __hash__ = None  # type: ignore[assignment]  # mutable, and compared by value

    def key(self) -> bytes:
        """Give bytes that are equal for two lists exactly when their ranges are."""
        parts = (self._starts.tobytes(), self._sources.tobytes(), self._positions.tobytes())
        return self.size.to_bytes(8, "big") + b"".join(parts)

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """Give the runs that hold a range, in order, clipped to the size of the file.

        Args:
            offset: First byte, at least 0.
            length: Number of bytes wanted.
        """
        end = min(offset + length, self.size)
        if offset >= end:
            return
        starts, count = self._starts, len(self._starts)
        index = bisect_right(starts, offset) - 1
        while offset < end:
            stop = starts[index + 1] if index + 1 < count else self.size
            stop = min(stop, end)
            source = Source(self._sources[index])
            shift = 0 if source is Source.HOLE else offset - starts[index]
            yield Piece(source, self._positions[index] + shift, stop - offset)
            offset = stop
            index += 1

    def ranges(self) -> Iterator[tuple[int, Piece]]:
        """Give every range of the file with the offset at which it starts."""
        offset = 0
        for piece in self.pieces(0, self.size):
            yield offset, piece
            offset += piece.length

    def stored_bytes(self) -> int:
        """Give the number of bytes that are not holes."""
        return self._stored

    def _count_stored(self, offset: int, end: int) -> int:
        """Count the bytes of a range that are not holes."""
        pieces = self.pieces(offset, end - offset)
        return sum(piece.length for piece in pieces if piece.source is not Source.HOLE)

    def data_position(self, offset: int, length: int) -> int | None:
        """Give where in the data file a range lies, if it lies there whole and in one run.

        Args:
            offset: First byte of the range.
            length: Number of bytes, at least 1.
        """
        if offset + length > self.size:
            return None
        index = bisect_right(self._starts, offset) - 1
        stop = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
        if offset + length > stop or self._sources[index] != Source.DATA:
            return None
        return self._positions[index] + offset - self._starts[index]

    def replace(self, offset: int, length: int, source: Source, position: int = 0) -> None:
        """Let a range have another source; the file grows when the range ends behind its end.

        A range that starts behind the end of the file leaves a hole between.

        Args:
            offset: First byte of the range.
            length: Number of bytes, at least 1.
            source: Where its bytes now are.
            position: Offset of the first byte there; 0 for a hole.
        """
        if offset > self.size:
            self._append(offset, Source.HOLE, 0)
        if offset == self.size:
            self._append(offset + length, source, position)
        else:
            self._splice(offset, offset + length, source, position)

    def resize(self, size: int) -> None:
        """Cut the file, or extend it by a hole.

        Args:
            size: New size, in bytes.
        """
        if size > self.size:
            self._append(size, Source.HOLE, 0)
        elif size < self.size:
            self._stored -= self._count_stored(size, self.size)
            keep = bisect_left(self._starts, size)
            del self._starts[keep:], self._sources[keep:], self._positions[keep:]
            self.size = size

    def _append(self, end: int, source: Source, position: int) -> None:
        """Add the range from the end of the file to `end`, merged with the last one if it can be."""
        if not self._starts or not self._continues(len(self._starts) - 1, self.size, source, position):
            self._starts.append(self.size)
            self._sources.append(source)
            self._positions.append(position)
        if source is not Source.HOLE:
            self._stored += end - self.size
        self.size = end

    def _splice(self, offset: int, end: int, source: Source, position: int) -> None:
        """Replace `offset` to `end`, where `offset` lies inside the file."""
        starts, sources, positions = self._starts, self._sources, self._positions
        self._stored -= self._count_stored(offset, end)
        if source is not Source.HOLE:
            self._stored += end - offset
        first = bisect_right(starts, offset) - 1
        last = bisect_left(starts, end) - 1
        new_starts, new_sources, new_positions = [offset], [source], [position]
        if end < self.size:
            last_stop = starts[last + 1] if last + 1 < len(starts) else self.size
            if end < last_stop:
                shift = 0 if sources[last] == Source.HOLE else end - starts[last]
                new_starts.append(end)
                new_sources.append(Source(sources[last]))
                new_positions.append(positions[last] + shift)
        if starts[first] < offset:
            first += 1
        starts[first : last + 1] = array("q", new_starts)
        sources[first : last + 1] = array("b", new_sources)
        positions[first : last + 1] = array("q", new_positions)
        self.size = max(self.size, end)
        self._merge(first + len(new_starts))
        self._merge(first + 1)
        self._merge(first)

    def _continues(self, index: int, start: int, source: int, position: int) -> bool:
        """Say whether a range starting at `start` continues the range at `index`."""
        if self._sources[index] != source:
            return False
        return source == Source.HOLE or self._positions[index] + start - self._starts[index] == position

    def _merge(self, index: int) -> None:
        """Join the range at `index` with the one before it when it continues that one."""
        if not 0 < index < len(self._starts):
            return
        if self._continues(index - 1, self._starts[index], self._sources[index], self._positions[index]):
            del self._starts[index], self._sources[index], self._positions[index]
