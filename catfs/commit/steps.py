"""Carrying out a decided commit: the same code for the commit itself and for every recovery of it.

Each step is one system call that leads from `before` to `after`, and is left out where `after` is there
already. So it can be broken off anywhere and started again from the top, any number of times.
"""

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from catfs.commit.check import removals_of, unplanned_names
from catfs.commit.journal import JOURNAL_SUFFIX, STAGING_SUFFIX, Folder, Journal
from catfs.commit.plan import Action, Step
from catfs.commit.reach import (
    FOLDER,
    NOT_REACHABLE,
    Signature,
    folder_beneath,
    is_present,
    parent_beneath,
    read_entry,
    read_signature,
)
from catfs.commit.source import Publish
from catfs.commit.stage import DIRECTORY_MODE, FSYNC_CALLS_MAX, slot_of
from catfs.commit.workspace import Site, Workspace, remove_stage, set_mtime
from catfs.durable import remove_durably
from catfs.errors import CommitError, ConflictError, printable
from catfs.linux import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2, syncfs
from catfs.records import Entry, Kind, describe_entry

_OWNER_ACCESS: Final = 0o300
"""Permission bits that changing names in a directory needs."""


class StepState(Enum):
    """Where a name stands between the old and the new state."""

    OLD = "old"
    NEW = "new"


def finish_commit(
    workspace: Workspace,
    journal: Journal,
    sites: Sequence[Site],
    signatures: Mapping[int, Signature],
    publish: Publish,
) -> None:
    """Carry out what is left of a decided commit and mark it done.

    Args:
        workspace: The locked workspace that holds the journal.
        journal: The journal.
        sites: The locked domains.
        signatures: By number of a step, what the file that it replaces or removes looked like when it was
            last read; a file that still looks so is not read again. Empty in a recovery.
        publish: Makes the record of the commit valid, while its journal is still there.

    Raises:
        ConflictError: when a name is neither what it was nor what it is to be: somebody changed it after
            the commit was decided. It and the steps after it are left as they are.
        OSError: when a step fails. What is done stays done; calling again goes on from there.
    """
    _open_folders(journal.folders, sites)
    for number, step in enumerate(journal.steps):
        if step_state(sites[step.domain], step, signatures.get(number)) is StepState.OLD:
            _perform(sites[step.domain], step, slot_of(number))
    _close_folders(journal.folders, sites)
    _sync_folders(journal.folders, sites)
    publish(journal.commit_id)
    for site in sites:
        remove_stage(site)
    _discard(workspace, journal.commit_id, STAGING_SUFFIX)
    _discard(workspace, journal.commit_id, JOURNAL_SUFFIX)


def find_states(journal: Journal, sites: Sequence[Site]) -> list[StepState]:
    """Give the state of every step without changing anything.

    Raises:
        ConflictError: for the first name that is neither old nor new.
        OSError: when something cannot be read.
    """
    removals = removals_of(journal.steps)
    states: list[StepState] = []
    for step in journal.steps:
        site = sites[step.domain]
        states.append(step_state(site, step, None))
        if states[-1] is StepState.OLD and (strangers := unplanned_names(site.descriptor, step, removals)):
            raise ConflictError(step.path, "nothing else in it", f"the name {printable(strangers[0])}")
    return states


def lost_content(journal: Journal, sites: Sequence[Site], states: Sequence[StepState]) -> bytes | None:
    """Give the path of the first step that is still to be done and whose staged object is gone, or None.

    Args:
        journal: The journal.
        sites: The locked domains.
        states: What find_states gives.
    """
    for number, (step, state) in enumerate(zip(journal.steps, states, strict=True)):
        if state is StepState.OLD:
            with sites[step.domain].stage() as stage:
                staged = step.action in (Action.PUT, Action.MAKE)
                if stage is None or (staged and not is_present(stage, slot_of(number))):
                    return step.path
    return None


def step_state(site: Site, step: Step, signature: Signature | None) -> StepState:
    """Say whether a step is done.

    Args:
        site: Its domain.
        step: The step.
        signature: What the file looked like when it was last read and equal to `before`, or None.

    Raises:
        ConflictError: when the name is neither old nor new.
        OSError: when it cannot be read.
    """
    if not step.path:
        got: Entry | None = Entry(Kind.DIRECTORY, os.fstat(site.descriptor).st_mode & 0o7777)
    else:
        with parent_beneath(site.descriptor, step.path) as (parent, name):
            if signature is not None and read_signature(parent, name) == signature:
                return StepState.OLD
            got = read_entry(parent, name)
    if _is(got, step.after, new=step.action is Action.MAKE):
        return StepState.NEW
    if _is(got, step.before):
        return StepState.OLD
    expected = f"{describe_entry(step.before)} or {describe_entry(step.after)}"
    raise ConflictError(step.path, expected, describe_entry(got))


