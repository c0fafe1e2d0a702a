"""Rows on catfs as a whole: a build from mount to commit, proofs, memory, short commands."""

import functools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catfs.ledger import RunReader, list_runs
from catfs.merkle import RACY_NS
from catfs.runtime.transports import TRANSPORTS
from tools.bench.inside import Step
from tools.bench.machine import catfs_command, forget_entries, peak_bytes, processor_seconds
from tools.bench.material import (
    DOMAIN_FILE_BYTES,
    Scale,
    copy_tree,
    make_c_project,
    make_domain,
    make_flat,
)
from tools.bench.model import (
    CATFS,
    FUSE_OVERLAYFS,
    NATIVE,
    NONO,
    TWO_SNAPSHOTS,
    Place,
    Promise,
    Row,
    RowError,
    Sample,
    UnavailableError,
)
from tools.bench.peers import open_peer
from tools.bench.rows_files import expect
from tools.bench.rows_programs import run_program
from tools.bench.snapshots import nono_snapshots, spread_files, touch_files, two_snapshots

_TOUCHED = 10
"""Files that are touched before a proof."""
_TOUCHED_MANY = 1000
"""Files that are touched before memory is looked at."""
_SOURCE_BYTES = 16 * 1024
"""Average size of a file of a large source tree, in bytes; the other domains have files of 200 bytes."""
_HUGE = 1_000_000
"""Files of the domain that is measured only when asked for."""
_PROOF_PEERS: Final = (TWO_SNAPSHOTS, NONO, *CATFS)

_TOUCH_SCRIPT = """\
import sys, time
for name in sys.argv[1:]:
    with open(name, "ab") as stream:
        stream.write(b"x")
print(time.monotonic())
"""
"""Appends a byte to files, and says when it was done."""


def whole_rows(scale: Scale) -> list[Row]:
    """Give the rows on catfs as a whole.

    Args:
        scale: How much of everything.
    """
    # Rows on the same domain follow each other, so that it is made once.
    domains = sorted([*_proof_rows(scale), *_memory_rows(scale)], key=lambda row: row.extra)
    return [build_row(scale), *domains, *_command_rows(scale)]


def build_row(scale: Scale) -> Row:
    """Give the row on a build.

    Args:
        scale: How much of everything.
    """
    return Row(
        "build",
        f"make -j2 of a C project of {scale.sources} files; overlays from mount to unmount, "
        "catfs from start to commit",
        functools.partial(_prepare_project, sources=scale.sources),
        _build,
        promises=(Promise(1.10, peer=NATIVE), Promise(1.0, peer=FUSE_OVERLAYFS)),
    )


def _proof_rows(scale: Scale) -> list[Row]:
    def row(name: str, files: int, promises: tuple[Promise, ...], *, extra: bool = False) -> Row:
        what = (
            f"proof after {_TOUCHED} of {files} files were touched: catfs from there to its end, "
            "others both snapshots"
        )
        measure = functools.partial(_proof, whole=False)
        prepare, material = _two_domains(files), _material(files)
        return Row(name, what, prepare, measure, _PROOF_PEERS, promises, extra=extra, material=material)

    same = Promise(2.0, row="proof-small")
    return [
        row("proof-small", scale.domain_small, ()),
        row("proof-large", scale.domain_large, (same,)),
        row("proof-huge", _HUGE, (same, Promise(0.001, peer=TWO_SNAPSHOTS)), extra=True),
        _verdict_row("proof-verdict", scale.domain_large, 0),
        _verdict_row("proof-verdict-sources", scale.domain_large, _SOURCE_BYTES),
        _verdict_row("proof-verdict-cold", scale.domain_large, _SOURCE_BYTES, cold=True),
        Row(
            "run-large",
            f"a whole run that touches {_TOUCHED} of {scale.domain_large} files, on a domain seen before",
            _two_domains(scale.domain_large),
            functools.partial(_proof, whole=True),
            _PROOF_PEERS,
            material=_material(scale.domain_large),
        ),
    ]


def _verdict_row(name: str, files: int, size: int, *, cold: bool = False) -> Row:
    """Give the row on the time between the end of a command and the judgement.

    Args:
        name: Its name.
        files: Files of its domain.
        size: Average size of a file in bytes; 0 for that of the other rows, with which it shares its domain.
        cold: Whether nothing of the domain is in memory when the run, or the first snapshot, begins.
    """
    sizes, start = f" of {size >> 10} KiB" if size else "", ", none in memory at the start," if cold else ""
    return Row(
        name,
        f"{_TOUCHED} of {files} files{sizes}{start} were touched: catfs from the "
        "end of the command to the verdict, others both snapshots and their comparison",
        _two_domains(files, size),
        functools.partial(_verdict, cold=cold),
        _PROOF_PEERS,
        (Promise(0.001, peer=TWO_SNAPSHOTS), Promise(0.001, peer=NONO)),
        extra=bool(size),
        material=f"{_material(files)}-{size}" if size else _material(files),
    )


