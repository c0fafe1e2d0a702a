"""Integrity check of a whole local store: every object is read, and whatever is wrong is named."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from catfs.digest import Digest
from catfs.store.interface import DamagedObjectError
from catfs.store.local import LocalStore
from catfs.store.loose import COMPRESSED_SUFFIX, LooseObject, iterate_loose
from catfs.store.pack import PACK_SUFFIX, PackFile
from catfs.store.pack_set import PACKS_FOLDER
from catfs.values import dataclass

CheckProgress = Callable[[int, int], None]
"""Told now and then how many objects and how many bytes of content were checked so far."""

_PACK_PORTION = 2048
"""Objects of a pack that one thread checks before it asks for more work."""


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """Something that is wrong with a store.

    Args:
        place: The file, relative to the store.
        digest: The object that is lost; None when it is not known which.
        problem: What is wrong: expected and got.
    """

    place: str
    digest: Digest | None
    problem: str


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """What a check found.

    Args:
        objects: How many objects were read, those in several places as often as they are kept.
        size: Bytes of content in them.
        problems: Everything that is wrong, by place; none when the store is sound.
    """

    objects: int
    size: int
    problems: tuple[StoreProblem, ...]


_Outcome = tuple[int, int, list[DamagedObjectError]]


def check_store(store: LocalStore, *, threads: int = 0, progress: CheckProgress | None = None) -> StoreCheck:
    """Read every object of a store and hold it against its digest.

    Args:
        store: The store.
        threads: How many objects are read at the same time; 0 for as many as there are processors.
        progress: Told how far it is; None for nobody.

    Raises:
        OSError: when a folder of the store cannot be read.
    """
    damages: list[DamagedObjectError] = store.packs.refresh()
    damages += [
        DamagedObjectError(str(path), "expected only objects here, got a file with another name")
        for path in _strangers(store.root)
    ]
    objects = size = 0
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as executor:
        for future in _submitted(executor, store):
            count, length, found = future.result()
            objects += count
            size += length
            damages += found
            if progress is not None:
                progress(objects, size)
    problems = (
        StoreProblem(os.path.relpath(damage.place, store.root), damage.digest, damage.problem)
        for damage in damages
    )
    return StoreCheck(objects, size, tuple(sorted(problems, key=lambda item: (item.place, item.problem))))


def _submitted(executor: ThreadPoolExecutor, store: LocalStore) -> Iterator[Future[_Outcome]]:
    """Hand out the work and give the results in order; only a little work waits at any time."""
    waiting = [
        executor.submit(_check_packed, pack, start)
        for pack in store.packs.files.values()
        for start in range(0, len(pack), _PACK_PORTION)
    ]
    for path, digest in iterate_loose(store.root):
        if digest is not None:
            waiting.append(executor.submit(_check_loose, path, digest))
        if len(waiting) > _PACK_PORTION:
            yield waiting.pop(0)
    yield from waiting


def _strangers(root: Path) -> Iterator[Path]:
    """Give every file that has no business where it is."""
    yield from (path for path, digest in iterate_loose(root) if digest is None)
    yield from (path for path in sorted((root / PACKS_FOLDER).iterdir()) if path.suffix != PACK_SUFFIX)


def _check_packed(pack: PackFile, start: int) -> _Outcome:
    end = min(start + _PACK_PORTION, len(pack))
    size = 0
    damages = []
    for place in range(start, end):
        try:
            size += len(pack.get(place))
        except DamagedObjectError as error:
            damages.append(error)
    return end - start, size, damages


def _check_loose(path: Path, digest: Digest) -> _Outcome:
    try:
        with LooseObject(path, digest, compressed=path.suffix == COMPRESSED_SUFFIX) as item:
            for _ in item.pieces():
                pass
            return 1, item.size, []
    except DamagedObjectError as error:
        return 1, 0, [error]
    except FileNotFoundError:
        # Removed since it was listed, which is no damage.
        return 0, 0, []
