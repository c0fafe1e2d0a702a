"""Measures catfs on domains of a million files and prints each promise with what was measured.

    python -m tools.measure_million FOLDER [--files N] [--parts index,start,proof,memory,entry]

FOLDER takes three domains, which are made when they are not there and stay: `small` (1,000 files), `deep` (a
hundred files in each directory) and `flat` (all files in one). What catfs remembers of them is made anew
unless `--keep` is said.
With a million files it needs about ten minutes on a quiet machine of two processors, and 16 GB of disk.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from catfs.digest import Digest
from catfs.ledger import RunReader, list_runs
from catfs.merkle import (
    IndexReader,
    LayeredNodes,
    MemoryNodes,
    PathProof,
    RememberedNodes,
    Tree,
    index_name,
    prove_path,
)
from catfs.proof.capture_nodes import StoredNodes
from catfs.records import Entry, Kind
from catfs.store import LocalStore
from catfs.values import dataclass
from tools.bench.machine import catfs_command, peak_bytes
from tools.make_tree import make_tree

_SMALL_FILES: Final = 1000
_FILES_EACH: Final = 100
"""Files in each directory of the deep domain."""
_TOUCHED: Final = 10
_TOUCHED_MANY: Final = 1000
_ROUNDS: Final = 5
_UPDATES: Final = 200
_SETTLED_SECONDS: Final = 3
"""How old a domain is before it is read: what changed just before would be read again each time."""
_MIB: Final = 1 << 20

_TOUCH: Final = """\
import sys, time
print(time.monotonic(), flush=True)
for name in sys.argv[1:]:
    with open(name, "ab") as stream:
        stream.write(b"x")
