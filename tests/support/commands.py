"""The real `catfs` command for tests: started on a domain, waited for, and looked at from outside."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from catfs.ledger import RunReader, find_run
from tests.support.walk import Found, walk

CATFS = Path(sys.executable).with_name("catfs")
"""The console script of the environment that the tests run in."""

TIMEOUT_SECONDS = 60.0
"""How long a command may take before the test fails: every process of a test has an end."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended.

    Args:
        status: Its exit status; negative for a signal that ended it.
        stdout: What it printed.
        stderr: What it said.
    """

    status: int
    stdout: bytes
    stderr: str

    def json(self) -> object:
        """Give what it printed as JSON."""
        return json.loads(self.stdout)


Call = Callable[[Sequence[str], Path], Result]
"""Runs `catfs` with arguments in a folder."""


def run_catfs(
    arguments: Sequence[str | bytes | Path],
    cwd: Path,
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Result:
    """Run `catfs` to its end and never let it show a traceback.

    Args:
        arguments: Its arguments.
        cwd: Its working directory.
        stdin: What it may read.
        environment: Variables besides those of the test.
        timeout: Seconds until the test fails.
    """
    ended = subprocess.run(
        [CATFS, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    result = Result(ended.returncode, ended.stdout, ended.stderr.decode(errors="backslashreplace"))
    assert "Traceback" not in result.stderr, result.stderr
    return result


_AS_NOBODY = """
import ctypes, encodings.ascii, importlib, os, sys
from catfs.cli.main import main
importlib.import_module(f"catfs.cli.{sys.argv[1]}")
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: as after an execve, /proc/self is its own
sys.exit(main(sys.argv[1:]))
"""


def open_to_everybody(folder: Path) -> None:
    """Let every user into a folder that a test made, and through those above it."""
    for place in (folder, *folder.parents):
        if place.is_relative_to(tempfile.gettempdir()) and place != Path(tempfile.gettempdir()):
            place.chmod(place.stat().st_mode | 0o055)


def run_as_nobody(arguments: Sequence[str], cwd: Path) -> Result:
    """Run `catfs` as a user without any right, who need not be able to read the checkout.

    Args:
        arguments: Its arguments, the command first.
        cwd: Its working directory; the folders above it are opened to everybody.
    """
    open_to_everybody(cwd)
    ended = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, *arguments],
        cwd=cwd,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    text = ended.stderr.decode()
    assert "Traceback" not in text, text
    return Result(ended.returncode, ended.stdout, text)


_WITHOUT_NAMESPACES = """
import _strptime, ctypes, encodings.ascii, importlib, os, sys, time
from pathlib import Path
from catfs.linux import CLONE_NEWNS, CLONE_NEWUSER, MS_BIND, MS_PRIVATE, MS_REC, mount, unshare
from catfs.cli.main import main
importlib.import_module(f"catfs.cli.{sys.argv[2]}")
importlib.import_module("catfs.overlay.transports.pyfuse3")
unshare(CLONE_NEWNS)
mount(b"none", b"/", None, MS_REC | MS_PRIVATE)
device = os.fsencode(sys.argv[1])
os.mknod(device, 0o020666, os.makedev(10, 229))
os.chmod(device, 0o666)
mount(device, b"/dev/fuse", None, MS_BIND)
entered, mapped = os.pipe(), os.pipe()
pid = os.fork()
if pid:
    os.read(entered[0], 1)
    for kind in ("uid", "gid"):
        Path(f"/proc/{pid}/{kind}_map").write_text("0 0 65536")
    os.write(mapped[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
unshare(CLONE_NEWUSER | CLONE_NEWNS)
os.write(entered[1], b"x")
os.read(mapped[0], 1)
Path("/proc/sys/user/max_user_namespaces").write_text("0")
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as above
place = os.fsencode(os.getcwd()) + b" fuse.catfs "
pid = os.fork()
if pid == 0:
    sys.exit(main(sys.argv[2:]))
status, deadline = os.waitpid(pid, 0)[1], time.monotonic() + 10
while place in Path("/proc/self/mounts").read_bytes():
    if time.monotonic() > deadline:
        sys.exit("the mount is left behind")
    os.sched_yield()
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""
"""A machine as many are: everybody may open /dev/fuse, and nobody may make user namespaces. It checks that
no mount is left in the end."""


def run_without_namespaces(
    arguments: Sequence[str], cwd: Path, device: Path, environment: Mapping[str, str] | None = None
) -> Result:
    """Run `catfs` as a user without any right where no user namespaces can be had.

    Args:
        arguments: Its arguments, the command first.
        cwd: Its working directory; the folders above it are opened to everybody.
        device: A path at which nothing is; a device node is made there.
        environment: Variables besides those of the test.
    """
    open_to_everybody(cwd)
    ended = subprocess.run(
        [sys.executable, "-c", _WITHOUT_NAMESPACES, str(device), *arguments],
        cwd=cwd,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    text = ended.stderr.decode()
    assert "Traceback" not in text, text
    return Result(ended.returncode, ended.stdout, text)


class Project:
    """A domain that is its own workspace, as `catfs run` takes it by default.

    Args:
        path: An existing directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        """Make a file with the directories above it."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def catfs(self, *arguments: str | bytes | Path, stdin: bytes = b"") -> Result:
        """Run any command of catfs in the domain."""
        return run_catfs(arguments, self.path, stdin=stdin)

    def run(
        self,
        script: str | bytes,
        *options: str | bytes | Path,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a shell script in a view of the domain."""
        words = ("run", *options, "--", "sh", "-c", script)
        return run_catfs(words, self.path, stdin=stdin, environment=environment)

    def start(
        self, script: str, *options: str | Path, environment: Mapping[str, str] | None = None
    ) -> "Started":
        """Start a shell script in a view of the domain and go on."""
        process = subprocess.Popen(
            [CATFS, "run", *options, "--", "sh", "-c", script],
            cwd=self.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        return Started(process)

    def seen(self) -> dict[bytes, Found]:
        """Give everything in the domain, read without catfs; the workspace's folder is left out."""
        return walk(self.path, leave_out=b".catfs")

    def last_run(self) -> RunReader:
        """Give the ledger of the last run."""
        return find_run(self.path / ".catfs" / "runs")

    def leftovers(self, domain: int = 0) -> list[bytes]:
        """Give the undeclared paths that RESTORE_DIFF.json of the last run lists."""
        return [change.path for change in self.last_run().restore_diff().domains[domain].leftovers]

    def sessions(self) -> list[Path]:
        """Give the folders of sessions that are left."""
        folder = self.path / ".catfs" / "sessions"
        return sorted(folder.iterdir()) if folder.is_dir() else []


class Started:
    """A `catfs run` that goes on; a context manager that ends it whatever happens.

    Args:
        process: The process.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=TIMEOUT_SECONDS)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def read_line(self) -> bytes:
        """Wait for one line of its output and give it without the line end."""
        assert self.process.stdout is not None
        line = bytearray()
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT_SECONDS)
            assert ready, f"no line within {TIMEOUT_SECONDS} seconds, only {bytes(line)!r}"
            block = os.read(self.process.stdout.fileno(), 1)
            if not block:
                assert self.process.stderr is not None
                said = self.process.stderr.read()
                raise AssertionError(f"the output ended after {bytes(line)!r}; it said {said!r}")
            line += block
        return bytes(line[:-1])

    def say(self, line: str = "") -> None:
        """Write one line to its input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> Result:
        """Wait for its end."""
        stdout, stderr = self.process.communicate(timeout=TIMEOUT_SECONDS)
        text = (stderr or b"").decode(errors="backslashreplace")
        assert "Traceback" not in text, text
        return Result(self.process.returncode, stdout or b"", text)


def kill_hard(pid: int) -> None:
    """Kill a process and wait until it is gone; it need not be a child.

    Args:
        pid: Its id.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        ready, _, _ = select.select([descriptor], [], [], TIMEOUT_SECONDS)
        assert ready, f"process {pid} survives SIGKILL"
    finally:
        os.close(descriptor)


def processes_with(word: str) -> list[int]:
    """Give the processes that have a word in their environment, which children inherit.

    Args:
        word: `NAME=VALUE`.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended meanwhile
            if word.encode() in variables:
                found.append(int(entry.name))
    return found


def mounts_below(folder: Path) -> list[str]:
    """Give the mount points at or below a folder."""
    found = []
    for line in Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines():
        point = line.split(" ")[1]
        if point == str(folder) or point.startswith(f"{folder}/"):
            found.append(point)
    return found
