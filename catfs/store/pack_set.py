"""All packs of a local store: looked into, published, rewritten and joined."""

import os
import threading
from pathlib import Path
from typing import Final

from catfs.clock import system_clock
from catfs.digest import Digest
from catfs.durable import fsync_directory
from catfs.store.interface import DamagedObjectError
from catfs.store.loose import temporary_path
from catfs.store.pack import PACK_BYTES_MAX, PACK_OBJECTS_MAX, PACK_SUFFIX, PackFile, PackFileWriter

PACKS_FOLDER: Final = "packs"
"""Where the packs are."""

JOINED_PACKS_MIN: Final = 8
"""Packs below half of the largest size that are worth joining: every look-up asks each pack."""

_RENEW_NS = 60 * 1_000_000_000
"""An age that was renewed less than a minute ago need not be renewed again."""


class PackSet:
    """The packs of a store, as of the last time their list was read.

    Args:
        root: The store's folder.
        durable: Whether what is published must survive a power cut.
    """

    def __init__(self, root: Path, *, durable: bool) -> None:
        self._root = root
        self._folder = root / PACKS_FOLDER
        self._durable = durable
        self._files: dict[str, PackFile] = {}
        self._refreshing = threading.Lock()

    @property
    def files(self) -> dict[str, PackFile]:
        """The packs by file name."""
        return dict(self._files)

    def refresh(self) -> list[DamagedObjectError]:
        """Read the list of packs again, and give what is wrong with those that cannot be used."""
        problems = []
        with self._refreshing:
            names = {name for name in os.listdir(self._folder) if name.endswith(PACK_SUFFIX)}
            files = {name: pack for name, pack in self._files.items() if name in names}
            for name in sorted(names - files.keys()):
                try:
                    files[name] = PackFile(self._folder / name)
                except FileNotFoundError:
                    continue
                except DamagedObjectError as error:
                    problems.append(error)
            self._files = files
        return problems

    def find(self, raw: bytes) -> tuple[PackFile, int] | None:
        """Give a known pack that holds an object, and the place in its index; None when there is none."""
        for pack in self._files.values():
            if (place := pack.find(raw)) is not None:
                return pack, place
        return None

    def renew(self, digest: Digest) -> bool:
        """Say whether a known pack holds an object; if so its age begins anew."""
        found = self.find(digest.raw)
        return found is not None and renew_age(found[0].path)

    def publish(self, temporary: Path, name: str) -> None:
        """Give a finished pack, whose bytes are durable if they must be, its name."""
        os.rename(temporary, self._folder / name)
        if self._durable:
            fsync_directory(self._folder)

    def remove(self, name: str) -> None:
        """Remove a pack; whoever has it open goes on reading it."""
        (self._folder / name).unlink(missing_ok=True)
        if self._durable:
            fsync_directory(self._folder)
        with self._refreshing:
            self._files = {other: pack for other, pack in self._files.items() if other != name}

    def rewrite(self, name: str, without: set[bytes]) -> None:
        """Replace a pack by one that leaves some objects out; the others keep their age.

        Args:
            name: The pack.
            without: 32 bytes of the digest of each object that is left out.
        """
        pack = self._files[name]
        age = pack.path.stat().st_mtime_ns
        joined = _Joined(self, self._root, age, durable=self._durable)
        try:
            joined.add(pack, without)
            joined.finish()
        finally:
            joined.discard()
        self.remove(name)
        self.refresh()

    def join(self) -> int:
        """Join small packs when there are many, and give how many; the caller holds the lock for cleaning.

        Raises:
            OSError: when a step fails; every object is still held.
        """
        self.refresh()
        small = {
            name: pack
            for name, pack in self._files.items()
            if len(pack) < PACK_OBJECTS_MAX // 2 and pack.stored_size < PACK_BYTES_MAX // 2
        }
        if len(small) < JOINED_PACKS_MIN:
            return 0
        youngest = max(pack.path.stat().st_mtime_ns for pack in small.values())
        joined = _Joined(self, self._root, youngest, durable=self._durable)
        try:
            for pack in small.values():
                joined.add(pack, set())
            joined.finish()
        finally:
            joined.discard()
        for name in small.keys() - joined.names:
            self.remove(name)
        # A new pack may have the name of an old one; forgetting all shows the file that is there now.
        with self._refreshing:
            self._files = {}
        self.refresh()
        return len(small)


class _Joined:
    """New packs made of what other packs hold."""

    def __init__(self, packs: PackSet, root: Path, age_ns: int, *, durable: bool) -> None:
        self._packs = packs
        self._root = root
        self._age = age_ns
        self._durable = durable
        self._seen: set[bytes] = set()
        self._writer: PackFileWriter | None = None
        self.names: set[str] = set()

    def add(self, pack: PackFile, without: set[bytes]) -> None:
        """Take over the objects of a pack, as they are stored."""
        for place in range(len(pack)):
            raw = pack.raw(place)
            if raw in without or raw in self._seen:
                continue
            self._seen.add(raw)
            if self._writer is None:
                self._writer = PackFileWriter(temporary_path(self._root))
            self._writer.put_stored(raw, pack.stored(place), pack.length(place))
            if self._writer.is_full:
                self.finish()

    def finish(self) -> None:
        """Publish what was taken over; its age is that of the youngest it came from."""
        if self._writer is None:
            return
        name = self._writer.finish(durable=self._durable)
        os.utime(self._writer.path, ns=(self._age, self._age))
        self._packs.publish(self._writer.path, name)
        self.names.add(name)
        self._writer = None

    def discard(self) -> None:
        """Remove what was not published."""
        if self._writer is not None:
            self._writer.close()
            self._writer.path.unlink(missing_ok=True)


def renew_age(path: Path) -> bool:
    """Let the age of a file begin anew; False when it is gone."""
    now = system_clock()
    try:
        if now - path.stat().st_mtime_ns > _RENEW_NS:
            os.utime(path, ns=(now, now))
    except FileNotFoundError:
        return False
    return True
