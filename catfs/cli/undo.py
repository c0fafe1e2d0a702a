"""`catfs undo`: a mounted session goes back to before a record."""

import argparse
import os
import re
from pathlib import Path

from catfs.cli.ending import session_of, unmount_session, workspace_of
from catfs.cli.output import print_json, tell
from catfs.cli.words import add_json, say_held, say_recoveries
from catfs.errors import UsageError, printable
from catfs.records import put_bytes
from catfs.runtime.committed import committed_run
from catfs.runtime.live import ask_log
from catfs.runtime.moments import record_of
from catfs.runtime.mounted import Mounted, read_job, start_mount, undo_suspended
from catfs.runtime.past_log import PastLog
from catfs.runtime.recovery import recover_workspace
from catfs.runtime.request import RunRequest
from catfs.runtime.sessions import ENDING_SECONDS_MAX, SessionFacts, wait_until_ended
from catfs.runtime.workspace import Workspace

_WORD = re.compile(r"(\d+)\.\.", re.ASCII)

_EPILOG = """\
Record SEQ and everything after it count no more: the session has the state that it had right before that
record. Nothing is lost by it: the log says that it was undone, and undoing that brings everything back.
The session must have been begun with --history, and nobody may be in the mount, which is renewed.

Killed at any point, this leaves the session as it was, or as it is afterwards.

exit status: 0 undone; 2 bad arguments, or there is no history; 3 the domain changed underneath;
125 the mount is in use or catfs itself failed

examples:
  catfs undo 4711..
  catfs undo 4711.. project
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("first", metavar="SEQ..", help="the first record that is undone")
    parser.add_argument(
        "domain", nargs="?", type=Path, metavar="DOMAIN", help="the domain (default: the only mounted one)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    workspace = workspace_of(arguments.domain)
    say_recoveries(recover_workspace(workspace))
    facts = session_of(workspace, arguments.domain)
    first = _check(workspace, facts, arguments.first)
    mounted = facts.live
    if mounted:
        unmount_session(facts)
        facts = wait_until_ended(facts, ENDING_SECONDS_MAX, say_held)
    try:
        undo_suspended(workspace, facts, first)
    finally:
        if mounted:
            _mount_again(facts)
    domain = os.fsencode(facts.domains[0])
    if arguments.json:
        record: dict[str, object] = {
            "schema": "cli-undo.v1",
            "session": facts.identity,
            "first": first,
            "mounted": mounted,
        }
        put_bytes(record, "domain", domain)
        print_json(record)
    state = "mounted again" if mounted else "suspended, as before"
    tell(f"{printable(domain)} is as it was before record {first}, and {state}")
    return 0


def _check(workspace: Workspace, facts: SessionFacts, word: str) -> int:
    """Give the first record to undo, before anything is touched.

    Raises:
        UsageError: when there is no such record, or the session cannot go back.
    """
    match = _WORD.fullmatch(word)
    if match is None:
        raise UsageError(f"expected the first record to undo as SEQ.., got {printable(os.fsencode(word))!r}")
    run_id = None if facts.live else committed_run(workspace, facts.folder)
    if run_id is not None:
        raise UsageError(f"the session was committed by run {run_id}", hint="`catfs umount --commit` ends it")
    if not facts.history:
        raise UsageError(
            f"the session {facts.identity} keeps no history, so it cannot go back",
            hint="begin it with --history",
        )
    return record_of(match[1], PastLog(ask_log(facts)).size)


def _mount_again(facts: SessionFacts) -> None:
    """Mount the session again, as it was mounted."""
    job = read_job(facts.folder)

    def say(mounted: Mounted) -> None:
        del mounted  # the session is the one that was there before

    request = RunRequest(
        arguments=(), domains=facts.domains, transport=job.spec.transport, cwd=Path.cwd(), argv=("undo",)
    )
    start_mount(request, say, on_recovery=say_recoveries, on_held=say_held)