def _memory_rows(scale: Scale) -> list[Row]:
    def row(name: str, files: int, *, extra: bool = False) -> Row:
        what = (
            f"most memory of one process when {min(files, _TOUCHED_MANY)} of {files} files are touched: "
            "catfs with its helpers until the end of the run, fuse-overlayfs only the server"
        )
        promises = (Promise(150e6),)
        peers = (FUSE_OVERLAYFS, *CATFS)
        prepare, material = _two_domains(files), _material(files)
        return Row(
            name, what, prepare, _memory, peers, promises, unit="bytes", extra=extra, material=material
        )

    return [row("memory-large", scale.domain_large), row("memory-huge", _HUGE, extra=True)]


def _command_rows(scale: Scale) -> list[Row]:
    return [
        Row(
            "run-true",
            "catfs run -- true on a domain of 20 files",
            _small_domain,
            functools.partial(_repeated, act=_run_true, repeats=scale.repeats),
            CATFS,
            (Promise(0.35),),
        ),
        Row(
            "help",
            "catfs --help",
            _small_domain,
            functools.partial(_repeated, act=_run_help, repeats=scale.repeats),
            CATFS,
            (Promise(0.12),),
        ),
    ]


def _prepare_project(lower: Path, assets: Path, *, sources: int) -> None:
    del assets
    make_c_project(lower, sources)


def _material(files: int) -> str:
    """Name what the rows on a domain of so many files work on."""
    return f"domain-{files}"


def _two_domains(files: int, size: int = 0) -> Step:
    """Make the domain of catfs, and one that the others touch in earnest, and let them get a little older.

    What had changed just before it was read is looked at again in every run; no domain in use is as new.

    Args:
        files: Files of each.
        size: Average size of a file in bytes; 0 for the usual one.
    """

    def prepare(lower: Path, assets: Path) -> None:
        make_domain(lower, files, size or DOMAIN_FILE_BYTES)
        make_domain(assets / "domain", files, size or DOMAIN_FILE_BYTES)
        time.sleep(RACY_NS / 1e9)

    return prepare


def _small_domain(lower: Path, assets: Path) -> None:
    del assets
    make_flat(lower, 20, 4096)


@dataclass(frozen=True, slots=True)
class CatfsRun:
    """A `catfs` command that has ended.

    Args:
        seconds: From its start to its end.
        ended: When it ended, on the monotonic clock.
        server_cpu: Processor seconds of the process itself, without those that it started.
        peak_bytes: Most memory of the process or of one that it started.
        output: What it printed on its standard output.
    """

    seconds: float
    ended: float
    server_cpu: float
    peak_bytes: int
    output: str


