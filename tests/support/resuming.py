"""Resuming a session that was left in one way or another, killed or refused at each of its calls."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import orjson

from catfs.digest import Digest
from catfs.runtime.mending import note_lost
from catfs.runtime.sessions import wait_until_ended
from tests.support.history import HistorySession
from tests.support.killed import run_until
from tests.support.views import create_file, write_at

CALLS = ("write", "pwrite", "fdatasync", "fsync", "rename", "ftruncate", "unlink", "mkdir", "rmdir")
"""Calls by which resuming a session changes the disk."""


CALLS_UNHARMED_MAX = 4
"""Most calls in a row that may be refused without anything that is told: caches are written so."""


class LeftSession(HistorySession):
    """A session as a killed server left it: with changes since its last sync, and half a record.

    Args:
        root: An existing folder.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root, history=False)
        self.synced = self.root()
        self._log = self.facts.folder / "log.jsonl"
        assert not run_until(1, ["getpgid"], self._write_and_die)
        with self._log.open("ab") as stream:
            stream.write(b'{"seq":')
        self._saved = root / "saved"
        shutil.copytree(self.facts.folder, self._saved)
        self.whole = self.root()
        assert self.whole != self.synced

    def _write_and_die(self) -> None:
        with self.open() as session:
            session.suspend()
            create_file(session.view, b"late", b"late")
            write_at(session.view, b"moved/b", 9, b" and more")
            os.getpgid(0)

    def put_back(self, happened: Callable[[Path], None]) -> None:
        """Leave it as it was left, and let something happen to it."""
        folder = self.workspace.sessions / "s-1"
        shutil.rmtree(folder)
        shutil.copytree(self._saved, folder)
        happened(folder)

    def found(self) -> Digest:
        """Give the root of the view once it is resumed, after whoever had it has ended."""
        wait_until_ended(self.facts)
        return self.root()

    def resume(self) -> None:
        """Resume it as a server does."""
        with self.open() as session:
            session.suspend()


def _killed(folder: Path) -> None:
    """Nothing else happened: all that was answered is there."""
    del folder


def _power_cut(folder: Path) -> None:
    """The machine was booted anew, so only what was synced counts."""
    facts = orjson.loads((folder / "session.json").read_bytes())
    (folder / "session.json").write_bytes(orjson.dumps({**facts, "boot": "another"}))


def _sync_refused(folder: Path) -> None:
    """The disk refused the sync after the last one that succeeded."""
    log = (folder / "log.jsonl").read_bytes()
    mark = log.rfind(b'"op":"sync"')
    note_lost(folder, log.index(b"\n", mark) + 1)


HAPPENED: Mapping[str, Callable[[Path], None]] = {
    "killed": _killed,
    "power cut": _power_cut,
    "sync refused": _sync_refused,
}
"""What may have happened to a session before it is resumed."""


def resume_points(left: LeftSession, happened: str, code: int) -> Iterator[list[str]]:
    """Strike the resuming of a session at each of its calls, resume it again, and give the violations.

    Args:
        left: The session.
        happened: What happened to it before.
        code: The error of the disk, once; 0 for dying there.
    """
    whole = left.whole if happened == "killed" else left.synced
    # After a sync that failed what had not been synced may be gone.
    allowed = {whole, left.synced} if code else {whole}
    in_a_row = 0
    for number in itertools.count(1):
        left.put_back(HAPPENED[happened])
        is_done = run_until(number, CALLS, left.resume, code=code, half=not code)
        found = left.found()
        what = f"{happened}, {os.strerror(code) if code else 'killed'} at call {number} of resuming"
        yield [] if found in allowed else [f"{what}: the view is another one"]
        # A refusal may do no harm, so only several ends in a row show that there are no more calls.
        in_a_row = in_a_row + 1 if is_done else 0
        if in_a_row > (CALLS_UNHARMED_MAX if code else 0):
            return
