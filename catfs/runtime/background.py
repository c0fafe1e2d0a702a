"""Servers in the background: forked, told of by one answer to their parent, on their own from then on."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol

import orjson

from catfs.errors import CatfsError, ExitStatus, printable
from catfs.linux import set_parent_death_signal
from catfs.runtime.mounts import detach


class Server(Protocol):
    """What a forked process becomes."""

    def run(self, answer: io.FileIO) -> None:
        """Mount, report that, and serve until the end.

        Args:
            answer: Takes one JSON object, and is closed then.

        Raises:
            CatfsError, OSError: before the report: why it cannot be mounted.
        """
        ...


class NotMountedError(CatfsError):
    """The server of a mount ended before it had mounted.

    Args:
        message: What it said.
        status: The exit status that goes with it.
    """

    def __init__(self, message: str, status: ExitStatus) -> None:
        super().__init__(message)
        self.exit_status = status


def start_server(server: Server, *, foreground: bool) -> tuple[int, Mapping[str, object]]:
    """Fork a server and wait until it has mounted.

    Args:
        server: The server.
        foreground: Whether it dies with this process.

    Returns:
        Its process id, and what it reported.

    Raises:
        NotMountedError: when the server says why it could not, or ended without a word.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        if foreground:
            set_parent_death_signal(signal.SIGKILL)
        serve_in_child(server, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read()
    try:
        facts: Mapping[str, object] = orjson.loads(said)
    except orjson.JSONDecodeError:
        facts = {"problem": "the server ended before it had mounted"}
    if "problem" in facts:
        os.waitpid(pid, 0)
        status = facts.get("exit_status", ExitStatus.INTERNAL)
        raise NotMountedError(str(facts["problem"]), ExitStatus(int(str(status))))
    return pid, facts


def wait_in_foreground(pid: int, place: Path) -> None:
    """Wait until a server has ended; unmount when this process is asked to end.

    Args:
        pid: The server.
        place: Where it has mounted.
    """

    def unmount(number: int, frame: object) -> None:
        del number, frame
        with suppress(OSError):
            detach(os.fsencode(place))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unmount)
    os.waitpid(pid, 0)


def serve_in_child(server: Server, writer: int) -> NoReturn:
    """Become a server.

    What goes wrong before the mount is there is told to the parent, and later on to standard error.
    """
    status = ExitStatus.INTERNAL
    answer = os.fdopen(writer, "wb", buffering=0)
    try:
        os.setsid()
        _leave_terminal()
        server.run(answer)
        status = ExitStatus.RESTORED
    except (CatfsError, OSError) as error:
        if answer.closed:
            sys.stderr.write(f"catfs: the server ended: {error}\n")
        else:
            with suppress(OSError):
                status = error.exit_status if isinstance(error, CatfsError) else status
                problem = {"problem": printable(os.fsencode(str(error))), "exit_status": int(status)}
                answer.write(orjson.dumps(problem))
    finally:
        if sys.exc_info()[0] is not None:  # a defect, which the exit below would swallow
            traceback.print_exc()
        os._exit(status)


def _leave_terminal() -> None:
    """Let go of the caller's terminal; it would otherwise be kept open for as long as the mount lives."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")