def run_catfs(arguments: Sequence[str], cwd: Path) -> CatfsRun:
    """Run a `catfs` command to its end.

    Args:
        arguments: What follows `catfs`.
        cwd: Its working directory.

    Raises:
        RowError: when it exits with anything but 0.
    """
    output, errors = cwd / "stdout", cwd / "stderr"
    with output.open("wb") as out, errors.open("wb") as err:
        started = time.monotonic()
        process = subprocess.Popen(
            [*catfs_command(), *arguments], cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
    # Left unreaped for a moment: the times of the process alone are known only as long as it is listed.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    ended = time.monotonic()
    server_cpu = processor_seconds(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = " / ".join(errors.read_text("utf-8", "replace").split("\n")[-4:]).strip(" /") or "nothing"
        raise RowError(
            f"catfs {arguments[0]}: expected exit status 0, got {process.returncode}; it said: {said}"
        )
    text = output.read_text("utf-8", "replace")
    return CatfsRun(ended - started, ended, server_cpu, usage.ru_maxrss * 1024, text)


def _run_in_domain(peer: str, domain: Path, workspace: Path, *options: str) -> CatfsRun:
    transport = peer.removeprefix("catfs-")
    if transport not in TRANSPORTS:
        raise UnavailableError(f"catfs run offers no transport {transport}")
    (workspace / ".catfs").mkdir(parents=True, exist_ok=True)
    arguments = ["run", "--domain", str(domain), "--leftovers", "discard", "--transport", transport]
    return run_catfs([*arguments, *options], workspace)


def _build(peer: str, place: Place) -> Sample:
    if peer in CATFS:
        return _build_with_catfs(peer, place)
    if peer == NATIVE:
        with open_peer(peer, place) as opened:
            os.sync()
            with place.watch(None):
                started = time.monotonic()
                _make(opened.root)
                seconds = time.monotonic() - started
            _check_program(opened.root)
        return Sample(seconds)
    os.sync()
    with place.watch(None):
        return _build_in_overlay(peer, place)


def _build_in_overlay(peer: str, place: Place) -> Sample:
    started = time.monotonic()
    with open_peer(peer, place) as opened:
        _make(opened.root)
        checked = time.monotonic()
        _check_program(opened.root)
        checked = time.monotonic() - checked
        server = opened.server
        cpu = processor_seconds(server) if server is not None else None
        memory = peak_bytes(server) if server is not None else None
    return Sample(time.monotonic() - started - checked, cpu, memory)


def _build_with_catfs(peer: str, place: Place) -> Sample:
    domain = place.scratch / "domain"
    copy_tree(place.lower, domain)
    os.sync()
    make = ["--output", str(domain / "out"), "--", "make", "-s", "-j2", "-C", str(domain)]
    with place.watch(None):
        done = _run_in_domain(peer, domain, place.scratch / "workspace", *make)
    _check_program(domain)
    expect(not (domain / "obj").exists(), "obj was left in the domain")
    return Sample(done.seconds, done.server_cpu, done.peak_bytes)


def _make(root: Path) -> None:
    run_program(root, "make", "-s", "-j2")


def _check_program(root: Path) -> None:
    said = subprocess.run([str(root / "out/program")], capture_output=True, text=True, check=True).stdout
    expect(said.strip().isdigit(), f"out/program: expected a number, got {said!r}")


def _proof(peer: str, place: Place, *, whole: bool) -> Sample:
    names = _names_to_touch(peer, place)
    if peer not in CATFS:
        return _snapshots(peer, place, names, whole=whole)
    _read_before(peer, place)
    done = _touch_in_catfs(peer, place.lower, place.kept, names)
    return Sample(
        done.seconds if whole else done.ended - float(done.output), done.server_cpu, done.peak_bytes
    )


def _names_to_touch(peer: str, place: Place) -> list[str]:
    """Give the files that a sample touches; it walks through the domain, and so is no part of a sample."""
    return spread_files(place.lower if peer in CATFS else place.assets / "domain", _TOUCHED)


def _snapshots(peer: str, place: Place, names: Sequence[str], *, whole: bool) -> Sample:
    method = two_snapshots if peer == TWO_SNAPSHOTS else nono_snapshots
    started = time.monotonic()
    seconds = method(place.assets / "domain", place.scratch, functools.partial(touch_files, names))
    return Sample(time.monotonic() - started if whole else seconds)


def _verdict(peer: str, place: Place, *, cold: bool) -> Sample:
    names = _names_to_touch(peer, place)
    if peer in CATFS:
        _read_before(peer, place)
    if cold:
        forget_entries(contents=True)
    if peer not in CATFS:
        return _snapshots(peer, place, names, whole=False)
    done = _touch_in_catfs(peer, place.lower, place.kept, names)
    run = list_runs(place.kept / ".catfs/runs")[-1]
    [phase] = [phase for phase in RunReader(run.path).status().phases if phase.name == "fold"]
    return Sample((phase.ended - phase.started) / 1e9, done.server_cpu, done.peak_bytes)


def _read_before(peer: str, place: Place) -> None:
    """Let catfs read the domain once."""
    if not (place.kept / "stdout").exists():
        _run_in_domain(peer, place.lower, place.kept, "--", "true")


def _touch_in_catfs(peer: str, domain: Path, workspace: Path, names: Sequence[str]) -> CatfsRun:
    return _run_in_domain(
        peer, domain, workspace, "--", sys.executable, "-I", "-S", "-c", _TOUCH_SCRIPT, *names
    )


def _memory(peer: str, place: Place) -> Sample:
    if peer in CATFS:
        names = spread_files(place.lower, _TOUCHED_MANY)
        done = _touch_in_catfs(peer, place.lower, place.scratch, names)
        return Sample(float(done.peak_bytes), done.server_cpu, done.peak_bytes)
    names = [os.path.relpath(name, place.lower) for name in spread_files(place.lower, _TOUCHED_MANY)]
    with open_peer(peer, place) as opened:
        touch_files([str(opened.root / name) for name in names])
        assert opened.server is not None
        return Sample(float(peak_bytes(opened.server)))


def _repeated(peer: str, place: Place, *, act: Callable[[str, Place], CatfsRun], repeats: int) -> Sample:
    """Start a short command several times; the middle of its times is one sample."""
    done = [act(peer, place) for _ in range(repeats)]
    seconds = statistics.median(one.seconds for one in done)
    return Sample(seconds, done[-1].server_cpu, max(one.peak_bytes for one in done))


def _run_true(peer: str, place: Place) -> CatfsRun:
    return _run_in_domain(peer, place.lower, place.kept, "--", "true")


def _run_help(peer: str, place: Place) -> CatfsRun:
    del peer
    return run_catfs(["--help"], place.scratch)
