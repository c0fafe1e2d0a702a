"""The long forms of the crash tests: real commands killed, refused, crowded and cut off for hours.

    python -m tools.torture points [--every N] [--shape NAME]
    python -m tools.torture strikes [--of run|commit|server] [--fault SIGKILL] [--every N] [--call NAME]
    python -m tools.torture sessions [--first SEED] [--count N] [--at-once N]
    python -m tools.torture resuming
    python -m tools.torture power [--first SEED] [--count N]
    python -m tools.torture crowd [--disjoint N] [--colliding N]
    python -m tools.torture damage [--first SEED] [--count N]

Run it from the project folder, as root, on a machine that may be busy for a while; with TMPDIR on a tmpfs
`points` strikes a thousand times in some seconds. Each violation is printed as it is found, and now and then
how far it is; the last line counts them, and the exit status is 1 when there was one.
"""

import argparse
import errno
import functools
import itertools
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from catfs.errors import CatfsError
from catfs.runtime.launch import enter_private_namespace
from tests.model.test_session_model import run_session
from tests.support.damage import FORMATS, damaged
from tests.support.forked import call_forked, warm_up
from tests.support.points import SHAPES, Points
from tests.support.resuming import HAPPENED, LeftSession, resume_points
from tests.support.struck_end import EndSweep
from tests.support.torture import FAULTS, LiveSession, Sweep, crowd

_PROGRESS_SECONDS = 15.0
"""How often a work says how far it is, in seconds: one that is cut off has shown that much."""

_STRUCK: Mapping[str, Callable[[Path], Sweep | EndSweep]] = {
    "run": Sweep,
    "commit": functools.partial(EndSweep, is_live=False),
    "server": functools.partial(EndSweep, is_live=True),
}
"""What can be struck: `catfs run`; `catfs umount --commit` of a mount whose server is gone; its server."""

Tried = tuple[str, list[str]]
"""What was tried, to say how far it is, and the violations, each a sentence of its own."""


def _points(arguments: argparse.Namespace, folder: Path) -> Iterator[Tried]:
    """Strike commits of all shapes, and their recoveries, at every call that changes the disk, in process."""
    for points in _all_points(arguments, folder):
        strikes = itertools.chain(points.commit_points(), points.recovery_points())
        for strike in itertools.islice(strikes, 0, None, arguments.every):
            yield points.name, strike()


def _all_points(arguments: argparse.Namespace, folder: Path) -> Iterator[Points]:
    """Give the points of each shape that is asked for, staged here and there."""
    for shape in SHAPES if arguments.shape is None else [arguments.shape]:
        for inside in (False, True):
            place = folder / f"{shape} {inside}"
            place.mkdir()
            yield Points(place, shape, inside=inside)


def _strikes(arguments: argparse.Namespace, folder: Path) -> Iterator[Tried]:
    """Strike a run, or the commit of a mount, at every system call that changes the disk."""
    enter_private_namespace()
    warm_up()
    sweep = _STRUCK[arguments.of](folder)
    points = [point for point in sweep.points() if arguments.call in {None, point.call}]
    for point in points[:: arguments.every]:
        yield f"{arguments.fault} at {point.call} {point.number}", sweep.strike(point, arguments.fault)


def _sessions(arguments: argparse.Namespace, folder: Path) -> Iterator[Tried]:
    """Let real mounted sessions live and die, where no other program can hold a copy of their mounts."""
    enter_private_namespace()
    seeds = range(arguments.first, arguments.first + arguments.count)
    work = functools.partial(_session, folder, arguments.rounds)
    with ProcessPoolExecutor(arguments.at_once, multiprocessing.get_context("fork"), warm_up) as pool:
        yield from pool.map(work, seeds)


def _session(folder: Path, rounds: int, seed: int) -> Tried:
    """Let one session live and die."""
    place = folder / str(seed)
    place.mkdir()
    found = list(LiveSession(place, seed, call=call_forked).run(rounds))
    shutil.rmtree(place)
    return f"seed {seed}", [f"seed {seed}: {violation}" for violation in found]


