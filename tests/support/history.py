"""Sessions with history, made through the library and without any mount."""

import os
from pathlib import Path

from catfs.digest import Digest
from catfs.ledger import RunReader
from catfs.records import JOBSPEC_FILE, Leftovers, file_bytes
from catfs.runtime.declaration import declare
from catfs.runtime.mounted import conclude_suspended
from catfs.runtime.request import RunRequest, resolve_request
from catfs.runtime.session import Session, SessionKind
from catfs.runtime.sessions import SessionFacts, read_session
from catfs.runtime.workspace import Workspace
from tests.support.views import ACTOR, create_file, split, write_at


class HistorySession:
    """A workspace with one domain and one suspended session of it.

    Args:
        root: An existing folder.
        history: Whether the session keeps its history.
    """

    def __init__(self, root: Path, *, history: bool = True) -> None:
        self._history = history
        self.domain = root / "domain"
        (self.domain / "sub").mkdir(parents=True)
        (self.domain / "a").write_bytes(b"original a\n")
        (self.domain / "sub" / "b").write_bytes(b"original b\n")
        os.link(self.domain / "a", self.domain / "link")
        self.workspace = Workspace.find_or_create(root)
        self.roots: dict[int, Digest] = {}
        """Number of records to the root of the view then, for some moments."""
        with self.open(resumed=False) as session:
            session.suspend()
            self._work(session)
            session.suspend()

    def open(self, *, resumed: bool = True) -> Session:
        """Open the session, from its folder or as a new one."""
        declarations = declare([self.domain], [], [])
        return Session(
            self.workspace,
            "s-1",
            declarations,
            SessionKind.MOUNT,
            resumed=resumed,
            history=self._history and not resumed,
        )

    @property
    def facts(self) -> SessionFacts:
        """What is known of the session from outside."""
        return read_session(self.workspace.sessions / "s-1")

    def root(self) -> Digest:
        """Resume the session and give the root of its view; log and view must agree."""
        with self.open() as session:
            session.suspend()
            return _root(session)

    def conclude(self) -> RunReader:
        """Commit nothing of the session, drop what it did, and give the run that records it."""
        job = resolve_request(RunRequest((), (self.domain,), cwd=self.domain, run_id="s-1"), self.workspace)
        (self.facts.folder / JOBSPEC_FILE).write_bytes(file_bytes(job.spec))
        answer = conclude_suspended(self.workspace, self.facts, Leftovers.DISCARD, ())
        assert answer["exit_status"] == 0, answer
        return RunReader(self.workspace.runs / "s-1")

    def _work(self, session: Session) -> None:
        view = session.view
        self._note(session)
        create_file(view, b"new", b"first")
        self._note(session)
        write_at(view, b"new", 0, b"FIRST")
        write_at(view, b"a", 0, b"ORIGINAL")
        self._note(session)
        view.unlink(*split(view, b"sub/b"), ACTOR)
        view.rename(*split(view, b"a"), *split(view, b"sub/a"), 0, ACTOR)
        view.rename(*split(view, b"sub"), *split(view, b"moved"), 0, ACTOR)
        self._note(session)
        create_file(view, b"moved/b", b"another b")
        view.unlink(*split(view, b"new"), ACTOR)
        self._note(session)

    def _note(self, session: Session) -> None:
        root = _root(session)
        self.roots[session.log.sequence] = root


def _root(session: Session) -> Digest:
    [state] = session.states()
    assert state.view == state.replayed
    return state.view.root
