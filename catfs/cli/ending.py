"""Ending a mounted session: what `umount`, `commit` and `discard` share."""

import argparse
import os
import sys
from collections.abc import Mapping
from errno import EBUSY, EINVAL
from pathlib import Path

from catfs.cli.output import print_json, tell
from catfs.cli.words import find_workspace, say_held, say_leftovers, say_recoveries
from catfs.errors import ExitStatus, MachineError, UsageError, printable
from catfs.linux import umount2
from catfs.records import Leftovers, RestoreDiff
from catfs.runtime.committed import committed_run
from catfs.runtime.control import ask
from catfs.runtime.mounted import conclude_suspended
from catfs.runtime.mounts import is_mount_point
from catfs.runtime.occupants import occupants, process_names
from catfs.runtime.recovery import recover_workspace
from catfs.runtime.sessions import (
    ENDING_SECONDS_MAX,
    SessionFacts,
    clear_dead_session,
    mount_session,
    wait_until_ended,
    wait_until_gone,
)
from catfs.runtime.subject import readable_sessions
from catfs.runtime.workspace import Workspace

ENDING_STATUSES = """\
exit status: 0 ended; 1 something undeclared was left behind, the mount stays; 2 bad arguments;
3 the domain changed underneath; 125 the mount is in use or catfs itself failed
"""


def add_domain(parser: argparse.ArgumentParser) -> None:
    """Declare the argument that names the session."""
    parser.add_argument(
        "domain", nargs="?", type=Path, metavar="DOMAIN", help="the domain (default: the only mounted one)"
    )


