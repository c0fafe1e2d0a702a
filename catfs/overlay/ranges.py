"""Ranges: copying them between files without moving bytes, and finding data and holes."""

import os
from collections.abc import Iterator
from errno import EINVAL, EIO, ENXIO, EXDEV

from catfs.limits import HASH_CHUNK_BYTES
from catfs.linux import FALLOC_FL_ZERO_RANGE
from catfs.overlay.extents import Piece, Source
from catfs.overlay.files import Files, own_extents
from catfs.overlay.nodes import Actor, File, error_of

_BLOCK_BYTES = 4096
"""Grain of holes, in bytes: that of nearly every disk file system."""


_STAT_BLOCK_BYTES = 512
"""What `st_blocks` counts in."""


class Ranges(Files):
    """The operations on ranges of files. Each one is applied whole, or raises OSError."""

    def copy_range(
        self, source: int, offset: int, target: int, target_offset: int, length: int, actor: Actor
    ) -> int:
        """Let a range of one file have the content of a range of another, or of the same one.

        New bytes are shared and holes stay holes; only bytes that still lie in the lower are moved, to
        the data file. The log says of each part what it says of a write to the same place.

        Args:
            source: Inode number of the file to copy from.
            target: Inode number of the file to copy to.
            length: Number of bytes wanted.

        Returns:
            The number of bytes copied; fewer than wanted only at the end of the source.

        Raises:
            OSError: EISDIR, EINVAL for other kinds and for ranges of one file that overlap, EXDEV
                for files of two domains, EFBIG, and as `write`.
        """
        from_file, to_file = self._file(source), self._file(target)
        length = min(length, max(0, from_file.size - offset))
        if from_file is to_file and abs(offset - target_offset) < length:
            raise error_of(EINVAL)
        if self.place_of(from_file).domain != self.place_of(to_file).domain:
            raise error_of(EXDEV)
        done = 0
        while done < length:
            done += self._copy_piece(
                from_file, offset + done, to_file, target_offset + done, length - done, actor
            )
        return length

    def _copy_piece(
        self, source: File, offset: int, target: File, target_offset: int, length: int, actor: Actor
    ) -> int:
        """Copy the first part of a range whose bytes lie together, and give its length."""
        if source.extents is None:
            piece = Piece(Source.LOWER, offset, length)
        else:
            piece = next(source.extents.pieces(offset, length))
        if piece.source is Source.LOWER:
            data = self.read_file(source, offset, min(piece.length, HASH_CHUNK_BYTES), actor)
            if not data:
                raise error_of(EIO)  # the lower was cut underneath: there is nothing to copy
            return self.write_file(target, target_offset, data, actor, clear_set_id=False)
        if piece.source is Source.HOLE:
            self._copy_hole(target, target_offset, piece.length, actor)
        else:
            self._share(target, target_offset, piece.position, piece.length, actor)
        return piece.length

    def _copy_hole(self, target: File, offset: int, length: int, actor: Actor) -> None:
        """Make a hole, as ZERO_RANGE does: it may end behind the end of the file."""
        self.fallocate(target, FALLOC_FL_ZERO_RANGE, offset, length, actor)

    def _share(self, target: File, offset: int, position: int, length: int, actor: Actor) -> None:
        self.shared.add(position, length)
        now = self.clock()
        self.place_data(target, offset, length, position, now)
        place = self.place_of(target)
        self.record("write", place, target, actor, now, offset=offset, length=length, data=position)

    def seek(self, ino: int, offset: int, whence: int) -> int:
        """Find the next data or the next hole.

        Only whole blocks of a hole count, as on a disk: programs that look for the grain of a file system
        take it for a few bytes otherwise.

        Args:
            offset: Where to start, in bytes.
            whence: SEEK_DATA or SEEK_HOLE.

        Raises:
            OSError: ENXIO behind the end and when there is no data any more, EINVAL.
        """
        node = self._file(ino)
        if whence not in {os.SEEK_DATA, os.SEEK_HOLE}:
            raise error_of(EINVAL)
        size = node.size
        if not 0 <= offset < size:
            raise error_of(ENXIO)
        for start, end in self._holes(node, offset):
            if whence == os.SEEK_HOLE and offset < end:
                return max(offset, start)
            if whence == os.SEEK_DATA and start <= offset < end:
                offset = end
        if whence == os.SEEK_HOLE:
            return size
        if offset == size:
            raise error_of(ENXIO)
        return offset

    def _holes(self, node: File, offset: int) -> Iterator[tuple[int, int]]:
        """Give start and end of every hole, as far as it covers whole blocks or reaches the end of the file.

        Args:
            node: The file.
            offset: Holes that end before it are left out; one that it lies in starts at its block.
        """
        for start, end, is_hole in self.runs(node, offset // _BLOCK_BYTES * _BLOCK_BYTES):
            first = -(-start // _BLOCK_BYTES) * _BLOCK_BYTES
            last = end if end == node.size else end // _BLOCK_BYTES * _BLOCK_BYTES
            if is_hole and first < last:
                yield first, last

    def runs(self, node: File, offset: int = 0) -> Iterator[tuple[int, int, bool]]:
        """Give the content of a file as runs of data and of holes, one after the other to its end.

        Args:
            node: The file.
            offset: Where to begin, in bytes.

        Returns:
            Start and end of each run in bytes, and whether it is a hole.

        Raises:
            OSError: when the lower cannot be asked.
        """
        before: tuple[int, int, bool] | None = None
        for run in self._pieces_of_runs(node, offset):
            if before is not None and before[2] is run[2]:
                before = (before[0], run[1], run[2])
                continue
            if before is not None:
                yield before
            before = run
        if before is not None:
            yield before

    def _pieces_of_runs(self, node: File, offset: int) -> Iterator[tuple[int, int, bool]]:
        for piece in own_extents(node).pieces(offset, node.size - offset):
            end = offset + piece.length
            if piece.source is Source.LOWER:
                yield from self._lower_runs(node, offset, end, offset - piece.position)
            else:
                yield offset, end, piece.source is Source.HOLE
            offset = end

    def _lower_runs(self, node: File, offset: int, end: int, shift: int) -> Iterator[tuple[int, int, bool]]:
        """Give the runs of a range that lies in the lower, `shift` bytes before."""
        origin = node.origin
        assert origin is not None
        if origin.lower_stat.blocks * _STAT_BLOCK_BYTES >= origin.lower_stat.size:
            yield offset, end, False
            return
        lower = self.domains[origin.domain].lower
        while offset < end:
            data = min(lower.seek(origin, offset - shift, os.SEEK_DATA) + shift, end)
            if offset < data:
                yield offset, data, True
            offset = data
            if offset < end:
                offset = min(lower.seek(origin, data - shift, os.SEEK_HOLE) + shift, end)
                yield data, offset, False
