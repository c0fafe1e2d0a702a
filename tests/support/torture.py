"""What the crash tests and `tools/torture.py` share: real commands, killed, refused and crowded.

Each function does its work with the real `catfs` in a folder and gives the violations that it found, one
sentence each: an empty list means that every promise held.
"""

import os
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import orjson

from catfs.records import PROOF_FILE, Outcome
from tests.support.commands import CATFS, TIMEOUT_SECONDS, Call, kill_hard, mounts_below, run_catfs
from tests.support.forked import call_forked
from tests.support.walk import Found, walk

CHANGING_CALLS = (
    *("write", "pwrite64", "fsync", "fdatasync", "syncfs", "renameat", "renameat2", "rename", "unlink"),
    *("unlinkat", "mkdir", "mkdirat", "rmdir", "symlinkat", "linkat", "ftruncate", "fallocate"),
    *("copy_file_range", "fchmod", "fchmodat", "fchown", "utimensat", "fsetxattr"),
)
"""System calls that change a disk, or make a change durable."""

FAULTS = {"SIGKILL": "signal=SIGKILL", **{name: f"error={name}" for name in ("EIO", "ENOSPC", "EDQUOT")}}
"""Fault to what strace injects for it. A signal comes before the call."""

SCRIPT = (
    "set -e; echo new1 > out/a; rm -r out/sub; mkdir out/fresh; echo f > out/fresh/f; ln -sfn b out/l;"
    "chmod 600 out/b; mkdir new; echo n > new/n"
)
"""Changes a domain of `make_struck_domain` in every way, and below its outputs only."""

