"""The past of a session or a run: the view as it was at any moment, made again from its log and its bytes.

Only what was begun with --history has one: elsewhere overwritten bytes are gone.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from catfs.clock import system_clock
from catfs.digest import Digest
from catfs.errors import ConflictError, FormatError, MachineError, UsageError
from catfs.ledger import RunReader
from catfs.overlay import DataFile, DirectoryLower, Domain, Lower, NoTrace, ReplayClock, View, replay
from catfs.overlay.between import DigestOfOriginal, changes_between, unknown_digest
from catfs.overlay.lower import origin_at
from catfs.overlay.nodes import Origin
from catfs.records import HISTORY_DATA_FILE, Change, History
from catfs.records.write_record import WriteRecord
from catfs.runtime.launch import enter_private_namespace
from catfs.runtime.live import ask_log, session_log
from catfs.runtime.log_reading import log_of_run
from catfs.runtime.mounts import detach_inherited_views, is_mount_point
from catfs.runtime.past_log import PastLog
from catfs.runtime.past_lower import PastLower
from catfs.runtime.runs import domain_trees
from catfs.runtime.session import SessionKind
from catfs.runtime.session_files import DATA_FILE
from catfs.runtime.sessions import SessionFacts, read_session
from catfs.runtime.subject import Subject, find_subject
from catfs.runtime.workspace import Workspace, hidden_folders

_BEGIN_HINT = "begin it with --history, and every version can be had"


class Past:
    """An open past; a context manager that closes it.

    Args:
        name: What it is the past of, for people.
        log: Its log.
        paths: Absolute paths of its domains.
        lowers: What lies below each of them.
        data: Descriptor of its bytes; it is closed in the end.
        known: Digests of lower files, by domain.
        cleanup: What is closed in the end.
    """

    def __init__(
        self,
        name: str,
        log: PastLog,
        paths: tuple[bytes, ...],
        lowers: tuple[Lower, ...],
        data: int,
        known: DigestOfOriginal,
        cleanup: ExitStack,
    ) -> None:
        self.name = name
        self.log = log
        self.paths = paths
        self._lowers = lowers
        self._descriptor = data
        self._known = known
        self._cleanup = cleanup

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything."""
        self._cleanup.close()

    def view_at(self, end: int, make_data: Callable[[int, int], DataFile] = DataFile) -> View:
        """Make the view of a moment.

        Args:
            end: Number of records that there are at that moment.
            make_data: Makes the data file from the descriptor of the bytes and their number; the default
                one must not be written to.

        Raises:
            ReplayError, LogDamageError: when the log cannot be followed up to there.
            ConflictError: when the original changed underneath a session.
            OSError: when the original cannot be read.
        """
        domains = [Domain(lower, str(index).encode()) for index, lower in enumerate(self._lowers)]
        data = make_data(self._descriptor, os.fstat(self._descriptor).st_size)
        view = View(domains, data, NoTrace(), ReplayClock())
        self._check_bases(replay(self.log.records(end), view))
        view.clock = system_clock
        return view

    def changes(self, before: View, after: View) -> Iterator[tuple[bytes, list[Change]]]:
        """Give the path of each domain and what differs in it between two moments.

        Raises:
            OSError: when content cannot be read.
        """
        for index, path in enumerate(self.paths):
            yield path, list(changes_between(before, after, index, self._known))

    def _check_bases(self, bases: list[WriteRecord]) -> None:
        """Check that what a session used of the original is still there.

        Raises:
            ConflictError: when something is not.
        """
        for record in bases:
            found = origin_at(self._lowers[record.domain], record.domain, record.path)
            if found is None:
                raise ConflictError(record.path, "what the session saw", "nothing")
            now = found.lower_stat
            same = (now.ino, now.mode) == (record.ino, record.number("mode"))
            if same and not stat.S_ISDIR(now.mode):
                keys = ("size", "mtime", "ctime")
                same = (now.size, now.mtime, now.ctime) == tuple(map(record.number, keys))
            if not same:
                raise ConflictError(record.path, "what the session saw", "something else")


