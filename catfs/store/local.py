"""A store in a folder (docs/formats/store.md): objects in files of their own and in packs.

Many processes may use it at the same time. Reading needs no lock: files are published whole and never
change. A look-up that misses reads the list of packs again, because another process may have published one,
or moved objects from one pack to another.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from catfs.digest import Digest
from catfs.durable import create_exclusively, fsync_directory, write_fully
from catfs.errors import FormatError
from catfs.store.batch import LocalBatch
from catfs.store.interface import DamagedObjectError, MissingObjectError, StreamSource, check_range
from catfs.store.lock import make_lock, writing
from catfs.store.loose import (
    TEMPORARY_FOLDER,
    LooseObject,
    iterate_loose,
    object_path,
    open_loose,
    write_object,
)
from catfs.store.pack import PackFile
from catfs.store.pack_set import PACKS_FOLDER, PackSet, renew_age

_FORMAT_NAME = "format"
_FORMAT = b"catfs store 1\n"


def is_store(folder: Path) -> bool:
    """Say whether a folder holds a store, of any version."""
    return (folder / _FORMAT_NAME).is_file()


class LocalStore:
    """A store in a folder; it is made when it is not there.

    Args:
        root: The folder.
        durable: Whether what was put must survive a power cut once `put` returns or the batch is left.

    `packs` is for the other modules of this room.

    Raises:
        OSError: when it cannot be made or read.
        FormatError: when the folder holds another version of a store.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root
        self._durable = durable
        self.packs = PackSet(root, durable=durable)
        for folder in (root, root / TEMPORARY_FOLDER, root / PACKS_FOLDER):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_lock(root)
        with suppress(FileExistsError):
            if not (root / _FORMAT_NAME).exists():
                create_exclusively(root, _FORMAT_NAME.encode(), _FORMAT, durable=durable)
        if (got := (root / _FORMAT_NAME).read_bytes()) != _FORMAT:
            raise FormatError(f"store {root}", f"expected the format {_FORMAT!r}, got {got[:64]!r}")

    def put(self, data: bytes, *, compress: bool = True) -> Digest:
        """Keep bytes in a file of their own and give their digest; many small objects belong into a batch.

        Args:
            data: The bytes.
            compress: False when it is known that compression does not pay.

        Raises:
            OSError: when a step fails; then the store holds what it held.
        """
        digest = Digest.of(data)
        with writing(self.root):
            if not self.renew(digest, len(data)):
                written = write_object(self.root, io.BytesIO(data), durable=self._durable, compress=compress)
                written.publish(self.root, durable=self._durable)
        return digest

    def put_stream(self, source: StreamSource) -> Digest:
        """Keep everything up to the end of a stream and give its digest.

        Raises:
            OSError: when the stream cannot be read or a step fails; then the store holds what it held.
        """
        with writing(self.root):
            written = write_object(self.root, source, durable=self._durable)
            if self.renew(written.digest, written.size):
                written.discard()
            else:
                written.publish(self.root, durable=self._durable)
        return written.digest

    def batch(self) -> LocalBatch:
        """Begin a batch: small objects share packs, and all become durable together when it is left."""
        return LocalBatch(self, self.packs, durable=self._durable)

    def get(self, digest: Digest) -> bytes:
        """Give a whole object, held against its digest.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is held but damaged.
        """
        if (found := self._find_packed(digest)) is not None:
            pack, place = found
            return pack.get(place)
        with self._loose(digest) as item:
            return b"".join(item.pieces())

    def has(self, digest: Digest) -> bool:
        """Say whether an object is held; its bytes are not read."""
        return (
            self._find_packed(digest, look_again=False) is not None
            or any(object_path(self.root, digest, compressed=zst).exists() for zst in (False, True))
            or self._find_packed(digest) is not None
        )

    def size(self, digest: Digest) -> int:
        """Give the length of an object in bytes.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when its length cannot be told any more.
        """
        if (found := self._find_packed(digest)) is not None:
            pack, place = found
            return pack.length(place)
        with self._loose(digest) as item:
            return item.size

    def read(self, digest: Digest, offset: int, length: int) -> bytes:
        """Give a range of an object, fewer bytes only at its end, without reading the rest.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when the range is compressed and damaged; plain bytes are not checked here.
            UsageError: when offset or length is negative.
        """
        check_range(offset, length)
        if (found := self._find_packed(digest)) is not None:
            pack, place = found
            return pack.read(place, offset, length)
        with self._loose(digest) as item:
            return item.read(offset, length)

    def copy_to(self, digest: Digest, descriptor: int) -> int:
        """Write a whole object to a descriptor at its offset, a piece at a time, and give its length.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is damaged; the pieces before the damage are written by then.
        """
        if (found := self._find_packed(digest)) is not None:
            pack, place = found
            write_fully(descriptor, pack.get(place))
            return pack.length(place)
        with self._loose(digest) as item:
            for piece in item.pieces():
                write_fully(descriptor, piece)
            return item.size

    def verify(self, digest: Digest) -> None:
        """Read a whole object and hold it against its digest.

        Raises:
            MissingObjectError: when it is not held.
            DamagedObjectError: when it is damaged.
        """
        if (found := self._find_packed(digest)) is not None:
            pack, place = found
            pack.get(place)
            return
        with self._loose(digest) as item:
            for _ in item.pieces():
                pass

    def iterate(self) -> Iterator[Digest]:
        """Give the digest of every object, each once."""
        self.packs.refresh()
        packs = list(self.packs.files.values())
        for number, pack in enumerate(packs):
            for raw in pack.raws():
                if all(before.find(raw) is None for before in packs[:number]):
                    yield Digest(raw)
        before = None
        for _, digest in iterate_loose(self.root):
            # Plain and compressed file of one object stand next to each other.
            if digest is None or digest == before:
                continue
            before = digest
            if all(pack.find(digest.raw) is None for pack in packs):
                yield digest

    def delete(self, digest: Digest) -> bool:
        """Remove an object, damaged or not, and say whether it was held."""
        held = False
        with writing(self.root):
            self.packs.refresh()
            for name, pack in self.packs.files.items():
                if pack.find(digest.raw) is not None:
                    self.packs.rewrite(name, {digest.raw})
                    held = True
            for compressed in (False, True):
                with suppress(FileNotFoundError):
                    path = object_path(self.root, digest, compressed=compressed)
                    path.unlink()
                    if self._durable:
                        fsync_directory(path.parent)
                    held = True
        return held

    def renew(self, digest: Digest, size: int) -> bool:
        """Say whether an object of this length is held; if so its age begins anew, so that it stays.

        An object whose file was cut short, by a power cut before it was durable, counts as not held.
        """
        if self.packs.renew(digest):
            return True
        try:
            item = open_loose(self.root, digest)
        except DamagedObjectError:
            return False
        if item is None:
            return False
        with item:
            return item.size == size and renew_age(item.path)

    def _find_packed(self, digest: Digest, *, look_again: bool = True) -> tuple[PackFile, int] | None:
        """Find an object in a pack.

        Args:
            digest: The object.
            look_again: Whether to read the list of packs again on a miss, unless a file of its own holds it.
        """
        found = self.packs.find(digest.raw)
        if found is not None or not look_again:
            return found
        if any(object_path(self.root, digest, compressed=zst).exists() for zst in (False, True)):
            return None
        self.packs.refresh()
        return self.packs.find(digest.raw)

    def _loose(self, digest: Digest) -> LooseObject:
        item = open_loose(self.root, digest)
        if item is None:
            raise MissingObjectError(digest, f"the store {self.root}")
        return item
