"""`catfs doctor`: find what crashes left behind, and clean it up."""

import argparse
import os
from pathlib import Path

from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, plain
from catfs.errors import counted, printable
from catfs.runtime.doctor import clean, examine_workspace, find_dead_mounts
from catfs.runtime.findings import Treatment
from catfs.runtime.histories import KeptHistory, drop_history, list_histories
from catfs.runtime.machine import MachineCheck, check_machine
from catfs.runtime.sessions import SessionFacts, is_suspended
from catfs.runtime.subject import find_finished_run, readable_sessions
from catfs.runtime.workspace import Workspace

_EPILOG = """\
Without --fix nothing is changed. With it, interrupted commits are finished or undone, and dead sessions, dead
mounts and incomplete runs are removed; what is lost by that is said first. A mount whose server hangs is cut
off from it, so that whoever waits gets an error; its session can be mounted again. A suspended session, which
is a mount whose server ended, is no waste: `catfs mount` goes on with it, `catfs umount --discard` drops it.
Nor is the history that runs keep (--history): how much there is, is told, and --drop-history RUN makes room.

Sessions, commits and runs are those of the workspace at or above the working directory, mounts those at or
below it.

exit status: 0 all is in order; 1 something is not, or --fix could not clean it; 2 bad arguments

examples:
  catfs doctor
  catfs doctor --fix
"""

_HISTORIES_SHOWN = 5
"""Most runs that are named with the size of their history."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--fix", action="store_true", help="clean up what is found")
    parser.add_argument(
        "--drop-history",
        action="append",
        default=[],
        metavar="RUN",
        help="first remove the history of a run (repeatable); the run itself stays, and holds as before",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    place = Path.cwd()
    workspace = Workspace.find(place)
    for word in arguments.drop_history:
        dropped = drop_history(find_finished_run(word, place))
        tell(f"the history of run {plain(dropped.run_id)} is removed: {counted(dropped.size, 'byte')}")
    if workspace is None:
        tell("there is no workspace here; only mounts and the machine are looked at")
    checks = check_machine(place if workspace is None else workspace.folder)
    findings = find_dead_mounts(place) if workspace is None else examine_workspace(workspace)
    if arguments.fix:
        treatments = list(clean(findings))
    else:
        treatments = [Treatment(finding, cleaned=False, report="") for finding in findings]
    histories = [] if workspace is None else list_histories(workspace)
    in_order = all(check.ok for check in checks) and all(treatment.cleaned for treatment in treatments)
    if arguments.json:
        print_json(_json(checks, treatments, histories, in_order=in_order))
    else:
        _show(checks, _suspended(workspace), treatments, fix=arguments.fix)
        _show_histories(histories)
    return 0 if in_order else 1


def _show(
    checks: list[MachineCheck], suspended: list[SessionFacts], treatments: list[Treatment], *, fix: bool
) -> None:
    for check in checks:
        print_result(f"{'ok' if check.ok else 'MISSING':<8} {check.name}: {check.detail}")
    for facts in suspended:
        places = ", ".join(printable(os.fsencode(domain)) for domain in facts.domains)
        print_result(f"note     the mount of {places} is suspended: `catfs mount` goes on with it")
    for treatment in treatments:
        finding = treatment.finding
        state = "cleaned" if treatment.cleaned else "LEFT" if fix else "FOUND"
        print_result(f"{state:<8} {finding.sentence}")
        if finding.lost:
            print_result(f"         {'lost' if treatment.cleaned else 'cleaning up loses'}: {finding.lost}")
        if treatment.report:
            print_result(f"         {treatment.report}")
    if not treatments:
        print_result("ok       nothing was left behind")
    elif not fix and any(treatment.finding.clean for treatment in treatments):
        tell("`catfs doctor --fix` cleans up what is listed as FOUND")


def _show_histories(histories: list[KeptHistory]) -> None:
    """Tell how much room histories take; the runs that keep the most come first."""
    if not histories:
        return
    size = sum(kept.size for kept in histories)
    who = "1 run keeps its history" if len(histories) == 1 else f"{len(histories)} runs keep their history"
    print_result(f"note     {who}, {counted(size, 'byte')}: --drop-history RUN makes room")
    for kept in sorted(histories, key=lambda kept: -kept.size)[:_HISTORIES_SHOWN]:
        print_result(f"         {plain(kept.run_id)}: {counted(kept.size, 'byte')}")


def _suspended(workspace: Workspace | None) -> list[SessionFacts]:
    return [] if workspace is None else list(filter(is_suspended, readable_sessions(workspace)))


def _json(
    checks: list[MachineCheck],
    treatments: list[Treatment],
    histories: list[KeptHistory],
    *,
    in_order: bool,
) -> dict[str, object]:
    return {
        "schema": "cli-doctor.v1",
        "in_order": in_order,
        "machine": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks],
        "histories": [{"run_id": plain(kept.run_id), "size": kept.size} for kept in histories],
        "findings": [
            {
                "trouble": treatment.finding.trouble.value,
                "subject": plain(treatment.finding.subject),
                "sentence": plain(treatment.finding.sentence),
                "lost": plain(treatment.finding.lost),
                "cleaned": treatment.cleaned,
                "report": plain(treatment.report),
            }
            for treatment in treatments
        ],
    }
