"""What crashes left behind in a workspace, and how it is cleaned up.

Looking changes nothing. Cleaning goes from what others rest on to what nobody needs: first interrupted
commits are finished or undone, then dead sessions, dead mounts and incomplete runs are removed. What is
alive, and what is so young that it may just be coming up, is left alone; so is a suspended session, which is
data: only its dead mount is taken away.
"""

import os
import shutil
import threading
from collections.abc import Collection, Iterable, Iterator
from errno import ENOTCONN
from functools import partial
from pathlib import Path
from typing import Final

from catfs.clock import Clock, system_clock
from catfs.commit import Outcome, Recovery, list_decided, list_journals
from catfs.errors import FormatError, UsageError, printable, reason_of
from catfs.ledger import RunFolder, list_runs
from catfs.runtime.findings import Finding, NotCleanedError, Treatment, Trouble
from catfs.runtime.kept_health import examine_indexes, examine_store
from catfs.runtime.locks import is_locked
from catfs.runtime.mounts import MOUNT_TABLE, abort, catfs_mounts, detach, workspace_of_view
from catfs.runtime.recovery import recover_workspace
from catfs.runtime.session import SessionKind, remove_session_folder
from catfs.runtime.session_files import DATA_FILE, LOCK_FILE, LOG_FILE
from catfs.runtime.sessions import (
    SessionFacts,
    clear_dead_session,
    is_suspended,
    read_session,
    session_folders,
)
from catfs.runtime.subject import readable_sessions
from catfs.runtime.workspace import CONFIGURATION_FILE, FOLDER, Workspace

SETTLE_SECONDS: Final = 10
"""How old a folder must be, in seconds, before it counts as left behind: a session takes its lock, and a run
its session, within milliseconds after their folders were made."""

ANSWER_SECONDS: Final = 5.0
"""How long a mount may take to answer, in seconds. One whose server hangs would keep us for ever."""

_STAGE = "stage"


def examine_workspace(workspace: Workspace, clock: Clock = system_clock) -> list[Finding]:
    """Look for what crashes left in a workspace; nothing is changed.

    Args:
        workspace: The workspace.
        clock: Tells the time.

    Raises:
        OSError: when a folder cannot be read.
    """
    settled = clock() - SETTLE_SECONDS * 10**9
    sessions = list(_read_sessions(workspace))
    facts = [item for item in sessions if isinstance(item, SessionFacts)]
    in_use = [domain for item in facts if item.live and item.is_mount for domain in item.domains]
    findings = [*_find_configuration(workspace), *_find_commits(workspace)]
    for item in sessions:
        if isinstance(item, Finding):
            findings.append(item)
        elif not (item.live or is_suspended(item)) and _is_settled(item, settled):
            findings.append(_dead_session(item, in_use))
    findings += _find_runs(workspace, {item.identity for item in facts if item.live}, settled)
    findings += find_dead_mounts(workspace.root, facts)
    findings += [*examine_indexes(workspace), *examine_store(workspace)]
    return findings


def clean(findings: list[Finding]) -> Iterator[Treatment]:
    """Clean up what was found, one after the other; what stands in the way of one stops no other.

    Args:
        findings: In the order in which they were found.
    """
    for finding in findings:
        if finding.clean is None:
            yield Treatment(finding, cleaned=False, report="nothing that catfs can do here")
            continue
        try:
            yield Treatment(finding, cleaned=True, report=finding.clean())
        except NotCleanedError as error:
            yield Treatment(finding, cleaned=False, report=str(error))
        except OSError as error:
            yield Treatment(finding, cleaned=False, report=f"it cannot be removed: {reason_of(error)}")


