"""`catfs umount --commit`, struck at its system calls, and what the next command makes of it."""

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from catfs.runtime.mounts import detach, is_mount_point
from catfs.runtime.recovery import recover_workspace
from catfs.runtime.workspace import Workspace
from tests.support.commands import TIMEOUT_SECONDS, Result, kill_hard
from tests.support.forked import call_forked
from tests.support.torture import (
    CHANGING_CALLS,
    FAULTS,
    SCRIPT,
    Point,
    committed_runs,
    make_struck_domain,
    points_of,
    run_struck,
    tree_of_domain,
)

_END = ("umount", "domain", "--commit", "--leftovers", "discard")


class EndSweep:
    """A mounted session with changes of every kind, whose commit is struck.

    Args:
        folder: An empty folder.
        is_live: Whether its server lives and is the one that is struck; otherwise the command that
            commits the session of a server that is gone.
    """

    def __init__(self, folder: Path, *, is_live: bool) -> None:
        self._folder, self._is_live = folder, is_live
        self._count = 0
        self.old = tree_of_domain(make_struck_domain(self._fresh_folder() / "domain"))
        work = self._mounted()
        assert call_forked(_END, work).status == 0
        self.new = tree_of_domain(work / "domain")
        assert self.old != self.new

    def points(self) -> list[Point]:
        """Give every place where whoever commits changes the disk."""
        trace = self._folder / "trace"
        status = self._struck(self._mounted(), ["-o", str(trace), "-e", f"trace={','.join(CHANGING_CALLS)}"])
        assert status == 0
        return points_of(trace)

    def strike(self, point: Point, fault: str) -> list[str]:
        """Let a fault strike the commit, go on as a user would, and give the violations."""
        work = self._mounted()
        inject = f"inject={point.call}:{FAULTS[fault]}:when={point.number}"
        status = self._struck(work, ["-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject])
        who = "server" if self._is_live else "command"
        found = [
            f"{fault} at {point.call} {point.number} of the {who} (status {status}): {violation}"
            for violation in self._settle(work, status)
        ]
        shutil.rmtree(work)
        return found

    def _settle(self, work: Path, status: int) -> Iterator[str]:
        """Recover, commit again what was not, and check what there is."""
        yield from self._check_recovered(work, status)
        again = call_forked(_END, work)
        if again.status == 125 and self._is_live:
            # A server goes on refusing after a failed fsync: whoever ends it can commit what was synced.
            for server in _servers(work):
                kill_hard(server)
            again = call_forked(_END, work)
        if again.status != 0 and not _is_over(again):
            yield f"the next command says {again.status}: {again.stderr[-300:]}"
        if tree_of_domain(work / "domain") != self.new:
            yield "what had been synced is not committed in the end"
        if (count := committed_runs(work)) != 1:
            yield f"{count} runs say that they have committed"
        yield from _check_records(work)

    def _check_recovered(self, work: Path, status: int) -> Iterator[str]:
        """Check the domain as the next command finds it."""
        workspace = Workspace.find(work)
        assert workspace is not None
        recover_workspace(workspace)
        domain = work / "domain"
        if not any(_is_running(server) for server in _servers(work)):
            detach(os.fsencode(domain))
        if not is_mount_point(domain):
            tree = tree_of_domain(domain)
            if tree not in (self.old, self.new):
                yield "the domain is neither old nor new"
            if status == 0 and tree != self.new:
                yield "the command said that it had committed"

    def _fresh_folder(self) -> Path:
        self._count += 1
        work = self._folder / f"{'live' if self._is_live else 'suspended'} {self._count}"
        (work / ".catfs").mkdir(parents=True)
        return work

    def _mounted(self) -> Path:
        """Give the workspace of a new session in which everything was done, and synced."""
        work = self._fresh_folder()
        domain = make_struck_domain(work / "domain")
        mounted = call_forked(["mount", "domain", "--output", "domain/out", "--output", "domain/new"], work)
        assert mounted.status == 0, mounted.stderr
        subprocess.run(["sh", "-c", SCRIPT], cwd=domain, timeout=TIMEOUT_SECONDS, check=True)
        if self._is_live:
            subprocess.run(["sync", domain / "new" / "n"], timeout=TIMEOUT_SECONDS, check=True)
        else:
            [server] = _servers(work)
            subprocess.run(["umount", domain], timeout=TIMEOUT_SECONDS, check=True)
            _wait_for(server)
        return work

    def _struck(self, work: Path, options: list[str]) -> int:
        """Commit under strace and give the status of the command."""
        if self._is_live:
            [server] = _servers(work)
            with _traced(server, options):
                return call_forked(_END, work).status
        return run_struck(options, _END, work)


def _check_records(work: Path) -> Iterator[str]:
    """Check that what is recorded holds, and that nothing is left over that cannot be cleared away."""
    # A run that a fault kept out of the chain of runs is put in with the next one.
    call_forked(["run", "--domain", "domain", "--confine", "off", "--", "true"], work)
    verified = call_forked(["verify", "--all", "--offline"], work)
    if verified.status != 0:
        yield f"verify says {verified.status}: {verified.stdout.decode()[-300:]}"
    for folder in (work / ".catfs" / "sessions").iterdir():
        os.utime(folder, (0, 0))  # a young one may be just coming up, and is left alone
    if (mended := call_forked(["doctor", "--fix"], work)).status != 0:
        yield f"doctor says {mended.status}: {mended.stderr[-300:]}"
    left = [path for part in ("journal", "stage", "sessions") for path in (work / ".catfs" / part).iterdir()]
    if left:
        yield f"{left} is left over"


def _is_over(result: Result) -> bool:
    """Say whether a command found that the session has ended."""
    return result.status == 2 and "is not mounted" in result.stderr


def _servers(work: Path) -> list[int]:
    """Give the server of each session that there is."""
    return [
        orjson.loads(path.read_bytes())["pid"]
        for path in (work / ".catfs" / "sessions").glob("*/session.json")
    ]


def _is_running(pid: int) -> bool:
    """Say whether a process is there and not just waited for."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not select.select([descriptor], [], [], 0)[0]
    finally:
        os.close(descriptor)


def _wait_for(pid: int) -> None:
    """Wait until a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], TIMEOUT_SECONDS)[0], f"process {pid} does not end"
    finally:
        os.close(descriptor)


@contextmanager
def _traced(pid: int, options: list[str]) -> Iterator[None]:
    """Trace a process that runs already; afterwards it is let go."""
    command = ["strace", "-f", *options, "-p", str(pid)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        assert b"attached" in tracer.stderr.readline()
        try:
            yield
        finally:
            tracer.terminate()
            tracer.communicate(timeout=TIMEOUT_SECONDS)
