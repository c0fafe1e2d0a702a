"""Many small objects in one file (docs/formats/store.md).

A pack is written once and never changed, so readers map it into memory and nobody needs a lock. Its index
is checked when it is opened; each object is held against its digest when it is read.
"""

import math
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from catfs.digest import DIGEST_BYTES, Digest, checksum
from catfs.durable import write_fully
from catfs.store.encoding import EncodingError, compressed_if_it_pays, decompressed
from catfs.store.interface import DamagedObjectError

PACK_SUFFIX: Final = ".pack"
"""Ends the name of a pack."""

PACK_OBJECTS_MAX: Final = 1 << 17
"""Objects after which a batch begins its next pack: what bounds the memory of a writer."""

PACK_BYTES_MAX: Final = 1 << 28
"""Bytes after which a batch begins its next pack: what bounds the cost of rewriting one."""

_MAGIC = b"catfsobj"
_END_MAGIC = b"catfsobe"
_VERSION = 1
_HEADER = struct.Struct("<8sI4x")
_TRAILER = struct.Struct("<QQQ8s")
_BUFFER_BYTES = 1 << 20
_INDEX_ENTRY_BYTES = DIGEST_BYTES + 8 + 4 + 4
_OFFSET = struct.Struct("<Q")
_LENGTHS = struct.Struct("<II")


class PackFileWriter:
    """Writes a new pack.

    Args:
        path: Where; the file must not exist. Whoever makes the writer removes the file when it is not wanted.

    Raises:
        OSError: when the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        self._slots: dict[bytes, tuple[int, int, int]] = {}
        self._buffer: list[bytes] = [_HEADER.pack(_MAGIC, _VERSION)]
        self._end = _HEADER.size
        self._written = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, raw: bytes) -> bool:
        return raw in self._slots

    @property
    def is_full(self) -> bool:
        """Whether the next object should go to the next pack."""
        return len(self._slots) >= PACK_OBJECTS_MAX or self._end >= PACK_BYTES_MAX

    def put(self, raw: bytes, data: bytes, *, compress: bool) -> None:
        """Write an object that is not in the pack yet.

        Args:
            raw: The 32 bytes of its digest.
            data: Its bytes.
            compress: Whether to try compression.
        """
        kept = compressed_if_it_pays(data) if compress else None
        self.put_stored(raw, data if kept is None else kept, len(data))

    def put_stored(self, raw: bytes, kept: bytes, length: int) -> None:
        """Write an object as another pack keeps it.

        Args:
            raw: The 32 bytes of its digest.
            kept: Its bytes as stored.
            length: Its length in bytes; more than `kept` when that is compressed.
        """
        self._slots[raw] = (self._end, len(kept), length)
        self._buffer.append(kept)
        self._end += len(kept)
        if self._end - self._written >= _BUFFER_BYTES:
            self._flush()

    def get(self, raw: bytes) -> bytes:
        """Read back an object that was put.

        Raises:
            KeyError: when it was not.
            DamagedObjectError: when the file does not hold what was written.
        """
        offset, stored, length = self._slots[raw]
        if offset + stored > self._written:
            self._flush()
        return _content(str(self.path), raw, os.pread(self._descriptor, stored, offset), length)

    def finish(self, *, durable: bool) -> str:
        """Write the index, close the file and give the name it should be published under.

        Args:
            durable: Whether the bytes must survive a power cut once this returns.
        """
        ordered = sorted(self._slots)
        slots = [self._slots[raw] for raw in ordered]
        offsets = [_OFFSET.pack(offset) for offset, _, _ in slots]
        lengths = [_LENGTHS.pack(stored, length) for _, stored, length in slots]
        index = b"".join([*ordered, *offsets, *lengths])
        trailer = _TRAILER.pack(len(ordered), self._end, checksum(index), _END_MAGIC)
        self._buffer += [index, trailer]
        self._flush()
        if durable:
            os.fsync(self._descriptor)
        self.close()
        return Digest.of(index).hex + PACK_SUFFIX

    def close(self) -> None:
        """Close the file; without `finish` before, it is no pack."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _flush(self) -> None:
        write_fully(self._descriptor, b"".join(self._buffer))
        self._buffer.clear()
        self._written = self._end


