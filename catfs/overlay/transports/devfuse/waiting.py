"""Waiting for the next request in read(2) itself, without asking poll(2) first whether there is one.

One system call less for each request is a tenth of the time of a short one. But a read that blocks would keep
everything else of the session from its turn for as long as no request comes, so a timer looks after it: when
no request came between two of its signals, it makes the descriptor not blocking any more, and the read that
the signal interrupted finds that and returns.

The first requests after a pause are polled for: a timer is worth its own system calls only for many.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STREAK = 64
"""Requests that must follow each other without a pause before the reads may block."""
_PERIOD_SECONDS = 0.002
"""Time between two signals of the timer; a read that nothing comes for blocks at most twice as long."""


class Waiting:
    """Decides whether a read of the connection may block.

    Args:
        descriptor: The connection, not blocking.
    """

    def __init__(self, descriptor: int) -> None:
        self.blocks = False
        """Whether a read waits for the next request, so that it need not be polled for."""
        self._descriptor = descriptor
        self._streak = 0
        self._usable = False
        self._quiet = True

    @contextmanager
    def using_timer(self) -> Iterator[None]:
        """Use the process's timer and its signal inside the block, if nobody else does.

        Only the main thread of a process is interrupted by a signal; in any other one all is polled for.
        """
        self._usable = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
            and signal.SIGALRM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        )
        if not self._usable:
            yield
            return
        signal.signal(signal.SIGALRM, self._look)
        try:
            yield
        finally:
            self.pause()
            self._usable = False
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def note_request(self) -> None:
        """Note that a request came."""
        self._quiet = False
        if not self.blocks and self._usable:
            self._streak += 1
            if self._streak >= _STREAK:
                self.blocks = True
                os.set_blocking(self._descriptor, True)
                signal.setitimer(signal.ITIMER_REAL, _PERIOD_SECONDS, _PERIOD_SECONDS)

    def pause(self) -> None:
        """Note that no request comes at the moment: the next ones are polled for."""
        self._streak = 0
        if self.blocks:
            self.blocks = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.set_blocking(self._descriptor, False)

    def _look(self, number: int, frame: FrameType | None) -> None:
        """Let a read that nothing came for return; called by the signal of the timer."""
        del number, frame
        if self._quiet:
            self.pause()
        self._quiet = True
