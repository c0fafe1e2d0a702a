"""What a store of bytes by SHA-256 promises, whichever implementation keeps it, and how it fails."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from catfs.digest import Digest
from catfs.errors import CatfsError, FormatError, UsageError


class MissingObjectError(CatfsError):
    """A store does not hold an object.

    Args:
        digest: Its digest.
        place: Which store was asked, for people.
    """

    def __init__(self, digest: Digest, place: str) -> None:
        super().__init__(
            f"{place} does not hold the object {digest.hex}",
            hint="it was never put there, or was removed as unreachable",
        )
        self.digest = digest
        self.place = place


class DamagedObjectError(FormatError):
    """What a store keeps under a digest is not what was put there.

    Args:
        place: The file that holds it.
        problem: What is wrong with it: expected and got.
        digest: The object; None when the damage makes it unknown which ones are lost.
    """

    def __init__(self, place: str, problem: str, digest: Digest | None = None) -> None:
        super().__init__(place, problem, hint="`catfs cas verify` names everything that is damaged")
        self.place = place
        self.digest = digest


class Readable(Protocol):
    """Anything that is read from its present position to its end."""

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes; none at the end."""
        ...


StreamSource = int | Readable
"""Where a stream of bytes comes from: a descriptor, read from its offset on, or an object with `read`."""


class ObjectReader(Protocol):
    """What can be asked of a store."""

    def get(self, digest: Digest) -> bytes:
        """Give a whole object, held against its digest.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is held but damaged.
        """
        ...

    def has(self, digest: Digest) -> bool:
        """Say whether an object is held; its bytes are not read."""
        ...


class ObjectWriter(Protocol):
    """What can be put into a store."""

    def put(self, data: bytes, *, compress: bool = True) -> Digest:
        """Keep bytes and give their digest; what is held already is not written again.

        Args:
            data: The bytes.
            compress: False when it is known that compression does not pay.
        """
        ...

    def put_stream(self, source: StreamSource) -> Digest:
        """Keep everything up to the end of a stream, which may be larger than memory, and give its digest."""
        ...


class Batch(ObjectReader, ObjectWriter, Protocol):
    """Many objects published together.

    What is put can be read back through the batch at once. Others see it when the batch is left without an
    exception; leaving it with one keeps nothing.
    """

    def renew(self, digest: Digest, size: int) -> bool:
        """Say whether an object of this length is held already; if so its age begins anew, as if it was put.

        Args:
            digest: The object.
            size: Its length in bytes.
        """
        ...


class CatalyticStore(ObjectReader, ObjectWriter, Protocol):
    """A store of bytes, each object under its SHA-256."""

    def size(self, digest: Digest) -> int:
        """Give the length of an object in bytes.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when its length cannot be told any more.
        """
        ...

    def read(self, digest: Digest, offset: int, length: int) -> bytes:
        """Give a range of an object, fewer bytes only at its end, without reading the rest.

        The range is not held against the digest, which covers the whole object: `verify` does that.

        Args:
            digest: The object.
            offset: First byte, from 0.
            length: Bytes, from 0.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when the range cannot be read as it was written.
            UsageError: when offset or length is negative.
        """
        ...

    def copy_to(self, digest: Digest, descriptor: int) -> int:
        """Write a whole object to a descriptor at its offset, a piece at a time, and give its length.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is damaged; the pieces before the damage are written by then.
        """
        ...

    def verify(self, digest: Digest) -> None:
        """Read a whole object and hold it against its digest.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is damaged.
        """
        ...

    def iterate(self) -> Iterator[Digest]:
        """Give the digest of every object, in any order, each once."""
        ...

    def delete(self, digest: Digest) -> bool:
        """Remove an object, damaged or not, and say whether it was held."""
        ...

    def batch(self) -> AbstractContextManager[Batch]:
        """Begin a batch: small objects share files, and all of them become durable together."""
        ...


def check_range(offset: int, length: int) -> None:
    """Check the range of a read.

    Raises:
        UsageError: when offset or length is negative.
    """
    if offset < 0 or length < 0:
        raise UsageError(f"expected a range with offset and length of at least 0, got {offset} and {length}")


class Prefixed:
    """A stream whose first bytes were read already.

    Args:
        first: Those bytes.
        rest: Where the others come from.
    """

    def __init__(self, first: bytes, rest: StreamSource) -> None:
        self._first = first
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes; none at the end."""
        if self._first:
            part, self._first = self._first[:size], self._first[size:]
            return part
        return read_part(self._rest, size)


def read_part(source: StreamSource, size: int) -> bytes:
    """Give at most `size` bytes of a stream; none at its end."""
    return os.read(source, size) if isinstance(source, int) else source.read(size)


def read_pieces(source: StreamSource, size: int) -> Iterator[bytes]:
    """Give what a stream holds in pieces of exactly `size` bytes, the last one shorter; none is empty.

    Args:
        source: The stream.
        size: Bytes of each piece.
    """
    parts: list[bytes] = []
    held = 0
    while True:
        part = read_part(source, size - held)
        parts.append(part)
        held += len(part)
        if part and held < size:
            continue
        if held:
            yield parts[0] if len(parts) == 1 else b"".join(parts)
        if not part:
            return
        parts, held = [], 0
