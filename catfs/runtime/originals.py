"""The originals of a session: its domains as they lie below the view, and whether they are what it saw."""

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from catfs.overlay import DirectoryLower, Domain, View
from catfs.overlay.fold import touched_directories
from catfs.overlay.nodes import LowerStat, Origin
from catfs.records import Change
from catfs.records.proof import BaseConflict
from catfs.records.write_record import Record, WriteRecord
from catfs.runtime.seen import SeenLower


class Originals:
    """The lowers of a session, and what each of their files was when the session first used it.

    Args:
        paths: The absolute path of each domain.
        roots: Descriptor of each domain's directory; they stay the caller's.
        hidden: (device, inode) of directories that are not part of any domain.
    """

    def __init__(
        self, paths: Sequence[Path], roots: Sequence[int], hidden: Collection[tuple[int, int]]
    ) -> None:
        self._paths = tuple(map(os.fsencode, paths))
        self._roots = tuple(roots)
        self._lowers = [DirectoryLower(root, hidden) for root in roots]
        self._seen = [SeenLower(lower) for lower in self._lowers]
        self._first_seen: dict[tuple[int, bytes], WriteRecord] = {}

    def close(self) -> None:
        """Close every descriptor that was opened below the roots."""
        for lower in self._lowers:
            lower.close()

    def domains(self, reserved: Sequence[bytes]) -> list[Domain]:
        """Give the domains as a view takes them.

        Args:
            reserved: For each domain the path in it that programs may not make.
        """
        return [
            Domain(lower, str(index).encode(), path)
            for index, (lower, path) in enumerate(zip(self._seen, reserved, strict=True))
        ]

    def noting_bases(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass the records of a log on, and remember what each lower file was at its first use."""
        for record in records:
            if isinstance(record, WriteRecord) and record.op == "base":
                self._first_seen.setdefault((record.domain, record.path), record)
            yield record

    def used(self, view: View, index: int) -> set[bytes]:
        """Give the paths of a domain that the session read or touched, before it was resumed too.

        Args:
            view: The view of the session.
            index: The domain.
        """
        paths = {origin.path() for origin in view.used if origin.domain == index}
        paths |= {path for domain, path in self._first_seen if domain == index}
        for directory in touched_directories(view.roots[index]):
            if directory.origin is not None:
                above = directory.origin.path()
                paths |= {above + b"/" + name if above else name for name in directory.touched}
        return paths

    def conflicts(self, view: View, index: int) -> tuple[tuple[BaseConflict, ...], int]:
        """Give what is not as the session saw it in a domain, and the number of paths looked at.

        Args:
            view: The view of the session.
            index: The domain.

        Raises:
            OSError: when something cannot be looked at.
        """
        domain = self._paths[index]
        origins = sorted((origin for origin in view.used if origin.domain == index), key=Origin.names)
        found = self._moved(index)
        for path, got in self.changed_bases(index, {origin.path() for origin in origins}):
            found.append(BaseConflict(domain, path, "what the session saw", got))
        for origin in origins:
            now = _difference(self._before(origin), self._lowers[index].stat(origin))
            if now is not None:
                found.append(BaseConflict(domain, origin.path(), "what the session saw", now))
        for directory in touched_directories(view.roots[index]):
            fresh = self._seen[index].appeared(directory.origin, directory.touched)
            found.extend(BaseConflict(domain, path, "nothing", "something new") for path in fresh)
        return tuple(found), len(origins)

    def changed_bases(self, index: int, known: Collection[bytes] = ()) -> Iterator[tuple[bytes, str]]:
        """Give what this session or a server before read or touched in a domain, and is not what it was.

        Args:
            index: The domain.
            known: Paths that are looked at elsewhere.

        Raises:
            OSError: when something cannot be looked at.
        """
        for (domain, path), record in sorted(self._first_seen.items()):
            if domain == index and path not in known:
                now = self.stat(index, path)
                got = "nothing" if now is None else _difference(_stat_of(record, now), now)
                if got is not None:
                    yield path, got

    def stat(self, index: int, path: bytes) -> LowerStat | None:
        """Give what is at a path of a domain now; None for nothing.

        Raises:
            OSError: when it cannot be looked at.
        """
        origin = Origin(None, b"", self._seen[index].root(), index)
        for name in path.split(b"/") if path else ():
            origin = Origin(origin, name, origin.lower_stat, index)
        return self._lowers[index].stat(origin)

    def _moved(self, index: int) -> list[BaseConflict]:
        """Say whether another directory has taken the place of a domain: a commit goes to its path."""
        expected, domain = os.fstat(self._roots[index]), self._paths[index]
        try:
            got = os.stat(domain)
        except OSError as error:
            return [BaseConflict(domain, b"", "the directory that it was", error.strerror or "nothing")]
        if (got.st_dev, got.st_ino) == (expected.st_dev, expected.st_ino):
            return []
        return [BaseConflict(domain, b"", "the directory that it was", "another directory")]

    def _before(self, origin: Origin) -> LowerStat:
        """Give what a lower file was when the session first used it, perhaps before it was resumed."""
        seen, record = origin.lower_stat, self._first_seen.get((origin.domain, origin.path()))
        return seen if record is None else _stat_of(record, seen)


def collides(path: bytes, changes: Iterable[Change]) -> bool:
    """Say whether what somebody changed is a path that a session changed, or lies above or below one.

    Args:
        path: What was changed in the domain.
        changes: What the session changed.
    """
    return not path or any(
        change.path == path or change.path.startswith(path + b"/") or path.startswith(change.path + b"/")
        for change in changes
    )


def _stat_of(record: WriteRecord, like: LowerStat) -> LowerStat:
    """Give what a record says that a lower file was; what it does not say is like another one."""
    mode, size, mtime, ctime = (record.number(key) for key in ("mode", "size", "mtime", "ctime"))
    return like._replace(ino=record.ino, mode=mode, size=size, mtime=mtime, ctime=ctime)


def _difference(before: LowerStat, now: LowerStat | None) -> str | None:
    """Say what has taken the place of a lower file; None when it is what it was.

    A directory may have got or lost other names.
    """
    if now is None:
        return "nothing"
    if stat.S_ISDIR(before.mode):
        is_same = (before.dev, before.ino, before.mode) == (now.dev, now.ino, now.mode)
    else:
        is_same = now.same_file(before)
    return None if is_same else "something else"