print(time.monotonic(), flush=True)
"""
"""Says when it begins, appends a byte to each file, and says when it was done."""

_STEPS: Final = 'while read -r step; do eval "$step" > /dev/null; echo done; done'
"""Does one step after the other, as they are told, and says when each is done."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain, and the workspace of the runs on it.

    Args:
        name: What it is called.
        path: Where it is.
        workspace: The workspace.
        files: How many files it has.
    """

    name: str
    path: Path
    workspace: Path
    files: int

    def file(self, number: int) -> Path:
        """Give the path of one of its files."""
        return self.path / self.relative(number)

    def relative(self, number: int) -> str:
        """Give the path of one of its files, relative to it."""
        name = f"file-{number:07}.txt"
        if self.name == "flat":
            return name
        at = number % (self.files // _FILES_EACH)
        return f"{at // 100:03}/{at:06}/{name}"

    def spread(self, count: int) -> list[str]:
        """Give the paths of some of its files, evenly spread."""
        return [str(self.file(number)) for number in range(0, self.files, max(1, self.files // count))][
            :count
        ]


@dataclass(frozen=True, slots=True)
class Touched:
    """The times of a run that touched files, in seconds.

    Args:
        first: From the start to the first line of the command.
        after: From the last touch to the end of the run.
        verdict: From the end of the command to the verdict, as the ledger has it.
        whole: From start to end.
    """

    first: float
    after: float
    verdict: float
    whole: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the domains are, or are made")
    parser.add_argument("--files", type=int, default=1_000_000, help="files of the large domains")
    parser.add_argument("--parts", default=",".join(_PARTS), help="which parts, separated by commas")
    parser.add_argument("--keep", action="store_true", help="go on with what catfs remembers from before")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if arguments.files < _SMALL_FILES or not set(parts) <= set(_PARTS):
        parser.error(f"expected at least {_SMALL_FILES} files, and parts among {', '.join(_PARTS)}")
    started = time.monotonic()
    domains = prepared(arguments.folder.resolve(), arguments.files, keep=arguments.keep)
    for part in parts:
        for line in _PARTS[part](domains):
            print(f"{time.monotonic() - started:5.0f} s  {line}", flush=True)


def prepared(folder: Path, files: int, *, keep: bool) -> dict[str, Domain]:
    """Give the domains; those that are not there are made.

    Args:
        folder: Where they are.
        files: Files of the large ones.
        keep: Whether what catfs remembers of them stays; else it is removed.
    """
    domains = {}
    for name, count in (("small", _SMALL_FILES), ("deep", files), ("flat", files)):
        domain = Domain(name, folder / name, folder / f"workspace-{name}", count)
        if not domain.path.exists():
            print(f"making {name}: {count} files", file=sys.stderr, flush=True)
            make_tree(domain.path, count, 0 if name == "flat" else count // _FILES_EACH, 512)
            time.sleep(_SETTLED_SECONDS)
        elif not domain.file(count - 1).exists():
            raise SystemExit(f"{domain.path} is not a domain of {count} files; name another folder")
        if not keep:
            shutil.rmtree(domain.workspace, ignore_errors=True)
        (domain.workspace / ".catfs").mkdir(parents=True, exist_ok=True)
        domains[name] = domain
    return domains


def run_once(domain: Domain, *command: str) -> tuple[float, str]:
    """Run a command on a domain, and give the seconds from start to end and what it printed.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    started = time.monotonic()
    options = ["run", "--domain", str(domain.path), "--leftovers", "discard", "--", *command]
    done = subprocess.run(
        [*catfs_command(), *options],
        cwd=domain.workspace,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    return time.monotonic() - started, done.stdout


def touch_once(domain: Domain, count: int) -> Touched:
    """Touch some files of a domain in a run."""
    started = time.monotonic()
    whole, said = run_once(domain, sys.executable, "-I", "-S", "-c", _TOUCH, *domain.spread(count))
    ended = started + whole
    first, last = map(float, said.split())
    run = list_runs(domain.workspace / ".catfs/runs")[-1]
    [fold] = [phase for phase in RunReader(run.path).status().phases if phase.name == "fold"]
    return Touched(first - started, ended - last, (fold.ended - fold.started) / 1e9, whole)


def index_lines(domains: dict[str, Domain]) -> Iterator[str]:
    """Measure the first reading, beside sha256sum of every file."""
    run_once(domains["small"], "true")
    for name in ("deep", "flat"):
        domain = domains[name]
        seconds, _ = run_once(domain, "true")
        started = time.monotonic()
        sums = "find . -type f -print0 | xargs -0 -P2 sha256sum | wc -l"
        found = subprocess.run(["/bin/sh", "-c", sums], cwd=domain.path, stdout=subprocess.PIPE, check=True)
        peer = time.monotonic() - started
        assert int(found.stdout) == domain.files
        yield (
            f"{name}: first reading, whole run {seconds:.1f} s, {domain.files / seconds:.0f} files/s; "
            f"find | xargs -P2 sha256sum {peer:.1f} s, {domain.files / peer:.0f} files/s"
        )


def start_lines(domains: dict[str, Domain]) -> Iterator[str]:
    """Measure a second session: when its command begins, and a run of `true`."""
    for domain in domains.values():
        _known(domain)
        whole = [run_once(domain, "true")[0] for _ in range(_ROUNDS)]
        first = [touch_once(domain, 1).first for _ in range(_ROUNDS)]
        yield (
            f"{domain.name}: second session, command begins after {_middle(first)}, whole run of `true` "
            f"{_middle(whole)}  {_holds(statistics.median(first) <= 1)} (<= 1 s)"
        )


def proof_lines(domains: dict[str, Domain]) -> Iterator[str]:
    """Measure proofs after a few files were touched, in turns."""
    found: dict[str, list[Touched]] = {name: [] for name in domains}
    for domain in domains.values():
        _known(domain)
    for _ in range(_ROUNDS):
        for name, domain in domains.items():
            found[name].append(touch_once(domain, _TOUCHED))
    small: dict[str, float] = {}
    for name, runs in found.items():
        parts = []
        for what in ("after", "verdict", "whole"):
            seconds = [getattr(run, what) for run in runs]
            ratio = statistics.median(seconds) / small.setdefault(what, statistics.median(seconds))
            text = {"after": "last touch to end", "verdict": "of that to the verdict", "whole": "whole run"}
            parts.append(f"{text[what]} {_middle(seconds)} = {ratio:.2f} x small")
        after = statistics.median(run.after for run in runs)
        yield (
            f"{name}: {_TOUCHED} of {domains[name].files} files touched: {', '.join(parts)}  "
            f"{_holds(after <= 2 * small['after'])} (<= 2 x)"
        )


def memory_lines(domains: dict[str, Domain]) -> Iterator[str]:
    """Measure the memory of the server, step by step in one session."""
    for name in ("deep", "flat"):
        domain = domains[name]
        _known(domain)
        touch = f"for name in {' '.join(domain.spread(_TOUCHED_MANY))}; do echo x >> $name; done"
        steps = (
            ("at the start", "true", 150),
            (f"{_TOUCHED_MANY} files touched", touch, 150),
            ("after find over all", f"find {domain.path} -type f", 500),
            ("after find -size, a stat of every file", f"find {domain.path} -size +0", 500),
        )
        with _stepwise(domain) as do:
            for what, step, limit in steps:
                seconds, peak = do(step)
                yield (
                    f"{name}: server's memory {what}: {peak / _MIB:.0f} MiB at most so far, "
                    f"the step took {seconds:.1f} s  "
                    f"{_holds(peak <= limit * 1e6)} (<= {limit} MB)"
                )


def entry_lines(domains: dict[str, Domain]) -> Iterator[str]:
    """Measure the change of one entry of the flat directory, and proofs of single paths."""
    flat, deep = domains["flat"], domains["deep"]
    _known(flat)
    tree = _tree_of(flat)
    seconds = []
    for number in range(_UPDATES):
        name = flat.relative(number * (flat.files // _UPDATES)).encode()
        started = time.monotonic()
        changed = tree.update({name: Entry(Kind.FILE, 0o600, number, Digest.of(name))})
        seconds.append(time.monotonic() - started)
        assert changed.root != tree.root
    rest = seconds[1:]
    yield (
        f"flat: one entry changed: first {1e3 * seconds[0]:.2f} ms, then "
        f"{1e3 * statistics.median(rest):.2f} ms, the slowest of {len(rest)} {1e3 * max(rest):.2f} ms  "
        f"{_holds(statistics.median(rest) <= 5e-3)} (<= 5 ms)"
    )
    for domain in (flat, deep):
        _known(domain)
        yield _inclusion_line(domain)


def _inclusion_line(domain: Domain) -> str:
    tree = _tree_of(domain)
    path = domain.relative(domain.files // 3).encode()
    record = prove_path(tree, path).to_dict()
    started = time.monotonic()
    proof = PathProof.from_dict(record)
    entry = proof.verify(tree.root)
    seconds = time.monotonic() - started
    absent = prove_path(tree, path + b"-not").verify(tree.root)
    assert entry == tree.entry(path)
    assert absent is None
    size = sum(map(len, proof.nodes))
    return (
        f"{domain.name}: inclusion proof of {path.decode()}: {size} bytes in {len(proof.nodes)} nodes, "
        f"verified from them and the root alone in {1e3 * seconds:.2f} ms  "
        f"{_holds(size <= 64 << 10)} (<= 64 KiB)"
    )


_PARTS: Final[dict[str, Callable[[dict[str, Domain]], Iterator[str]]]] = {
    "index": index_lines,
    "start": start_lines,
    "proof": proof_lines,
    "memory": memory_lines,
    "entry": entry_lines,
}


def _known(domain: Domain) -> None:
    """Read a domain for the first time unless that was done."""
    if not list((domain.workspace / ".catfs").glob("index/*.index")):
        print(f"reading {domain.name}", file=sys.stderr, flush=True)
        run_once(domain, "true")


def _tree_of(domain: Domain) -> Tree:
    """Give the tree of a domain as the last reading left it."""
    kept = domain.workspace / ".catfs"
    with IndexReader(kept / "index" / index_name(os.fsencode(domain.path))) as index:
        entry = index.facts.root_entry
    nodes = RememberedNodes(StoredNodes(LocalStore(kept / "store")))
    return Tree(LayeredNodes(MemoryNodes(), nodes), entry)


@contextmanager
def _stepwise(domain: Domain) -> Iterator[Callable[[str], tuple[float, int]]]:
    """Open a session that does what it is told; give what does a step, and gives its time and the peak."""
    options = ["run", "--domain", str(domain.path), "--leftovers", "discard", "--", "sh", "-c", _STEPS]
    process = subprocess.Popen(
        [*catfs_command(), *options],
        cwd=domain.workspace,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told, answers = process.stdin, process.stdout

    def do(step: str) -> tuple[float, int]:
        started = time.monotonic()
        told.write(step + "\n")
        assert answers.readline() == "done\n"
        return time.monotonic() - started, peak_bytes(process.pid)

    try:
        yield do
    finally:
        told.close()
        process.wait()


def _middle(seconds: Sequence[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.0f} ms"


def _holds(is_kept: bool) -> str:  # the one question that it answers
    return "holds" if is_kept else "BROKEN"


if __name__ == "__main__":
    main()
