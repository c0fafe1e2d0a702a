"""`catfs verify`: recompute what runs, path proofs and record proofs state, from their files alone."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from catfs.cli.output import Progress, print_json, print_result, tell
from catfs.cli.reports import REPORT_FORMATS, Case, report_bytes
from catfs.cli.validate import show_finding
from catfs.cli.words import add_json, detailed_change_line, find_workspace, plain
from catfs.clock import system_clock
from catfs.errors import UsageError, printable
from catfs.ledger import RunReader
from catfs.proof.verify import VerifyStep
from catfs.records import describe_entry, put_bytes
from catfs.records.difference import change_fields
from catfs.records.validation import Subject, ValidationResult, result_of
from catfs.runtime.chained import validate_chain
from catfs.runtime.changed import changed_paths, runs_of
from catfs.runtime.compare import RunDifference, compare_runs
from catfs.runtime.drift import DomainDrift, Drift
from catfs.runtime.ledger_validation import output_findings, report_findings, restoration_findings
from catfs.runtime.subject import find_finished_run
from catfs.runtime.verification import (
    Target,
    VerifyReport,
    all_runs,
    find_targets,
    verify_all,
    verify_target,
)
from catfs.runtime.workspace import FOLDER, Workspace

_RUNS: Final = f"{FOLDER}/runs"
"""Where a report says that the files of runs are, from the folder of the workspace."""

_ONE_BY_ONE_MAX: Final = 2
"""Most targets that are verified one after the other; starting processes costs more than it saves there."""

_EPILOG = """\
RUN is a run id, the beginning of one, `last`, or a run folder anywhere: that needs neither workspace nor
domain. FILE is a path proof that `catfs proof --path` printed, or a record proof of `catfs log --proof`.

Of a run that holds, each domain that is here is also read and compared with what the run left. That it was
changed since is no fault of the run, so it is only told. With --offline nothing but the files is looked at.

Whoever makes up a whole run folder is not found out from that folder alone: compare the digest of its proof,
which `catfs proof` prints, with one from a source that you trust.

exit status: 0 all hold, or are equal; 1 something was refused, or differs; 2 bad arguments

