"""`catfs` in a forked copy of this process: as real as a new one, without starting Python anew."""

import gc
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from catfs.cli import discard, doctor, mount, run, umount, verify
from catfs.cli.main import main
from catfs.overlay.transports import devfuse, pyfuse3
from tests.support.commands import CATFS, TIMEOUT_SECONDS, Result

WARM = (discard, doctor, mount, run, umount, verify, devfuse, pyfuse3)
"""What the commands that are called here import late; a copy of this process has it already."""


def warm_up() -> None:
    """Let copies of this process share its objects, instead of copying them to count their references."""
    gc.collect()
    gc.freeze()


def call_forked(arguments: Sequence[str], cwd: Path) -> Result:
    """Run a command of catfs to its end in a copy of this process, and never let it show a traceback.

    Args:
        arguments: Its arguments.
        cwd: Its working directory.
    """
    output, errors = (os.memfd_create(name) for name in ("stdout", "stderr"))
    try:
        child = os.fork()
        if not child:
            _become_catfs(arguments, cwd, output, errors)
        status = _wait(child)
        result = Result(status, _content(output), _content(errors).decode(errors="backslashreplace"))
    finally:
        os.close(output)
        os.close(errors)
    assert "Traceback" not in result.stderr, result.stderr
    return result


def _become_catfs(arguments: Sequence[str], cwd: Path, output: int, errors: int) -> NoReturn:
    status = 1
    try:
        os.chdir(cwd)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((null, output, errors)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.argv = [str(CATFS), *arguments]
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # as long as the process
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        try:
            status = main(arguments)
        except SystemExit as end:  # of the argument parser
            status = end.code if isinstance(end.code, int) else 1
        sys.stdout.flush()
    finally:
        os._exit(status)


def _wait(child: int) -> int:
    """Wait for a process, end it when it takes too long, and give its status."""
    descriptor = os.pidfd_open(child)
    try:
        in_time, _, _ = select.select([descriptor], [], [], TIMEOUT_SECONDS)
        if not in_time:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    finally:
        os.close(descriptor)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert in_time, f"the command did not end within {TIMEOUT_SECONDS} seconds"
    return status


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
