"""The two kinds of hash, kept apart by type.

`Digest` is SHA-256 and is what proofs rest on: it equals what `sha256sum` prints.
`Checksum` is XXH3-64 and only ever detects damage; it proves nothing.
"""

import hashlib
import os
from collections.abc import Iterator
from errno import ENXIO
from typing import Final, NewType, Self

import xxhash

from catfs.errors import FormatError
from catfs.limits import FILE_BYTES_MAX, HASH_CHUNK_BYTES
from catfs.values import dataclass

DIGEST_BYTES = 32

Checksum = NewType("Checksum", int)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 digest.

    Args:
        raw: The 32 bytes.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != DIGEST_BYTES:
            raise FormatError("digest", f"expected {DIGEST_BYTES} bytes, got {len(self.raw)}")

    @property
    def hex(self) -> str:
        """The 64 lower-case hexadecimal digits that sha256sum prints."""
        return self.raw.hex()

    def __str__(self) -> str:
        return self.raw.hex()

    @classmethod
    def from_hex(cls, text: object) -> Self:
        """Read 64 lower-case hexadecimal digits.

        Raises:
            FormatError: when the text is anything else.
        """
        if not isinstance(text, str) or len(text) != 2 * DIGEST_BYTES or text != text.lower():
            raise FormatError("digest", f"expected 64 lower-case hexadecimal digits, got {text!r}")
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise FormatError("digest", f"expected hexadecimal digits, got {text!r}") from None

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Self:
        """Hash bytes that are already in memory."""
        return cls(hashlib.sha256(data).digest())


EMPTY_DIGEST = Digest.of(b"")


_BLOCK_BYTES: Final = 512
"""What `st_blocks` counts in."""
_ZEROS: Final = memoryview(bytes(HASH_CHUNK_BYTES))
_LEADING_STEP_BYTES: Final = 64 << 20
_leading_zeros: Final = {0: hashlib.sha256()}
"""State of the hash after a multiple of _LEADING_STEP_BYTES of zeros: most sparse files begin with a hole,
and are hashed several times until their run is proven."""


class Hasher:
    """Hashes content that is given in order, holes by their length alone."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self._leading: int | None = 0
        """Number of zeros so far; None once there was anything else."""

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes."""
        self._leading = None
        self._hasher.update(data)

    def update_zeros(self, length: int) -> None:
        """Add zeros.

        Args:
            length: How many, at least 0.
        """
        if self._leading is None:
            _feed_zeros(self._hasher, length)
            return
        self._leading += length
        self._hasher = _zeros_state(self._leading)

    def digest(self) -> Digest:
        """Give the digest of everything added so far."""
        return Digest(self._hasher.digest())


def _feed_zeros(hasher: "hashlib._Hash", length: int) -> None:
    while length > 0:
        hasher.update(_ZEROS[:length])
        length -= HASH_CHUNK_BYTES


def _zeros_state(length: int) -> "hashlib._Hash":
    """Give the state of the hash after so many zeros, from the nearest one that is remembered."""
    steps, rest = divmod(length, _LEADING_STEP_BYTES)
    known = min(steps, max(_leading_zeros))
    hasher = _leading_zeros[known].copy()
    for step in range(known + 1, steps + 1):
        _feed_zeros(hasher, _LEADING_STEP_BYTES)
        _leading_zeros[step] = hasher.copy()
    _feed_zeros(hasher, rest)
    return hasher


def digest_descriptor(descriptor: int) -> Digest:
    """Hash a whole open regular file by positioned reads. Holes are not read.

    Args:
        descriptor: A readable file descriptor. Its offset is not used, and moves when the file has holes.

    Raises:
        OSError: when a read fails.
    """
    status = os.fstat(descriptor)
    hasher = Hasher()
    if status.st_blocks * _BLOCK_BYTES < status.st_size:
        position = 0
        for start, end in data_runs(descriptor, status.st_size):
            hasher.update_zeros(start - position)
            position = _feed(hasher, descriptor, start, end)
        hasher.update_zeros(status.st_size - position)
    else:
        _feed(hasher, descriptor, 0, FILE_BYTES_MAX)
    return hasher.digest()


def _feed(hasher: Hasher, descriptor: int, position: int, end: int) -> int:
    """Hash a range of a file, and give where it ended: at the end of the file at the latest."""
    buffer = memoryview(bytearray(min(HASH_CHUNK_BYTES, end - position)))
    while position < end:
        count = os.preadv(descriptor, [buffer[: end - position]], position)
        if not count:
            break
        hasher.update(buffer[:count])
        position += count
    return position


def data_runs(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Give start and end of each run of a file that is no hole, as far as the file system tells.

    Args:
        descriptor: A regular file; its offset moves.
        size: Where to end, in bytes.

    Raises:
        OSError: as of the system.
    """
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != ENXIO:
                raise
            return
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        if start < end:
            yield start, end


def checksum(data: bytes | bytearray | memoryview) -> Checksum:
    """Give the XXH3-64 checksum of bytes: for finding damage, never for identity."""
    return Checksum(xxhash.xxh3_64_intdigest(data))
