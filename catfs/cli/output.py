"""How commands speak: results to stdout, messages for people to stderr, progress only on a terminal."""

import sys
import time
from collections.abc import Mapping
from typing import Self

import orjson

from catfs.errors import counted

_PROGRESS_AFTER_SECONDS = 1.0


def print_result(text: str) -> None:
    """Print a result for people; what the terminal's encoding cannot say is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def print_json(value: Mapping[str, object] | list[object]) -> None:
    """Print a result for programs: one JSON value on one line."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def tell(text: str) -> None:
    """Tell people something that is no result."""
    sys.stderr.write(f"catfs: {text}\n")
    sys.stderr.flush()


class Progress:
    """A line on the terminal that says how far long work is; a context manager that takes it away in the end.

    It is silent for the first second, and where stderr is no terminal.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = False
        self._enabled = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Show how far it is."""
        if self._enabled and time.monotonic() - self._started > _PROGRESS_AFTER_SECONDS:
            sys.stderr.write(f"\r\x1b[Kcatfs: {text}")
            sys.stderr.flush()
            self._shown = True

    def show_reading(self, files: int, size: int) -> None:
        """Show how far a domain is read.

        Args:
            files: Number of files so far.
            size: Bytes of them.
        """
        self.show(f"reading the domain: {counted(files, 'file')}, {human_bytes(size)}")

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


def human_bytes(count: int) -> str:
    """Give a number of bytes for people, in powers of 1,024."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
