"""Trying a command in a moment of the past, in a view of its own; what the command does there is dropped."""

import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import trio

from catfs.errors import MachineError, UsageError
from catfs.overlay import DataFile, ForkedData
from catfs.overlay.transports import Transport
from catfs.runtime.confinement import Confinement
from catfs.runtime.execute import Ended, execute
from catfs.runtime.launch import Mounts, launch_command
from catfs.runtime.past import Past
from catfs.runtime.streams import Stream
from catfs.values import dataclass

_STREAMS = ("stdout", "stderr")

_NOT_EXECUTED = frozenset({126, 127})

_INTERRUPTED = frozenset({128 + 2, 128 + 15})
"""Exit statuses of a command that somebody asked to end, in whatever moment it ran."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A command that can be tried in any moment.

    Args:
        past: The past.
        arguments: The command.
        cwd: Its working directory.
        wall: What it may reach.
        transport: Serves the views.
        show: Whether what it prints is shown on standard error.
    """

    past: Past
    arguments: tuple[str, ...]
    cwd: Path
    wall: Confinement
    transport: Transport
    show: bool

    def passes(self, end: int) -> bool:
        """Say whether the command ends with status 0 in a moment.

        Args:
            end: Number of records that there are at that moment.

        Raises:
            UsageError: when it cannot be executed, or somebody interrupts it.
            MachineError: when the moment cannot be mounted.
            ReplayError, ConflictError, OSError: as `Past.view_at`.
        """
        with tempfile.TemporaryDirectory(prefix="catfs-probe-") as folder, tempfile.TemporaryFile() as added:

            def fork(descriptor: int, size: int) -> DataFile:
                return ForkedData(descriptor, size, added.fileno())

            ended = self._execute(end, Path(folder), fork)
        if ended.status in _NOT_EXECUTED:
            raise UsageError(f"the test cannot be executed: {ended.problem or self.arguments[0]}")
        if ended.status in _INTERRUPTED:
            raise UsageError("the test was interrupted, so nothing is known of that moment")
        return ended.status == 0

    def _execute(self, end: int, folder: Path, fork: Callable[[int, int], DataFile]) -> Ended:
        """Mount the moment, run the command in it, and take it away.

        Args:
            end: The moment.
            folder: An empty folder.
            fork: Makes the data file of the view.
        """
        view = self.past.view_at(end, fork)
        staging = folder / "mount"
        staging.mkdir()
        domains = tuple(Path(os.fsdecode(path)) for path in self.past.paths)
        labels = tuple(domain.label for domain in view.domains)
        report = os.open(folder / "wall.json", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        pipes = [os.pipe() for _ in _STREAMS]
        try:
            child = launch_command(
                Mounts(domains, labels, staging),
                self.wall.command(self.arguments, self.cwd, report),
                self.wall.environment(os.environ),
                self.cwd,
                pipes[0][1],
                pipes[1][1],
                report if self.wall.on else None,
            )
        finally:
            for _, writing in pipes:
                os.close(writing)
            os.close(report)
        streams = [
            Stream(reading, None, folder / name) for (reading, _), name in zip(pipes, _STREAMS, strict=True)
        ]
        with closing(child):
            ended = trio.run(execute, view, self.transport, child, streams, _nobody_waits)
        if self.wall.has_failed(ended.status, (folder / "wall.json").read_bytes()):
            raise MachineError(
                "the wall around the test could not be built", hint="--confine off runs without"
            )
        if ended.problem is not None and ended.status not in _NOT_EXECUTED:
            raise MachineError(f"the test could not be started: {ended.problem}")
        if self.show:
            for name in _STREAMS:
                os.write(2, (folder / name).read_bytes())
        return ended


def _nobody_waits() -> None:
    """Show no progress."""
