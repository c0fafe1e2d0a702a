"""`catfs report`: a run as one page for a browser."""

import argparse
import os
from pathlib import Path

from catfs.cli.output import Progress, human_bytes, print_json, print_result
from catfs.cli.words import add_json, add_target, plain
from catfs.ledger import LAST_RUN
from catfs.records import put_bytes
from catfs.runtime.live import log_of_subject
from catfs.runtime.reporting import write_report
from catfs.runtime.subject import find_finished_run

_EPILOG = """\
RUN is a run id, the beginning of one, `last`, or a run folder; the last run when it is left out.

The page holds everything that it shows and asks no network for anything: verdict and roots, a timeline of
writes by process, a map of the bytes written, the tree of processes, every file and every record with search
and sorting, and how declared outputs that are text differ from what they were. docs/report.md shows it.

What an output was before and after is taken from the domain, from the history of the run (--history), or from
the last commit of git, and only when it is what the run recorded.

A log that is damaged, cut off, out of order, or not the one that the proof of the run seals is refused.

examples:
  catfs report last -o report.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", nargs="?", metavar="RUN", default=LAST_RUN, help="the run")
    add_target(parser, "where to, in place of what is there")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    found = find_finished_run(arguments.run, Path.cwd())
    with Progress() as progress:
        size = write_report(log_of_subject(found), found, arguments.output, progress.show)
    if arguments.json:
        record: dict[str, object] = {"schema": "cli-report.v1", "run_id": plain(found.run_id), "size": size}
        put_bytes(record, "path", os.fsencode(arguments.output.absolute()))
        print_json(record)
    else:
        print_result(f"{plain(str(arguments.output))}: run {plain(found.run_id)}, {human_bytes(size)}")
    return 0
