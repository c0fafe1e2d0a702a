"""A session: one view of some domains, its folder, and what can be known of it at any moment.

The folder `.catfs/sessions/<id>/` holds `session.json` (who and what), `lock` (held as long as the
session lives), `data` (new bytes), `log.jsonl` (the write log) and the base of each domain.
"""

import fcntl
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Self

import orjson

from catfs.clock import system_clock
from catfs.durable import fsync_directory, publish
from catfs.errors import ConflictError, MachineError, UsageError
from catfs.limits import LOG_BUFFER_BYTES
from catfs.merkle import LayeredNodes, MemoryNodes, Tree, diff, index_name
from catfs.overlay import (
    ContentDigests,
    DataFile,
    HardLinks,
    NoTrace,
    Processes,
    ReplayClock,
    Undone,
    View,
    WriteLog,
    fold,
    replay,
)
from catfs.overlay.nodes import Actor
from catfs.overlay.redaction import Redaction
from catfs.overlay.replay import ReplayError
from catfs.records import BaseNote, Change, put_bytes_list
from catfs.records.log_lines import log_lines, log_records
from catfs.records.proof import BaseConflict
from catfs.records.write_record import ProcessRecord, WriteRecord
from catfs.runtime.ahead import Ahead
from catfs.runtime.base import Base, BasePlaces, UnreadableDomainError
from catfs.runtime.base_reader import open_base
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
from catfs.runtime.moments import record_of
from catfs.runtime.originals import Originals, collides
from catfs.runtime.session_files import COMMIT_FILE, DATA_FILE, FACTS_FILE, LOCK_FILE, LOG_FILE
from catfs.runtime.since import CommittedPaths
from catfs.runtime.workspace import FOLDER, Workspace, hidden_folders
from catfs.values import dataclass, make_ready


class SessionKind(StrEnum):
    """What a session is for, as `session.json` says it."""

    RUN = "run"
    """One command or pipeline; it ends with it."""
    MOUNT = "mount"
    """A mount for everybody: what was written is durable with each fsync, and it can be resumed."""
    UNKNOWN = "unknown"
    """Its server ended before it wrote its facts, or when it had begun to remove its folder."""


@dataclass(frozen=True, slots=True)
class DomainState:
    """Everything a proof needs to know of one domain.

    Args:
        declaration: The domain and its declared outputs.
        base: The tree of the lower.
        note: How the base is known.
        view: The tree of the view.
        replayed: The tree of the view made again from the log.
        changes: The difference between base and view, in path order.
        conflicts: Lower files that changed underneath.
        checked: Number of lower files that were checked for that.
        fresh: Hold the nodes of the trees that the store of the workspace does not keep yet.
        hard_links: The paths of each file of the lower with several names.
    """

    declaration: DomainDeclaration
    base: Tree
    note: BaseNote
    view: Tree
    replayed: Tree
    changes: tuple[Change, ...]
    conflicts: tuple[BaseConflict, ...]
    checked: int
    fresh: tuple[MemoryNodes, ...]
    hard_links: HardLinks


