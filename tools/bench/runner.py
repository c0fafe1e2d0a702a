"""Taking samples: in turns, each in a process of its own, in limited time, cleaned up whatever happens."""

import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

from catfs.errors import CatfsError
from catfs.linux import set_parent_death_signal
from tools.bench.machine import mounts_below, unmount_below
from tools.bench.model import Cell, Outcome, Place, Row, RowError, Sample, UnavailableError

_EXPECTED = (CatfsError, OSError, subprocess.SubprocessError, sqlite3.Error)
"""What may go wrong in a sample without being a defect of this tool."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure.

    Args:
        peers: Who takes part, in the order of the tables.
        rounds: Samples of each peer in each row.
        limit_seconds: Longest time of one sample.
        directory: Where the work is done; what is in it is not touched.
    """

    peers: tuple[str, ...]
    rounds: int
    limit_seconds: float
    directory: Path


def run_rows(rows: Sequence[Row], plan: Plan, tell: Callable[[str], None]) -> Iterator[Outcome]:
    """Measure rows one behind the other, and say of each how long it took.

    Args:
        rows: The rows.
        plan: How.
        tell: Told what is being done.
    """
    for row, following in zip_longest(rows, rows[1:]):
        started = time.monotonic()
        keep = bool(row.material) and following is not None and following.material == row.material
        outcome = run_row(row, plan, tell, keep=keep)
        tell(f"{row.name}: took {time.monotonic() - started:.0f} s")
        yield outcome


def run_row(row: Row, plan: Plan, tell: Callable[[str], None], *, keep: bool = False) -> Outcome:
    """Prepare a row unless its material is there already, measure it in turns, and clean up.

    Args:
        row: The row.
        plan: How.
        tell: Told what is being done.
        keep: Whether the material stays for the row that follows.
    """
    folder = plan.directory / (row.material or row.name)
    cells = {peer: Cell() for peer in plan.peers if peer in row.peers}
    try:
        if cells:
            if not folder.exists():
                tell(f"{row.name}: preparing")
                _prepare(row, folder)
            for turn, peer in turns(tuple(cells), plan.rounds):
                if cells[peer].unavailable is None:
                    tell(f"{row.name}: round {turn + 1} of {plan.rounds}, {peer}")
                    _add_sample(cells[peer], row, peer, folder, plan.limit_seconds)
    except UnavailableError as error:
        keep = False  # half a material is none
        for cell in cells.values():
            cell.unavailable = str(error)
    except _EXPECTED as error:
        keep = False
        for cell in cells.values():
            cell.problem = f"preparing failed: {error}"
    finally:
        if not keep:
            clear(folder)
    return Outcome(row, cells)


def turns(peers: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Give round and peer of each sample: every round has every peer, and each begins with another one."""
    for turn in range(rounds):
        first = turn % len(peers)
        for peer in (*peers[first:], *peers[:first]):
            yield turn, peer


def clear(folder: Path) -> None:
    """Remove a folder and unmount what is mounted in it; nothing happens when it is gone."""
    unmount_below(folder)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _prepare(row: Row, folder: Path) -> None:
    for name in ("lower", "assets"):
        (folder / name).mkdir(parents=True)
    row.prepare(folder / "lower", folder / "assets")
    os.sync()


def _add_sample(cell: Cell, row: Row, peer: str, folder: Path, limit_seconds: float) -> None:
    place = Place(folder / "lower", folder / "assets", folder / "scratch", folder / f"kept-{peer}")
    place.scratch.mkdir()
    place.kept.mkdir(exist_ok=True)
    try:
        cell.samples.append(take_sample(lambda: row.measure(peer, place), limit_seconds))
    except UnavailableError as error:
        cell.unavailable = str(error)
    except RowError as error:
        cell.problem = str(error)
    finally:
        left = mounts_below(folder)
        clear(place.scratch)
        unmount_below(folder)
    if left and cell.problem is None:
        cell.problem = f"left {len(left)} mounts behind"


def take_sample(measure: Callable[[], Sample], limit_seconds: float) -> Sample:
    """Measure in a process of its own.

    Args:
        measure: Called there.
        limit_seconds: Longest time; then the process and all it started are ended.

    Raises:
        UnavailableError: when `measure` raised it.
        RowError: when it failed in any other way, or took too long.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_worker(measure, writer)
    os.close(writer)
    try:
        answer = _read(reader, time.monotonic() + limit_seconds)
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # nothing it started may disturb the next sample
        os.kill(pid, signal.SIGKILL)  # it may not have come to making that group
        os.waitpid(pid, 0)
    if answer is None:
        raise RowError(f"took longer than {limit_seconds:g} s")
    return _sample_of(answer)


def _sample_of(answer: bytes) -> Sample:
    if not answer:
        raise RowError("the measuring process ended without an answer; its traceback is above")
    facts = json.loads(answer)
    if "unavailable" in facts:
        raise UnavailableError(facts["unavailable"])
    if "problem" in facts:
        raise RowError(facts["problem"])
    return Sample(**facts)


def _be_worker(measure: Callable[[], Sample], writer: int) -> None:
    """Measure, answer and end."""
    try:
        os.setsid()
        set_parent_death_signal(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.write(writer, json.dumps(_answer(measure)).encode())
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(0)


def _answer(measure: Callable[[], Sample]) -> dict[str, object]:
    try:
        return asdict(measure())
    except UnavailableError as error:
        return {"unavailable": str(error)}
    except _EXPECTED as error:
        return {"problem": f"{type(error).__name__}: {error}"[:2000]}


def _read(reader: int, deadline: float) -> bytes | None:
    """Read to the end; give None when that takes too long."""
    parts: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            part = os.read(reader, 65536)
            if not part:
                return b"".join(parts)
            parts.append(part)
    return None


def chosen(rows: Iterable[Row], names: Sequence[str]) -> list[Row]:
    """Give the rows that are named, or all but the extra ones when none is."""
    return [row for row in rows if row.name in names or (not names and not row.extra)]
