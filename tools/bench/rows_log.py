"""Rows on the write log: what it costs a build, and how large a record is.

    python -m tools.bench.rows_log TRANSPORT WORKSPACE DOMAIN

serves a view as `tools.bench.serve` does, with a log that goes nowhere: nothing is asked about processes,
nothing is encoded, nothing is written.
"""

import functools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catfs.ledger import find_run
from catfs.overlay import NoTrace
from catfs.records import WRITE_LOG_FILE
from tools.bench import serve
from tools.bench.inside import nothing
from tools.bench.machine import processor_seconds
from tools.bench.material import Scale, copy_tree, make_c_project
from tools.bench.model import CATFS, Place, Promise, Row, Sample
from tools.bench.peers import Opened, open_catfs
from tools.bench.rows_files import expect
from tools.bench.rows_programs import run_program
from tools.bench.rows_whole import run_catfs

_ORDER = (True, False, False, True, False, True, True, False)
"""Whether each of the builds of a sample is logged: either comes first as often as the other, so that a
machine that grows faster or slower treats both alike."""


def log_rows(scale: Scale) -> list[Row]:
    """Give the rows on the write log.

    Args:
        scale: How much of everything.
    """
    prepare = functools.partial(_prepare, sources=max(2, scale.sources // 12))
    builds = len(_ORDER)
    return [
        Row(
            "log-cost",
            f"make -j2 in a view: time with the write log / time with a log to nowhere, {builds} builds",
            prepare,
            _cost,
            CATFS,
            (Promise(1.03),),
            unit="ratio",
        ),
        Row(
            "log-record",
            "bytes of the finished log for each record of that build",
            prepare,
            _record_bytes,
            CATFS,
            unit="bytes",
        ),
    ]


def _prepare(lower: Path, assets: Path, *, sources: int) -> None:
    nothing(lower, assets)
    make_c_project(lower, sources)


def _cost(peer: str, place: Place) -> Sample:
    seconds = {True: 0.0, False: 0.0}
    cpu = 0.0
    for number, logged in enumerate(_ORDER):
        with _view(peer, place, number, logged=logged) as opened:
            started = time.monotonic()
            run_program(opened.root, "make", "-s", "-j2")
            seconds[logged] += time.monotonic() - started
            assert opened.server is not None
            cpu += processor_seconds(opened.server) if logged else 0.0
    return Sample(seconds[True] / seconds[False], cpu / _ORDER.count(True))


def _record_bytes(peer: str, place: Place) -> Sample:
    domain, workspace = place.scratch / "domain", place.scratch / "workspace"
    copy_tree(place.lower, domain)
    (workspace / ".catfs").mkdir(parents=True)
    options = ["--leftovers", "discard", "--transport", peer.removeprefix("catfs-")]
    make = ["make", "-s", "-j2", "-C", str(domain)]
    run_catfs(["run", "--domain", str(domain), *options, "--", *make], workspace)
    run = find_run(workspace / ".catfs" / "runs")
    records = sum(1 for _ in run.log())
    expect(records > 0, "the log holds no record")
    return Sample((run.folder / WRITE_LOG_FILE).stat().st_size / records)


@contextmanager
def _view(peer: str, place: Place, number: int, *, logged: bool) -> Iterator[Opened]:
    """Show a fresh copy of the project through a session of its own."""
    scratch = place.scratch / str(number)
    scratch.mkdir()
    copy_tree(place.lower, scratch / "domain")
    os.sync()
    inner = Place(scratch / "domain", place.assets, scratch, place.kept)
    module = "tools.bench.serve" if logged else "tools.bench.rows_log"
    with open_catfs(inner, transport=peer.removeprefix("catfs-"), module=module) as opened:
        yield opened


if __name__ == "__main__":
    serve.main(trace=NoTrace())
    sys.exit(0)