_RUN_ID = "struck"
_RUN = (
    *("run", "--run-id", _RUN_ID, "--confine", "off", "--output", "out", "--output", "new"),
    *("--", "sh", "-c", SCRIPT),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One place where a fault strikes.

    Args:
        call: The system call.
        number: Which of its calls, counted from 1.
    """

    call: str
    number: int


class Sweep:
    """A run that commits changes of every kind, and is struck at one system call after the other.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.old = tree_of_domain(self._fresh())
        domain = self._fresh()
        assert run_catfs(_RUN, domain).status == 0
        self.new = tree_of_domain(domain)
        assert self.old != self.new

    def points(self) -> list[Point]:
        """Give every place where a run changes the disk."""
        trace = self._folder / "trace"
        assert self._strace(self._fresh(), "-o", str(trace), "-e", f"trace={','.join(CHANGING_CALLS)}") == 0
        return points_of(trace)

    def strike(self, point: Point, fault: str) -> list[str]:
        """Let a fault strike a run, go on as a user would, and give the violations."""
        domain = self._fresh()
        inject = f"inject={point.call}:{FAULTS[fault]}:when={point.number}"
        status = self._strace(domain, "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject)
        what = f"{fault} at {point.call} {point.number} (status {status})"
        found = []
        after = call_forked(["run", "--confine", "off", "--", "true"], domain)
        if after.status != 0:
            found.append(f"{what}: the next command says {after.status}: {after.stderr[-300:]}")
        tree = tree_of_domain(domain)
        if tree not in (self.old, self.new):
            found.append(f"{what}: the domain is neither old nor new")
        if status == 0 and tree != self.new:
            found.append(f"{what}: the run said that it had committed")
        recorded = self._records_a_commit(domain)
        if recorded is not (tree == self.new):
            found.append(f"{what}: the run says that it {'has' if recorded else 'has not'} committed")
        verified = call_forked(["verify", "--all", "--offline"], domain)
        if verified.status != 0:
            found.append(f"{what}: verify says {verified.status}: {verified.stderr[-300:]}")
        left = [path for part in ("journal", "stage") for path in (domain / ".catfs" / part).iterdir()]
        if left:
            found.append(f"{what}: {left} is left over")
        subprocess.run(["rm", "-rf", domain], timeout=TIMEOUT_SECONDS, check=True)
        return found

    @staticmethod
    def _records_a_commit(domain: Path) -> bool:
        """Say whether the record of the struck run is complete and says that it committed."""
        proof = domain / ".catfs" / "runs" / _RUN_ID / PROOF_FILE
        return proof.exists() and orjson.loads(proof.read_bytes())["outcome"] == Outcome.RESTORED.value

    def _strace(self, domain: Path, *options: str) -> int:
        return run_struck(options, _RUN, domain)

    def _fresh(self) -> Path:
        self._count += 1
        domain = make_struck_domain(self._folder / f"domain{self._count}")
        (domain / ".catfs").mkdir()
        return domain


Tree = dict[bytes, tuple[int, str]]
"""Path to mode and digest."""


def run_struck(options: Sequence[str], words: Sequence[str], cwd: Path) -> int:
    """Run `catfs` under strace and give its exit status.

    Args:
        options: What is traced, and injected.
        words: The arguments of `catfs`.
        cwd: Its working directory.
    """
    # Other calls then cost nothing; but strace does not inject signals so.
    is_quick = not any("signal=" in option for option in options)
    command = ["strace", "-f", "-qq", *(["--seccomp-bpf"] if is_quick else []), *options, str(CATFS), *words]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
    ).returncode


def points_of(trace: Path) -> list[Point]:
    """Give the places at which the system calls of a trace can be struck."""
    words = re.findall(r"^(?:\d+ +)?(\w+)\(", trace.read_text(errors="replace"), re.MULTILINE)
    counts = Counter(words)
    return [Point(call, number + 1) for call in sorted(counts) for number in range(counts[call])]


def make_struck_domain(domain: Path) -> Path:
    """Make a domain for `SCRIPT` and give its path."""
    (domain / "out" / "sub").mkdir(parents=True)
    for name, text in {"out/a": "old1\n", "out/b": "old2\n", "out/sub/g": "gone\n", "keep": "k\n"}.items():
        (domain / name).write_text(text)
    (domain / "out" / "l").symlink_to("a")
    return domain


def tree_of_domain(domain: Path) -> Tree:
    """Give what is in a domain; what the workspace keeps there is left out."""
    found: dict[bytes, Found] = walk(domain, leave_out=b".catfs")
    return {path: (item.mode, item.digest) for path, item in found.items()}


def committed_runs(workspace: Path) -> int:
    """Give how many runs of a workspace are complete and say that they have committed."""
    proofs = (workspace / ".catfs" / "runs").glob(f"*/{PROOF_FILE}")
    return sum(orjson.loads(proof.read_bytes())["outcome"] == Outcome.RESTORED.value for proof in proofs)


def crowd(folder: Path, disjoint: int, colliding: int, at_once: int = 8) -> list[str]:
    """Let many runs commit to one domain at the same time.

    Args:
        folder: An empty folder.
        disjoint: Number of runs that each have an output of their own.
        colliding: Number of runs that all count up the same file.
        at_once: How many run at the same time.

    Returns:
        The violations.
    """
    domain = folder / "domain"
    (domain / "out").mkdir(parents=True)
    (domain / ".catfs").mkdir()
    (domain / "counter").write_text("0\n")

    def run(script: str, output: str) -> tuple[int, str]:
        words = ["run", "--output", output, "--", "sh", "-c", script]
        result = run_catfs(words, domain, timeout=4 * TIMEOUT_SECONDS)
        return result.status, result.stderr

    jobs = [(f"echo {number} > out/{number}", f"out/{number}") for number in range(disjoint)]
    jobs += [("echo $(($(cat counter) + 1)) > counter", "counter")] * colliding
    random.Random(7).shuffle(jobs)  # noqa: S311  # the same order each time
    with ThreadPoolExecutor(at_once) as pool:
        ended = list(pool.map(lambda job: (job, *run(*job)), jobs))
    found = []
    for (_, output), status, said in ended:
        if output != "counter" and status != 0:
            found.append(f"the run of {output} ended with {status}: {said[-300:]}")
        if output == "counter" and status not in {0, 3}:
            found.append(f"a run that collided ended with {status}: {said[-300:]}")
    for number in range(disjoint):
        place = domain / "out" / str(number)
        if not place.is_file() or place.read_text() != f"{number}\n":
            found.append(f"out/{number} is lost")
    counted = sum(output == "counter" and status == 0 for (_, output), status, _ in ended)
    if (domain / "counter").read_text() != f"{counted}\n":
        found.append(f"{counted} runs counted, the file says {(domain / 'counter').read_text()!r}")
    return found


class LiveSession:
    """A mounted domain with a model beside it, in which a seed decides what happens.

    Args:
        folder: An empty folder.
        seed: Decides everything.
        transport: What serves the mount.
        call: Runs the commands.
    """

    def __init__(self, folder: Path, seed: int, transport: str = "auto", *, call: Call = run_catfs) -> None:
        self._call = call
        self.random = random.Random(seed)  # noqa: S311  # a test must be repeatable
        self.folder, self.domain = folder, folder / "domain"
        self._transport = transport
        (self.domain / "out").mkdir(parents=True)
        (folder / ".catfs").mkdir()
        self.lower = {f"out/low{number}": self.random.randbytes(2000) for number in range(2)}
        self.lower["low"] = self.random.randbytes(5000)
        for name, content in self.lower.items():
            (self.domain / name).write_bytes(content)
        self.model = dict(self.lower)
        self.log: list[str] = []
        """What happened, for people."""

    def run(self, rounds: int) -> Iterator[str]:
        """Mount, work, and end in one way or another, several times; give the violations."""
        try:
            for _ in range(rounds):
                yield from self._round()
            yield from self._command("umount", "domain", "--discard", may_fail=True)
            if self._files() != self.lower:
                yield "the original is not what it should be in the end"
        except OSError as error:
            yield f"{error}, after {', '.join(self.log)}"
        finally:
            self._kill_server()
            subprocess.run(["umount", "-l", self.domain], stderr=subprocess.DEVNULL, check=False, timeout=30)

    def _round(self) -> Iterator[str]:
        yield from self._command("mount", "domain", "--output", "domain/out", *self._options())
        for _ in range(self.random.randint(3, 25)):
            self._step()
        end = self.random.choice([self._kill, self._kill, self._umount, self._commit, self._discard])
        self.log.append(end.__name__)
        yield from end()

    def _options(self) -> tuple[str, ...]:
        return () if self._transport == "auto" else ("--transport", self._transport)

    def _command(self, *words: str, may_fail: bool = False) -> Iterator[str]:
        result = self._call(words, self.folder)
        if result.status != 0 and not may_fail:
            yield f"catfs {' '.join(words)} says {result.status}: {result.stderr[-300:]}"

    def _files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.domain)): path.read_bytes()
            for path in sorted(self.domain.rglob("*"))
            if path.is_file()
        }

    def _check(self, when: str) -> Iterator[str]:
        found = self._files()
        if found != self.model:
            wrong = [name for name in {*found, *self.model} if found.get(name) != self.model.get(name)]
            yield f"{when}: {sorted(wrong)} is not what was written"

    def _step(self) -> None:
        names = sorted(self.model)
        name = self.random.choice(names) if names else "out/new0"
        fresh = self.random.choice(["out/new0", "out/new1", "new0", "new1"])
        match self.random.randrange(6):
            case 0:
                self._write(fresh, 0, truncate=True)
            case 1 | 2:
                self._write(name, self.random.randint(0, len(self.model.get(name, b""))), truncate=False)
            case 3 if names:
                self.log.append(f"rename {name} to {fresh}")
                os.rename(self.domain / name, self.domain / fresh)
                self.model[fresh] = self.model.pop(name)
            case 4 if len(names) > 1:
                self.log.append(f"unlink {name}")
                (self.domain / name).unlink()
                del self.model[name]
            case _ if names:
                size = self.random.randint(0, 3000)
                self.log.append(f"truncate {name} to {size}")
                os.truncate(self.domain / name, size)
                self.model[name] = self.model[name][:size].ljust(size, b"\0")

    def _write(self, name: str, offset: int, *, truncate: bool) -> None:
        data = self.random.randbytes(self.random.randint(1, 9000))
        self.log.append(f"write {len(data)} bytes to {name} at {offset}")
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if truncate else 0)
        descriptor = os.open(self.domain / name, flags, 0o644)
        try:
            os.pwrite(descriptor, data, offset)
            if self.random.random() < 0.3:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        before = b"" if truncate else self.model.get(name, b"")
        self.model[name] = before[:offset] + data + before[offset + len(data) :]

    def _kill_server(self) -> None:
        for path in (self.folder / ".catfs" / "sessions").glob("*/session.json"):
            kill_hard(orjson.loads(path.read_bytes())["pid"])

    def _kill(self) -> Iterator[str]:
        """Kill the server while a program writes; what was acknowledged is there when it goes on."""
        written = bytearray(self.model.get("out/busy", b""))
        script = "i=0; while echo line$i >> out/busy && echo; do i=$((i+1)); done"
        words = ["sh", "-c", script]
        with subprocess.Popen(
            words, cwd=self.domain, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as busy:
            assert busy.stdout is not None
            for _ in range(self.random.randint(0, 20)):
                busy.stdout.readline()
            self._kill_server()
            busy.kill()
        yield from self._command("mount", "domain", *self._options())
        place = self.domain / "out" / "busy"
        found = place.read_bytes() if place.exists() else b""
        lines = b"".join(b"line%d\n" % number for number in range(found.count(b"\nline") + 50))
        rest = found.removeprefix(bytes(written))
        if not found.startswith(bytes(written)) or not lines.startswith(rest):
            yield "the file that was being written holds something else"
        if place.exists():
            self.model["out/busy"] = found
        yield from self._check("after a kill")
        self._kill_server()

    def _umount(self) -> Iterator[str]:
        """End the server in good order; the session goes on later."""
        subprocess.run(["umount", self.domain], check=True, timeout=TIMEOUT_SECONDS)
        yield from self._command("mount", "domain", *self._options())
        yield from self._check("after umount")
        self._kill_server()

    def _commit(self) -> Iterator[str]:
        """Commit, half of the time when the server is gone."""
        if self.random.random() < 0.5:
            self._kill_server()
            subprocess.run(["umount", "-l", self.domain], check=True, timeout=TIMEOUT_SECONDS)
        yield from self._command("umount", "domain", "--commit", "--leftovers", "discard")
        outputs = {name: content for name, content in self.model.items() if name.startswith("out/")}
        kept = {name: content for name, content in self.lower.items() if not name.startswith("out/")}
        self.lower = kept | outputs
        self.model = dict(self.lower)
        yield from self._settled("after a commit")

    def _discard(self) -> Iterator[str]:
        """Drop everything."""
        yield from self._command("umount", "domain", "--discard")
        self.model = dict(self.lower)
        yield from self._settled("after a discard")

    def _settled(self, when: str) -> Iterator[str]:
        if mounts_below(self.domain):
            yield f"{when}: the mount is still there"
        yield from self._check(when)


def each(items: Sequence[int], work: Callable[[int], list[str]], tell: Callable[[str], None]) -> list[str]:
    """Do a work for each number, tell of each violation as it is found, and give all of them."""
    found: list[str] = []
    for item in items:
        for violation in work(item):
            tell(violation)
            found.append(violation)
    return found
