"""Being asked to end: what signals do to a run outside the time of its command.

While the command runs its server passes signals on (`serving`). Before and after, a signal ends the run in
good order, so that its session folder is removed; but from the commit on the run goes to its end, for half
a commit is worth less than either.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a run to end."""


def heeded_signals() -> tuple[signal.Signals, ...]:
    """Give those of STOP_SIGNALS that are not ignored: `nohup` and a shell's `&` mean what they say."""
    return tuple(number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


@contextmanager
def orderly_stop() -> Iterator[None]:
    """Let a signal leave the block by an exception, with exit status 128 and its number.

    Raises:
        SystemExit: when the process is asked to end meanwhile.
    """
    before = {number: signal.signal(number, _leave) for number in heeded_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def to_the_end() -> Iterator[None]:
    """Let no signal interrupt the block; those that come are dropped."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in heeded_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_stopping_to_the_parent() -> None:
    """Ignore what asks to end: for a helper process that its parent ends, whatever becomes of that one."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