def find_dead_mounts(
    place: Path, sessions: Collection[SessionFacts] = (), mounts: Path = MOUNT_TABLE
) -> list[Finding]:
    """Give the mounts of catfs that have no server any more, and those whose session was taken away.

    Those of other workspaces are left to them: only what is mounted at or below a folder counts, and on
    the domains of suspended sessions. The mount of a dead session goes with that session.

    Args:
        place: The folder.
        sessions: The sessions that are known.
        mounts: The list of mounts in the form of /proc/self/mounts.

    Raises:
        OSError: when the list cannot be read.
    """
    suspended = _domains(facts for facts in sessions if is_suspended(facts))
    mounted = [facts for facts in sessions if facts.is_mount]
    cared_for = _domains(facts for facts in mounted if not (facts.live or is_suspended(facts)))
    servers = {os.fsencode(domain): facts.pid for facts in mounted if facts.live for domain in facts.domains}
    top = os.fsencode(place)
    findings = []
    for point in catfs_mounts(mounts):
        is_below = point == top or point.startswith(top.rstrip(b"/") + b"/")
        if point in cared_for or not (is_below or point in suspended):
            continue
        name = printable(point)
        answer = _answers(point)
        if answer is None:
            sentence = f"the view mounted at {name} does not answer; its server may hang"
            if point not in servers:
                findings.append(Finding(Trouble.SILENT_MOUNT, name, sentence, "", None))
                continue
            sentence += f": `kill -9 {servers[point]}` releases whoever waits, `catfs mount` goes on then"
            lost = "what programs are just doing in it; what they have written stays in the session"
            findings.append(Finding(Trouble.SILENT_MOUNT, name, sentence, lost, partial(_abort, point)))
        elif not answer and point not in servers:
            sentence = f"the view mounted at {name} has no server any more and hides what is below"
            findings.append(Finding(Trouble.DEAD_MOUNT, name, sentence, "", partial(_unmount, point)))
        elif answer and point not in servers and (workspace := _robbed_workspace(point, mounts)) is not None:
            sentence = (
                f"the view mounted at {name} is served, but the folder of its session is gone from "
                f"{printable(os.fsencode(workspace / FOLDER))}: what was written in it can be read and "
                f"copied there, but not committed; `umount {name}` ends it, and drops that"
            )
            findings.append(Finding(Trouble.LOST_SESSION, name, sentence, "", None))
    return findings


def _robbed_workspace(point: bytes, mounts: Path) -> Path | None:
    """Give the workspace that a view was mounted from, if it has no session of that any more.

    A view that only its own command sees names none; what cannot be looked at is somebody else's.
    """
    workspace = workspace_of_view(Path(os.fsdecode(point)), mounts)
    try:
        if workspace is None or any(
            point in map(os.fsencode, facts.domains) for facts in readable_sessions(Workspace(workspace))
        ):
            return None
    except OSError:
        return None
    return workspace


def _domains(sessions: Iterable[SessionFacts]) -> set[bytes]:
    return {os.fsencode(domain) for facts in sessions for domain in facts.domains}


def _find_configuration(workspace: Workspace) -> Iterator[Finding]:
    try:
        workspace.configuration()
    except UsageError as error:
        sentence = f"the configuration cannot be used, so nothing can be run or mounted: {error}"
        yield Finding(Trouble.DAMAGED_CONFIGURATION, CONFIGURATION_FILE, sentence, "", None)


def _find_commits(workspace: Workspace) -> Iterator[Finding]:
    folder = os.fsencode(workspace.folder)
    if is_locked(workspace.journal):
        return  # a commit is under way; what it has on the disk is not left behind
    identities = list_journals(folder)
    reports: dict[str, Recovery] = {}
    for identity in identities:
        sentence = f"the commit {printable(os.fsencode(identity))} was interrupted"
        treat = partial(_recover, workspace, identity, reports)
        yield Finding(Trouble.INTERRUPTED_COMMIT, identity, sentence, "", treat)
    for name in _names_in(workspace.folder / _STAGE):
        if name not in identities:
            sentence = f"the stage {printable(os.fsencode(name))} belongs to no commit"
            treat = partial(_recover, workspace, name, reports)
            yield Finding(Trouble.LEFT_STAGE, name, sentence, "", treat)


