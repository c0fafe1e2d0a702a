"""How the bytes of an object are kept: as they are, or compressed with zstd where that pays.

A large compressed object is a row of independent zstd frames of 1 MiB of content each, followed by the
seek table of zstd's own seekable format, so `zstd -d` reads the file and a range is read without the rest.
A small one is a single frame.
"""

import struct
import threading
from collections.abc import Sequence
from itertools import accumulate
from typing import Self

import zstandard

from catfs.values import dataclass

FRAME_BYTES = 1 << 20
"""Content of each frame of a large object, in bytes: what reading one byte costs at most."""

_LEVEL = 3
"""zstd's own default: several hundred MB/s, which hashing and the disk hardly notice."""

_PAYS_EIGHTHS = 7
"""Compression pays when at most this many eighths are left: below that, plain bytes that `sha256sum` and
copy_file_range understand are worth more."""

_SMALLEST_BYTES = 128
"""Objects below this stay as they are: the head of a frame would take what is won."""

_DESCRIPTOR_AT = 4
_UNUSED_BIT = 0x10

_SAMPLE_BYTES = 4096
_SAMPLES = 8

_SKIPPABLE = struct.Struct("<II")
_SEEK_ENTRY = struct.Struct("<II")
_SEEK_FOOTER = struct.Struct("<IBI")
_SKIPPABLE_MAGIC = 0x184D2A5E
_SEEKABLE_MAGIC = 0x8F92EAB1
_FRAME_STORED_BYTES_MAX = 2 * FRAME_BYTES

SEEK_FOOTER_BYTES = _SEEK_FOOTER.size
"""Width of the last field of a seek table, in bytes."""


class EncodingError(ValueError):
    """Compressed bytes are not what was written. Internal to the store, which adds the place."""


class _Contexts(threading.local):
    """The zstd contexts of a thread: they are costly to make and must not be shared."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.checked_compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self.sampler = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def compressed_if_it_pays(data: bytes) -> bytes | None:
    """Give small bytes as one zstd frame, or None when they are better kept as they are."""
    if len(data) < _SMALLEST_BYTES or not sample_pays(data):
        return None
    frame = _contexts.compressor.compress(data)
    return frame if _pays(len(data), len(frame)) else None


def sample_pays(data: bytes) -> bool:
    """Say whether it looks as if compression pays, from a few pieces when the data are long."""
    if len(data) <= _SAMPLE_BYTES * _SAMPLES:
        # So little data are compressed as quickly as they are sampled.
        return True
    step = (len(data) - _SAMPLE_BYTES) // (_SAMPLES - 1)
    sample = b"".join(data[at * step : at * step + _SAMPLE_BYTES] for at in range(_SAMPLES))
    return _pays(len(sample), len(_contexts.sampler.compress(sample)))


def _pays(before: int, after: int) -> bool:
    return after * 8 <= before * _PAYS_EIGHTHS


def compressed_frame(piece: bytes) -> bytes:
    """Give one piece of a large object as a frame that carries its own checksum."""
    return _contexts.checked_compressor.compress(piece)


def decompressed(frame: bytes, length: int) -> bytes:
    """Give the content of one frame.

    Args:
        frame: The whole frame.
        length: Bytes that it must hold; nothing more is ever made room for.

    Raises:
        EncodingError: when it is not one whole frame of that length.
    """
    # The standard says that a decoder ignores this bit; here it is damage like any other.
    if len(frame) > _DESCRIPTOR_AT and frame[_DESCRIPTOR_AT] & _UNUSED_BIT:
        raise EncodingError("expected a zstd frame header without the unused bit")
    try:
        claimed = zstandard.get_frame_parameters(frame).content_size
        if claimed != length:
            raise EncodingError(f"expected a frame of {length} bytes, got one that says {claimed}")
        content = _contexts.decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise EncodingError(f"expected a whole zstd frame: {error}") from error
    if len(content) != length:
        raise EncodingError(f"expected {length} bytes in a frame, got {len(content)}")
    return content


@dataclass(frozen=True, slots=True)
class SeekTable:
    """Where each frame of a large object is.

    Args:
        starts: Offset of each frame in the file and, last, where the frames end.
        size: Length of the object in bytes.
    """

    starts: tuple[int, ...]
    size: int

    @classmethod
    def of_frames(cls, stored: Sequence[int], size: int) -> Self:
        """Make the table of frames that were just written.

        Args:
            stored: Bytes of each frame in the file.
            size: Length of the object in bytes.
        """
        return cls(tuple(accumulate(stored, initial=0)), size)

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.starts) - 1

    def content_length(self, frame: int) -> int:
        """Give the bytes of content of a frame: a whole MiB for all but the last."""
        return min(FRAME_BYTES, self.size - frame * FRAME_BYTES)

    def encode(self) -> bytes:
        """Give the bytes of the table: a skippable frame of zstd's seekable format."""
        entries = [
            _SEEK_ENTRY.pack(self.starts[frame + 1] - self.starts[frame], self.content_length(frame))
            for frame in range(self.frames)
        ]
        body = b"".join([*entries, _SEEK_FOOTER.pack(self.frames, 0, _SEEKABLE_MAGIC)])
        return _SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(body)) + body

    @classmethod
    def decode(cls, table: bytes, file_size: int) -> Self:
        """Read the table that ends a file.

        Args:
            table: Exactly the last `table_bytes` bytes of the file.
            file_size: Bytes in the file.

        Raises:
            EncodingError: when it is no table or does not fit the file.
        """
        if len(table) > file_size or len(table) < _SKIPPABLE.size + SEEK_FOOTER_BYTES:
            raise EncodingError(f"expected a seek table, got {len(table)} of {file_size} bytes")
        magic, body = _SKIPPABLE.unpack_from(table)
        if magic != _SKIPPABLE_MAGIC or body != len(table) - _SKIPPABLE.size:
            raise EncodingError("expected a seek table in a skippable frame")
        pairs = list(_SEEK_ENTRY.iter_unpack(table[_SKIPPABLE.size : -SEEK_FOOTER_BYTES]))
        made = cls.of_frames([stored for stored, _ in pairs], sum(length for _, length in pairs))
        if made.starts[-1] != file_size - len(table):
            raise EncodingError(
                f"expected frames of {made.starts[-1]} bytes, got {file_size - len(table)} bytes of them"
            )
        if made.encode() != table or any(stored > _FRAME_STORED_BYTES_MAX for stored, _ in pairs):
            raise EncodingError(f"expected a seek table of frames of {FRAME_BYTES} bytes")
        return made


def table_bytes(footer: bytes) -> int:
    """Give the bytes of a seek table from its footer.

    Args:
        footer: The last 9 bytes of the file.

    Raises:
        EncodingError: when they are no footer.
    """
    if len(footer) != SEEK_FOOTER_BYTES:
        raise EncodingError(f"expected a seek table, got {len(footer)} bytes")
    frames, descriptor, magic = _SEEK_FOOTER.unpack(footer)
    if magic != _SEEKABLE_MAGIC or descriptor:
        raise EncodingError(f"expected the end of a seek table, got {footer.hex()}")
    size: int = _SKIPPABLE.size + frames * _SEEK_ENTRY.size + SEEK_FOOTER_BYTES
    return size
