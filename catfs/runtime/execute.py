"""Executing: serve the view, run the command in it, and wait until both have ended."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from catfs.clock import system_clock
from catfs.overlay import View
from catfs.overlay.transports import Transport
from catfs.runtime.launch import Child
from catfs.runtime.serving import serving, wait_for
from catfs.runtime.streams import Stream, check_kept, copy_stream
from catfs.runtime.terminal import Terminal
from catfs.values import dataclass


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
    tick: Callable[[], None],
    terminal: Terminal | None = None,
) -> Ended:
    """Serve a view while a launched command runs in it.

    Args:
        view: The view; the caller must not use it until this returns.
        transport: Serves it.
        child: The launched command.
        streams: Its output streams.
        tick: Called when the command begins, then about ten times a second; what it raises ends the command.
        terminal: The terminal of the command; None when it has none of its own.

    Raises:
        MachineError: when the child could not mount, or what it printed could not be kept.

    If it is cancelled, the command is killed and the mount is gone.
    """
    started = system_clock()

    def forward(number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)

    lost: list[OSError] = []
    async with serving(view, transport, child, forward, tick) as served, trio.open_nursery() as copiers:
        for stream in streams:
            copiers.start_soon(copy_stream, stream, lost)
        if terminal is not None:
            copiers.start_soon(terminal.relay)
        status = await wait_for(child.pid)
        if terminal is not None:
            terminal.stop_input()
        await served.wait_for_unmount()
        if served.cut_off:
            copiers.cancel_scope.cancel()
    problem = child.problem() if status else None
    child.close()
    check_kept(lost)
    # Whoever asks a run to end wants no commit, also when the command takes that for a success.
    return Ended(status or served.stopped, problem, served.cut_off, started, system_clock())
