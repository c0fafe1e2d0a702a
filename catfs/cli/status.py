"""`catfs status`: what is mounted and how it stands, what is dead, and how the last run ended."""

import argparse
import os
from pathlib import Path

from catfs.cli.output import human_bytes, print_json, print_result
from catfs.cli.runs import run_fields
from catfs.cli.words import add_json, find_workspace, plain, time_text
from catfs.commit import list_journals
from catfs.errors import CatfsError, UsageError, printable
from catfs.ledger import list_runs
from catfs.records import format_time, put_bytes, put_bytes_list
from catfs.runtime.live import LiveStatus, ask_status
from catfs.runtime.runs import RunSummary, summarize_run
from catfs.runtime.sessions import SessionFacts, is_suspended
from catfs.runtime.subject import check_word, readable_sessions
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

_EPILOG = """\
A session is live, or suspended (a mount whose server ended: it can be resumed), or dead. Of dead ones, and of
commits that were interrupted, it says what to do about them. Status changes nothing.

examples:
  catfs status
  catfs status project --json
"""


@dataclass(frozen=True, slots=True)
class _Report:
    """Everything that status tells.

    Args:
        workspace: The workspace.
        sessions: Its sessions, each with what its server answers, or why it does not.
        commits: Commits that have a record.
        last: The last run; None when there is none.
    """

    workspace: Workspace
    sessions: tuple[tuple[SessionFacts, LiveStatus | str | None], ...]
    commits: tuple[str, ...]
    last: RunSummary | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("domain", nargs="?", metavar="DOMAIN", help="only the sessions of this domain")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    report = _look(_domain(arguments.domain))
    if arguments.json:
        print_json(_json(report))
    else:
        _show(report)
    return 0


def _domain(word: str | None) -> Path | None:
    if word is None:
        return None
    check_word(word, "DOMAIN")
    domain = Path(os.path.realpath(word))
    if not os.path.lexists(domain):
        raise UsageError(f"there is no directory {printable(os.fsencode(word))}")
    return domain


def _look(domain: Path | None) -> _Report:
    workspace = _workspace(domain)
    sessions = [facts for facts in readable_sessions(workspace) if domain is None or domain in facts.domains]
    runs = list_runs(workspace.runs)
    running = {facts.identity for facts in sessions if facts.live}
    return _Report(
        workspace,
        tuple((facts, _ask(facts)) for facts in sessions),
        list_journals(os.fsencode(workspace.folder)),
        summarize_run(runs[-1], running) if runs else None,
    )


def _workspace(domain: Path | None) -> Workspace:
    """Give the workspace above the working directory, or above the domain when that has its sessions."""
    here = Workspace.find(Path.cwd())
    there = None if domain is None else Workspace.find(domain)
    if there is None or domain is None:
        return find_workspace() if here is None else here
    knows = any(domain in facts.domains for facts in readable_sessions(there))
    return there if here is None or knows else here


def _ask(facts: SessionFacts) -> LiveStatus | str | None:
    """Ask a mounted session how it stands; a run has nobody who answers."""
    if not (facts.live and facts.is_mount):
        return None
    try:
        return ask_status(facts)
    except CatfsError as error:
        return str(error)


def _show(report: _Report) -> None:
    print_result(f"workspace {printable(os.fsencode(report.workspace.root))}")
    for facts, status in report.sessions:
        print_result(_session_line(facts))
        if isinstance(status, LiveStatus):
            print_result(f"  {_status_text(status)}")
        elif status is not None:
            print_result(f"  {status}")
    if not report.sessions:
        print_result("no session: nothing is mounted and no command is running")
    for identity in report.commits:
        name = plain(identity)
        print_result(f"commit {name} was interrupted, or is under way: `catfs doctor` says which")
    if report.last is None:
        print_result("no run yet")
    else:
        last = report.last
        status_text = "" if last.exit_status is None else f", exit status {last.exit_status}"
        print_result(f"last run {plain(last.run_id)}: {last.outcome}{status_text}, {time_text(last.when)}")


def _session_line(facts: SessionFacts) -> str:
    places = ", ".join(printable(os.fsencode(domain)) for domain in facts.domains) or "unknown domains"
    name = plain(facts.identity)
    if is_suspended(facts):
        return f"suspended mount {name} of {places}: `catfs mount` goes on with it, `catfs umount` ends it"
    if not facts.live:
        return f"dead     {facts.kind} {name} of {places}: `catfs doctor --fix` removes what is left"
    since = time_text(facts.started)
    return f"live     {facts.kind} {name} of {places}, since {since}, server {facts.pid}"


def _status_text(status: LiveStatus) -> str:
    mounted = "mounted" if status.mounted else "unmounted, waiting for --commit or --discard"
    base = f"base read: {status.base_files} files, {human_bytes(status.base_bytes)}"
    return f"{mounted}; {status.records} records; {human_bytes(status.new_bytes)} new; {base}"


def _json(report: _Report) -> dict[str, object]:
    record: dict[str, object] = {
        "schema": "cli-status.v1",
        "sessions": [_session_fields(facts, status) for facts, status in report.sessions],
        "commits": list(map(plain, report.commits)),
        "last_run": None if report.last is None else run_fields(report.last),
    }
    put_bytes(record, "workspace", os.fsencode(report.workspace.root))
    return record


def _session_fields(facts: SessionFacts, status: LiveStatus | str | None) -> dict[str, object]:
    record: dict[str, object] = {
        "session": plain(facts.identity),
        "kind": facts.kind.value,
        "state": "live" if facts.live else "suspended" if is_suspended(facts) else "dead",
        "pid": facts.pid,
        "started": format_time(facts.started),
        "status": None,
        "problem": plain(status) if isinstance(status, str) else None,
    }
    if isinstance(status, LiveStatus):
        record["status"] = {
            "mounted": status.mounted,
            "records": status.records,
            "new_bytes": status.new_bytes,
            "base_files": status.base_files,
            "base_bytes": status.base_bytes,
        }
    put_bytes_list(record, "domains", [os.fsencode(domain) for domain in facts.domains])
    return record
