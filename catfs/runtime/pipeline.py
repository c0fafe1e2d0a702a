"""Executing a pipeline: serve one view while its steps run in it, one after the other.

The server decides: it starts each step in the process that waits inside the mount (`step_runner`), keeps
what the step prints, ends it when its time is over, and takes the root of the view when it has ended.
"""

import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import trio

from catfs.clock import system_clock
from catfs.digest import Digest
from catfs.errors import MachineError
from catfs.limits import STEP_GRACE_SECONDS
from catfs.overlay import View
from catfs.overlay.transports import Transport
from catfs.runtime.launch import Child
from catfs.runtime.serving import Serving, serving, wait_for
from catfs.runtime.streams import Stream, check_kept, copy_stream
from catfs.values import dataclass

TIMED_OUT = 124
"""Exit status of a step that was ended because its time was over, as of timeout(1)."""

_OUTPUT_SECONDS = 1.0
"""How long what a step left running may go on to print, in seconds; then the next step begins."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a pipeline.

    Args:
        number: Its place, counted from 0.
        timeout_seconds: Longest time for it; None for no limit.
        keeps: The two files in which its standard output and error are kept.
    """

    number: int
    timeout_seconds: float | None
    keeps: tuple[Path, Path]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What to do.

    Args:
        steps: The steps.
        keep_going: Whether steps go on after one that failed.
        timeout_seconds: Longest time for all of them; None for no limit.
        terminals: Descriptors to which standard output and error are passed on.
        roots: Gives the root of each domain's view, between two steps.
        check: Told the step that has ended, with its status; raises when it never ran.
    """

    steps: Sequence[PlannedStep]
    keep_going: bool
    timeout_seconds: float | None
    terminals: tuple[int, int]
    roots: Callable[[], tuple[Digest, ...]]
    check: Callable[[int, str | None], None]


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended.

    Args:
        status: Its exit status; 128 and the signal for one that a signal ended.
        timed_out: Whether its time was over.
        started: When it began, in nanoseconds since 1970.
        ended: When it ended.
        view_roots: Root of each domain's view afterwards.
    """

    status: int
    timed_out: bool
    started: int
    ended: int
    view_roots: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class PipelineEnd:
    """How a pipeline ended.

    Args:
        steps: The steps that ran, in order.
        cut_off: Whether processes of them lived on and lost the mount.
    """

    steps: tuple[StepEnd, ...]
    cut_off: bool


async def execute_pipeline(
    view: View,
    transport: Transport,
    child: Child,
    pipeline: Pipeline,
    tick: Callable[[], None],
) -> PipelineEnd:
    """Serve a view while the steps of a pipeline run in it.

    Args:
        view: The view; the caller must not use it until this returns.
        transport: Serves it.
        child: The launched process that starts steps.
        pipeline: The steps.
        tick: Called when the command begins, then about ten times a second; what it raises ends the command.

    Raises:
        MachineError: when the child could not mount or is gone, or what a step printed could not be kept.

    If it is cancelled, the step is killed and the mount is gone.
    """

    def forward(number: int) -> None:
        _send_signal(child.channel, number)

    async with serving(view, transport, child, forward, tick) as served:
        try:
            ends = await _Work(child.channel, pipeline, served).run_all()
        except BaseException:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            raise
        child.channel.shutdown(socket.SHUT_RDWR)
        await wait_for(child.pid)
        await served.wait_for_unmount()
    child.close()
    return PipelineEnd(tuple(ends), served.cut_off)


def _send_signal(channel: socket.socket, number: int) -> None:
    with suppress(OSError):  # the other end is gone, which ends the step as well
        channel.sendall(json.dumps({"signal": int(number)}).encode())


class _Work:
    """The steps, one after the other.

    Args:
        channel: The socket to the process that starts them.
        pipeline: What to do.
        served: Knows whether this process was asked to end.
    """

    def __init__(self, channel: socket.socket, pipeline: Pipeline, served: Serving) -> None:
        self._channel = channel
        self._pipeline = pipeline
        self._served = served

    async def run_all(self) -> list[StepEnd]:
        """Run the steps until one fails, or all of them, and give how each ended."""
        ends: list[StepEnd] = []
        limit = self._pipeline.timeout_seconds
        deadline = trio.current_time() + limit if limit is not None else float("inf")
        for step in self._pipeline.steps:
            ends.append(await self._run(step, deadline))
            if self._served.stopped or (ends[-1].status and not self._pipeline.keep_going):
                break
        return ends

    async def _run(self, step: PlannedStep, deadline: float) -> StepEnd:
        started = system_clock()
        own = float("inf") if step.timeout_seconds is None else trio.current_time() + step.timeout_seconds
        lost: list[OSError] = []
        async with trio.open_nursery() as copiers:
            for stream in self._start(step):
                copiers.start_soon(copy_stream, stream, lost)
            status, problem, timed_out = await self._wait(min(own, deadline))
            ended = system_clock()
            copiers.cancel_scope.deadline = trio.current_time() + _OUTPUT_SECONDS
        check_kept(lost)
        self._pipeline.check(status, problem)
        # Whoever asks a run to end wants no commit, also when the step takes that for a success.
        final = TIMED_OUT if timed_out else status or self._served.stopped
        return StepEnd(final, timed_out, started, ended, self._pipeline.roots())

    def _start(self, step: PlannedStep) -> list[Stream]:
        """Ask for a step, and give its output streams."""
        pipes = [os.pipe() for _ in step.keeps]
        try:
            message = json.dumps({"run": step.number}).encode()
            socket.send_fds(self._channel, [message], [writing for _, writing in pipes])
        finally:
            for _, writing in pipes:
                os.close(writing)
        places = zip(pipes, self._pipeline.terminals, step.keeps, strict=True)
        return [Stream(reading, terminal, keep) for (reading, _), terminal, keep in places]

    async def _wait(self, deadline: float) -> tuple[int, str | None, bool]:
        """Wait for a step and end it when its time is over; give status, problem and whether it was."""
        with trio.move_on_at(deadline):
            return *await self._answer(), False
        _send_signal(self._channel, signal.SIGTERM)
        with trio.move_on_after(STEP_GRACE_SECONDS):
            return *await self._answer(), True
        _send_signal(self._channel, signal.SIGKILL)
        return *await self._answer(), True

    async def _answer(self) -> tuple[int, str | None]:
        """Wait for the end of a step; give its status, and what kept it from being executed."""
        problem = None
        while True:
            await trio.lowlevel.wait_readable(self._channel)
            data = self._channel.recv(4096)
            if not data:
                raise MachineError("the process that starts the steps has ended")
            message = json.loads(data)
            if "status" in message:
                return int(message["status"]), problem
            problem = str(message["problem"])
