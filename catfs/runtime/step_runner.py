"""The process that starts the steps of a pipeline inside its view, one at a time, when the server says so.

It is the launched child, which stays instead of becoming a command: so all steps are in one mount, each
behind a wall of its own, and the server decides everything. Messages over the socket, one JSON object each:
the server says `{"run": N}` with the two output descriptors, and `{"signal": S}` for the step that runs; the
answer is `{"problem": TEXT}` when it cannot be executed, and `{"status": S}` at its end. The end of the
socket ends the process.
"""

import json
import os
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

from catfs.errors import ExitStatus
from catfs.linux import set_parent_death_signal
from catfs.runtime.launch import become_command
from catfs.runtime.stopping import STOP_SIGNALS, heeded_signals


def run_steps(
    channel: socket.socket,
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    report: int | None,
) -> int:
    """Start the commands that the server asks for until it hangs up, and give the own exit status.

    Args:
        channel: The socket to the server.
        commands: What can be started; the server names them by number, from 0.
        environment: Their environment.
        report: Descriptor that each inherits besides, or None.

    Raises:
        OSError: when no process can be made.
    """
    heeded = heeded_signals()
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the server passes on what is meant for the step
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 4096, 2)
        if not data:
            return 0
        message = json.loads(data)
        if "run" not in message:
            continue  # a signal for a step that has ended meanwhile
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_step(
                channel, commands[message["run"]], environment, (descriptors, report), parent, heeded
            )
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # the child does it too: whoever comes first
        status = _wait(pid, channel)
        if status is None:
            return 0
        channel.sendall(json.dumps({"status": status}).encode())


def _become_step(
    channel: socket.socket,
    command: Sequence[str],
    environment: Mapping[str, str],
    descriptors: tuple[Sequence[int], int | None],
    parent: int,
    heeded: Sequence[signal.Signals],
) -> None:
    """Become a step, in a process group of its own."""
    status = int(ExitStatus.INTERNAL)
    try:
        set_parent_death_signal(signal.SIGKILL)
        if os.getppid() == parent:
            os.setpgid(0, 0)
            for number in heeded:
                signal.signal(number, signal.SIG_DFL)
            (output, errors), report = descriptors
            status = become_command(channel, command, environment, (output, errors), report)
    finally:
        os._exit(status)


def _wait(pid: int, channel: socket.socket) -> int | None:
    """Wait for a step, passing signals on, and give its exit status; None when the server is gone."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(channel, select.POLLIN)
        while descriptor not in (ready := dict(poll.poll())):
            assert channel.fileno() in ready
            data = channel.recv(4096)
            if not data:
                return None
            with suppress(ProcessLookupError):
                os.killpg(pid, json.loads(data)["signal"])
    finally:
        os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code