class Session:
    """An open session; a context manager that closes it.

    Args:
        workspace: Where its folder is.
        identity: Its id.
        declarations: Its domains.
        kind: Whether it is a run or a mount.
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
        kind: SessionKind,
        *,
        resumed: bool = False,
        rebase: bool = False,
        history: bool = False,
    ) -> None:
        self.identity = identity
        self.declarations = tuple(declarations)
        self.folder = workspace.sessions / identity
        self._committed = CommittedPaths(workspace.runs)
        self._keep = resumed
        self._kind = kind
        self._rebase = rebase
        self.lost_bytes = 0
        """Bytes of the log of a resumed session that could not be believed any more and were cut off."""
        self._in_doubt = False
        """Whether this goes on after a server that is gone, and nothing was synced since."""
        self._marked_bytes = 0
        """Bytes of the log of a resumed session that had been synced before it was resumed."""
        self._started = started_of(self.folder) if resumed else system_clock()
        self.history = keeps_history(self.folder) if resumed else history
        if not resumed:
            self._make_folder()
        # What was opened is closed again, and a new folder removed, when one of these steps fails.
        with ExitStack() as stack:
            self._take_lock(stack, resumed=resumed)
            stack.callback(self._remove_unless_kept)
            self._open_lowers(stack, workspace)
            self._open_view(stack, workspace, resumed=resumed)
            self._open_base(stack)
            if kind is SessionKind.RUN:
                self._go_ahead(stack)
            self._stack = stack.pop_all()

    def _open_lowers(self, stack: ExitStack, workspace: Workspace) -> None:
        """Open the domains."""
        paths = [declaration.path for declaration in self.declarations]
        hidden = hidden_folders(workspace, paths)
        roots: list[int] = []
        for path in paths:
            roots.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            stack.callback(os.close, roots[-1])
        self._originals = Originals(paths, roots, hidden)
        stack.callback(self._originals.close)
        self._domains = self._originals.domains([_reserved(path, workspace) for path in paths])
        indexes = tuple(workspace.indexes / index_name(os.fsencode(path)) for path in paths)
        self._places = BasePlaces(self.folder, workspace.store, indexes, tuple(roots), hidden)

    def _open_view(self, stack: ExitStack, workspace: Workspace, *, resumed: bool) -> None:
        """Open data file and log, and make the view, from the log when the session is resumed."""
        self._data = self._open(stack, DATA_FILE, os.O_RDWR)
        self._log = self._open(stack, LOG_FILE, os.O_WRONLY | os.O_APPEND)
        sequence = self._mend() if resumed else 0
        size = os.fstat(self._data).st_size
        data = DataFile(self._data, size, self._note_lost, keeps_all=self.history)
        self._processes = Processes(beyond_sessions=self._kind is SessionKind.RUN)
        stack.callback(self._processes.close)
        durable = self._kind is SessionKind.MOUNT
        buffer_bytes = 0 if durable else LOG_BUFFER_BYTES
        redaction = Redaction(workspace.configuration().redact)
        self.log = WriteLog(self._log, self._processes, sequence, buffer_bytes, self._note_lost, redaction)
        if resumed:
            self.view = self._resumed_view(data)
            self.view.clock = system_clock
            self.view.trace = self.log
        else:
            self.view = View(self._domains, data, self.log, durable=durable)
        self._digests = ContentDigests()
        self._ahead: Ahead | None = None
        self._early_bases: list[Base] = []
        """What is known of each domain while the command runs."""

    def _open_base(self, stack: ExitStack) -> None:
        """Begin to read the domains whole, unless that was done."""
        if self._rebase:
            self._places.forget()
        self.base = open_base(self._places)
        stack.callback(self.base.stop)

    def _go_ahead(self, stack: ExitStack) -> None:
        """Let the log be followed in the quiet moments of the view; a mount may live for weeks."""
        view, noting = self._empty_view(self.view.data), self._originals.noting_bases
        self._ahead = Ahead(self.log, self.log_path, view, noting, self._digests, self._fold_early)
        stack.callback(self._ahead.close)
        self.view.when_quiet = self._ahead.step

    def _fold_early(self, again: View) -> None:
        """Fold a view on what is known of the domains so far, for what that brings into memory."""
        for index, base in enumerate(self._early_bases):
            nodes = LayeredNodes(MemoryNodes(), base.nodes)
            tree = Tree(nodes, base.root_entry)
            fold(again, index, tree, nodes, self._digests, base.hard_links)

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
        return self.folder / LOG_FILE

    def suspend(self) -> None:
        """Make everything durable and let closing keep the folder, so that the session can be resumed.

        Raises:
            OSError: when the disk refuses.
        """
        self._keep = True
        self.view.sync()
        if self._in_doubt:
            trust_again(self.folder)
            publish(self.folder, FACTS_FILE.encode(), orjson.dumps(self._facts()), mode=0o600)
            self._in_doubt = False

    def undo(self, first: int) -> None:
        """Go back to before a record, durably; then it must be closed, for its view is made from the log.

        Args:
            first: The first record that does not count any more.

        Raises:
            UsageError: when there is no such record, or overwritten bytes are gone.
            OSError: when the disk refuses; then nothing is undone.
        """
        if not self.history:
            raise UsageError(
                f"the session {self.identity} keeps no history, so it cannot go back",
                hint="begin it with --history",
            )
        record_of(str(first), self.log.sequence)
        self.suspend()
        actor = Actor(os.getpid(), os.geteuid(), os.getegid())
        self.log.undo(first, actor, system_clock())

    def announce_commit(self, run_id: str) -> None:
        """Note that the session is about to be committed, so that whoever finds it knows whether it was.

        Args:
            run_id: The run that the commit belongs to.

        Raises:
            OSError: when that cannot be written down; a run needs no note, since nobody resumes it.
        """
        if self._kind is SessionKind.MOUNT:
            note_commit(self.folder, run_id)

    def drop(self) -> None:
        """Let closing remove the folder: the session is concluded."""
        self._keep = False

    def close(self) -> None:
        """Close everything and remove the folder, unless the session is suspended.

        What had to survive of a session that was not suspended is in the ledger by now.
        """
        self._stack.close()

    def _remove_unless_kept(self) -> None:
        if not self._keep:
            remove_session_folder(self.folder)

    def bases(self) -> list[Base]:
        """Give what each domain was when the session began, true for everything that it used so far.

        Raises:
            UnreadableDomainError: when a domain cannot be read whole.
            MachineError: when the base cannot be read for another reason.
            OSError: when something cannot be looked at.
        """
        return self.base.current(self._used)

    def _used(self, index: int, since: int) -> set[bytes] | None:
        """Give the paths at which a base that was read at a time must be true again."""
        domain = os.fsencode(self.declarations[index].path)
        committed = self._committed.since(domain, since)
        return None if committed is None else committed | self._originals.used(self.view, index)

    def states_of_nothing(self) -> list[DomainState]:
        """Give what `states` would give of a session in which nothing happened, as far as that is known.

        Asked while the command runs, it reads what the end will ask for: what other runs have committed so
        far, the beginnings of index and packs. What is known of the domains then serves the early folds.

        Raises:
            CatfsError, OSError: as `states`.
        """
        for declaration, since in zip(self.declarations, self.base.known_since(), strict=False):
            self._committed.since(os.fsencode(declaration.path), since)
        make_ready(ProcessRecord, WriteRecord, Change)
        nothing = self._empty_view(self.view.data)
        self._early_bases = self.base.known(lambda _index, _since: ())
        return [self._state(index, base, nothing, nothing) for index, base in enumerate(self._early_bases)]

    def judged(self) -> None:
        """Hear that the last judgement was given: the base of a run is not asked for again."""
        if self._kind is SessionKind.RUN:
            self.base.give_up()

    def states(self) -> list[DomainState]:
        """Fold the view and the log, compare both with the base, and check the base again.

        Raises:
            UnreadableDomainError, MachineError: when the base cannot be read.
            ConflictError: when the base changed so much underneath that the view cannot be read any more.
            ReplayError: when the log cannot be followed.
            OSError: when content cannot be read.
        """
        self.view.freed.release()  # from now on the room is wanted for the record of the run
        self.log.flush()
        try:
            bases = self.bases()
            again = (self._ahead and self._ahead.finish()) or self._replayed(self.view.data)
            return [self._state(index, base, self.view, again) for index, base in enumerate(bases)]
        except (UnreadableDomainError, MachineError, ReplayError, OSError) as error:
            for index in range(len(self.declarations)):
                for conflict in self._originals.conflicts(self.view, index)[0]:
                    raise ConflictError(conflict.path, conflict.expected, conflict.got) from error
            raise

    def _state(self, index: int, base: Base, seen: View, again: View) -> DomainState:
        fresh = MemoryNodes()
        nodes = LayeredNodes(fresh, base.nodes)
        tree = Tree(nodes, base.root_entry)
        view = fold(seen, index, tree, nodes, self._digests, base.hard_links)
        replayed = fold(again, index, tree, nodes, self._digests, base.hard_links)
        conflicts, checked = self._originals.conflicts(seen, index)
        changes = tuple(diff(tree, view))
        if self._rebase:
            conflicts = tuple(conflict for conflict in conflicts if collides(conflict.path, changes))
        return DomainState(
            declaration=self.declarations[index],
            base=tree,
            note=base.note,
            view=view,
            replayed=replayed,
            changes=changes,
            conflicts=conflicts,
            checked=checked,
            fresh=(fresh, base.fresh),
            hard_links=base.hard_links,
        )

    def _empty_view(self, data: DataFile, *, durable: bool = False) -> View:
        """Give a view in which nothing happened yet, for a replay."""
        # One that is only compared sees few names; one that is served goes on from here.
        return View(self._domains, data, NoTrace(), ReplayClock(), durable=durable, by_name=not durable)

    def _replayed(self, data: DataFile, *, durable: bool = False) -> View:
        """Make the view again from the lower and the log alone."""
        view = self._empty_view(data, durable=durable)
        name = self.log_path.name
        with self.log_path.open("rb") as stream:
            undone = Undone.of_lines(log_lines(stream, name))
            stream.seek(0)
            records = self._originals.noting_bases(log_records(log_lines(stream, name), name))
            replay(undone.counting(records), view)
        return view

    def _resumed_view(self, data: DataFile) -> View:
        """Make the view of a session that goes on.

        Raises:
            ConflictError: when the log does not fit the lower any more, because somebody changed that.
        """
        try:
            return self._replayed(data, durable=True)
        except (ReplayError, OSError) as error:
            for index in range(len(self.declarations)):
                for path, got in self._originals.changed_bases(index):
                    raise ConflictError(path, "what the session saw", got) from error
            if isinstance(error, ReplayError):
                record = error.record
                path = record.texts.get("path2", record.path)
                if self._originals.stat(record.domain, path) is not None:
                    raise ConflictError(path, "nothing", "something new") from error
            raise

    def _mend(self) -> int:
        """Bring log and data file to where they can be believed, and give the number of records."""
        doubt = doubt_of(self.folder)
        mended = mend_log(self.log_path, doubt)
        self.lost_bytes, self._in_doubt = mended.lost_bytes, True
        self._marked_bytes = mended.marked_bytes
        if mended.data_bytes is not None:
            os.ftruncate(self._data, min(mended.data_bytes, os.fstat(self._data).st_size))
            self._places.forget()
        return mended.records

    def _note_lost(self) -> None:
        """Write down that the disk did not keep what this session wrote since it was last synced."""
        note_lost(self.folder, max(self.log.durable_bytes, self._marked_bytes))

    def _take_lock(self, stack: ExitStack, *, resumed: bool) -> None:
        """Hold the session; the lock goes with this process, however it ends."""
        lock = self._open(stack, LOCK_FILE, os.O_RDWR)
        try:
            # Of a new session nobody can be the server: who has the lock is just looking (`is_locked`).
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if resumed else 0))
        except BlockingIOError:
            raise UsageError(f"the session {self.identity} has a living server") from None
        if os.fstat(lock).st_nlink == 0:  # its server was removing the folder, and is gone now
            raise UsageError(f"the session {self.identity} has just ended")

    def _make_folder(self) -> None:
        durable = self._kind is SessionKind.MOUNT
        try:
            self.folder.mkdir(mode=0o700)
            if durable:
                fsync_directory(self.folder.parent)
        except OSError as error:
            raise MachineError(f"cannot make the session folder {self.folder}: {error.strerror}") from error
        publish(self.folder, FACTS_FILE.encode(), orjson.dumps(self._facts()), mode=0o600, durable=durable)

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

    def _open(self, stack: ExitStack, name: str, flags: int) -> int:
        descriptor = os.open(self.folder / name, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, descriptor)
        return descriptor


def _reserved(domain: Path, workspace: Workspace) -> bytes:
    """Give the path in a domain that programs may not make: where the workspace is, or would be."""
    if not workspace.folder.is_relative_to(domain):
        return os.fsencode(FOLDER)
    return os.fsencode(workspace.folder.relative_to(domain))


def remove_session_folder(folder: Path) -> None:
    """Remove a session's folder with all its files; there are no folders in it but an empty `mount`.

    What the session says of itself goes first: whoever finds the rest, of a process that was killed
    meanwhile, does not take it for a session that can be resumed. By which run it was committed goes last but
    for the lock: until then whoever asks for the session can be told.
    """
    order = {FACTS_FILE: 0, COMMIT_FILE: 2, LOCK_FILE: 3}
    for path in sorted(folder.iterdir(), key=lambda path: order.get(path.name, 1)):
        if stat.S_ISDIR(path.lstat().st_mode):
            path.rmdir()
        else:
            path.unlink()
    folder.rmdir()
