"""The two kinds of hash, kept apart by type.

`Digest` is SHA-256 and is what proofs rest on: it equals what `sha256sum` prints.
`Checksum` is XXH3-64 and only ever detects damage; it proves nothing.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import NewType, Self

import xxhash

from catfs.errors import FormatError
from catfs.limits import HASH_CHUNK_BYTES

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


def digest_descriptor(descriptor: int) -> Digest:
    """Hash a whole open regular file by positioned reads; the file offset is not used.

    Args:
        descriptor: A readable file descriptor.

    Raises:
        OSError: when a read fails.
    """
    hasher = hashlib.sha256()
    buffer = bytearray(HASH_CHUNK_BYTES)
    view = memoryview(buffer)
    position = 0
    while count := os.preadv(descriptor, [buffer], position):
        hasher.update(view[:count])
        position += count
    return Digest(hasher.digest())


def checksum(data: bytes | bytearray | memoryview) -> Checksum:
    """Give the XXH3-64 checksum of bytes: for finding damage, never for identity."""
    return Checksum(xxhash.xxh3_64_intdigest(data))
