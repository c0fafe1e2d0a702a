"""The last look before a commit is decided: is everything there still what the session saw?

Everything that could stop a step later is asked for here, while giving up still leaves the old state:
the entries themselves, names that nobody planned to remove, mounts in the way, missing rights.
"""

import os
import stat
from collections.abc import Sequence

from catfs.commit.journal import Folder
from catfs.commit.plan import Action, CommitPlan, RefusedChangeError, Step, parent_of
from catfs.commit.reach import (
    FOLDER,
    NOT_REACHABLE,
    Signature,
    folder_beneath,
    parent_beneath,
    read_entry,
    read_signature,
)
from catfs.commit.source import OutputSource
from catfs.commit.workspace import Site
from catfs.errors import ConflictError, printable
from catfs.records import Entry, Kind, describe_entry
from catfs.records.names import is_at_or_below


def check_conflicts(plan: CommitPlan, sites: Sequence[Site]) -> dict[int, Signature]:
    """Compare every step's `before` with what is there.

    Args:
        plan: The plan.
        sites: The locked domains.

    Returns:
        For each step that replaces or removes a file, by number: what tells later at one glance that it is
        still the same.

    Raises:
        ConflictError: for the first path that is not what the session saw.
        OSError: when something cannot be read.
    """
    signatures: dict[int, Signature] = {}
    removals = removals_of(plan.steps)
    for number, step in enumerate(plan.steps):
        domain = sites[step.domain].descriptor
        if not step.path:
            _compare(step, Entry(Kind.DIRECTORY, os.fstat(domain).st_mode & 0o7777))
            continue
        with parent_beneath(domain, step.path) as (parent, name):
            signature = read_signature(parent, name)
            _compare(step, read_entry(parent, name))
            if signature is not None and step.before is not None and step.before.kind is Kind.FILE:
                signatures[number] = signature
        if strangers := unplanned_names(domain, step, removals):
            raise ConflictError(step.path, "nothing else in it", f"the name {printable(strangers[0])}")
    return signatures


def removals_of(steps: Sequence[Step]) -> set[tuple[int, bytes]]:
    """Give domain and path of every name that the steps remove."""
    return {(step.domain, step.path) for step in steps if step.action is Action.REMOVE}


def unplanned_names(domain: int, step: Step, removals: set[tuple[int, bytes]]) -> list[bytes]:
    """Give the names in a directory that a step wants gone, apart from those that the plan removes.

    Args:
        domain: Descriptor of the domain.
        step: Any step; the answer is empty unless it takes a directory away that is still there.
        removals: What removals_of gives.
    """
    if step.before is None or step.before.kind is not Kind.DIRECTORY or step.action is Action.MODE:
        return []
    try:
        with folder_beneath(domain, step.path, FOLDER) as folder:
            found = sorted(os.fsencode(name) for name in os.listdir(folder))
    except OSError as error:
        if error.errno not in NOT_REACHABLE:
            raise
        return []
    return [name for name in found if (step.domain, step.path + b"/" + name) not in removals]


def final_folders(
    plan: CommitPlan, sites: Sequence[Site], sources: Sequence[OutputSource]
) -> tuple[Folder, ...]:
    """Give the mode and time that every directory touched by the plan has in the end, deepest first.

    Outputs and new directories get the time of the view; every other directory keeps its own.

    Args:
        plan: The plan.
        sites: The locked domains.
        sources: The view of each domain.

    Raises:
        ConflictError: when a directory that must be there is not.
        RefusedChangeError: when names in a directory cannot be changed for want of rights, or because
            it is on another file system than the stage.
        OSError: when a directory cannot be opened.
    """
    modes = {
        (step.domain, step.path): step for step in plan.steps if step.action in (Action.MAKE, Action.MODE)
    }
    folders: list[Folder] = []
    for index, path in sorted(_touched(plan, sites), key=_deepest_first):
        step = modes.get((index, path))
        status = None if step and step.action is Action.MAKE else _check_folder(sites[index], path)
        mode = step.after.mode if step and step.after else stat.S_IMODE(status.st_mode) if status else 0
        if status is None or is_at_or_below(path, plan.outputs[index]):
            mtime_ns = sources[index].describe(path).mtime_ns
        else:
            mtime_ns = status.st_mtime_ns
        folders.append(Folder(index, path, mode, mtime_ns))
    return tuple(folders)


def _touched(plan: CommitPlan, sites: Sequence[Site]) -> set[tuple[int, bytes]]:
    """Give domain and path of every directory whose names, mode or time change and that stays."""
    touched = {(number, b"") for number, site in enumerate(sites) if site.place.staged_inside}
    gone: set[tuple[int, bytes]] = set()
    for step in plan.steps:
        if step.action in (Action.MAKE, Action.MODE):
            touched.add((step.domain, step.path))
        elif step.before is not None and step.before.kind is Kind.DIRECTORY:
            gone.add((step.domain, step.path))
        if step.action is not Action.MODE:
            touched.add((step.domain, parent_of(step.path)))
    return touched - gone


def _deepest_first(item: tuple[int, bytes]) -> tuple[int, int, bytes]:
    """Give the sort key for folders: by domain, the domain's own directory last."""
    index, path = item
    return index, -(path.count(b"/") + 1 if path else 0), path


def _check_folder(site: Site, path: bytes) -> os.stat_result:
    """Give the status of a directory that must be there and let names be changed in it."""
    try:
        with folder_beneath(site.descriptor, path) as folder:
            status = os.fstat(folder)
    except OSError as error:
        if error.errno not in NOT_REACHABLE:
            raise
        raise ConflictError(path, "a directory", "none") from error
    if os.geteuid() not in (0, status.st_uid):
        raise RefusedChangeError(path, "names are to change in it, and only its owner may put back its time")
    if status.st_dev != os.fstat(site.stage_parent).st_dev:
        raise RefusedChangeError(path, "it is on another file system than its domain")
    return status


def _compare(step: Step, got: Entry | None) -> None:
    """Refuse a name that is not what the session saw."""
    if got != step.before:
        raise ConflictError(step.path, describe_entry(step.before), describe_entry(got))