def open_past(word: str | None, cwd: Path) -> Past:
    """Give the past of what a word stands for.

    This process may have to leave the mount namespace of the others: a mounted view lies over its original.

    Args:
        word: DOMAIN or RUN; None for the mounted session, else the last run.
        cwd: The working directory.

    Raises:
        UsageError: when the word stands for nothing, or for something without a history.
        FormatError: when log or history are damaged.
        MachineError: when the original below a mount cannot be reached.
        OSError: when something cannot be read.
    """
    return past_of(find_subject(word, cwd))


def past_of(subject: Subject) -> Past:
    """Give the past of a session or a run; otherwise as `open_past`."""
    if isinstance(subject, RunReader):
        session = _session_of(subject)
        return _past_of_run(subject) if session is None else _past_of_session(session)
    return _past_of_session(subject)


def _session_of(run: RunReader) -> SessionFacts | None:
    """Give the session of a run that has not ended."""
    workspace = Workspace.find(run.folder.resolve())
    if run.is_complete or workspace is None:
        return None
    folder = workspace.sessions / run.run_id
    return read_session(folder) if folder.is_dir() else None


def _past_of_session(facts: SessionFacts) -> Past:
    if not facts.history:
        raise UsageError(f"the session {facts.identity} keeps no history", hint=_BEGIN_HINT)
    log = PastLog(ask_log(facts) if facts.kind is SessionKind.MOUNT else session_log(facts))
    if any(map(is_mount_point, facts.domains)):
        look_beneath()
    with ExitStack() as stack:
        hidden = hidden_folders(Workspace.of_session(facts.folder), facts.domains)
        lowers = []
        for domain in facts.domains:
            root = os.open(domain, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, root)
            lowers.append(DirectoryLower(root, hidden))
            stack.callback(lowers[-1].close)
        data = os.open(facts.folder / DATA_FILE, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, data)
        paths = tuple(map(os.fsencode, facts.domains))
        name = f"session {facts.identity}"
        return Past(name, log, paths, tuple(lowers), data, unknown_digest, stack.pop_all())


def _past_of_run(run: RunReader) -> Past:
    history = _history_of(run)
    log = PastLog(log_of_run(run, None), run.proof().log)
    trees = domain_trees(run, run.proof())
    started = run.info().started
    with ExitStack() as stack:
        data = os.open(run.history_data, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, data)
        size = os.fstat(data).st_size
        if size != history.size:
            raise FormatError(HISTORY_DATA_FILE, f"expected {history.size} bytes, got {size}")
        lowers = []
        for domain, kept in zip(trees, history.domains, strict=True):
            place = Path(os.fsdecode(domain.path))
            if is_mount_point(place):
                look_beneath()
            lowers.append(
                PastLower(
                    domain.base,
                    place if place.is_dir() else None,
                    [group.paths for group in kept.hard_links],
                    {original.digest: (original.offset, original.size) for original in kept.originals},
                    DataFile(data, size),
                    started,
                )
            )
            stack.callback(lowers[-1].close)

        def known(origin: Origin) -> Digest | None:
            entry = trees[origin.domain].base.entry(origin.path())
            return None if entry is None else entry.digest

        paths = tuple(domain.path for domain in trees)
        return Past(f"run {run.run_id}", log, paths, tuple(lowers), data, known, stack.pop_all())


def look_beneath() -> None:
    """Let this process see what lies below mounted views: it gets a mount namespace of its own, without them.

    Raises:
        MachineError: when that is not permitted.
    """
    try:
        enter_private_namespace()
        detach_inherited_views()
    except OSError as error:
        raise MachineError(
            f"the original below a mounted view cannot be reached: {error.strerror}",
            hint="whoever mounted it may ask, which needs root",
        ) from error


def _history_of(run: RunReader) -> History:
    history = run.history()
    if history is None:
        raise UsageError(f"run {run.run_id} kept no history", hint=_BEGIN_HINT)
    if not run.history_data.is_file():
        raise UsageError(f"the history of run {run.run_id} was removed: {HISTORY_DATA_FILE} is not there")
    return history
