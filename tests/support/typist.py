"""Somebody at a terminal: a program in a pseudo-terminal, typed to and read from."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support.commands import TIMEOUT_SECONDS


class Typist:
    """Starts a program in a terminal of 24 lines and 100 columns; a context manager that ends it.

    Args:
        arguments: The program and its arguments.
        cwd: Its working directory.
        environment: Variables besides those of the test.
    """

    def __init__(
        self, arguments: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._screen, terminal = os.openpty()
        self._seen = bytearray()
        self.resize(24, 100)
        self._process = subprocess.Popen(
            arguments,
            cwd=cwd,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", **(environment or {})},
        )
        os.close(terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(TIMEOUT_SECONDS)
        os.close(self._screen)

    def resize(self, lines: int, columns: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def say_resized(self) -> None:
        """Tell the program that the size is another, as the kernel does for the owner of a terminal."""
        self._process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._screen, text.encode())

    def wait_for(self, text: str) -> str:
        """Wait until something was shown, and give everything up to its end; later waits begin behind it."""
        wanted = text.encode()
        while wanted not in self._seen:
            assert self._read(), f"{text!r} never came, only {bytes(self._seen)!r}"
        end = self._seen.index(wanted) + len(wanted)
        shown = self._seen[:end].decode(errors="backslashreplace")
        del self._seen[:end]
        return shown

    def end(self) -> tuple[int, str]:
        """Wait for the end of the program, and give its exit status and what else was shown."""
        while self._read():
            pass
        return self._process.wait(TIMEOUT_SECONDS), self._seen.decode(errors="backslashreplace")

    def _read(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], TIMEOUT_SECONDS)
        assert ready, f"nothing shown within {TIMEOUT_SECONDS} seconds, only {bytes(self._seen)!r}"
        try:
            block = os.read(self._screen, 65536)
        except OSError:  # EIO: nobody has the other end open any more
            return False
        self._seen += block
        return bool(block)
