"""Recovery: what to do with the records of commits whose process is gone.

A journal is carried out to its end; without one, what was staged is removed. Both can be broken off and
repeated. A record that is damaged is never believed, a name that somebody changed meanwhile never
overwritten: both are reported and left as they are.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum

from catfs.commit.journal import (
    JOURNAL_SUFFIX,
    STAGING_SUFFIX,
    DomainPlace,
    Journal,
    check_commit_id,
    read_journal,
    read_staging,
)
from catfs.commit.reach import is_present
from catfs.commit.source import Publish, publish_nothing
from catfs.commit.steps import StepState, find_states, finish_commit, give_up_commit, lost_content
from catfs.commit.workspace import (
    Workspace,
    open_domains,
    open_workspace,
    remove_stage_folder,
    site_of,
)
from catfs.durable import TEMPORARY_PREFIX
from catfs.errors import CommitError, ConflictError, FormatError, printable, reason_of
from catfs.values import dataclass


class Outcome(Enum):
    """What became of an interrupted commit."""

    FINISHED = "finished"
    """It was decided, and now the new state holds."""
    GIVEN_UP = "given_up"
    """It was not decided: the old state holds, what was staged is removed."""
    CONFLICT = "conflict"
    """Somebody changed a name meanwhile: nothing was touched, the record stays."""
    DAMAGED = "damaged"
    """The record is not to be believed: nothing was touched, the record stays."""
    FAILED = "failed"
    """The machine stood in the way; the next recovery goes on."""
    BUSY = "busy"
    """Another process is committing or recovering here, and waiting was not wanted."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovery did about one interrupted commit.

    Args:
        commit_id: Its identity; empty for a workspace that is busy.
        outcome: What became of it.
        message: One sentence for people; empty when there is nothing to say beyond the outcome.
        path: The path in the way of a conflict, relative to its domain; None for every other outcome.
    """

    commit_id: str
    outcome: Outcome
    message: str = ""
    path: bytes | None = None


def list_journals(catfs_folder: bytes) -> tuple[str, ...]:
    """Give the identities of all commits that have a record, in order; no locks are taken.

    A commit that is under way right now is among them.

    Args:
        catfs_folder: Path of the `.catfs` folder of the workspace.

    Raises:
        OSError: when the journal folder cannot be read; one that does not exist holds nothing.
    """
    with suppress(FileNotFoundError):
        return _identities(os.listdir(os.path.join(catfs_folder, b"journal")))
    return ()


def list_decided(catfs_folder: bytes) -> tuple[str, ...]:
    """Give the identities of all commits that are decided, in order; no locks are taken.

    Args:
        catfs_folder: Path of the `.catfs` folder of the workspace.

    Raises:
        OSError: when the journal folder cannot be read; one that does not exist holds nothing.
    """
    with suppress(FileNotFoundError):
        names = map(os.fsencode, os.listdir(os.path.join(catfs_folder, b"journal")))
        return _identities([name for name in names if name.endswith(JOURNAL_SUFFIX)])
    return ()


def recover(
    catfs_folder: bytes, *, wait: bool = True, publish: Publish = publish_nothing
) -> tuple[Recovery, ...]:
    """Finish or clear away every interrupted commit of a workspace.

    Args:
        catfs_folder: Absolute path of the `.catfs` folder of the workspace.
        wait: Whether to wait for commits that are under way; otherwise they give BUSY.
        publish: Makes the record of each commit that is finished valid.

    Returns:
        One report for each commit that had a record or a stage, in the order of their identities.

    Raises:
        OSError: when the folders of the workspace cannot be opened.
    """
    if not os.path.isdir(os.path.join(catfs_folder, b"journal")):
        return ()
    try:
        with open_workspace(catfs_folder, wait=wait) as workspace:
            names = [os.fsencode(name) for name in sorted(os.listdir(workspace.journals))]
            for name in names:
                if name.startswith(TEMPORARY_PREFIX):
                    os.unlink(name, dir_fd=workspace.journals)
            identities = _identities(names)
            reports = [_recover_one(workspace, identity, publish, wait=wait) for identity in identities]
            return (*reports, *_remove_orphans(workspace, identities))
    except BlockingIOError:
        return (Recovery("", Outcome.BUSY, "another process is committing in this workspace"),)


def _identities(names: Sequence[bytes]) -> tuple[str, ...]:
    """Give the identities of the commits that have a record."""
    found: set[str] = set()
    for name in names:
        for suffix in (JOURNAL_SUFFIX, STAGING_SUFFIX):
            if name.endswith(suffix):
                found.add(os.fsdecode(name.removesuffix(suffix)))
    return tuple(sorted(found))


def _recover_one(workspace: Workspace, commit_id: str, publish: Publish, *, wait: bool) -> Recovery:
    """Finish or clear away one commit; every failure is a report, so that the others still get their turn."""
    try:
        check_commit_id(commit_id)
        if is_present(workspace.journals, commit_id.encode() + JOURNAL_SUFFIX):
            journal = read_journal(workspace.journals, commit_id)
            return _finish_one(workspace, journal, publish, wait=wait)
        staging = read_staging(workspace.journals, commit_id)
        return _give_up_one(workspace, commit_id, staging.domains, wait=wait)
    except FormatError as error:
        return Recovery(commit_id, Outcome.DAMAGED, f"the record of commit {commit_id!r} is damaged: {error}")
    except ConflictError as error:
        message = (
            f"commit {commit_id} cannot be finished: {printable(error.path)} was changed meanwhile: "
            f"expected {error.expected}, got {error.got}"
        )
        return Recovery(commit_id, Outcome.CONFLICT, message, error.path)
    except BlockingIOError:
        return Recovery(commit_id, Outcome.BUSY, "another process is committing to the same domain")
    except (OSError, CommitError) as error:
        message = f"commit {commit_id} could not be finished yet: {reason_of(error)}"
        return Recovery(commit_id, Outcome.FAILED, message)


def _finish_one(workspace: Workspace, journal: Journal, publish: Publish, *, wait: bool) -> Recovery:
    """Carry out the rest of a decided commit, after a look at every step that changes nothing."""
    with open_domains([place.path for place in journal.domains], wait=wait) as descriptors:
        sites = [
            site_of(workspace, place, descriptor, journal.commit_id)
            for place, descriptor in zip(journal.domains, descriptors, strict=True)
        ]
        states = find_states(journal, sites)
        lost = lost_content(journal, sites, states)
        if lost is not None and StepState.NEW in states:
            raise CommitError(f"the staged content of {printable(lost)} is gone")
        if lost is not None:
            # The commit was being given up when a power cut brought back its journal: no step was done.
            give_up_commit(workspace, journal.commit_id, sites)
            return Recovery(journal.commit_id, Outcome.GIVEN_UP)
        finish_commit(workspace, journal, sites, {}, publish)
    return Recovery(journal.commit_id, Outcome.FINISHED)


def _give_up_one(
    workspace: Workspace, commit_id: str, places: Sequence[DomainPlace], *, wait: bool
) -> Recovery:
    """Remove what an undecided commit has staged."""
    with open_domains([place.path for place in places], wait=wait) as descriptors:
        sites = [
            site_of(workspace, place, descriptor, commit_id)
            for place, descriptor in zip(places, descriptors, strict=True)
        ]
        give_up_commit(workspace, commit_id, sites)
    return Recovery(commit_id, Outcome.GIVEN_UP)


def _remove_orphans(workspace: Workspace, identities: Sequence[str]) -> list[Recovery]:
    """Remove stages of the workspace that no record knows: a power cut brought them back."""
    reports: list[Recovery] = []
    for name in sorted(os.listdir(workspace.stages)):
        if name not in identities:
            try:
                remove_stage_folder(workspace.stages, os.fsencode(name))
                reports.append(Recovery(name, Outcome.GIVEN_UP))
            except OSError as error:
                message = f"stage {name!r} cannot be removed: {reason_of(error)}"
                reports.append(Recovery(name, Outcome.FAILED, message))
    return reports