class PackFile:
    """A finished pack, mapped into memory.

    Args:
        path: The file.

    Raises:
        OSError: when it cannot be opened.
        DamagedObjectError: when header, index or trailer are damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if status.st_size < _HEADER.size + _TRAILER.size:
                raise self._damaged(f"expected at least {_HEADER.size + _TRAILER.size} bytes")
            self._map = mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        self._read_index()

    def __len__(self) -> int:
        return self._count

    @property
    def stored_size(self) -> int:
        """Bytes of the whole file."""
        return len(self._map)

    def find(self, raw: bytes) -> int | None:
        """Give the place of an object in the index, or None."""
        # Digests are spread evenly, so the place is known but for a few times the root of their number.
        guess = int.from_bytes(raw[:8]) * self._count >> 64
        slack = 4 * math.isqrt(self._count) + 1
        low, high = max(0, guess - slack), min(self._count, guess + slack)
        if (low and self.raw(low) > raw) or (high < self._count and self.raw(high) < raw):
            low, high = 0, self._count
        place = bisect_left(range(low, high), raw, key=self.raw) + low
        return place if place < self._count and self.raw(place) == raw else None

    def raw(self, place: int) -> bytes:
        """Give the 32 bytes of the digest at a place of the index."""
        at = self._index_at + place * DIGEST_BYTES
        return bytes(self._map[at : at + DIGEST_BYTES])

    def raws(self) -> Iterator[bytes]:
        """Give every digest, ascending, 32 bytes each."""
        return (self.raw(place) for place in range(self._count))

    def length(self, place: int) -> int:
        """Give the length in bytes of the object at a place."""
        return self._slot(place)[2]

    def stored(self, place: int) -> bytes:
        """Give the object at a place as it is kept."""
        start, stored, _ = self._slot(place)
        return self._map[start : start + stored]

    def _slot(self, place: int) -> tuple[int, int, int]:
        """Give where an object is kept, in how many bytes, and its length."""
        offsets_at = self._index_at + self._count * DIGEST_BYTES
        (start,) = _OFFSET.unpack_from(self._map, offsets_at + place * _OFFSET.size)
        lengths_at = offsets_at + self._count * _OFFSET.size
        stored, length = _LENGTHS.unpack_from(self._map, lengths_at + place * _LENGTHS.size)
        return start, stored, length

    def get(self, place: int) -> bytes:
        """Give the object at a place, held against its digest.

        Raises:
            DamagedObjectError: when it is damaged.
        """
        return _content(str(self.path), self.raw(place), self.stored(place), self.length(place))

    def read(self, place: int, offset: int, length: int) -> bytes:
        """Give a range of the object at a place.

        Raises:
            DamagedObjectError: when it is kept compressed and damaged.
        """
        start, stored, whole = self._slot(place)
        if stored < whole:
            return self.get(place)[offset : offset + length]
        return self._map[min(start + offset, start + stored) : min(start + offset + length, start + stored)]

    def _read_index(self) -> None:
        """Check everything but the objects themselves, which are held against their digests one by one."""
        magic, version = _HEADER.unpack_from(self._map)
        if (magic, version) != (_MAGIC, _VERSION):
            raise self._damaged(f"expected it to begin as a pack of version {_VERSION}")
        tail_at = len(self._map) - _TRAILER.size
        count, index_at, expected, end = _TRAILER.unpack_from(self._map, tail_at)
        if end != _END_MAGIC or index_at < _HEADER.size or index_at + count * _INDEX_ENTRY_BYTES != tail_at:
            raise self._damaged("expected it to end with an index and a trailer that fits")
        with memoryview(self._map) as view, view[index_at:tail_at] as index:
            got = checksum(index)
        if got != expected:
            raise self._damaged(f"expected an index with checksum {expected:016x}, got {got:016x}")
        self._count: int = count
        self._index_at: int = index_at

    def _damaged(self, problem: str) -> DamagedObjectError:
        return DamagedObjectError(str(self.path), problem)


def _content(place: str, raw: bytes, kept: bytes, length: int) -> bytes:
    """Give the content of a kept object, held against its digest."""
    digest = Digest(raw)
    try:
        data = decompressed(kept, length) if len(kept) < length else kept
    except EncodingError as error:
        raise DamagedObjectError(place, f"object {digest.hex}: {error}", digest) from error
    if (got := Digest.of(data)) != digest:
        raise DamagedObjectError(place, f"expected object {digest.hex}, got {got.hex}", digest)
    return data
