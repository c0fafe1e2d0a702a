"""Reads of the connection wait themselves while many requests come, and never for long when none do."""

import faulthandler
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from catfs.overlay.transports.devfuse.waiting import Waiting

_MANY = 200


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends of a connection, the server's last, which does not block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def descriptor(ends: tuple[socket.socket, socket.socket]) -> int:
    """Give the server's end."""
    return ends[1].fileno()


@pytest.fixture
def waiting(descriptor: int) -> Waiting:
    """Give what decides about reads of the server's end."""
    return Waiting(descriptor)


@pytest.fixture
def free_timer() -> Iterator[None]:
    """Let the timer be nobody's, though the time limit of the test uses it; another limit stands in."""
    handler, rest = signal.getsignal(signal.SIGALRM), signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.dump_traceback_later(30, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *rest)


def _blocks(waiting: Waiting) -> bool:
    return waiting.blocks


def _note_many(waiting: Waiting) -> None:
    for _ in range(_MANY):
        waiting.note_request()


@pytest.mark.usefixtures("free_timer")
def test_a_read_that_nothing_comes_for_returns(waiting: Waiting, descriptor: int) -> None:
    """After many requests a read blocks; when none comes it returns, and the next ones are polled for."""
    with waiting.using_timer():
        for _ in range(3):
            assert not os.get_blocking(descriptor)
            _note_many(waiting)
            assert _blocks(waiting)
            assert os.get_blocking(descriptor)
            with pytest.raises(BlockingIOError, match="temporarily unavailable"):
                os.read(descriptor, 10)
            assert not _blocks(waiting)
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


@pytest.mark.usefixtures("free_timer")
def test_a_read_waits_for_what_comes_in_time(
    waiting: Waiting, ends: tuple[socket.socket, socket.socket], descriptor: int
) -> None:
    """A request that comes while a read waits is read, and nothing of it is lost to the timer."""
    ours, _ = ends
    received = 0

    def answer() -> None:
        for _ in range(2 * _MANY):
            ours.send(b"request")
            select.select([ours], [], [])
            ours.recv(10)

    client = threading.Thread(target=answer)
    with waiting.using_timer():
        client.start()
        while received < 2 * _MANY:
            if not waiting.blocks:
                select.select([descriptor], [], [])
            try:
                assert os.read(descriptor, 10) == b"request"
            except BlockingIOError:
                continue
            received += 1
            waiting.note_request()
            os.write(descriptor, b"reply")
    client.join()
    assert not os.get_blocking(descriptor)


@pytest.mark.usefixtures("free_timer")
def test_few_requests_are_polled_for(waiting: Waiting) -> None:
    """A read blocks only after requests that followed each other without a pause."""
    with waiting.using_timer():
        for _ in range(_MANY):
            waiting.note_request()
            waiting.pause()
        assert not _blocks(waiting)
    _note_many(waiting)
    assert not _blocks(waiting)


@pytest.mark.usefixtures("free_timer")
def test_a_timer_of_somebody_else_is_left_alone(waiting: Waiting) -> None:
    """Where the signal or the timer is in use, or blocked, or in another thread, everything is polled for."""

    def not_ours(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"signal {number} in {frame}")

    def use() -> None:
        with waiting.using_timer():
            _note_many(waiting)
            assert not _blocks(waiting)
            used.append(True)

    used: list[bool] = []
    signal.signal(signal.SIGALRM, not_ours)
    use()
    assert signal.getsignal(signal.SIGALRM) is not_ours
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 60)
    use()
    assert signal.setitimer(signal.ITIMER_REAL, 0)[0] > 0
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    use()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert used == [True] * 4
