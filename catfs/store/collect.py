"""Cleaning of a local store: what nobody can reach is removed, small packs are joined.

What is reachable is said by the caller, who knows what runs and trees are. Between the moment when it looked
and the removal new objects may have been put and found again, so whatever is young stays, and writers renew
the age of what they find (`LocalStore.renew`) under a lock that the cleaning holds alone.
"""

from collections.abc import Iterable
from pathlib import Path

from catfs.clock import Clock, system_clock
from catfs.digest import Digest
from catfs.store.local import LocalStore
from catfs.store.lock import StoreBusyError, cleaning
from catfs.store.loose import TEMPORARY_FOLDER, iterate_loose
from catfs.store.pack import PackFile
from catfs.values import dataclass

GRACE_NS = 24 * 3600 * 1_000_000_000
"""Age below which nothing is removed, in nanoseconds: a day, longer than a run takes
between putting an object and writing down what refers to it."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection removed, or would remove.

    Args:
        removed: Every unreachable object that is old enough, ascending.
        size: Bytes they take in the store.
        young: Unreachable objects that stay because they are young.
        temporaries: Left-over temporary files.
        dry_run: Whether nothing was really removed.
    """

    removed: tuple[Digest, ...]
    size: int
    young: int
    temporaries: int
    dry_run: bool


def collect_garbage(
    store: LocalStore,
    reachable: Iterable[Digest],
    *,
    grace_ns: int = GRACE_NS,
    dry_run: bool = False,
    clock: Clock = system_clock,
) -> Collection:
    """Remove every object that is neither reachable nor young.

    Args:
        store: The store.
        reachable: Everything that must stay. It is consumed before anything is removed, so if it
            raises because a tree cannot be followed, nothing is removed.
        grace_ns: Age below which nothing is removed, in nanoseconds.
        dry_run: Whether to say only what would be removed.
        clock: Gives the time.

    Raises:
        StoreBusyError: when somebody writes to the store.
        OSError: when a removal fails; whatever is reachable is still there.
    """
    live = {digest.raw for digest in reachable}
    with cleaning(store.root):
        return _Cleaning(store, live, clock() - grace_ns, dry_run=dry_run).run()


class _Cleaning:
    """One collection, under the lock."""

    def __init__(self, store: LocalStore, live: set[bytes], before_ns: int, *, dry_run: bool) -> None:
        self._store = store
        self._live = live
        self._before = before_ns
        self._dry_run = dry_run
        self._removed: set[bytes] = set()
        self._size = 0
        self._young = 0

    def run(self) -> Collection:
        self._store.packs.refresh()
        for name, pack in self._store.packs.files.items():
            self._clean_pack(name, pack)
        for path, digest in iterate_loose(self._store.root):
            if digest is not None:
                self._clean_loose(path, digest)
        temporaries = len(_temporaries(self._store.root))
        if not self._dry_run:
            _remove_temporaries(self._store.root)
            self._store.packs.join()
        return Collection(
            removed=tuple(Digest(raw) for raw in sorted(self._removed)),
            size=self._size,
            young=self._young,
            temporaries=temporaries,
            dry_run=self._dry_run,
        )

    def _clean_pack(self, name: str, pack: PackFile) -> None:
        dead = {raw for raw in pack.raws() if raw not in self._live}
        if not dead:
            return
        if pack.path.stat().st_mtime_ns > self._before:
            self._young += len(dead)
            return
        self._removed |= dead
        places = (pack.find(raw) for raw in dead)
        self._size += sum(len(pack.stored(place)) for place in places if place is not None)
        if not self._dry_run:
            self._store.packs.rewrite(name, dead)

    def _clean_loose(self, path: Path, digest: Digest) -> None:
        if digest.raw in self._live:
            return
        status = path.stat()
        if status.st_mtime_ns > self._before:
            self._young += 1
            return
        self._removed.add(digest.raw)
        self._size += status.st_size
        if not self._dry_run:
            path.unlink()


def left_temporaries(store: LocalStore) -> int:
    """Give the number of temporary files that writers which are gone have left; 0 while somebody writes."""
    try:
        with cleaning(store.root):
            return len(_temporaries(store.root))
    except StoreBusyError:
        return 0


def clear_temporaries(store: LocalStore) -> None:
    """Remove the temporary files that writers which are gone have left.

    Args:
        store: The store.

    Raises:
        StoreBusyError: when somebody writes to the store.
        OSError: when one cannot be removed.
    """
    with cleaning(store.root):
        _remove_temporaries(store.root)


def _temporaries(root: Path) -> list[Path]:
    return list((root / TEMPORARY_FOLDER).iterdir())


def _remove_temporaries(root: Path) -> None:
    """Remove temporary files whose writers are gone: none can be alive, because writers hold the lock."""
    for path in _temporaries(root):
        path.unlink(missing_ok=True)
