"""Recording what the machine does in the timed part of a row, with perf.

The whole machine is recorded, so that it is seen when it had nothing to do, and who else was there. The
kernel tells of requests to a FUSE server where it has trace points for them; otherwise only of processors.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from catfs.errors import MachineError, UsageError
from tools.bench.model import Outcome, Place, Row, Sample
from tools.bench.profile import PERIOD_SECONDS, Profile, profile_text

_PERF: Final = "perf"
_CLOCK: Final = ("-e", "cpu-clock", "-c", str(round(PERIOD_SECONDS * 1e9)))
_REQUESTS: Final = ("-e", "fuse:fuse_request_send", "-e", "fuse:fuse_request_end")
_FIELDS: Final = "comm,pid,time,event,ip,sym,dso,trace"
_ACKNOWLEDGED: Final = b"ack\n"


def check_perf() -> None:
    """Refuse to go on without perf.

    Raises:
        UsageError: when it is not installed.
    """
    if shutil.which(_PERF) is None:
        raise UsageError(
            "perf is not installed, and profiles are made with it", hint="apt-get install linux-perf"
        )


def events() -> list[str]:
    """Give the options that name the events which this machine has: processors, and requests if it can."""
    tried = subprocess.run(
        [_PERF, "record", "-q", "-o", os.devnull, *_REQUESTS, "true"], capture_output=True, check=False
    )
    return [*_CLOCK, *(_REQUESTS if tried.returncode == 0 else ())]


def watched(row: Row, folder: Path, options: Sequence[str]) -> Row:
    """Give a row whose samples are recorded.

    Args:
        row: The row.
        folder: Where the recordings of each peer go.
        options: What is recorded: the answer of `events`.
    """

    def measure(peer: str, place: Place) -> Sample:
        (folder / peer).mkdir(parents=True, exist_ok=True)

        @contextlib.contextmanager
        def watch(server: int | None) -> Iterator[None]:
            recording = Path(tempfile.mkdtemp(dir=folder / peer))
            with _recorded(recording / "data", options):
                yield
            facts = {"worker": os.getpid(), "server": server}
            (recording / "processes").write_text(json.dumps(facts), "ascii")

        return row.measure(peer, dataclasses.replace(place, watch=watch))

    return dataclasses.replace(row, measure=measure)


@contextlib.contextmanager
def _recorded(path: Path, options: Sequence[str]) -> Iterator[None]:
    """Record what the whole machine does inside the block.

    Raises:
        MachineError: when perf ends early.
    """
    orders_in, orders = os.pipe()
    answers, answers_out = os.pipe()
    control = f"--control=fd:{orders_in},{answers_out}"
    errors = path.with_name("errors")
    with errors.open("wb") as said:
        perf = subprocess.Popen(
            [_PERF, "record", "-q", "-a", "--delay=-1", control, "-o", str(path), *options],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(orders_in, answers_out),
        )
    os.close(orders_in)
    os.close(answers_out)
    try:
        _order(orders, answers, b"enable\n", errors)
        yield
        _order(orders, answers, b"disable\n", errors)
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait()
        os.close(orders)
        os.close(answers)


def _order(orders: int, answers: int, order: bytes, errors: Path) -> None:
    """Give perf an order and wait until it is carried out.

    Raises:
        MachineError: when perf ended; it says why in `errors`.
    """
    with contextlib.suppress(BrokenPipeError):
        os.write(orders, order)
    if not os.read(answers, 64).startswith(_ACKNOWLEDGED):
        reason = errors.read_text("utf-8", "replace").strip() or "without a word"
        raise MachineError(f"perf ended instead of recording: {reason.splitlines()[0]}")


def read_profile(folder: Path) -> Profile:
    """Sum up the recordings of one peer.

    Args:
        folder: Where they are; one that is not there holds none.

    Raises:
        MachineError: when perf cannot read one of them.
    """
    profile = Profile()
    for recording in sorted(folder.glob("*/processes")):
        facts = json.loads(recording.read_text("ascii"))
        data = recording.with_name("data")
        done = subprocess.run(
            [_PERF, "script", "-i", str(data), "-F", _FIELDS, "--show-task-events"],
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise MachineError(f"perf cannot read what it recorded: {done.stderr.decode('utf-8', 'replace')}")
        profile.add(done.stdout.decode("utf-8", "replace").splitlines(), facts["worker"], facts["server"])
    return profile


def recordings_text(folder: Path, outcome: Outcome) -> Iterator[str]:
    """Give the lines of one row.

    Args:
        folder: Where the recordings of each row are.
        outcome: The row and the times that were measured meanwhile.

    Raises:
        MachineError: as `read_profile`.
    """
    yield f"{outcome.row.name}: {outcome.row.what}"
    for peer, cell in outcome.cells.items():
        if cell.problem or not cell.samples:
            yield f"  {peer}: {cell.problem or cell.unavailable}"
        else:
            yield from profile_text(peer, cell.values, read_profile(folder / outcome.row.name / peer))