def add_leftovers(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare `--leftovers`."""
    parser.add_argument(
        "--leftovers",
        choices=[policy.value for policy in Leftovers],
        default=Leftovers.FAIL.value,
        help=text,
    )


def add_rebase(parser: argparse.ArgumentParser) -> None:
    """Declare `--rebase`."""
    parser.add_argument(
        "--rebase",
        action="store_true",
        help="when the original changed: take it as it is now, where the session changed nothing of that",
    )


def end_by_commit(domain: Path | None, leftovers: Leftovers, *, as_json: bool, rebase: bool = False) -> int:
    """Prove a session, unmount it and commit its declared outputs; give the exit status.

    A session that cannot be committed goes on as it is; one that was to be rebased is unmounted before.

    Raises:
        UsageError: when there is no such session.
        MachineError: when the mount is in use or the session does not answer.
        CatfsError: what the session refuses.
    """
    workspace = workspace_of(domain)
    say_recoveries(recover_workspace(workspace))
    facts = session_of(workspace, domain)
    if not facts.live:
        run_id = committed_run(workspace, facts.folder)
        if run_id is not None:
            return _end_committed(facts, run_id, as_json=as_json)
        return _commit_suspended(workspace, facts, leftovers, as_json=as_json, rebase=rebase)
    found = ask(facts.folder, {"ask": "examine", "leftovers": leftovers.value})
    if not found["exit_status"]:
        ask(facts.folder, {"ask": "stay"})
        unmount_session(facts)
        found = ask(facts.folder, {"ask": "commit", "leftovers": leftovers.value, "unmounted": True})
        if not found["exit_status"]:
            wait_until_gone(facts)
    elif rebase and found["exit_status"] == ExitStatus.CONFLICT:
        unmount_session(facts)
        facts = wait_until_ended(facts, ENDING_SECONDS_MAX, say_held)
        return _commit_suspended(workspace, facts, leftovers, as_json=as_json, rebase=True)
    return _report(found, as_json=as_json)


def _commit_suspended(
    workspace: Workspace, facts: SessionFacts, leftovers: Leftovers, *, as_json: bool, rebase: bool
) -> int:
    """Commit a session that nobody serves."""
    found = conclude_suspended(workspace, facts, leftovers, tuple(sys.argv[1:]), rebase=rebase)
    return _report(found, as_json=as_json)


def _end_committed(facts: SessionFacts, run_id: str, *, as_json: bool) -> int:
    """End a session whose server ended after its commit was decided; its outputs are in place by now."""
    clear_dead_session(facts)
    sentence = f"the session was committed by run {run_id}, although its server could not say so"
    return _say_end(sentence, run_id=run_id, as_json=as_json)


def end_by_discard(domain: Path | None, *, as_json: bool) -> int:
    """Drop everything that was written in a session and unmount it; give the exit status.

    Raises:
        UsageError, MachineError: as `end_by_commit`.
    """
    workspace = workspace_of(domain)
    say_recoveries(recover_workspace(workspace))
    facts = session_of(workspace, domain)
    run_id = None if facts.live else committed_run(workspace, facts.folder)
    _discard(facts)
    if run_id is not None:
        sentence = f"the session had been committed by run {run_id} already: its outputs stay"
        return _say_end(sentence, run_id=run_id, as_json=as_json)
    sentence = f"{_domain_of(facts)} is as it was; what was written in the session is dropped"
    return _say_end(sentence, as_json=as_json)


def end_unchanged(domain: Path | None, *, as_json: bool) -> int:
    """Unmount a session in which nothing was changed; give the exit status.

    Raises:
        UsageError: when something was changed, or there is no such session, or its server is gone.
        MachineError: as `end_by_commit`.
    """
    facts = session_of(workspace_of(domain), domain)
    if not facts.live:
        raise UsageError(
            f"the server of the session of {_domain_of(facts)} is gone",
            hint="choose --commit or --discard, or mount the domain again to go on",
        )
    found = ask(facts.folder, {"ask": "examine"})
    count = sum(len(item.changes) for item in RestoreDiff.from_dict(found["difference"]).domains)
    if count:
        raise UsageError(
            f"the session has {count} changes", hint="`catfs diff` lists them; choose --commit or --discard"
        )
    _discard(facts)
    return _say_end(f"{_domain_of(facts)} is unmounted; nothing had been changed", as_json=as_json)


def end_moment(place: Path, *, as_json: bool) -> int:
    """Unmount the view of a moment; give the exit status.

    Raises:
        MachineError: when it is in use.
    """
    place = Path(os.path.realpath(place))
    _unmount_place(place)
    return _say_end(
        f"{printable(os.fsencode(place))} is unmounted; it was a view of the past", as_json=as_json
    )


def workspace_of(domain: Path | None) -> Workspace:
    """Give the workspace that has a session of a named domain, else that of the working directory.

    A mounted domain says by itself whose it is; that of a suspended session may only be known here.
    """
    here = Workspace.find(Path.cwd())
    if domain is None:
        return find_workspace()
    place = Path(os.path.realpath(domain))
    there = Workspace.find(place)
    if there is not None and any(place in facts.domains for facts in readable_sessions(there)):
        return there
    return here or there or find_workspace(place.parent)


def session_of(workspace: Workspace, domain: Path | None) -> SessionFacts:
    """Give the session of a domain, once its server either serves or has ended."""
    facts = wait_until_ended(mount_session(workspace, domain))
    if not facts.domains:
        raise UsageError(f"the session {facts.identity} has just been ended by another command")
    return facts


def _report(found: Mapping[str, object], *, as_json: bool) -> int:
    """Tell how a commit went and give its exit status."""
    status = found["exit_status"]
    assert isinstance(status, int)
    difference = RestoreDiff.from_dict(found["difference"])
    _say_end(
        str(found["sentence"]),
        run_id=difference.run_id if "run_id" in found else None,
        exit_status=status,
        difference=difference,
        as_json=as_json,
    )
    say_leftovers(difference.domains)
    if status == 1:
        tell("the session goes on; with --leftovers discard what is listed is dropped")
    return status


def _say_end(
    sentence: str,
    *,
    run_id: str | None = None,
    exit_status: int = 0,
    difference: RestoreDiff | None = None,
    as_json: bool,
) -> int:
    """Tell what became of a session and give the exit status.

    Args:
        sentence: What became of it, for people.
        run_id: The run that records it; None when none does.
        exit_status: The exit status.
        difference: What it had changed, where that was asked for.
        as_json: Whether to print it for programs too.
    """
    if as_json:
        print_json(
            {
                "schema": "cli-end.v1",
                "run_id": run_id,
                "exit_status": exit_status,
                "sentence": sentence,
                "difference": None if difference is None else difference.to_dict(),
            }
        )
    tell(sentence)
    return exit_status


def _domain_of(facts: SessionFacts) -> str:
    return printable(os.fsencode(facts.domains[0]))


def _discard(facts: SessionFacts) -> None:
    """Drop a session, whether its server lives or not."""
    if not facts.live:
        clear_dead_session(facts)
        return
    ask(facts.folder, {"ask": "stay"})
    unmount_session(facts)
    ask(facts.folder, {"ask": "discard", "unmounted": True})
    wait_until_gone(facts)


def unmount_session(facts: SessionFacts) -> None:
    """Take the mount away, unless somebody did already."""
    if is_mount_point(facts.domains[0]):
        _unmount_place(facts.domains[0])


def _unmount_place(domain: Path) -> None:
    name = printable(os.fsencode(domain))
    try:
        umount2(os.fsencode(domain), 0)
    except OSError as error:
        if error.errno == EBUSY:
            raise MachineError(
                f"{name} is in use{_by_whom(domain)}",
                hint="leave it with every shell and program, then try again",
            ) from error
        if error.errno != EINVAL:
            raise MachineError(f"{name} cannot be unmounted: {error.strerror}") from error


def _by_whom(domain: Path) -> str:
    """Give the first processes that are in a mount, as the rest of a sentence; empty when none is seen."""
    found = occupants(domain)
    return f" by {process_names(found)}" if found else ""