examples:
  catfs verify last
  catfs verify --all --offline --restored --report junit catfs.xml
  catfs verify --compare monday tuesday
  catfs verify --changed        before a commit: docs/ci.md
  catfs verify /backup/runs/20260131T120000Z-1a2b3c main.c.proof
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("targets", nargs="*", metavar="RUN|FILE", help="what to verify")
    parser.add_argument(
        "--all", action="store_true", help="verify every complete run of the workspace, and the chain of runs"
    )
    parser.add_argument(
        "--changed",
        action="store_true",
        help="verify the runs that made what git says was changed, and that it is still what they made",
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="say whether two runs are equal but for times and ids, or where they differ",
    )
    parser.add_argument("--offline", action="store_true", help="look at the files only, not at the domains")
    parser.add_argument(
        "--restored", action="store_true", help="also refuse runs that did not restore their domains"
    )
    parser.add_argument(
        "--report",
        nargs=2,
        metavar=("FORMAT", "FILE"),
        help=f"write what was found to a file too; FORMAT is {' or '.join(REPORT_FORMATS)}",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.compare is not None:
        return _compare(arguments)
    if arguments.report is not None and arguments.report[0] not in REPORT_FORMATS:
        raise UsageError(f"expected {' or '.join(REPORT_FORMATS)} for --report, got {arguments.report[0]!r}")
    changed = _changed(arguments)
    targets = _targets(arguments, changed)
    reports = _verify(targets, arguments)
    checks = _checks(arguments, targets, reports, changed)
    ok = all(report.ok for report in reports) and all(check.ok for _, check in checks)
    if arguments.report is not None:
        _write_report(arguments.report[0], arguments.report[1], reports, checks)
    if arguments.json:
        print_json(_fields(ok, reports, checks))
    else:
        _show_checks(checks)
    return 0 if ok else 1


Checks = list[tuple[str, ValidationResult]]
"""What was checked besides the runs themselves, by name."""


def _verify(targets: list[Target], arguments: argparse.Namespace) -> list[VerifyReport]:
    """Verify targets, many of them at the same time, and show each."""
    workspace = Workspace.find(Path.cwd())
    if len(targets) > _ONE_BY_ONE_MAX:
        with Progress() as progress:
            reports = verify_all(
                targets,
                workspace,
                offline=arguments.offline,
                on_done=lambda done: progress.show(f"verified {done} of {len(targets)}"),
            )
        if not arguments.json:
            for report in reports:
                _show(report, offline=arguments.offline)
        return reports
    reports = []
    with Progress() as progress:
        for number, target in enumerate(targets, start=1):
            progress.show(f"verifying {number} of {len(targets)}")
            report = verify_target(target, workspace, None if arguments.offline else progress.show_reading)
            reports.append(report)
            if not arguments.json:
                progress.clear()
                _show(report, offline=arguments.offline)
    return reports


def _changed(arguments: argparse.Namespace) -> Mapping[Path, list[bytes]]:
    """Give the runs that made what was changed: run folder to its paths."""
    if not arguments.changed:
        return {}
    found = runs_of(changed_paths(Path.cwd()), find_workspace())
    if not found:
        tell("nothing that was changed comes from a run")
    return found


def _targets(arguments: argparse.Namespace, changed: Mapping[Path, list[bytes]]) -> list[Target]:
    words: list[str] = arguments.targets
    if not words and not arguments.all and not arguments.changed:
        raise UsageError("there is nothing to verify", hint="name a run or a file, or give --all")
    targets = find_targets(words, Path.cwd())
    if arguments.all:
        found = all_runs(find_workspace())
        if not found and not targets:
            tell("there is no complete run here")
        return targets + found
    return targets + [RunReader(folder) for folder in changed]


def _checks(
    arguments: argparse.Namespace,
    targets: list[Target],
    reports: list[VerifyReport],
    changed: Mapping[Path, list[bytes]],
) -> Checks:
    """Check the chain, whether runs restored their domains, and what was changed, as far as is asked for."""
    checks: Checks = []
    for target, report in zip(targets, reports, strict=True):
        if not report.ok or not isinstance(target, RunReader):
            continue
        found = restoration_findings(target) if arguments.restored else []
        if target.folder in changed:
            found += output_findings(target, changed[target.folder])
        if arguments.restored or target.folder in changed:
            checks.append((report.name, result_of(Subject.LEDGER, found, system_clock())))
    if arguments.all:
        checks.append(("chain of runs", validate_chain(find_workspace())))
    return checks


def _compare(arguments: argparse.Namespace) -> int:
    """Compare two runs, which must hold."""
    first, second = (find_finished_run(word, Path.cwd()) for word in arguments.compare)
    for target in (first, second):
        report = verify_target(target, None, None)
        if not report.ok:
            _show(report, offline=True)
            return 1
    differences = compare_runs(first, second)
    if arguments.json:
        print_json(
            {
                "schema": "cli-compare.v1",
                "first": plain(first.run_id),
                "second": plain(second.run_id),
                "equal": not differences,
                "differences": [_difference_fields(difference) for difference in differences],
            }
        )
    elif not differences:
        print_result(f"runs {plain(first.run_id)} and {plain(second.run_id)} are equal but for times and ids")
    else:
        print_result(f"runs {plain(first.run_id)} and {plain(second.run_id)} DIFFER")
        for difference in differences:
            fields = _difference_fields(difference)
            print_result(f"  {fields['file']}{fields['path']}: {fields['first']} | {fields['second']}")
    return 1 if differences else 0


def _difference_fields(difference: RunDifference) -> dict[str, str]:
    return {
        "file": plain(difference.file),
        "path": plain(difference.pointer),
        "first": plain(difference.first),
        "second": plain(difference.second),
    }


def _write_report(form: str, file: str, reports: list[VerifyReport], checks: Checks) -> None:
    """Write a report for continuous integration.

    Raises:
        UsageError: when the file cannot be written.
    """
    cases = [
        Case(f"run {plain(report.name)}", f"{_RUNS}/{plain(report.name)}", report_findings(report))
        for report in reports
    ]
    for name, check in checks:
        folder = FOLDER if check.subject is Subject.CHAIN else f"{_RUNS}/{plain(name)}"
        cases.append(Case(f"check of {plain(name)}", folder, [*check.errors, *check.warnings]))
    try:
        Path(file).write_bytes(report_bytes(form, cases))
    except OSError as error:
        raise UsageError(f"the report {file} cannot be written: {error.strerror}") from error


def _fields(ok: bool, reports: list[VerifyReport], checks: Checks) -> dict[str, object]:
    """Give the JSON form; only where there were checks besides it is of version 2."""
    fields: dict[str, object] = {
        "schema": "cli-verify.v2" if checks else "cli-verify.v1",
        "ok": ok,
        "reports": [_report_fields(report) for report in reports],
    }
    if checks:
        fields["checks"] = [{"name": plain(name), "result": check.to_dict()} for name, check in checks]
    return fields


def _show_checks(checks: Checks) -> None:
    for name, check in checks:
        if check.subject is Subject.CHAIN or not check.ok:
            print_result(f"check of {plain(name)}: {'holds' if check.ok else 'REFUSED'}")
        for word, findings in (("error", check.errors), ("warning", check.warnings)):
            for finding in findings:
                show_finding(word, finding, "  ")


def _show(report: VerifyReport, *, offline: bool) -> None:
    what = report.kind.value.replace("_", " ")
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
    if report.record_proof is not None and report.ok:
        _show_record_proof(report, offline=offline)


def _show_path_proof(report: VerifyReport, *, offline: bool) -> None:
    """Print what a path proof that holds says, and what is left to the reader."""
    file = report.path_proof
    assert file is not None
    print_result(f"  {printable(file.path) or '.'} in {printable(file.domain)}, run {file.run_id}")
    for statement in file.statements:
        place = f"{statement.under.value} {statement.root.hex}"
        print_result(f"    {place}: {describe_entry(statement.entry)}")
    _tell_of_root(report, f"compare the roots with a proof of run {file.run_id}", offline=offline)


def _show_record_proof(report: VerifyReport, *, offline: bool) -> None:
    """Print the record that holds, and what is left to the reader."""
    file = report.record_proof
    assert file is not None
    print_result(f"  record {file.proof.index} of {file.log.records}, run {file.run_id}")
    print_result(f"    {printable(file.line)}")
    what = f"compare the root {file.log.root} with a proof of run {file.run_id}"
    _tell_of_root(report, what, offline=offline)


def _tell_of_root(report: VerifyReport, what: str, *, offline: bool) -> None:
    """Tell what a reader without the run has to do himself."""
    if not report.steps[-1].reached:
        tell(f"the run is {'not looked for' if offline else 'not here'}: {what} that you trust")


def _show_drift(drift: DomainDrift) -> None:
    place = printable(drift.path)
    match drift.drift:
        case Drift.SAME:
            print_result(f"  domain {place} is what the run left")
        case Drift.CHANGED if drift.problem:
            print_result(f"  domain {place} was changed since; {drift.problem}")
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
