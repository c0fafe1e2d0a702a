"""A batch of objects for a local store: small ones share packs, all are published together at the end.

The order of steps makes it hold after a power cut: all bytes durable, then the names. Before the first name
nothing of the batch can be read by anybody but the batch itself.
"""

import io
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from catfs.digest import Digest
from catfs.errors import UsageError
from catfs.linux import syncfs
from catfs.store.interface import ObjectReader, Prefixed, StreamSource, read_pieces
from catfs.store.lock import StoreBusyError, cleaning, writing
from catfs.store.loose import LooseObject, WrittenObject, temporary_path, write_object
from catfs.store.pack import PackFile, PackFileWriter
from catfs.store.pack_set import PackSet

PACKED_BYTES_MAX = 64 * 1024
"""Longest object that a batch puts into a pack, in bytes: beyond it a file of its own costs little more and
can be read by everybody."""

_SINGLE_SYNCS_MAX = 16
"""Most files that are made durable one by one: beyond it a single syncfs is cheaper, though it
also writes out what others have pending."""


class _Home(ObjectReader, Protocol):
    """What a batch asks of its store."""

    @property
    def root(self) -> Path:
        """The store's folder."""
        ...

    def renew(self, digest: Digest, size: int) -> bool:
        """Say whether an object of this length is held; if so its age begins anew."""
        ...


class LocalBatch:
    """A batch; a context manager that publishes when it is left without an exception.

    It belongs to one thread. If it is left with an exception, or the process dies, nothing of it can be read.

    Args:
        store: Where the objects go.
        packs: The packs of the store.
        durable: Whether they must survive a power cut once the batch is left.
    """

    def __init__(self, store: _Home, packs: PackSet, *, durable: bool) -> None:
        self._store = store
        self._packs = packs
        self._durable = durable
        self._pack: PackFileWriter | None = None
        self._full: list[tuple[PackFile, str]] = []
        self._written: dict[Digest, WrittenObject] = {}
        self._stack = ExitStack()
        self._is_open = False

    def __enter__(self) -> Self:
        self._stack.enter_context(writing(self._store.root))
        self._packs.refresh()
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            self._is_open = False
            self._discard()
            self._stack.close()
        if kind is None:
            # A store that others write to is left as it is: the last of them joins.
            with suppress(StoreBusyError), cleaning(self._store.root):
                self._packs.join()

    def put(self, data: bytes, *, compress: bool = True) -> Digest:
        """Keep bytes and give their digest.

        Args:
            data: The bytes.
            compress: False when it is known that compression does not pay.

        Raises:
            OSError: when a write fails.
            UsageError: when the batch is over.
        """
        self._check_open()
        if len(data) > PACKED_BYTES_MAX:
            return self._put_large(io.BytesIO(data), compress=compress)
        digest = Digest.of(data)
        if self._holds(digest) or self._packs.renew(digest):
            return digest
        if self._pack is None:
            self._pack = PackFileWriter(temporary_path(self._store.root))
        self._pack.put(digest.raw, data, compress=compress)
        if self._pack.is_full:
            self._finish_pack()
        return digest

    def put_stream(self, source: StreamSource) -> Digest:
        """Keep everything up to the end of a stream and give its digest.

        Raises:
            OSError: when the stream cannot be read or a write fails.
            UsageError: when the batch is over.
        """
        self._check_open()
        first = next(read_pieces(source, PACKED_BYTES_MAX + 1), b"")
        if len(first) <= PACKED_BYTES_MAX:
            return self.put(first)
        return self._put_large(Prefixed(first, source), compress=True)

    def get(self, digest: Digest) -> bytes:
        """Give a whole object of the batch or of its store, held against its digest.

        Raises:
            MissingObjectError: when neither holds it.
            DamagedObjectError: when it is damaged.
            UsageError: when the batch is over.
        """
        self._check_open()
        if self._pack is not None and digest.raw in self._pack:
            return self._pack.get(digest.raw)
        for pack, _ in self._full:
            if (place := pack.find(digest.raw)) is not None:
                return pack.get(place)
        if (written := self._written.get(digest)) is not None:
            with LooseObject(written.temporary, digest, compressed=written.compressed) as item:
                return b"".join(item.pieces())
        return self._store.get(digest)

    def has(self, digest: Digest) -> bool:
        """Say whether the batch or its store holds an object."""
        return self._holds(digest) or self._store.has(digest)

    def renew(self, digest: Digest, size: int) -> bool:
        """Say whether an object of this length is held already; if so its age begins anew.

        Raises:
            UsageError: when the batch is over.
        """
        self._check_open()
        return self._holds(digest) or self._store.renew(digest, size)

    def _put_large(self, source: StreamSource, *, compress: bool) -> Digest:
        written = write_object(self._store.root, source, durable=False, compress=compress)
        if written.digest in self._written or self._store.renew(written.digest, written.size):
            written.discard()
        else:
            self._written[written.digest] = written
        return written.digest

    def _holds(self, digest: Digest) -> bool:
        return (
            (self._pack is not None and digest.raw in self._pack)
            or digest in self._written
            or any(pack.find(digest.raw) is not None for pack, _ in self._full)
        )

    def _finish_pack(self) -> None:
        assert self._pack is not None
        name = self._pack.finish(durable=False)
        self._full.append((PackFile(self._pack.path), name))
        self._pack = None

    def _publish(self) -> None:
        if self._pack is not None:
            self._finish_pack()
        root = self._store.root
        temporaries = [pack.path for pack, _ in self._full]
        temporaries += [item.temporary for item in self._written.values()]
        if self._durable:
            _make_durable(root, temporaries)
        for pack, name in self._full:
            self._packs.publish(pack.path, name)
        several = len(self._written) > _SINGLE_SYNCS_MAX
        for item in self._written.values():
            item.publish(root, durable=self._durable and not several)
        if self._durable and several:
            _sync_all(root)
        self._full.clear()
        self._written.clear()
        self._packs.refresh()

    def _discard(self) -> None:
        """Remove whatever was not published."""
        if self._pack is not None:
            self._pack.close()
            self._pack.path.unlink(missing_ok=True)
            self._pack = None
        for pack, _ in self._full:
            pack.path.unlink(missing_ok=True)
        for item in self._written.values():
            item.discard()
        self._full.clear()
        self._written.clear()

    def _check_open(self) -> None:
        if not self._is_open:
            raise UsageError(f"the batch for the store {self._store.root} is over, or was never begun")


def _make_durable(root: Path, paths: list[Path]) -> None:
    """Make the bytes of files durable."""
    if len(paths) > _SINGLE_SYNCS_MAX:
        _sync_all(root)
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_all(root: Path) -> None:
    """Make everything on the store's file system durable, names too."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(descriptor)
    finally:
        os.close(descriptor)
