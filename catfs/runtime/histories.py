"""The histories that runs keep: how much there is, and taking it away."""

from catfs.durable import remove_durably
from catfs.errors import UsageError
from catfs.ledger import RunReader, list_runs
from catfs.records import HISTORY_DATA_FILE
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class KeptHistory:
    """The data of one history.

    Args:
        run_id: The run that keeps it.
        size: Bytes of it.
    """

    run_id: str
    size: int


def list_histories(workspace: Workspace) -> list[KeptHistory]:
    """Give every history whose data is there, the oldest first.

    Raises:
        OSError: when a folder cannot be read.
    """
    found = []
    for run in list_runs(workspace.runs):
        data = run.path / HISTORY_DATA_FILE
        if run.is_complete and data.is_file():
            found.append(KeptHistory(run.run_id, data.stat().st_size))
    return found


def drop_history(run: RunReader) -> KeptHistory:
    """Remove the data of the history of a run; its ledger stays, and holds as before.

    Raises:
        UsageError: when it keeps none, or has not ended.
        OSError: when it cannot be removed.
    """
    if not run.is_complete:
        raise UsageError(f"run {run.run_id} has not ended", hint="`catfs doctor` says what is left of it")
    if not run.history_data.is_file():
        raise UsageError(f"run {run.run_id} keeps no history")
    size = run.history_data.stat().st_size
    remove_durably(run.folder, HISTORY_DATA_FILE.encode())
    return KeptHistory(run.run_id, size)
