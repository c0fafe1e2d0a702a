"""Serving a view while something runs in it, and taking it away afterwards.

What a command and a pipeline have in common: the transport, the receiver of signals and the progress are
tasks around the work. Which state each of them owns is in docs/concurrency.md.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import field

import trio

from catfs.overlay import View
from catfs.overlay.transports import Transport
from catfs.runtime.launch import Child
from catfs.runtime.stopping import heeded_signals
from catfs.values import dataclass

_UNMOUNT_SECONDS = 5.0
"""How long the kernel may take to take the mount down once the command has ended. Longer means that
processes of the command live on; they are cut off then."""


@dataclass(slots=True)
class Serving:
    """A view that is being served.

    Args:
        unmount: Lets the mount go that does not go with the processes in it.
        transport: Ends when this is cancelled.
        gone: Set once the mount is gone.
        stopped: 128 and the signal by which this process was asked to end first; else 0.
        cut_off: Whether processes inside lived on and lost the mount; known after `wait_for_unmount`.
    """

    unmount: Callable[[], None]
    transport: trio.CancelScope = field(default_factory=trio.CancelScope)
    gone: trio.Event = field(default_factory=trio.Event)
    stopped: int = 0
    cut_off: bool = False

    async def wait_for_unmount(self) -> None:
        """Wait until nobody uses the mount any more, or cut off after some seconds who still does."""
        self.unmount()
        with trio.move_on_after(_UNMOUNT_SECONDS) as patience:
            await self.gone.wait()
        self.cut_off = patience.cancelled_caught
        self.transport.cancel()


@asynccontextmanager
async def serving(
    view: View,
    transport: Transport,
    child: Child,
    forward: Callable[[int], None],
    tick: Callable[[], None],
) -> AsyncIterator[Serving]:
    """Serve a view for a launched child, which goes on when it is served; the mount is gone afterwards.

    Args:
        view: The view; the caller must not use it inside the block but between requests.
        transport: Serves it.
        child: Has mounted, or is about to.
        forward: Given the signals by which this process is asked to end; from the second on, SIGKILL.
        tick: Called when the command begins, then about ten times a second; what it raises ends the command.

    Raises:
        MachineError: when the child could not mount.
    """
    connection = child.receive_connection()
    served = Serving(child.unmount)

    async def serve() -> None:
        with served.transport:
            await transport.serve(view, connection)
        served.gone.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        child.proceed()
        nursery.start_soon(_forward_signals, forward, served)
        nursery.start_soon(_call_often, tick)
        try:
            yield served
        finally:
            child.unmount()
        await served.gone.wait()
        nursery.cancel_scope.cancel()


async def _forward_signals(forward: Callable[[int], None], served: Serving) -> None:
    with trio.open_signal_receiver(*heeded_signals()) as received:
        async for number in received:
            forward(signal.SIGKILL if served.stopped else number)
            served.stopped = served.stopped or 128 + number


async def wait_for(pid: int) -> int:
    """Wait for a child process and give its exit status; it is killed when this is cancelled.

    Returns:
        Its exit status; 128 and the signal for one that a signal ended.
    """
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


async def _call_often(tick: Callable[[], None]) -> None:
    while True:
        tick()
        await trio.sleep(0.1)
