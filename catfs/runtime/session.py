"""A session: one view of some domains, its folder, and what can be known of it at any moment.

The folder `.catfs/sessions/<id>/` holds `session.json` (who and what), `lock` (held as long as the
session lives), `data` (new bytes), `log.jsonl` (the write log) and the base of each domain.
"""

import fcntl
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from catfs.clock import system_clock
from catfs.durable import fsync_directory, publish
from catfs.errors import ConflictError, MachineError, UsageError
from catfs.limits import LOG_BUFFER_BYTES
from catfs.merkle import LayeredNodes, MemoryNodes, Tree, diff
from catfs.overlay import (
    ContentDigests,
    DataFile,
    DirectoryLower,
    Domain,
    NoTrace,
    Processes,
    ReplayClock,
    Undone,
    View,
    WriteLog,
    fold,
    replay,
)
from catfs.overlay.fold import touched_directories
from catfs.overlay.nodes import LowerStat, Origin
from catfs.overlay.redaction import Redaction
from catfs.overlay.replay import ReplayError
from catfs.records import Change, put_bytes_list
from catfs.records.log_lines import log_lines, log_records
from catfs.records.proof import BaseConflict
from catfs.records.write_record import Record, WriteRecord
from catfs.runtime.base import Base, forget_base, open_base
from catfs.runtime.committed import note_commit
from catfs.runtime.declaration import DomainDeclaration
from catfs.runtime.mending import (
    boot_id,
    doubt_of,
    keeps_history,
    mend_log,
    note_lost,
    started_of,
    trust_again,
)
from catfs.runtime.seen import SeenLower
from catfs.runtime.workspace import FOLDER, Workspace


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
        kind: `run` or `mount`. What a mount has written is durable with each fsync, and can be resumed.
        resumed: Whether its folder is there already, left by a server that is gone.
        rebase: Whether a changed original is taken as the new base, where it changed nothing that this
            session changed too.
        history: Whether it keeps every byte that was ever written; of a resumed one its folder says so.

    Raises:
        MachineError: when the folder cannot be made.
        UsageError: when the session to resume is held by a living server.
        ReplayError, LogDamageError: when the log of the session to resume cannot be followed.
        OSError: when a domain cannot be opened.
    """

    def __init__(
        self,
        workspace: Workspace,
        identity: str,
        declarations: Sequence[DomainDeclaration],
        kind: str,
        *,
        resumed: bool = False,
        rebase: bool = False,
        history: bool = False,
    ) -> None:
        self.identity = identity
        self.declarations = tuple(declarations)
        self.folder = workspace.sessions / identity
        self._keep = False
        self._kind = kind
        self._rebase = rebase
        self.lost_bytes = 0
        """Bytes of the log of a resumed session that could not be believed any more and were cut off."""
        self._in_doubt = False
        """Whether this goes on after a server that is gone, and nothing was synced since."""
        self._first_seen: dict[tuple[int, bytes], WriteRecord] = {}
        self._roots: list[int] = []
        self._lowers: list[DirectoryLower] = []
        self._seen: list[SeenLower] = []
        self._started = started_of(self.folder) if resumed else system_clock()
        self.history = keeps_history(self.folder) if resumed else history
        if not resumed:
            self._make_folder()
        self._take_lock(resumed=resumed)
        hidden = _hidden(workspace, self.declarations)
        for declaration in self.declarations:
            root = os.open(declaration.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._roots.append(root)
            self._lowers.append(DirectoryLower(root, hidden))
            self._seen.append(SeenLower(self._lowers[-1]))
        self._domains = [
            Domain(lower, str(index).encode(), _reserved(declaration.path, workspace))
            for index, (lower, declaration) in enumerate(zip(self._seen, self.declarations, strict=True))
        ]
        self._data = self._open("data", os.O_RDWR)
        self._log = self._open("log.jsonl", os.O_WRONLY | os.O_APPEND)
        sequence = self._mend() if resumed else 0
        size = os.fstat(self._data).st_size
        data = DataFile(self._data, size, self._note_lost, keeps_all=self.history)
        self._processes = Processes()
        buffer_bytes = 0 if kind == "mount" else LOG_BUFFER_BYTES
        redaction = Redaction(workspace.configuration().redact)
        self.log = WriteLog(self._log, self._processes, sequence, buffer_bytes, self._note_lost, redaction)
        if resumed:
            self.view = self._resumed_view(data)
            self.view.clock = system_clock
            self.view.trace = self.log
        else:
            self.view = View(self._domains, data, self.log, durable=kind == "mount")
        if rebase:
            forget_base(self.folder, len(self.declarations))
        self.base = open_base(self.folder, self._roots, hidden)
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

    def suspend(self) -> None:
        """Make everything durable and let closing keep the folder, so that the session can be resumed.

        Raises:
            OSError: when the disk refuses.
        """
        self._keep = True
        self.view.sync()
        if self._in_doubt:
            trust_again(self.folder)
            publish(self.folder, b"session.json", orjson.dumps(self._facts()), mode=0o600)
            self._in_doubt = False

    def announce_commit(self, run_id: str, domains: Sequence[tuple[bytes, Sequence[Change]]]) -> None:
        """Note that the session is about to be committed, so that whoever finds it knows whether it was.

        Args:
            run_id: The run that the commit belongs to.
            domains: The path of each domain and what is to be changed in it.

        Raises:
            OSError: when that cannot be written down; a run needs no note, since nobody resumes it.
        """
        if self._kind == "mount":
            note_commit(self.folder, run_id, domains)

    def drop(self) -> None:
        """Let closing remove the folder: the session is concluded."""
        self._keep = False

    def close(self) -> None:
        """Close everything and remove the folder, unless the session is suspended.

        What had to survive of a session that was not suspended is in the ledger by now.
        """
        self.base.stop()
        self._processes.close()
        for lower in self._lowers:
            lower.close()
        for descriptor in (*self._roots, self._data, self._log):
            os.close(descriptor)
        if not self._keep:
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
        again = self._replayed(self.view.data)
        states = []
        for index, declaration in enumerate(self.declarations):
            nodes = LayeredNodes(MemoryNodes(), bases[index].pack)
            base = Tree(nodes, bases[index].pack.root_entry)
            links = bases[index].hard_links
            view = fold(self.view, index, base, nodes, self._digests, links)
            replayed = fold(again, index, base, nodes, self._digests, links)
            conflicts, checked = self._conflicts(index)
            changes = tuple(diff(base, view))
            if self._rebase:
                conflicts = tuple(conflict for conflict in conflicts if _collides(conflict.path, changes))
            states.append(
                DomainState(
                    declaration=declaration,
                    base=base,
                    view=view,
                    replayed=replayed,
                    changes=changes,
                    conflicts=conflicts,
                    checked=checked,
                )
            )
        return states

    def _replayed(self, data: DataFile, *, durable: bool = False) -> View:
        """Make the view again from the lower and the log alone."""
        view = View(self._domains, data, NoTrace(), ReplayClock(), durable=durable)
        name = self.log_path.name
        with self.log_path.open("rb") as stream:
            undone = Undone.of_lines(log_lines(stream, name))
            stream.seek(0)
            records = self._noting_bases(log_records(log_lines(stream, name), name))
            replay(undone.counting(records), view)
        return view

    def _noting_bases(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, and remember what each lower file was when the session first used it."""
        for record in records:
            if isinstance(record, WriteRecord) and record.op == "base":
                self._first_seen.setdefault((record.domain, record.path), record)
            yield record

    def _resumed_view(self, data: DataFile) -> View:
        """Make the view of a session that goes on.

        Raises:
            ConflictError: when the log does not fit the lower any more, because somebody changed that.
        """
        try:
            return self._replayed(data, durable=True)
        except (ReplayError, OSError) as error:
            for index in range(len(self.declarations)):
                for path, got in self._changed_bases(index, known=()):
                    raise ConflictError(path, "what the session saw", got) from error
            if isinstance(error, ReplayError):
                record = error.record
                path = record.texts.get("path2", record.path)
                if self._lower_stat(record.domain, path) is not None:
                    raise ConflictError(path, "nothing", "something new") from error
            raise

    def _changed_bases(self, index: int, known: Collection[bytes]) -> Iterator[tuple[bytes, str]]:
        """Give what this session or a server before read or touched in a domain, and is not what it was.

        Args:
            index: The domain.
            known: Paths that are looked at elsewhere.
        """
        for (domain, path), record in sorted(self._first_seen.items()):
            if domain == index and path not in known:
                now = self._lower_stat(domain, path)
                if now is None:
                    yield path, "nothing"
                elif not _same(_stat_of(record, now), now):
                    yield path, "something else"

    def _lower_stat(self, index: int, path: bytes) -> LowerStat | None:
        """Give what is at a path of the lower now; None for nothing."""
        origin = Origin(None, b"", self._seen[index].root(), index)
        for name in path.split(b"/") if path else ():
            origin = Origin(origin, name, origin.lower_stat, index)
        return self._lowers[index].stat(origin)

    def _conflicts(self, index: int) -> tuple[tuple[BaseConflict, ...], int]:
        """Give what is not as the session saw it in a domain, and the number of paths looked at."""
        domain = os.fsencode(self.declarations[index].path)
        found, checked = self._moved(index, domain), 0
        used = {origin.path() for origin in self.view.used if origin.domain == index}
        for path, got in self._changed_bases(index, used):
            found.append(BaseConflict(domain, path, "what the session saw", got))
        for origin in sorted(self.view.used, key=Origin.names):
            if origin.domain != index:
                continue
            checked += 1
            now = self._lowers[index].stat(origin)
            before = self._before(origin)
            if now is None:
                found.append(BaseConflict(domain, origin.path(), "what the session saw", "nothing"))
            elif not _same(before, now):
                found.append(BaseConflict(domain, origin.path(), "what the session saw", "something else"))
        for directory in touched_directories(self.view.roots[index]):
            fresh = self._seen[index].appeared(directory.origin, directory.touched)
            found.extend(BaseConflict(domain, path, "nothing", "something new") for path in fresh)
        return tuple(found), checked

    def _moved(self, index: int, domain: bytes) -> list[BaseConflict]:
        """Say whether another directory has taken the place of a domain: a commit goes to its path."""
        expected = os.fstat(self._roots[index])
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
        if record is None:
            return seen
        return _stat_of(record, seen)

    def _mend(self) -> int:
        """Bring log and data file to where they can be believed, and give the number of records."""
        doubt = doubt_of(self.folder)
        mended = mend_log(self.log_path, doubt)
        self.lost_bytes, self._in_doubt = mended.lost_bytes, True
        if mended.data_bytes is not None:
            os.ftruncate(self._data, min(mended.data_bytes, os.fstat(self._data).st_size))
            forget_base(self.folder, len(self.declarations))
        return mended.records

    def _note_lost(self) -> None:
        """Write down that the disk did not keep what this session wrote since it was last synced."""
        note_lost(self.folder, self.log.durable_bytes)

    def _take_lock(self, *, resumed: bool) -> None:
        """Hold the session; the lock goes with this process, however it ends."""
        self._lock = self._open("lock", os.O_RDWR)
        try:
            # Of a new session nobody can be the server: who has the lock is just looking (`is_locked`).
            fcntl.flock(self._lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if resumed else 0))
        except BlockingIOError:
            os.close(self._lock)
            raise UsageError(f"the session {self.identity} has a living server") from None

    def _make_folder(self) -> None:
        durable = self._kind == "mount"
        try:
            self.folder.mkdir(mode=0o700)
            if durable:
                fsync_directory(self.folder.parent)
        except OSError as error:
            raise MachineError(f"cannot make the session folder {self.folder}: {error.strerror}") from error
        publish(self.folder, b"session.json", orjson.dumps(self._facts()), mode=0o600, durable=durable)

    def _facts(self) -> dict[str, object]:
        """Give what `session.json` says; its server is this process."""
        facts: dict[str, object] = {
            "session": self.identity,
            "kind": self._kind,
            "pid": os.getpid(),
            "started": self._started,
            "boot": boot_id(),
            "history": self.history,
        }
        put_bytes_list(facts, "domains", [os.fsencode(declaration.path) for declaration in self.declarations])
        return facts

    def _open(self, name: str, flags: int) -> int:
        return os.open(self.folder / name, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _hidden(workspace: Workspace, declarations: Sequence[DomainDeclaration]) -> list[tuple[int, int]]:
    """Give (device, inode) of each `.catfs` that views hide: the workspace's, and one in a domain itself."""
    hidden = [workspace.identity]
    for declaration in declarations:
        with suppress(OSError):
            status = (declaration.path / FOLDER).lstat()
            if stat.S_ISDIR(status.st_mode):
                hidden.append((status.st_dev, status.st_ino))
    return hidden


def _reserved(domain: Path, workspace: Workspace) -> bytes:
    """Give the path in a domain that programs may not make: where the workspace is, or would be."""
    if not workspace.folder.is_relative_to(domain):
        return os.fsencode(FOLDER)
    return os.fsencode(workspace.folder.relative_to(domain))


def _stat_of(record: WriteRecord, like: LowerStat) -> LowerStat:
    """Give what a record says that a lower file was; what it does not say is like another one."""
    mode, size, mtime, ctime = (record.number(key) for key in ("mode", "size", "mtime", "ctime"))
    return like._replace(ino=record.ino, mode=mode, size=size, mtime=mtime, ctime=ctime)


def _collides(path: bytes, changes: Iterable[Change]) -> bool:
    """Say whether what somebody changed is a path that a session changed, or lies above or below one."""
    return not path or any(
        change.path == path or change.path.startswith(path + b"/") or path.startswith(change.path + b"/")
        for change in changes
    )


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
