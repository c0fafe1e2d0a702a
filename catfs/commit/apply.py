"""Carrying out a plan: stage, check, decide, apply. Until the decision the old state holds, then the new.

The decision is one rename: that of the journal, in `durable.create_exclusively`. Everything up to it
can be given up without a trace; everything after it is carried out by whoever finds the journal, the
publication of the commit's record included.
"""

import os
from collections.abc import Sequence

from catfs.commit.check import check_conflicts, final_folders
from catfs.commit.journal import (
    JOURNAL_SUFFIX,
    STAGING_SUFFIX,
    Journal,
    Staging,
    check_commit_id,
    encode_journal,
    encode_staging,
)
from catfs.commit.plan import Action, CommitPlan, Note
from catfs.commit.reach import Signature, is_present
from catfs.commit.source import NO_RECORD, CommitRecord, OutputSource
from catfs.commit.stage import FSYNC_CALLS_MAX, slot_of, stage_step
from catfs.commit.steps import finish_commit, give_up_commit
from catfs.commit.workspace import (
    Site,
    Workspace,
    make_stage,
    open_domains,
    open_workspace,
    place_of,
    site_of,
)
from catfs.durable import create_exclusively
from catfs.errors import CatfsError, CommitError, printable, reason_of
from catfs.limits import JSON_BYTES_MAX
from catfs.linux import syncfs
from catfs.values import dataclass


class UnfinishedCommitError(CommitError):
    """A commit is decided but not carried out to its end; the next recovery goes on with it.

    Args:
        commit_id: Identity of the commit.
        reason: What stands in the way.
        in_doubt: Whether the disk refused just when it was decided, so that it may have been or not.
    """

    def __init__(self, commit_id: str, reason: str, *, in_doubt: bool = False) -> None:
        state = "is decided but not finished"
        if in_doubt:
            state = "is either decided or given up, which the disk did not say"
        super().__init__(
            f"commit {commit_id} {state}: {reason}",
            hint="remove what stands in the way; the next catfs command, or `catfs doctor --fix`, goes on",
        )
        self.commit_id = commit_id
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CommitReport:
    """What a finished commit did.

    Args:
        commit_id: Its identity.
        steps: How many names it changed.
        notes: What it left out or added, of the plan and of its carrying out.
    """

    commit_id: str
    steps: int
    notes: tuple[Note, ...]


def apply_commit(
    plan: CommitPlan,
    sources: Sequence[OutputSource],
    *,
    catfs_folder: bytes,
    commit_id: str,
    record: CommitRecord = NO_RECORD,
) -> CommitReport:
    """Carry out a plan, all or nothing, also against crashes. Waits for other commits to the same places.

    Args:
        plan: The plan.
        sources: The view of each domain of the plan, in its order.
        catfs_folder: Absolute path of the `.catfs` folder of the workspace, which exists.
        commit_id: Identity of the commit, never used before in this workspace.
        record: Prepared before the commit is decided, and valid when it is done.

    Returns:
        What was done; every output is durable by then.

    Raises:
        ConflictError: when a name is not what the session saw; nothing was changed.
        UnfinishedCommitError: when a step failed after the decision; a recovery must go on.
        CommitError: when anything else failed; nothing was changed.
        FormatError: when the identity cannot be a file name.
        OSError: when the plan has no steps, and its record cannot be written or published.
    """
    check_commit_id(commit_id)
    assert len(sources) == len(plan.domains)
    if not plan.steps:
        record.prepare(plan.notes)
        record.publish(commit_id)
        return CommitReport(commit_id, 0, plan.notes)
    try:
        with open_workspace(catfs_folder) as workspace, open_domains(plan.domains) as descriptors:
            sites = [
                site_of(workspace, place_of(workspace, path, descriptor), descriptor, commit_id)
                for path, descriptor in zip(plan.domains, descriptors, strict=True)
            ]
            _check_nothing_pending(workspace, sites, commit_id)
            journal, signatures, notes = _decide(workspace, plan, sources, sites, commit_id, record)
            _finish(workspace, journal, sites, signatures, record)
    except OSError as error:
        raise CommitError(
            f"commit {commit_id} was given up, nothing was changed: {reason_of(error)}"
        ) from error
    return CommitReport(commit_id, len(plan.steps), notes)


