"""`catfs replay`: what the log of a finished run leads to, from its base and the log alone."""

import argparse
from pathlib import Path

from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, detailed_change_line, plain
from catfs.errors import counted, printable
from catfs.records import put_bytes
from catfs.records.difference import change_fields
from catfs.runtime.replaying import Divergence, ReplayReport, replay_run
from catfs.runtime.subject import find_finished_run

_EPILOG = """\
The tree of the base and the log are followed to the root of the view, which must be the one that the proof of
the run states. The domain is not needed, only the run and the store of its workspace. What changed files held
in the end is recomputed from the history of the run, where it keeps one (--history); else the log is believed
in what it states of that.

Where the log leads elsewhere, the first record that does not fit is named, or the first path that differs and
the records that touched it.

exit status: 0 the log leads to the view; 1 it does not; 2 bad arguments, or the log is damaged

example:
  catfs replay last
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", nargs="?", default="last", metavar="RUN", help="the run (default: the last)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    report = replay_run(find_finished_run(arguments.run, Path.cwd()))
    if arguments.json:
        print_json(_json(report))
    else:
        _show(report)
    return 0 if report.ok else 1


def _show(report: ReplayReport) -> None:
    verdict = "the log leads from base to view" if report.ok else "the log does NOT lead to the view"
    print_result(f"run {plain(report.run_id)}: {verdict}, {counted(report.records, 'record')}")
    for domain in report.domains:
        print_result(f"  domain {printable(domain.path)}")
        print_result(f"    base   {domain.base_root}")
        print_result(f"    view   {domain.view_root}")
        print_result(f"    replay {domain.replay_root or 'not reached'}")
    if report.recomputed:
        print_result(f"  content of {counted(report.recomputed, 'changed file')} recomputed from the history")
    if report.stated:
        print_result(f"  content of {counted(report.stated, 'changed file')} as the log states it")
    if report.log_problem is not None:
        print_result(f"  the log is not the one that the proof states: {report.log_problem}")
    if report.divergence is not None:
        _show_divergence(report.divergence)
    if not report.ok:
        tell("`catfs verify` says which files of the run are not what its proof states")


def _show_divergence(divergence: Divergence) -> None:
    print_result(f"  {divergence.problem}")
    if divergence.change is not None:
        print_result(f"  first in {printable(divergence.domain)}:")
        print_result(f"    {detailed_change_line(divergence.change)}")
    for record in divergence.touching:
        print_result(f"    touched by record {record.seq}: {record.op} {printable(record.path)}")


def _json(report: ReplayReport) -> dict[str, object]:
    domains = []
    for domain in report.domains:
        fields: dict[str, object] = {
            "base_root": domain.base_root.hex,
            "view_root": domain.view_root.hex,
            "replay_root": None if domain.replay_root is None else domain.replay_root.hex,
        }
        put_bytes(fields, "path", domain.path)
        domains.append(fields)
    return {
        "schema": "cli-replay.v1",
        "run_id": plain(report.run_id),
        "ok": report.ok,
        "records": report.records,
        "recomputed": report.recomputed,
        "stated": report.stated,
        "log_problem": None if report.log_problem is None else plain(report.log_problem),
        "domains": domains,
        "divergence": None if report.divergence is None else _divergence_fields(report.divergence),
    }


def _divergence_fields(divergence: Divergence) -> dict[str, object]:
    return {
        "problem": plain(divergence.problem),
        "record": None if divergence.record is None else divergence.record.seq,
        "change": None if divergence.change is None else change_fields(divergence.change),
        "touching": [record.seq for record in divergence.touching],
    }