def _recover(workspace: Workspace, identity: str, reports: dict[str, Recovery]) -> str:
    """Recover every commit and say what became of one.

    Args:
        workspace: The workspace.
        identity: The commit.
        reports: What became of each commit, by identity: the first call recovers all of them.
    """
    if identity not in reports:
        reports.update((report.commit_id, report) for report in recover_workspace(workspace, wait=False))
    report = reports.get(identity) or reports.pop("", None)
    if report is not None and report.outcome is Outcome.FINISHED:
        return "it was decided, so it is finished now: all its outputs are in place, and its run is recorded"
    if report is not None and report.outcome is Outcome.GIVEN_UP:
        return "the old state holds; what was staged is removed"
    if report is not None:
        raise NotCleanedError(report.message)
    stage = workspace.folder / _STAGE / identity
    if identity in list_journals(os.fsencode(workspace.folder)) or os.path.lexists(stage):
        raise NotCleanedError("it is still there")
    return "another command has finished or undone it meanwhile"


def _read_sessions(workspace: Workspace) -> Iterator[SessionFacts | Finding]:
    for folder in session_folders(workspace):
        name = folder.name
        try:
            yield read_session(folder)
        except FormatError as error:
            if not is_locked(folder / LOCK_FILE):
                yield Finding(
                    Trouble.DAMAGED_SESSION,
                    name,
                    f"what session {printable(os.fsencode(name))} says of itself is damaged: {error.problem}",
                    "the new content that was only in that session",
                    partial(_remove_session, folder),
                )


def _dead_session(facts: SessionFacts, in_use: Collection[Path]) -> Finding:
    places = ", ".join(printable(os.fsencode(domain)) for domain in facts.domains) or "no domain"
    name = printable(os.fsencode(facts.identity))
    lost = ""
    if facts.is_mount:
        records, size = _count_lines(facts.folder / LOG_FILE), _size(facts.folder / DATA_FILE)
        lost = f"{size} bytes of new content and the write log of {records} records, which nobody committed"
    sentence = f"session {name} ({facts.kind}) of {places} has no server any more; the original is untouched"
    return Finding(
        Trouble.DEAD_SESSION, facts.identity, sentence, lost, partial(_clear_session, facts, in_use)
    )


def _clear_session(facts: SessionFacts, in_use: Collection[Path]) -> str:
    clear_dead_session(facts, in_use)
    return "its mount and its folder are removed"


def _remove_session(folder: Path) -> str:
    remove_session_folder(folder)
    return "its folder is removed"


def _find_runs(workspace: Workspace, live: set[str], settled: int) -> Iterator[Finding]:
    decided = list_decided(os.fsencode(workspace.folder))  # the end of their commit completes them
    for run in list_runs(workspace.runs):
        if run.is_complete or run.run_id in {*live, *decided} or run.changed >= settled:
            continue
        sentence = f"run {run.run_id} was stopped before its end: it has no proof and proves nothing"
        lost = "what its command printed, as far as it was kept"
        yield Finding(Trouble.INCOMPLETE_RUN, run.run_id, sentence, lost, partial(_remove_run, run))


def _remove_run(run: RunFolder) -> str:
    shutil.rmtree(run.path)
    return "its folder is removed"


def _unmount(point: bytes) -> str:
    detach(point)
    return "it is unmounted"


def _abort(point: bytes) -> str:
    abort(point)
    return "its connection is aborted and it is unmounted: whoever waited for it got an error"


def _answers(point: bytes) -> bool | None:
    """Say whether a mount has a server; None when it does not answer in time."""
    found: list[bool] = []

    def look() -> None:
        try:
            # Not stat, which the kernel answers from its cache for as long as the mount stands.
            os.statvfs(point)
            found.append(True)
        except OSError as error:
            found.append(error.errno != ENOTCONN)

    # A daemon thread, since a call that hangs can be neither cancelled nor waited for.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return found[0] if found else None


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _is_settled(facts: SessionFacts, settled: int) -> bool:
    """Say whether a session without a server is none that is just coming up."""
    return facts.kind is not SessionKind.UNKNOWN or facts.folder.stat().st_mtime_ns < settled


def _size(path: Path) -> int:
    """Give the size of a file in bytes; 0 when it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _count_lines(path: Path) -> int:
    try:
        with path.open("rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except FileNotFoundError:
        return 0