def give_up_commit(workspace: Workspace, commit_id: str, sites: Sequence[Site]) -> None:
    """Remove what an undecided commit has written: its journal first, so that it can no longer be decided.

    Raises:
        OSError: when a step fails; calling again goes on from there.
    """
    _discard(workspace, commit_id, JOURNAL_SUFFIX)
    for site in sites:
        remove_stage(site)
        if site.place.staged_inside:
            set_mtime(site.descriptor, site.place.mtime_ns)
            os.fsync(site.descriptor)
    _discard(workspace, commit_id, STAGING_SUFFIX)


def _is(got: Entry | None, wanted: Entry | None, *, new: bool = False) -> bool:
    """Say whether a name is what a step says; a directory may be held open for changes meanwhile."""
    if got is None or wanted is None or wanted.kind is not Kind.DIRECTORY:
        return got == wanted
    modes = {wanted.mode, wanted.mode | DIRECTORY_MODE} | ({DIRECTORY_MODE} if new else set())
    return got.kind is Kind.DIRECTORY and got.mode in modes


def _perform(site: Site, step: Step, slot: bytes) -> None:
    """Lead one name from the old to the new state."""
    if step.action is Action.MODE:
        return  # Its folder gets the mode when nothing below is left to do: it could shut out other steps.
    with parent_beneath(site.descriptor, step.path) as (parent, name), site.stage() as stage:
        if parent is None:
            raise ConflictError(step.path, "a directory above it", "none")
        is_directory = step.before is not None and step.before.kind is Kind.DIRECTORY
        if step.action is Action.REMOVE and is_directory:
            os.rmdir(name, dir_fd=parent)
        elif step.action is Action.REMOVE:
            os.unlink(name, dir_fd=parent)
        elif stage is None:
            raise CommitError(f"the staged content of {printable(step.path)} is gone")
        elif step.before is None:
            renameat2(stage, slot, parent, name, RENAME_NOREPLACE)
        elif is_directory or step.action is Action.MAKE:
            renameat2(stage, slot, parent, name, RENAME_EXCHANGE)
        else:
            os.rename(slot, name, src_dir_fd=stage, dst_dir_fd=parent)


def _open_folders(folders: Sequence[Folder], sites: Sequence[Site]) -> None:
    """Let the owner change names in directories that forbid it; they get their mode in _close_folders."""
    for folder in reversed(folders):
        try:
            with folder_beneath(sites[folder.domain].descriptor, folder.path) as descriptor:
                mode = os.fstat(descriptor).st_mode & 0o7777
                if mode & _OWNER_ACCESS != _OWNER_ACCESS:
                    os.chmod(f"/proc/self/fd/{descriptor}", mode | DIRECTORY_MODE)
        except OSError as error:
            if error.errno not in NOT_REACHABLE:
                raise


def _close_folders(folders: Sequence[Folder], sites: Sequence[Site]) -> None:
    """Give every touched directory its final mode and time, deepest first."""
    for folder in folders:
        with folder_beneath(sites[folder.domain].descriptor, folder.path, FOLDER) as descriptor:
            if os.fstat(descriptor).st_mode & 0o7777 != folder.mode:
                os.fchmod(descriptor, folder.mode)
            set_mtime(descriptor, folder.mtime_ns)


def _sync_folders(folders: Sequence[Folder], sites: Sequence[Site]) -> None:
    """Make names, modes and times of all touched directories durable."""
    if len(folders) > FSYNC_CALLS_MAX:
        for index in sorted({folder.domain for folder in folders}):
            syncfs(sites[index].descriptor)
        return
    for folder in folders:
        with folder_beneath(sites[folder.domain].descriptor, folder.path, FOLDER) as descriptor:
            os.fsync(descriptor)


def _discard(workspace: Workspace, commit_id: str, suffix: bytes) -> None:
    """Remove a record durably if it is there."""
    if is_present(workspace.journals, commit_id.encode() + suffix):
        remove_durably(workspace.journals, commit_id.encode() + suffix)
