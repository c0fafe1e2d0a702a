"""`catfs validate`: check job specifications and ledgers, and list everything that is wrong."""

import argparse
import os
from pathlib import Path

from catfs.cli.output import print_json, print_result
from catfs.cli.words import add_json, path_argument, plain
from catfs.ledger import RunReader
from catfs.records.job_validation import validate_jobspec
from catfs.records.validation import Finding, ValidationResult
from catfs.runtime.jobs import read_file
from catfs.runtime.ledger_validation import validate_ledger
from catfs.runtime.subject import find_finished_run

_EPILOG = """\
A job specification is a file (schemas/README.md). Its relative paths count from --base, and links on their
way are followed there. A ledger is a run id, the beginning of one, `last`, or a run folder anywhere.

Each finding has a code, the place, and a sentence. The same input gives the same findings in the same order.

exit status: 0 valid; 1 not valid; 2 bad arguments

examples:
  catfs validate jobspec job.json
  catfs validate ledger last --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("kind", choices=("jobspec", "ledger"), help="what to validate")
    parser.add_argument("target", metavar="FILE|RUN", help="the job specification, or the run")
    parser.add_argument(
        "--base",
        type=path_argument,
        metavar="DIR",
        help="the folder from which relative paths of a job count (default: the working directory)",
    )
    parser.add_argument("--offline", action="store_true", help="do not look whether outputs are still there")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.kind == "jobspec":
        base = Path(os.path.abspath(arguments.base or Path.cwd()))
        result = validate_jobspec(read_file(Path(arguments.target)), base)
    else:
        folder = find_finished_run(arguments.target, Path.cwd()).folder
        result = validate_ledger(RunReader(folder), look_at_outputs=not arguments.offline)
    if arguments.json:
        print_json(result.to_dict())
    else:
        _show(arguments.target, result)
    return 0 if result.ok else 1


def _show(name: str, result: ValidationResult) -> None:
    verdict = "valid" if result.ok else "NOT VALID"
    print_result(f"{result.subject.value} {plain(name)}: {verdict}")
    for word, findings in (("error", result.errors), ("warning", result.warnings)):
        for finding in findings:
            show_finding(word, finding, "  ")


def show_finding(word: str, finding: Finding, indent: str) -> None:
    """Print a finding and those of which it is the sum.

    Args:
        word: `error` or `warning`.
        finding: The finding.
        indent: What stands before it.
    """
    place = plain(finding.pointer) or "the whole file"
    print_result(f"{indent}{word} {finding.code.value} at {place}: {plain(finding.message)}")
    for nested in finding.nested:
        show_finding(word, nested, indent + "  ")
