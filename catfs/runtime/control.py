"""The control socket of a live session: one question in, one answer back, each a line of JSON.

Only the owner of the session (and root) is answered, and nobody who runs confined. The socket lies in
the session's folder and is reached through a descriptor of that folder, so that the length of the path
does not matter.
"""

import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import trio

from catfs.errors import CatfsError, ExitStatus, FormatError, MachineError, UsageError, printable, reason_of

_NAME = "control"
_STRANGER_SECONDS = 1.0
"""How long somebody who is refused may take to ask, in seconds."""

_QUESTION_BYTES_MAX = 64 * 1024
"""Longest question, in bytes: each is a few words, so a longer one is none."""
_ANSWER_SECONDS = 600.0
"""How long an answer may take: a proof of a large domain waits until its base was read."""
_CREDENTIALS = struct.Struct("3i")

Answerer = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]
"""Answers one question; raises CatfsError to refuse it."""


class RefusedError(CatfsError):
    """The session refused or failed to do what it was asked.

    Args:
        message: What it said.
        status: The exit status that goes with it.
    """

    def __init__(self, message: str, status: ExitStatus) -> None:
        super().__init__(message)
        self.exit_status = status


def open_control(folder: Path) -> socket.socket:
    """Make the control socket of a session; whoever asks from now on is answered once it is served.

    Args:
        folder: The session's folder.

    Raises:
        OSError: when it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        (folder / _NAME).unlink(missing_ok=True)  # of a server that is gone
        with _short_path(folder) as path:
            listener.bind(path)
        (folder / _NAME).chmod(0o600)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


async def serve_control(listener: socket.socket, answer: Answerer) -> None:
    """Answer questions until cancelled.

    Args:
        listener: The control socket; it is closed in the end.
        answer: Called for each question.
    """
    with trio.socket.from_stdlib_socket(listener) as served:
        async with trio.open_nursery() as nursery:
            while True:
                connection, _ = await served.accept()
                nursery.start_soon(_converse, connection, answer)


async def _converse(connection: trio.socket.SocketType, answer: Answerer) -> None:
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(credentials)
        stream = trio.SocketStream(connection)
        if uid not in {0, os.geteuid()} or not _is_outside(pid):
            # Read all the same: a socket closed on an unread question throws the refusal away with it.
            with trio.move_on_after(_STRANGER_SECONDS), suppress(FormatError, trio.BrokenResourceError):
                await _read_question(stream)
            reply: Mapping[str, object] = _refusal(UsageError("this session belongs to somebody else"))
        else:
            try:
                reply = await answer(await _read_question(stream))
            except CatfsError as error:
                reply = _refusal(error)
            except OSError as error:
                reply = _refusal(MachineError(reason_of(error)))
        try:
            await stream.send_all(orjson.dumps(reply) + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # whoever asked did not wait for the answer


def _is_outside(pid: int) -> bool:
    """Say whether a process is one of this process's own world, and not behind the wall of some run."""
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino == os.stat("/proc/self/ns/pid").st_ino
    except OSError:  # it is gone, or nothing may be known of it
        return False


async def _read_question(stream: trio.SocketStream) -> Mapping[str, object]:
    received = bytearray()
    while not received.endswith(b"\n"):
        block = await stream.receive_some()
        received += block
        if not block or len(received) > _QUESTION_BYTES_MAX:
            raise FormatError("question", f"expected one line of at most {_QUESTION_BYTES_MAX} bytes")
    return _parse("question", bytes(received))


def _parse(what: str, line: bytes) -> Mapping[str, object]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise FormatError(what, f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(what, f"expected a JSON object, got {type(value).__name__}")
    return value


def _refusal(error: CatfsError) -> Mapping[str, object]:
    return {"refused": printable(os.fsencode(str(error))), "exit_status": int(error.exit_status)}


def ask(
    folder: Path, question: Mapping[str, object], seconds: float = _ANSWER_SECONDS
) -> Mapping[str, object]:
    """Ask a live session.

    Args:
        folder: The session's folder.
        question: What to ask.
        seconds: How long the answer may take.

    Returns:
        The answer.

    Raises:
        RefusedError: when the session refuses.
        MachineError: when it does not answer.
        FormatError: when the answer cannot be read.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            with _short_path(folder) as path:
                connection.connect(path)
            connection.sendall(orjson.dumps(question) + b"\n")
            with connection.makefile("rb") as reader:
                line = reader.readline()
        except OSError as error:
            raise MachineError(
                f"the session {folder.name} does not answer: {error.strerror or error}",
                hint="`catfs doctor` says what is left of it",
            ) from error
    answer = _parse("answer", line)
    if "refused" in answer:
        number = answer.get("exit_status")
        status = (
            ExitStatus(number)
            if isinstance(number, int) and number in set(ExitStatus)
            else ExitStatus.INTERNAL
        )
        raise RefusedError(str(answer["refused"]), status)
    return answer


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """Give a path of the socket that fits into an address, whatever the length of the real one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)
