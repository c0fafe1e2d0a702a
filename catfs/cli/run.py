"""`catfs run`: run a command in a view, prove what it left, commit what was declared."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from catfs.cli.output import Progress, print_json, tell
from catfs.cli.words import add_history, add_json, add_paths, path_argument, say_conclusion, say_recoveries
from catfs.errors import UsageError
from catfs.records.job import Confine, Leftovers
from catfs.runtime.request import RunRequest, StepRequest
from catfs.runtime.run import run_command
from catfs.runtime.step_words import parse_step
from catfs.runtime.transports import TRANSPORTS

_SECONDS_MAX = 604800
"""Longest time for a step, in seconds: a week."""

_EPILOG = """\
exit status: that of the command when it fails, else
  0   the view was restored apart from declared outputs, which are committed
  1   something undeclared was left behind; nothing is committed
  2   bad arguments or job specification
  3   the domain changed underneath; nothing is committed
  124 a step was ended because its time was over
  125 catfs itself failed; 126 and 127 the command cannot be executed or was not found
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = (
        "catfs run [OPTION]... -- COMMAND [ARGUMENT]...\n"
        "       catfs run [OPTION]... --step INTENT::COMMAND...\n"
        "       catfs run [OPTION]... --jobspec FILE"
    )
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_paths(
        parser,
        "--domain",
        "DIR",
        "a directory that must be returned as it was (repeatable; default: the working directory)",
    )
    add_paths(parser, "--output", "PATH", "a path in a domain that may survive (repeatable)")
    parser.add_argument(
        "--leftovers",
        choices=[policy.value for policy in Leftovers],
        help="what undeclared differences do: fail the run (default), or be listed and dropped",
    )
    add_paths(
        parser,
        "--allowed-root",
        "DIR",
        "a folder under which outputs may be declared (repeatable; default: anywhere in a domain); an "
        "output that lies there but in no domain makes the directory around it a domain too",
    )
    parser.add_argument(
        "--confine",
        choices=[choice.value for choice in Confine],
        help="make everything outside the domains read-only for the command (default: on)",
    )
    add_paths(
        parser,
        "--allow-write",
        "PATH",
        "a place outside the domains that the confined command may write (repeatable)",
    )
    parser.add_argument(
        "--net",
        choices=["on", "off"],
        default="on",
        help="whether the confined command may reach the network (default: on)",
    )
    parser.add_argument("--intent", metavar="TEXT", help="what the run is for; kept in the ledger")
    _add_step_arguments(parser)
    parser.add_argument("--run-id", metavar="ID", help="name of the run (default: one made from the time)")
    parser.add_argument(
        "--transport", choices=sorted(TRANSPORTS), default="auto", help="what serves the view (default: auto)"
    )
    add_history(parser)
    parser.add_argument(
        "--flat-manifests",
        action="store_true",
        help="list every path of the domains in the ledger, instead of the roots of trees in the store",
    )
    add_json(parser, "print the proof as JSON; what the command prints goes to stderr")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND", help=argparse.SUPPRESS)


def _add_step_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--step",
        action="append",
        default=[],
        metavar="INTENT::COMMAND",
        help="a step, its command being a line for sh -c (repeatable); a later step sees "
        "what an earlier one left, and one proof stands at the end",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="go on after a step that failed; the run has failed all the same",
    )
    parser.add_argument(
        "--step-timeout", type=_seconds, metavar="SECONDS", help="the longest time for each step"
    )
    parser.add_argument(
        "--jobspec",
        type=path_argument,
        metavar="FILE",
        help="take domains, outputs, steps and limits from a job specification (schemas/README.md)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command. A job specification is for `catfs.cli.run_job`, which `main` calls instead."""
    return run_request(command_request(arguments), arguments)


def run_request(request: RunRequest, arguments: argparse.Namespace) -> int:
    """Run what is asked for, say how it ended, and give the exit status."""
    with Progress() as progress:
        conclusion = run_command(
            request,
            output=2 if arguments.json else 1,
            on_recovery=say_recoveries,
            show=progress.show_reading,
        )
    if conclusion.cut_off:
        tell("processes of the command lived on; they were cut off from the view")
    if arguments.json:
        print_json(conclusion.proof.to_dict())
    say_conclusion(conclusion)
    return conclusion.proof.exit_status


def command_request(arguments: argparse.Namespace) -> RunRequest:
    """Give what is asked for: a command, steps, or the rest of what a job specification says.

    Raises:
        UsageError: when it is none or several of these.
    """
    words: list[str] = arguments.arguments
    if words[:1] == ["--"]:
        words = words[1:]
    given = [bool(words), bool(arguments.step), arguments.jobspec is not None]
    if not any(given):
        hint = "write it behind `--`: catfs run -- make; or give --step or --jobspec"
        raise UsageError("there is no command to run", hint=hint)
    if sum(given) > 1:
        raise UsageError("give a command, or --step, or --jobspec, and not several of them")
    request = RunRequest(
        arguments=tuple(words),
        domains=tuple(arguments.domain),
        outputs=tuple(arguments.output),
        allowed_roots=tuple(arguments.allowed_root),
        allow_write=tuple(arguments.allow_write),
        leftovers=Leftovers(arguments.leftovers or Leftovers.FAIL.value),
        confine=Confine(arguments.confine or Confine.ON.value),
        transport=arguments.transport,
        intent=arguments.intent or "",
        run_id=arguments.run_id,
        cwd=Path.cwd(),
        argv=tuple(sys.argv[1:]),
        steps=tuple(parse_step(word, arguments.step_timeout) for word in arguments.step),
        keep_going=arguments.keep_going,
        network=arguments.net == "on",
        history=arguments.history,
        flat_manifests=arguments.flat_manifests,
    )
    if arguments.step_timeout is not None and words:
        request = replace(
            request, steps=(StepRequest(request.intent, request.arguments, arguments.step_timeout),)
        )
    return request


def _seconds(word: str) -> float:
    """Give a number of seconds.

    Raises:
        ArgumentTypeError: when it is none, or not positive.
    """
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"expected seconds, up to {_SECONDS_MAX}, got {word!r}")
    return seconds
