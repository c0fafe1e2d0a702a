"""Content-addressed store: bytes under their SHA-256, in a folder or in memory, checked and cleaned."""

from catfs.store.batch import LocalBatch
from catfs.store.check import StoreCheck, StoreProblem, check_store
from catfs.store.collect import GRACE_NS, Collection, clear_temporaries, collect_garbage, left_temporaries
from catfs.store.interface import (
    Batch,
    CatalyticStore,
    DamagedObjectError,
    MissingObjectError,
    ObjectReader,
    ObjectWriter,
    StreamSource,
)
from catfs.store.local import LocalStore, is_store
from catfs.store.lock import StoreBusyError
from catfs.store.memory import MemoryStore
from catfs.store.statistics import StoreStatistics, store_statistics

__all__ = [
    "GRACE_NS",
    "Batch",
    "CatalyticStore",
    "Collection",
    "DamagedObjectError",
    "LocalBatch",
    "LocalStore",
    "MemoryStore",
    "MissingObjectError",
    "ObjectReader",
    "ObjectWriter",
    "StoreBusyError",
    "StoreCheck",
    "StoreProblem",
    "StoreStatistics",
    "StreamSource",
    "check_store",
    "clear_temporaries",
    "collect_garbage",
    "is_store",
    "left_temporaries",
    "store_statistics",
]
