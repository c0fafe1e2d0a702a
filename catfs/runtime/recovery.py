"""Finishing what an interrupted command left: its commit, and with it the record of the run.

The record of a commit is prepared before the commit is decided, and counts from the moment the commit is
done (docs/recovery.md). Whoever finishes the commit, the command itself or a recovery, publishes the record.
"""

import logging
import os

from catfs.commit import Recovery, recover
from catfs.errors import FormatError
from catfs.ledger import RunReader, publish_proof
from catfs.runtime.chained import append_run
from catfs.runtime.workspace import Workspace

_LOGGER = logging.getLogger(__name__)


def recover_workspace(workspace: Workspace, *, wait: bool = True) -> tuple[Recovery, ...]:
    """Finish or clear away every interrupted commit of a workspace, and complete the runs of those finished.

    Args:
        workspace: The workspace.
        wait: Whether to wait for commits that are under way.

    Raises:
        OSError: when the folders of the workspace cannot be opened.
    """
    folder = os.fsencode(workspace.folder)
    return recover(folder, wait=wait, publish=lambda run_id: publish_run(workspace, run_id))


def publish_run(workspace: Workspace, run_id: str) -> None:
    """Let the prepared proof of a run count, and append the run to the chain.

    Args:
        workspace: Its workspace.
        run_id: The run; nothing happens when no proof was prepared for it.

    Raises:
        OSError: when the disk refuses the proof.
    """
    folder = workspace.runs / run_id
    if not publish_proof(folder):
        return
    try:
        proof = RunReader(folder).proof()
    except FormatError as error:
        _LOGGER.warning("run %s is recorded, but is not in the chain of runs: %s", run_id, error)
        return
    append_run(workspace, proof)
