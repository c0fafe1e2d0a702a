"""Whether a session whose server ended during its commit was committed.

A commit is decided at one moment and carried out by whoever finds its journal, perhaps when the server of
the session is long gone. The record of its run counts from then on and not before, so the session keeps a
note of the run: the proof of that tells which of the two it was.
"""

from pathlib import Path

import orjson

from catfs.durable import publish
from catfs.errors import FormatError
from catfs.ledger import RunReader
from catfs.records import Outcome, check_run_id
from catfs.runtime.session_files import COMMIT_FILE
from catfs.runtime.workspace import Workspace


def note_commit(folder: Path, run_id: str) -> None:
    """Write down, before a session is committed, by which run.

    Args:
        folder: The session's folder.
        run_id: The run that records the commit.

    Raises:
        OSError: when it cannot be written durably.
    """
    publish(folder, COMMIT_FILE.encode(), orjson.dumps({"run_id": run_id}), mode=0o600)


def committed_run(workspace: Workspace, folder: Path) -> str | None:
    """Give the run by which a session was committed; None when it was not.

    Interrupted commits must have been recovered before.

    Args:
        workspace: The workspace of the session.
        folder: The session's folder.

    Raises:
        FormatError: when the note or the proof of the run is damaged.
        OSError: when one of them cannot be read.
    """
    what = str(folder / COMMIT_FILE)
    try:
        note = orjson.loads((folder / COMMIT_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise FormatError(what, f"is not JSON: {error}") from error
    run_id = note.get("run_id") if isinstance(note, dict) else None
    if not isinstance(run_id, str):
        raise FormatError(what, "expected a JSON object with the field run_id")
    try:
        check_run_id(run_id)
    except FormatError as error:
        raise FormatError(what, error.problem) from error
    if not (workspace.runs / run_id).is_dir():
        return None
    run = RunReader(workspace.runs / run_id)
    return run_id if run.is_complete and run.proof().outcome is Outcome.RESTORED else None