def _resuming(arguments: argparse.Namespace, folder: Path) -> Iterator[Tried]:
    """Strike the resuming of sessions at every call that changes the disk, in process."""
    del arguments
    left = LeftSession(folder)
    for happened in HAPPENED:
        for code in (0, errno.EIO, errno.ENOSPC, errno.EDQUOT):
            for violations in resume_points(left, happened, code):
                yield happened, violations


def _power(arguments: argparse.Namespace, folder: Path) -> Iterator[Tried]:
    """Cut the power of sessions without a mount."""
    for seed in range(arguments.first, arguments.first + arguments.count):
        place = folder / str(seed)
        place.mkdir()
        with pytest.MonkeyPatch.context() as monkeypatch:
            try:
                run_session(place, seed, monkeypatch)
                yield f"seed {seed}", []
            except AssertionError as error:
                yield f"seed {seed}", [f"seed {seed}: {error}"]


def _damage(arguments: argparse.Namespace, folder: Path) -> Iterator[Tried]:
    """Damage a file of each format, and read it."""
    for name, form in FORMATS.items():
        place = folder / name.replace("/", " ")
        place.mkdir()
        path = form.write(place)
        data, sound = path.read_bytes(), form.read(path)
        for seed in range(arguments.first, arguments.first + arguments.count):
            path.write_bytes(damaged(data, random.Random(seed)))  # noqa: S311  # repeatable
            try:
                believed = form.agrees(sound, form.read(path))
            except CatfsError:
                believed = True
            what = f"{name}, seed {seed}"
            yield what, [] if believed else [f"{what}: something else was read"]


def _crowd(arguments: argparse.Namespace, folder: Path) -> Iterator[Tried]:
    """Let many runs commit at the same time."""
    yield "the crowd", crowd(folder, arguments.disjoint, arguments.colliding)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torture", description="The long forms of the crash tests.")
    commands = parser.add_subparsers(required=True)
    points = commands.add_parser("points", help="a fault at each call of commits and recoveries, in process")
    points.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth point")
    points.add_argument("--shape", choices=list(SHAPES), help="only this shape of commit")
    points.set_defaults(work=_points)
    strikes = commands.add_parser("strikes", help="a fault at each system call that changes the disk")
    strikes.add_argument("--of", choices=list(_STRUCK), default="run", help="what is struck (default: run)")
    strikes.add_argument("--fault", choices=sorted(FAULTS), default="SIGKILL")
    strikes.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth point")
    strikes.add_argument("--call", metavar="NAME", help="only this system call")
    strikes.set_defaults(work=_strikes)
    sessions = commands.add_parser("sessions", help="random mounted sessions against a model")
    resuming = commands.add_parser(
        "resuming", help="a fault at each call of a session's resuming, in process"
    )
    resuming.set_defaults(work=_resuming)
    power = commands.add_parser("power", help="random sessions on a disk whose power is cut")
    damage = commands.add_parser("damage", help="files of every format, damaged at random and read")
    for command, work, count in (
        (sessions, _sessions, 1000),
        (power, _power, 1000),
        (damage, _damage, 10000),
    ):
        command.add_argument("--first", type=int, default=1000, metavar="SEED")
        command.add_argument("--count", type=int, default=count, metavar="N")
        command.set_defaults(work=work)
    sessions.add_argument("--rounds", type=int, default=4, metavar="N", help="mounts of each session")
    sessions.add_argument("--at-once", type=int, default=2, metavar="N", help="sessions at the same time")
    crowds = commands.add_parser("crowd", help="many runs on one domain at the same time")
    crowds.add_argument("--disjoint", type=int, default=160, metavar="N")
    crowds.add_argument("--colliding", type=int, default=40, metavar="N")
    crowds.set_defaults(work=_crowd)
    return parser


def main() -> int:
    """Run the tool and give its exit status."""
    arguments = _parser().parse_args()
    done = found = 0
    told = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        for what, violations in arguments.work(arguments, Path(folder)):
            done += 1
            found += len(violations)
            for violation in violations:
                print(violation, flush=True)
            if time.monotonic() - told > _PROGRESS_SECONDS:
                told = time.monotonic()
                print(f"{done} done, {found} violations, last {what}", flush=True)
    print(f"TORTURE {done} done, {found} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
