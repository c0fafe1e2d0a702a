"""`catfs run`: run a command in a view, prove what it left, commit what was declared."""

import argparse
import sys
from pathlib import Path

from catfs.cli.output import Progress, human_bytes, print_json, tell
from catfs.cli.words import add_json, path_argument, say_conclusion, say_recoveries
from catfs.errors import UsageError
from catfs.records.job import Confine, Leftovers
from catfs.runtime.request import RunRequest
from catfs.runtime.run import run_command
from catfs.runtime.transports import TRANSPORTS

_EPILOG = """\
exit status: that of the command when it fails, else
  0   the view was restored apart from declared outputs, which are committed
  1   something undeclared was left behind; nothing is committed
  2   bad arguments
  3   the domain changed underneath; nothing is committed
  125 catfs itself failed; 126 and 127 the command cannot be executed or was not found
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = "catfs run [OPTION]... -- COMMAND [ARGUMENT]..."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--domain",
        action="append",
        default=[],
        type=path_argument,
        metavar="DIR",
        help="a directory that must be returned as it was (repeatable; default: the working directory)",
    )
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        type=path_argument,
        metavar="PATH",
        help="a path in a domain that may survive (repeatable)",
    )
    parser.add_argument(
        "--leftovers",
        choices=[policy.value for policy in Leftovers],
        default=Leftovers.FAIL.value,
        help="what undeclared differences do: fail the run (default), or be listed and dropped",
    )
    parser.add_argument(
        "--allowed-root",
        action="append",
        default=[],
        type=path_argument,
        metavar="DIR",
        help="a folder under which outputs may be declared (repeatable; default: anywhere in a domain)",
    )
    parser.add_argument(
        "--confine",
        choices=[choice.value for choice in Confine],
        default=Confine.ON.value,
        help="make everything outside the domains read-only for the command (default: on)",
    )
    parser.add_argument(
        "--allow-write",
        action="append",
        default=[],
        type=path_argument,
        metavar="PATH",
        help="a place outside the domains that the confined command may write (repeatable)",
    )
    parser.add_argument(
        "--intent", default="", metavar="TEXT", help="what the run is for; kept in the ledger"
    )
    parser.add_argument("--run-id", metavar="ID", help="name of the run (default: one made from the time)")
    parser.add_argument(
        "--transport", choices=sorted(TRANSPORTS), default="auto", help="what serves the view (default: auto)"
    )
    add_json(parser, "print the proof as JSON; what the command prints goes to stderr")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    words: list[str] = arguments.arguments
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        raise UsageError("there is no command to run", hint="write it behind `--`: catfs run -- make")
    request = RunRequest(
        arguments=tuple(words),
        domains=tuple(arguments.domain),
        outputs=tuple(arguments.output),
        allowed_roots=tuple(arguments.allowed_root),
        allow_write=tuple(arguments.allow_write),
        leftovers=Leftovers(arguments.leftovers),
        confine=Confine(arguments.confine),
        transport=arguments.transport,
        intent=arguments.intent,
        run_id=arguments.run_id,
        cwd=Path.cwd(),
        argv=tuple(sys.argv[1:]),
    )
    progress = Progress()

    def show(files: int, size: int) -> None:
        progress.show(f"reading the domain: {files} files, {human_bytes(size)}")

    conclusion = run_command(
        request, output=2 if arguments.json else 1, on_recovery=say_recoveries, show=show
    )
    progress.clear()
    if conclusion.cut_off:
        tell("processes of the command lived on; they were cut off from the view")
    if arguments.json:
        print_json(conclusion.proof.to_dict())
    say_conclusion(conclusion)
    return conclusion.proof.exit_status
