"""A session: one view of some domains, its folder, and what can be known of it at any moment.

The folder `.catfs/sessions/<id>/` holds `session.json` (who and what), `lock` (held as long as the
session lives), `data` (new bytes), `log.jsonl` (the write log) and the base of each domain.
"""

import fcntl
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from catfs.clock import system_clock
from catfs.errors import ConflictError, MachineError
from catfs.merkle import LayeredNodes, MemoryNodes, Tree, diff
from catfs.overlay import (
    ContentDigests,
    DataFile,
    DirectoryLower,
    Domain,
    NoTrace,
    Processes,
    ReplayClock,
    View,
    WriteLog,
    fold,
    replay,
)
from catfs.overlay.fold import touched_directories
from catfs.overlay.nodes import LowerStat, Origin
from catfs.overlay.replay import ReplayError
from catfs.records import Change
from catfs.records.log_lines import log_lines, log_records
from catfs.records.proof import BaseConflict
from catfs.runtime.base import Base, BaseReader
from catfs.runtime.declaration import DomainDeclaration
from catfs.runtime.seen import SeenLower
from catfs.runtime.workspace import Workspace

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class DomainState:
    """Everything a proof needs to know of one domain.

    Args:
        declaration: The domain and its declared outputs.
        base: The tree of the lower.
        view: The tree of the view.
        replayed: The tree of the view made again from the log.
        changes: The difference between base and view, in path order.
        conflicts: Lower files that changed underneath.
        checked: Number of lower files that were checked for that.
    """

    declaration: DomainDeclaration
    base: Tree
    view: Tree
    replayed: Tree
    changes: tuple[Change, ...]
    conflicts: tuple[BaseConflict, ...]
    checked: int


