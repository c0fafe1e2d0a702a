"""The terminal of an interactive command: a pseudo-terminal of its own, joined to the caller's.

The command never holds the caller's terminal, so it can push nothing into its input. What the caller
types goes to the command as it is, control characters included, so that interrupting and job control
are between the command and its own terminal. What the command prints goes through a pipe, like that of
any other command, and is kept.
"""

import fcntl
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import trio

_BLOCK_BYTES = 4096
_INPUT = 0
"""Descriptor of the caller's terminal."""


class Terminal:
    """A pseudo-terminal between the caller and a command.

    Attributes:
        command_end: The command's end.
        output: Read end of a pipe that gives what the command prints, until its last process has closed
            the terminal.
    """

    def __init__(self) -> None:
        self._ours, self.command_end = os.openpty()
        self.output, self._printed = os.pipe()
        self._input = trio.CancelScope()
        for descriptor in (self._ours, self._printed):
            os.set_blocking(descriptor, False)
        self._take_size()

    @contextmanager
    def raw(self) -> Iterator[None]:
        """Let the caller's terminal pass everything on as it is typed; afterwards it is as it was."""
        before = termios.tcgetattr(_INPUT)
        tty.setraw(_INPUT, termios.TCSADRAIN)
        try:
            yield
        finally:
            termios.tcsetattr(_INPUT, termios.TCSADRAIN, before)

    def started(self) -> None:
        """Close the command's end: the command has it by now."""
        os.close(self.command_end)

    def stop_input(self) -> None:
        """Pass on nothing more of what is typed: the command has ended."""
        self._input.cancel()

    async def relay(self) -> None:
        """Pass on what is typed and printed, until nothing of the command has the terminal open."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._relay_input)
                nursery.start_soon(self._relay_size)
                await self._relay_output()
                nursery.cancel_scope.cancel()
        finally:
            os.close(self._printed)
            os.close(self._ours)

    async def _relay_input(self) -> None:
        with self._input:
            while True:
                await trio.lowlevel.wait_readable(_INPUT)
                typed = os.read(_INPUT, _BLOCK_BYTES)
                if not typed:
                    return  # hung up
                await _write(self._ours, typed)

    async def _relay_output(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._ours)
            try:
                printed = os.read(self._ours, _BLOCK_BYTES)
            except BlockingIOError:
                continue
            except OSError:  # EIO: nobody has the other end open any more
                return
            try:
                await _write(self._printed, printed)
            except BrokenPipeError:
                return  # nobody reads what is printed: closing our end hangs the command up

    async def _relay_size(self) -> None:
        with trio.open_signal_receiver(signal.SIGWINCH) as resized:
            async for _ in resized:
                self._take_size()

    def _take_size(self) -> None:
        """Give the command's terminal the size of the caller's; the kernel tells the command."""
        size = fcntl.ioctl(_INPUT, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)


def is_interactive() -> bool:
    """Say whether the caller types into a terminal and reads from one."""
    return sys.stdin.isatty() and sys.stdout.isatty()


async def _write(descriptor: int, data: bytes) -> None:
    """Write everything to a descriptor that does not block, waiting in the loop and not in the call."""
    while data:
        await trio.lowlevel.wait_writable(descriptor)
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            continue
