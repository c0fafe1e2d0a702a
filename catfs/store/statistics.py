"""How much a local store holds, and in how many bytes; no object is read."""

from catfs.store.interface import DamagedObjectError
from catfs.store.local import LocalStore
from catfs.store.loose import COMPRESSED_SUFFIX, TEMPORARY_FOLDER, LooseObject, iterate_loose
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What a store holds. An object that is in several places counts as often.

    Args:
        packed: Objects in packs.
        loose: Objects in files of their own.
        packs: Packs.
        size: Bytes of content in all objects.
        stored: Bytes that packs and files take.
        temporaries: Files that are being written, or were left by writers that died.
        unreadable: Packs and files whose length cannot be told; `check_store` says why.
    """

    packed: int
    loose: int
    packs: int
    size: int
    stored: int
    temporaries: int
    unreadable: int


def store_statistics(store: LocalStore) -> StoreStatistics:
    """Give how much a store holds.

    Raises:
        OSError: when a folder of the store cannot be read.
    """
    unreadable = len(store.packs.refresh())
    packed = loose = size = stored = 0
    packs = store.packs.files
    for pack in packs.values():
        packed += len(pack)
        size += sum(pack.length(place) for place in range(len(pack)))
        stored += pack.stored_size
    for path, digest in iterate_loose(store.root):
        if digest is None:
            unreadable += 1
            continue
        try:
            with LooseObject(path, digest, compressed=path.suffix == COMPRESSED_SUFFIX) as item:
                size += item.size
                stored += item.stored_size
                loose += 1
        except DamagedObjectError:
            unreadable += 1
        except FileNotFoundError:
            # Removed since it was listed.
            continue
    temporaries = sum(1 for _ in (store.root / TEMPORARY_FOLDER).iterdir())
    return StoreStatistics(packed, loose, len(packs), size, stored, temporaries, unreadable)