class Session:
    """An open session; a context manager that closes it.

    Args:
        workspace: Where its folder is.
        identity: Its id.
        declarations: Its domains.
        kind: `run` or `mount`.
        durable: Whether fsync makes it durable.
    """

    def __init__(
        self,
        workspace: Workspace,
        identity: str,
        declarations: Sequence[DomainDeclaration],
        kind: str,
        *,
        durable: bool = False,
    ) -> None:
        self.identity = identity
        self.declarations = tuple(declarations)
        self.folder = workspace.sessions / identity
        self._roots: list[int] = []
        self._lowers: list[DirectoryLower] = []
        self._seen: list[SeenLower] = []
        self._make_folder(kind)
        self._data = self._open("data", os.O_RDWR)
        self._log = self._open("log.jsonl", os.O_WRONLY | os.O_APPEND)
        self._processes = Processes()
        self.log = WriteLog(self._log, self._processes)
        hidden = [workspace.identity]
        for declaration in self.declarations:
            root = os.open(declaration.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._roots.append(root)
            self._lowers.append(DirectoryLower(root, hidden))
            self._seen.append(SeenLower(self._lowers[-1]))
        self._domains = [
            Domain(lower, str(index).encode(), _reserved(declaration.path, workspace))
            for index, (lower, declaration) in enumerate(zip(self._seen, self.declarations, strict=True))
        ]
        self.view = View(self._domains, DataFile(self._data), self.log, durable=durable)
        self.base = BaseReader(self.folder, self._roots, hidden)
        self._digests = ContentDigests()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def labels(self) -> tuple[bytes, ...]:
        """The name of each domain in the joined root of several."""
        return tuple(domain.label for domain in self._domains)

    @property
    def log_path(self) -> Path:
        """Where the write log is."""
        return self.folder / "log.jsonl"

    def close(self) -> None:
        """Close everything and remove the folder: what had to survive is in the ledger by now."""
        self.base.stop()
        self._processes.close()
        for lower in self._lowers:
            lower.close()
        for descriptor in (*self._roots, self._data, self._log):
            os.close(descriptor)
        remove_session_folder(self.folder)
        os.close(self._lock)

    def states(self) -> list[DomainState]:
        """Fold the view and the log, compare both with the base, and check the base again.

        Raises:
            MachineError: when the base cannot be read.
            ConflictError: when the base changed so much underneath that the view cannot be read any more.
            ReplayError: when the log cannot be followed.
            OSError: when content cannot be read.
        """
        bases = self.base.finish()
        self.log.flush()
        try:
            return self._states(bases)
        except (MachineError, ReplayError, OSError) as error:
            for index in range(len(self.declarations)):
                for conflict in self._conflicts(index)[0]:
                    raise ConflictError(conflict.path, conflict.expected, conflict.got) from error
            raise

    def _states(self, bases: Sequence[Base]) -> list[DomainState]:
        again = self._replayed()
        states = []
        for index, declaration in enumerate(self.declarations):
            nodes = LayeredNodes(MemoryNodes(), bases[index].pack)
            base = Tree(nodes, bases[index].pack.root_entry)
            links = bases[index].hard_links
            view = fold(self.view, index, base, nodes, self._digests, links)
            replayed = fold(again, index, base, nodes, self._digests, links)
            conflicts, checked = self._conflicts(index)
            states.append(
                DomainState(
                    declaration=declaration,
                    base=base,
                    view=view,
                    replayed=replayed,
                    changes=tuple(diff(base, view)),
                    conflicts=conflicts,
                    checked=checked,
                )
            )
        return states

    def _replayed(self) -> View:
        """Make the view again from the lower and the log alone."""
        view = View(self._domains, self.view.data, NoTrace(), ReplayClock())
        with self.log_path.open("rb") as stream:
            replay(log_records(log_lines(stream, self.log_path.name), self.log_path.name), view)
        return view

    def _conflicts(self, index: int) -> tuple[tuple[BaseConflict, ...], int]:
        """Give what is not as the session saw it in a domain, and the number of paths looked at."""
        domain = os.fsencode(self.declarations[index].path)
        found, checked = [], 0
        for origin in sorted(self.view.used, key=Origin.names):
            if origin.domain != index:
                continue
            checked += 1
            now = self._lowers[index].stat(origin)
            if now is None:
                found.append(BaseConflict(domain, origin.path(), "what the session saw", "nothing"))
            elif not _same(origin.lower_stat, now):
                found.append(BaseConflict(domain, origin.path(), "what the session saw", "something else"))
        for directory in touched_directories(self.view.roots[index]):
            fresh = self._seen[index].appeared(directory.origin, directory.touched)
            found.extend(BaseConflict(domain, path, "nothing", "something new") for path in fresh)
        return tuple(found), checked

    def _make_folder(self, kind: str) -> None:
        try:
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            raise MachineError(f"cannot make the session folder {self.folder}: {error.strerror}") from error
        self._lock = self._open("lock", os.O_RDWR)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        facts = {
            "session": self.identity,
            "kind": kind,
            "pid": os.getpid(),
            "started": system_clock(),
            "domains": [os.fsdecode(declaration.path) for declaration in self.declarations],
        }
        (self.folder / "session.json").write_bytes(orjson.dumps(facts))

    def _open(self, name: str, flags: int) -> int:
        return os.open(self.folder / name, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _reserved(domain: Path, workspace: Workspace) -> bytes | None:
    """Give the path of `.catfs` in a domain that holds it."""
    if not workspace.folder.is_relative_to(domain):
        return None
    return os.fsencode(workspace.folder.relative_to(domain))


def _same(before: LowerStat, now: LowerStat) -> bool:
    """Say whether a lower file is what it was; a directory may have got or lost other names."""
    if stat.S_ISDIR(before.mode):
        return (before.dev, before.ino, before.mode) == (now.dev, now.ino, now.mode)
    return now.same_file(before)


def remove_session_folder(folder: Path) -> None:
    """Remove a session's folder with all its files; there are no folders in it but an empty `mount`."""
    for path in sorted(folder.iterdir()):
        if stat.S_ISDIR(path.lstat().st_mode):
            path.rmdir()
        else:
            path.unlink()
    folder.rmdir()
