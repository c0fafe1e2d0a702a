"""`python -m tools.bench`: measure, print, write, clean up."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

from catfs.errors import CatfsError, ExitStatus, MachineError
from catfs.runtime.launch import enter_private_namespace
from tools.bench.arguments import PROFILED, check_directory, check_profile, check_words, make_parser
from tools.bench.chart import draw_chart, import_pyplot
from tools.bench.machine import Machine, describe_machine
from tools.bench.material import FULL, QUICK
from tools.bench.model import NONO, PEERS, Outcome, Row, UnavailableError, verdicts
from tools.bench.peers import problem_of
from tools.bench.perf import check_perf, events, recordings_text, watched
from tools.bench.report import machine_text, markdown, promises_text, row_text, to_json
from tools.bench.rows_files import file_rows
from tools.bench.rows_log import log_rows
from tools.bench.rows_programs import program_rows
from tools.bench.rows_whole import build_row, whole_rows
from tools.bench.runner import Plan, chosen, clear, run_rows
from tools.bench.snapshots import import_nono

_PACKAGES = {"fuse-overlayfs": "fuse-overlayfs", "git": "git", "gcc": "gcc", "make": "make"}
"""Debian package of each program that takes part."""


def main() -> int:
    """Run the command and give its exit status."""
    arguments = make_parser().parse_args()
    try:
        return _run(arguments)
    except CatfsError as error:
        _tell(str(error))
        return error.exit_status


def _run(arguments: argparse.Namespace) -> int:
    scale = QUICK if arguments.quick else FULL
    rows = [*file_rows(scale), *program_rows(scale), *whole_rows(scale), *log_rows(scale)]
    if arguments.list:
        for row in rows:
            extra = " (only when named)" if row.extra else ""
            print(f"{row.name:<18}{row.what}{extra}")
        return ExitStatus.RESTORED
    profiled = [*file_rows(scale), *program_rows(scale), build_row(scale)]
    if arguments.peers is None:
        arguments.peers = list(PROFILED if arguments.profile else PEERS)
    check_words("row", arguments.rows, [row.name for row in rows])
    check_words("row with a profile", arguments.profile, [row.name for row in profiled])
    check_words("peer", arguments.peers, PEERS)
    check_profile(arguments)
    check_directory(arguments.directory)
    if arguments.chart is not None:
        import_pyplot()
    if os.geteuid() != 0:
        raise MachineError("the benchmark mounts and drops caches", hint="run it as root")
    if arguments.install:
        _install_missing(arguments.peers)
    if arguments.profile:
        check_perf()
        return _measure(arguments, chosen(profiled, arguments.profile))
    return _measure(arguments, chosen(rows, arguments.rows))


def _measure(arguments: argparse.Namespace, rows: Sequence[Row]) -> int:
    machine = describe_machine(arguments.directory)
    print(machine_text(machine))
    _warn(machine, quick=arguments.quick)
    peers = _present_peers(arguments.peers)
    enter_private_namespace()
    signal.signal(signal.SIGTERM, _interrupt)
    directory = Path(tempfile.mkdtemp(prefix="catfs-bench-", dir=arguments.directory.resolve()))
    outcomes = []
    status = None
    try:
        plan = Plan(peers, arguments.rounds, arguments.limit_seconds, directory)
        show: Callable[[Outcome], Iterable[str]] = row_text
        if arguments.profile:
            folder, options = directory / "recordings", events()
            rows = [watched(row, folder / row.name, options) for row in rows]
            show = partial(recordings_text, folder)
        for outcome in run_rows(rows, plan, _tell):
            outcomes.append(outcome)
            if not arguments.markdown:
                print("\n".join(show(outcome)), flush=True)
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    finally:
        clear(directory)
    if status is not None:
        _tell("interrupted: everything was unmounted and removed, and only whole rows are reported")
    if not arguments.profile:
        _report(arguments, machine, outcomes)
    return _status(outcomes, check=arguments.check) if status is None else status


def _report(arguments: argparse.Namespace, machine: Machine, outcomes: Sequence[Outcome]) -> None:
    if arguments.markdown:
        print(markdown(machine, outcomes, arguments.rounds), end="")
    else:
        print("promises:")
        print("\n".join(promises_text(outcomes)))
    if arguments.json is not None:
        facts = to_json(machine, outcomes, arguments.rounds, quick=arguments.quick)
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    if arguments.chart is not None:
        draw_chart(outcomes, arguments.chart)


def _status(outcomes: Sequence[Outcome], *, check: bool) -> int:
    failed = any(cell.problem for outcome in outcomes for cell in outcome.cells.values())
    broken = any(verdict.holds is False and verdict.binding for verdict in verdicts(outcomes))
    return ExitStatus.DIRTY if failed or (check and broken) else ExitStatus.RESTORED


def _warn(machine: Machine, *, quick: bool) -> None:
    if machine.busy:
        _tell(
            f"warning: the machine is busy (load {machine.load:.2f} on {machine.processors} processors); "
            "compare ratios of several runs, and draw nothing from one"
        )
    if quick:
        _tell("warning: with --quick the amounts are tiny, and neither times nor verdicts mean anything")
    if machine.file_system != "ext4":
        _tell(f"warning: the promises are about ext4, and this is {machine.file_system}")


def _present_peers(wanted: Sequence[str]) -> tuple[str, ...]:
    """Give the peers that can be tried, in the order of the tables, and name those that cannot."""
    present = []
    for peer in PEERS:
        if peer not in wanted:
            continue
        problem = problem_of(peer)
        if peer == NONO:
            try:
                import_nono()
            except UnavailableError as error:
                problem = str(error)
        if problem is None:
            present.append(peer)
        else:
            print(f"missing: {peer}: {problem}")
    return tuple(present)


def _install_missing(peers: Sequence[str]) -> None:
    """Install programs with apt-get and a peer with pip; what fails is told, and missing later."""
    packages = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    commands = []
    if packages and shutil.which("apt-get") is not None:
        commands.append(["apt-get", "-q", "-y", "install", "--no-install-recommends", *packages])
    if NONO in peers:
        commands.append([sys.executable, "-m", "pip", "--quiet", "install", NONO])
    for command in commands:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode != 0:
            _tell(f"{command[0]} ended with {done.returncode}; what it should have installed may be missing")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as by the keyboard: what was begun is taken back."""
    del number, frame
    raise KeyboardInterrupt


def _tell(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
