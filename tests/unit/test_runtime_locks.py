"""Who holds a lock, and that looking is in nobody's way."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from catfs.errors import UsageError
from catfs.runtime.declaration import declare
from catfs.runtime.locks import is_locked
from catfs.runtime.session import Session, SessionKind
from catfs.runtime.workspace import Workspace


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    """Neither a lock file nor a folder that nobody has made yet."""
    assert not is_locked(tmp_path / "lock")


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_lock_is_seen_as_long_as_it_is_held(tmp_path: Path, is_folder: bool) -> None:
    """Files and folders alike; looking takes nothing away."""
    place = tmp_path / "place"
    if is_folder:
        place.mkdir()
    else:
        place.touch()
    assert not is_locked(place)
    descriptor = os.open(place, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert is_locked(place)
    assert is_locked(place)
    os.close(descriptor)
    assert not is_locked(place)


def test_a_look_is_not_in_the_way_of_a_new_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`catfs status` may look just when a session has made its folder and takes its lock."""
    domain = tmp_path / "domain"
    domain.mkdir()
    workspace = Workspace.find_or_create(tmp_path)
    make_folder = Session._make_folder

    def make_and_look(session: Session) -> None:
        make_folder(session)
        descriptor = os.open(session.folder / "lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        threading.Timer(0.05, os.close, (descriptor,)).start()

    monkeypatch.setattr(Session, "_make_folder", make_and_look)
    with Session(workspace, "s", declare([domain], [], []), SessionKind.RUN) as session:
        assert is_locked(session.folder / "lock")
        with pytest.raises(UsageError, match="the session s has a living server"):
            Session(workspace, "s", declare([domain], [], []), SessionKind.RUN, resumed=True)


def test_a_session_that_is_just_ending_cannot_be_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server removes the folder and is gone: the lock that was opened before is nobody's any more."""
    (tmp_path / "domain").mkdir()
    workspace = Workspace.find_or_create(tmp_path)
    folder = workspace.sessions / "s"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text('{"session": "s", "kind": "run", "started": 1}')
    lock = fcntl.flock

    def end_and_lock(descriptor: int, operation: int) -> None:
        (folder / "lock").unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", end_and_lock)
    with pytest.raises(UsageError, match="the session s has just ended"):
        Session(workspace, "s", declare([tmp_path / "domain"], [], []), SessionKind.RUN, resumed=True)
