"""What is left of a session whose server was killed when it had just begun, or was ending."""

from pathlib import Path

import pytest

from catfs.errors import UsageError
from catfs.runtime.session import remove_session_folder
from catfs.runtime.sessions import is_suspended, list_sessions, mount_session
from catfs.runtime.workspace import Workspace
from tests.support.history import HistorySession
from tests.support.killed import run_until


def test_session_that_is_half_removed_is_none_that_can_be_resumed(tmp_path: Path) -> None:
    """Killed after its first file is gone, or any later one: nobody takes the rest for a session."""
    session = HistorySession(tmp_path)
    (session.facts.folder / "JOBSPEC.json").write_text("{}")
    folder = session.facts.folder
    assert not run_until(1, ["unlink"], lambda: remove_session_folder(folder))
    assert is_suspended(session.facts)
    while (folder / "lock").exists():
        assert not run_until(2, ["unlink", "rmdir"], lambda: remove_session_folder(folder))
        assert not is_suspended(session.facts)
    remove_session_folder(folder)
    assert list(list_sessions(session.workspace)) == []


def test_mount_whose_server_was_killed_before_it_mounted_is_not_there(tmp_path: Path) -> None:
    """It does not say what was declared, which comes first; with that it can be gone on with."""
    workspace = Workspace.find_or_create(tmp_path)
    folder = workspace.sessions / "s"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text(
        '{"session":"s","kind":"mount","pid":1,"started":1,"domains":["/d"]}'
    )
    with pytest.raises(UsageError, match="/d is not mounted"):
        mount_session(workspace, Path("/d"))
    (folder / "JOBSPEC.json").write_text("{}")
    assert mount_session(workspace, Path("/d")).folder == folder
