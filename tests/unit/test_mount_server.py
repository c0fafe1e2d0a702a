"""What the server of a mount says when something goes wrong, and to whom."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import orjson
import pytest

from catfs.errors import ExitStatus, MachineError
from catfs.overlay.transports import Transport
from catfs.runtime.background import serve_in_child
from catfs.runtime.mount_server import Mounting, MountServer
from catfs.runtime.request import Job

Failure = Callable[[io.FileIO], None]


class _FailingServer(MountServer):
    """A server that fails in a way of its own."""

    def __init__(self, fail: Failure, messages: Path) -> None:
        super().__init__(cast("Job", None), cast("Mounting", None), cast("Transport", None), resumed=False)
        self.fail = fail
        self.messages = messages

    def run(self, answer: io.FileIO) -> None:
        """Send messages to a file, as a session does, and fail."""
        sys.stderr = self.messages.open("w", encoding="utf-8", buffering=1)
        self.fail(answer)


def _serve(fail: Failure, messages: Path) -> tuple[int, bytes]:
    """Let a server fail in a child; give its exit status and what it told its parent."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        serve_in_child(_FailingServer(fail, messages), writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        said = told.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def _cannot_mount(_answer: io.FileIO) -> None:
    raise MachineError("cannot mount")


def _disk_fails_after_the_mount(answer: io.FileIO) -> None:
    number = answer.fileno()
    answer.close()
    os.dup2(os.open("reused", os.O_RDWR | os.O_CREAT), number)  # nothing may be written there
    raise OSError(5, "Input/output error")


def _defect(answer: io.FileIO) -> None:
    answer.close()
    raise ExceptionGroup("several tasks", [KeyError("a defect")])


def test_what_goes_wrong_before_the_mount_is_told_to_the_parent(tmp_path: Path) -> None:
    """`catfs mount` can then say why there is no mount."""
    status, said = _serve(_cannot_mount, tmp_path / "messages")
    assert status == ExitStatus.INTERNAL
    assert orjson.loads(said) == {"problem": "cannot mount", "exit_status": ExitStatus.INTERNAL}


def test_what_goes_wrong_later_goes_to_the_messages_of_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits at the pipe any more, and its number may belong to another file."""
    monkeypatch.setattr(os, "chdir", lambda _: os.fchdir(os.open(tmp_path, os.O_RDONLY)))
    status, said = _serve(_disk_fails_after_the_mount, tmp_path / "messages")
    assert (status, said) == (ExitStatus.INTERNAL, b"")
    assert "the server ended: [Errno 5] Input/output error" in (tmp_path / "messages").read_text()
    assert (tmp_path / "reused").read_bytes() == b""


def test_a_defect_leaves_its_traceback_in_the_messages_of_the_session(tmp_path: Path) -> None:
    """The server ends without its parent, so this is all that is left of it."""
    status, said = _serve(_defect, tmp_path / "messages")
    assert (status, said) == (ExitStatus.INTERNAL, b"")
    assert "KeyError: 'a defect'" in (tmp_path / "messages").read_text()
