"""`catfs verify`: recompute what runs and path proofs state, from their files alone."""

import argparse
from pathlib import Path

from catfs.cli.output import Progress, human_bytes, print_json, print_result, tell
from catfs.cli.words import add_json, detailed_change_line, find_workspace, plain
from catfs.errors import UsageError, printable
from catfs.proof.verify import VerifyStep
from catfs.records import put_bytes
from catfs.records.difference import change_fields
from catfs.runtime.drift import DomainDrift, Drift
from catfs.runtime.path_proofs import describe_entry
from catfs.runtime.verification import Target, Verified, VerifyReport, all_runs, find_targets, verify_target
from catfs.runtime.workspace import Workspace

_EPILOG = """\
RUN is a run id, the beginning of one, `last`, or a run folder anywhere: that needs neither workspace nor
domain. FILE is a path proof that `catfs proof --path` printed.

Of a run that holds, each domain that is here is also read and compared with what the run left. That it was
changed since is no fault of the run, so it is only told. With --offline nothing but the files is looked at.

Whoever makes up a whole run folder is not found out from that folder alone: compare the digest of its proof,
which `catfs proof` prints, with one from a source that you trust.

exit status: 0 all hold; 1 something was refused; 2 bad arguments

examples:
  catfs verify last
  catfs verify --all --offline
  catfs verify /backup/runs/20260131T120000Z-1a2b3c main.c.proof
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("targets", nargs="*", metavar="RUN|FILE", help="what to verify")
    parser.add_argument("--all", action="store_true", help="verify every complete run of the workspace")
    parser.add_argument("--offline", action="store_true", help="look at the files only, not at the domains")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    reports = []
    progress = Progress()
    targets = _targets(arguments)
    for number, target in enumerate(targets, start=1):
        progress.show(f"verifying {number} of {len(targets)}")

        def show(files: int, size: int) -> None:
            progress.show(f"reading the domain: {files} files, {human_bytes(size)}")

        report = verify_target(target, Workspace.find(Path.cwd()), None if arguments.offline else show)
        progress.clear()
        reports.append(report)
        if not arguments.json:
            _show(report, offline=arguments.offline)
    ok = all(report.ok for report in reports)
    if arguments.json:
        fields = [_report_fields(report) for report in reports]
        print_json({"schema": "cli-verify.v1", "ok": ok, "reports": fields})
    return 0 if ok else 1


def _targets(arguments: argparse.Namespace) -> list[Target]:
    words: list[str] = arguments.targets
    if not words and not arguments.all:
        raise UsageError("there is nothing to verify", hint="name a run or a file, or give --all")
    targets = find_targets(words, Path.cwd())
    if arguments.all:
        found = all_runs(find_workspace())
        if not found and not targets:
            tell("there is no complete run here")
        targets += found
    return targets


def _show(report: VerifyReport, *, offline: bool) -> None:
    what = "run" if report.kind is Verified.RUN else "path proof"
    verdict = "holds" if report.ok else "REFUSED"
    print_result(f"{what} {plain(report.name)}: {verdict}")
    for step in report.steps:
        print_result(f"  {step.number} {_state(step):<8} {step.title}")
        for error in step.errors:
            print_result(f"      {error.message}")
    for drift in report.drift:
        _show_drift(drift)
    if report.path_proof is not None and report.ok:
        _show_path_proof(report, offline=offline)


def _show_path_proof(report: VerifyReport, *, offline: bool) -> None:
    """Print what a path proof that holds says, and what is left to the reader."""
    file = report.path_proof
    assert file is not None
    print_result(f"  {printable(file.path) or '.'} in {printable(file.domain)}, run {file.run_id}")
    for statement in file.statements:
        place = f"{statement.under.value} {statement.root.hex}"
        print_result(f"    {place}: {describe_entry(statement.entry)}")
    if not report.steps[-1].reached:
        reason = "not looked for" if offline else "not here"
        tell(f"the run is {reason}: compare the roots with a proof of run {file.run_id} that you trust")


def _show_drift(drift: DomainDrift) -> None:
    place = printable(drift.path)
    match drift.drift:
        case Drift.SAME:
            print_result(f"  domain {place} is what the run left")
        case Drift.CHANGED:
            print_result(f"  domain {place} was changed since: {drift.count} paths differ")
        case Drift.MISSING:
            print_result(f"  domain {place} is not here, so it was not compared")
        case Drift.MOUNTED:
            print_result(f"  domain {place} has a view mounted over it, so it was not compared")
        case Drift.UNREADABLE:
            print_result(f"  domain {place} was not compared: {drift.problem}")
    for change in drift.changes:
        print_result(f"    {detailed_change_line(change)}")
    if drift.count > len(drift.changes):
        print_result(f"    and {drift.count - len(drift.changes)} more")


def _state(step: VerifyStep) -> str:
    if not step.reached:
        return "not done"
    return "ok" if step.ok else "REFUSED"


def _report_fields(report: VerifyReport) -> dict[str, object]:
    record: dict[str, object] = {
        "kind": report.kind.value,
        "ok": report.ok,
        "steps": [_step_fields(step) for step in report.steps],
        "drift": [_drift_fields(drift) for drift in report.drift],
    }
    record["name"] = plain(report.name)
    return record


def _step_fields(step: VerifyStep) -> dict[str, object]:
    return {
        "number": step.number,
        "title": step.title,
        "reached": step.reached,
        "ok": step.ok,
        "errors": [
            {key: plain(str(getattr(error, key))) for key in ("file", "what", "expected", "got")}
            for error in step.errors
        ],
    }


def _drift_fields(drift: DomainDrift) -> dict[str, object]:
    record: dict[str, object] = {
        "drift": drift.drift.value,
        "count": drift.count,
        "changes": [change_fields(change) for change in drift.changes],
        "problem": plain(drift.problem),
    }
    put_bytes(record, "domain", drift.path)
    return record
