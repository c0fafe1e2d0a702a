"""Executing: serve the view, run the command in it, and wait until both have ended.

Tasks of one thread: the transport, one copier per output stream, the receiver of signals and the one
that waits for the command. Which state each of them owns is in docs/concurrency.md.
"""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio

from catfs.clock import system_clock
from catfs.overlay import View
from catfs.overlay.transports import Transport
from catfs.runtime.launch import Child
from catfs.runtime.stopping import heeded_signals
from catfs.runtime.streams import Stream, check_kept, copy_stream

UNMOUNT_SECONDS = 5.0
"""How long the kernel may take to take the mount down once the command has ended. Longer means that
processes of the command live on; they are cut off then."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Args:
        status: Its exit status; 128 and the signal for one that a signal ended.
        problem: What kept it from being executed at all, or None.
        cut_off: Whether processes of it lived on and lost the mount.
        started: When it began, in nanoseconds since 1970.
        ended: When it ended.
    """

    status: int
    problem: str | None
    cut_off: bool
    started: int
    ended: int


async def execute(
    view: View,
    transport: Transport,
    child: Child,
    streams: Sequence[Stream],
    tick: Callable[[], None] | None = None,
) -> Ended:
    """Serve a view while a launched command runs in it.

    Args:
        view: The view; the caller must not use it until this returns.
        transport: Serves it.
        child: The launched command.
        streams: Its output streams.
        tick: Called about ten times a second, to show progress; None for nobody.

    Raises:
        MachineError: when the child could not mount, or what it printed could not be kept.

    If it is cancelled, the command is killed and the mount is gone.
    """
    started = system_clock()
    connection = child.receive_connection()
    served = trio.Event()
    async with trio.open_nursery() as nursery:
        server = trio.CancelScope()

        async def serve() -> None:
            with server:
                await transport.serve(view, connection)
            served.set()

        nursery.start_soon(serve)
        child.proceed()
        stop = Stop()
        nursery.start_soon(_forward_signals, child.pid, stop)
        if tick is not None:
            nursery.start_soon(call_often, tick)
        lost: list[OSError] = []
        async with trio.open_nursery() as copiers:
            for stream in streams:
                copiers.start_soon(copy_stream, stream, lost)
            status = await wait_for(child.pid)
            with trio.move_on_after(UNMOUNT_SECONDS) as patience:
                await served.wait()
            server.cancel()
            if patience.cancelled_caught:
                copiers.cancel_scope.cancel()
        await served.wait()
        nursery.cancel_scope.cancel()
    problem = child.problem() if status else None
    child.close()
    check_kept(lost)
    # Whoever asks a run to end wants no commit, also when the command takes that for a success.
    return Ended(status or stop.status, problem, patience.cancelled_caught, started, system_clock())


async def wait_for(pid: int) -> int:
    """Wait for a child process and give its exit status; it is killed when this is cancelled."""
    descriptor = os.pidfd_open(pid)
    try:
        await trio.lowlevel.wait_readable(descriptor)
    except trio.Cancelled:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


@dataclass(slots=True)
class Stop:
    """Whether this process was asked to end: 128 and the signal that asked first, else 0."""

    status: int = 0


async def _forward_signals(pid: int, stop: Stop) -> None:
    """End the command when this process is asked to end, the second time without mercy."""
    with trio.open_signal_receiver(*heeded_signals()) as received:
        async for number in received:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL if stop.status else number)
            stop.status = stop.status or 128 + number


async def call_often(tick: Callable[[], None]) -> None:
    """Call a function about ten times a second, until this is cancelled."""
    while True:
        await trio.sleep(0.1)
        tick()
