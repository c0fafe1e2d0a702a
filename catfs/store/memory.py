"""A store in the memory of this process, for tests and for what need not last."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from catfs.digest import Digest
from catfs.durable import write_fully
from catfs.limits import HASH_CHUNK_BYTES
from catfs.store.interface import (
    DamagedObjectError,
    MissingObjectError,
    StreamSource,
    check_range,
    read_pieces,
)


class MemoryStore:
    """Objects in a dictionary; the dictionary is open to tests that damage it."""

    def __init__(self) -> None:
        self.objects: dict[Digest, bytes] = {}

    def put(self, data: bytes, *, compress: bool = True) -> Digest:  # noqa: ARG002  # nothing is compressed
        """Keep bytes and give their digest."""
        digest = Digest.of(data)
        self.objects.setdefault(digest, bytes(data))
        return digest

    def put_stream(self, source: StreamSource) -> Digest:
        """Keep everything up to the end of a stream and give its digest."""
        return self.put(b"".join(read_pieces(source, HASH_CHUNK_BYTES)))

    def get(self, digest: Digest) -> bytes:
        """Give a whole object, held against its digest.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is damaged.
        """
        data = self._kept(digest)
        if hashlib.sha256(data).digest() != digest.raw:
            raise DamagedObjectError("the memory of this process", f"object {digest.hex} is damaged", digest)
        return data

    def has(self, digest: Digest) -> bool:
        """Say whether an object is held."""
        return digest in self.objects

    def renew(self, digest: Digest, size: int) -> bool:
        """Say whether an object of this length is held; nothing has an age here."""
        return digest in self.objects and len(self.objects[digest]) == size

    def size(self, digest: Digest) -> int:
        """Give the length of an object in bytes.

        Raises:
            MissingObjectError: when it is not held.
        """
        return len(self._kept(digest))

    def read(self, digest: Digest, offset: int, length: int) -> bytes:
        """Give a range of an object, fewer bytes only at its end.

        Raises:
            MissingObjectError: when it is not held.
            UsageError: when offset or length is negative.
        """
        check_range(offset, length)
        return self._kept(digest)[offset : offset + length]

    def copy_to(self, digest: Digest, descriptor: int) -> int:
        """Write a whole object to a descriptor and give its length.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is damaged; nothing is written then.
        """
        data = self.get(digest)
        write_fully(descriptor, data)
        return len(data)

    def verify(self, digest: Digest) -> None:
        """Hold an object against its digest.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is damaged.
        """
        self.get(digest)

    def iterate(self) -> Iterator[Digest]:
        """Give the digest of every object."""
        return iter(tuple(self.objects))

    def delete(self, digest: Digest) -> bool:
        """Remove an object and say whether it was held."""
        return self.objects.pop(digest, None) is not None

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Begin a batch; what is put is seen by others when it is left without an exception."""
        batch = type(self)()
        batch.objects = _Layered(self.objects)
        yield batch
        self.objects.update(batch.objects)

    def _kept(self, digest: Digest) -> bytes:
        try:
            return self.objects[digest]
        except KeyError:
            raise MissingObjectError(digest, "the memory of this process") from None


class _Layered(dict[Digest, bytes]):
    """The objects of a batch, laid over those of its store."""

    def __init__(self, below: dict[Digest, bytes]) -> None:
        super().__init__()
        self._below = below

    def __missing__(self, digest: Digest) -> bytes:
        return self._below[digest]

    def __contains__(self, digest: object) -> bool:
        return super().__contains__(digest) or digest in self._below
