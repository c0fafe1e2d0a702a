"""The older command line for a run: `catalytic_runtime.py --run-id X --catalytic-domains A B ... -- CMD`.

A thin wrapper around `catfs run`: it says the phases, and writes flat files for programs that read those.
Exit status as of `catfs run`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from catfs.errors import CatfsError, ExitStatus
from catfs.ledger import RunReader
from catfs.records import Decision, RunPhase
from catfs.runtime.declaration import resolve_output
from catfs.runtime.flat import FlatNames, write_flat_files
from catfs.runtime.request import RunRequest
from catfs.runtime.run import run_command
from catfs.runtime.workspace import Workspace

_NAME = "[catalytic-runtime]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with the older command line, and give the exit status.

    Args:
        arguments: Without the program's name; None means those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    place = given.index("--") if "--" in given else len(given)
    options, command = _parser().parse_args(given[:place]), given[place + 1 :]
    if not command:
        print(f"{_NAME} FAIL: there is no command; write it behind --", file=sys.stderr)
        return int(ExitStatus.USAGE)
    try:
        return _run(options, command)
    except CatfsError as error:
        print(f"{_NAME} FAIL: {error}", file=sys.stderr)
        return int(error.exit_status)
    except OSError as error:
        print(f"{_NAME} FAIL: {error.strerror}: {error.filename}", file=sys.stderr)
        return int(ExitStatus.INTERNAL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="catalytic_runtime.py", usage="%(prog)s OPTIONS -- CMD", allow_abbrev=False
    )
    parser.add_argument("--run-id", required=True, help="name of the run")
    parser.add_argument(
        "--catalytic-domains", nargs="+", required=True, help="directories that are returned as they were"
    )
    parser.add_argument("--durable-outputs", nargs="*", default=[], help="paths that may survive")
    parser.add_argument("--allowed-roots", nargs="+", default=[], help="folders below which outputs may lie")
    parser.add_argument("--intent", required=True, help="what the run is for")
    return parser


def _run(options: argparse.Namespace, command: Sequence[str]) -> int:
    outputs = {word: str(resolve_output(Path(word))) for word in options.durable_outputs}
    roots = options.allowed_roots or [os.path.dirname(path) for path in outputs.values()]
    cwd = Path.cwd()
    conclusion = run_command(
        RunRequest(
            arguments=tuple(command),
            domains=tuple(map(Path, options.catalytic_domains)),
            flat_manifests=True,
            outputs=tuple(map(Path, options.durable_outputs)),
            allowed_roots=tuple(map(Path, roots)),
            transport="auto",
            intent=options.intent,
            run_id=options.run_id,
            cwd=cwd,
            argv=tuple(sys.argv),
        ),
        on_recovery=lambda _: None,
        on_decision=_say_decision,
    )
    workspace = Workspace.find_or_create(cwd)
    names = FlatNames({word: os.path.realpath(word) for word in options.catalytic_domains}, outputs)
    folder = write_flat_files(RunReader(workspace.runs / options.run_id), workspace, names)
    verdict = "restored" if conclusion.proof.exit_status == 0 else "NOT RESTORED"
    print(f"{_NAME} {verdict}: {conclusion.sentence}")
    for domain in conclusion.difference.domains:
        for change in domain.leftovers:
            print(f"{_NAME}   {change.kind.value} {os.fsdecode(change.path)!r}")
    print(f"{_NAME} run dir: {folder}")
    return conclusion.proof.exit_status


def _say_decision(decision: Decision) -> None:
    number = list(RunPhase).index(decision.phase) + 1
    print(f"{_NAME} phase {number}/{len(RunPhase)} {decision.phase.value}: {decision.decision}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