def _check_nothing_pending(workspace: Workspace, sites: Sequence[Site], commit_id: str) -> None:
    """Refuse to commit on top of an unfinished commit, or where something has the name of a stage already."""
    for name in sorted(os.listdir(workspace.journals)):
        if os.fsencode(name).endswith(JOURNAL_SUFFIX):
            identity = name.removesuffix(JOURNAL_SUFFIX.decode())
            raise UnfinishedCommitError(identity, "it was interrupted, and no recovery has run since")
    for site in sites:
        if is_present(site.stage_parent, site.stage_name):
            raise CommitError(
                f"{printable(site.stage_name)} is in the way in {printable(site.place.path)}",
                hint=f"see whether it is left of an earlier commit {commit_id}, and remove it",
            )


def _decide(
    workspace: Workspace,
    plan: CommitPlan,
    sources: Sequence[OutputSource],
    sites: Sequence[Site],
    commit_id: str,
    record: CommitRecord,
) -> tuple[Journal, dict[int, Signature], tuple[Note, ...]]:
    """Stage, check and publish the journal; or leave the old state, without a trace, and raise."""
    places = tuple(site.place for site in sites)
    at_journal = False
    try:
        staging = encode_staging(Staging(commit_id, places))
        create_exclusively(workspace.journals, commit_id.encode() + STAGING_SUFFIX, staging, mode=0o600)
        for site in sites:
            make_stage(site)
        notes = (*plan.notes, *_stage_all(plan, sources, sites))
        signatures = check_conflicts(plan, sites)
        folders = final_folders(plan, sites, sources)
        journal = Journal(commit_id, places, plan.steps, folders)
        data = _journal_bytes(journal)
        record.prepare(notes)
        at_journal = True
        create_exclusively(workspace.journals, commit_id.encode() + JOURNAL_SUFFIX, data, mode=0o600)
    except BaseException as error:
        try:
            give_up_commit(workspace, commit_id, sites)
        except OSError as second:
            raise _not_given_up(commit_id, error, second, at_journal=at_journal) from error
        raise
    return journal, signatures, notes


def _journal_bytes(journal: Journal) -> bytes:
    """Give the bytes of a journal that every recovery can read."""
    data = encode_journal(journal)
    if len(data) > JSON_BYTES_MAX:
        raise CommitError(
            f"commit {journal.commit_id} has too many steps: expected a journal of at most "
            f"{JSON_BYTES_MAX} bytes, got {len(data)}",
            hint="declare fewer outputs, or commit in several runs",
        )
    return data


def _not_given_up(commit_id: str, error: BaseException, second: OSError, *, at_journal: bool) -> CommitError:
    """Give the error of a commit that failed, and whose traces could not be removed either.

    Args:
        commit_id: Identity of the commit.
        error: Why it failed.
        second: Why they could not.
        at_journal: Whether the journal was being published: then it may be there, or come back.
    """
    reason = f"{reason_of(error)}; and what was staged could not be cleared away: {reason_of(second)}"
    if at_journal:
        return UnfinishedCommitError(commit_id, reason, in_doubt=True)
    return CommitError(
        f"commit {commit_id} was given up, no output was changed: {reason}",
        hint="the next catfs command, or `catfs doctor --fix`, clears it away",
    )


def _stage_all(plan: CommitPlan, sources: Sequence[OutputSource], sites: Sequence[Site]) -> list[Note]:
    """Stage the objects of all steps and make them durable."""
    staged = [
        (number, step) for number, step in enumerate(plan.steps) if step.action in (Action.PUT, Action.MAKE)
    ]
    one_by_one = len(staged) <= FSYNC_CALLS_MAX
    notes: list[Note] = []
    for index, (path, site) in enumerate(zip(plan.domains, sites, strict=True)):
        with site.stage() as stage:
            if stage is None:
                raise CommitError("the staging folder disappeared")
            for number, step in staged:
                if step.domain == index:
                    notes += stage_step(stage, slot_of(number), step, path, sources[index], fsync=one_by_one)
            # Opened before the first write, so syncfs reports every page that was lost since.
            if one_by_one:
                os.fsync(stage)
            else:
                syncfs(stage)
    return notes


def _finish(
    workspace: Workspace,
    journal: Journal,
    sites: Sequence[Site],
    signatures: dict[int, Signature],
    record: CommitRecord,
) -> None:
    """Carry out a decided commit; what fails now is told apart from what fails before."""
    try:
        finish_commit(workspace, journal, sites, signatures, record.publish)
    except (OSError, CatfsError) as error:
        raise UnfinishedCommitError(journal.commit_id, reason_of(error)) from error
