"""A view that a process of its own serves on a real mount, for tests of the transports."""

import json
import os
import select
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from catfs.linux import MNT_DETACH, umount2
from catfs.merkle import MemoryNodes, Tree
from catfs.proof.capture import capture

SECONDS_MAX = 60
"""How long a server may live, in seconds: after that it ends itself, and whoever waits for it gets an
error instead of hanging."""

_PATIENCE_SECONDS = 5.0
"""How long the connection may outlive the mount, in seconds."""

_PROJECT = Path(__file__).parents[2]


class Mounted:
    """A served mount; a context manager that ends the server, also when the test fails.

    Args:
        transport: `devfuse` or `pyfuse3`.
        folder: An empty folder; `lower` in it is filled by the caller before entering.
        seconds: How long the server may live.
    """

    def __init__(self, transport: str, folder: Path, seconds: int = SECONDS_MAX) -> None:
        self.transport = transport
        self._seconds = seconds
        self.lower = folder / "lower"
        self.mount = folder / "mount"
        self.log = folder / "log.jsonl"
        self._errors = folder / "errors"
        self.lower.mkdir()
        self.mount.mkdir()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        arguments = [self.transport, str(self.lower), str(self.mount), str(self.log), str(self._seconds)]
        with self._errors.open("wb") as errors:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.support.serve_view", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=_PROJECT,
            )
        with ExitStack() as stack:
            stack.callback(self.__exit__)
            assert self._read() == {"served": True}
            stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.unmount()
        self._process.kill()
        self._process.communicate()

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._server is not None
        return self._server

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def errors(self) -> str:
        """What the server said on its standard error."""
        return self._errors.read_text()

    def unmount(self) -> None:
        """Take the mount away; nothing happens when it is gone already."""
        if _is_mounted(self.mount):
            umount2(os.fsencode(self.mount), MNT_DETACH)

    def finish(self) -> dict[str, object]:
        """Unmount, wait for the server and give what it found out at the end.

        A process that made itself a mount namespace meanwhile, as other tests on this machine do, holds
        a copy of the mount; the server is told to stop then.
        """
        self.unmount()
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], _PATIENCE_SECONDS)[0]:
            self._say("stop")
        return self.wait()

    def wait(self) -> dict[str, object]:
        """Wait for a server that is about to end and give what it found out."""
        fact = self._read()
        while "log_leads_to_view" not in fact:  # but that it was told to stop, or has begun to check
            fact = self._read()
        assert self._process.wait(SECONDS_MAX) == 0, self.errors
        return fact

    def ask(self, question: str) -> object:
        """Ask the server and give its answer."""
        self._say(question)
        return self._read()["answer"]

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def check_roots(self) -> None:
        """Check that a full walk of the mount, the view and the replay of its log have one root.

        Raises:
            AssertionError: when they have not.
        """
        descriptor = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)
        try:
            nodes = MemoryNodes()
            seen = Tree(nodes, capture(descriptor, nodes).root_entry).root.hex
        finally:
            os.close(descriptor)
        assert self.ask("roots") == {"view": seen, "replay": seen}

    def records(self) -> list[dict[str, object]]:
        """Give the records of the write log so far."""
        self.ask("flush")
        return [json.loads(line) for line in self.log.read_bytes().splitlines()]

    def kill(self) -> None:
        """End the server at once, as nothing but a crash does."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the server ended: {self.errors}"
        fact: dict[str, object] = json.loads(line)
        return fact


def _is_mounted(point: Path) -> bool:
    return any(
        line.split(b" ")[1] == os.fsencode(point)
        for line in Path("/proc/self/mounts").read_bytes().splitlines()
    )
