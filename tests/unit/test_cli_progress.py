"""The line that says how far long work is."""

import io
import sys
from contextlib import suppress

import pytest

from catfs.cli import output
from catfs.cli.output import Progress
from catfs.errors import UsageError


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def test_the_line_is_gone_before_an_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the work, what is written next begins in an empty line."""
    monkeypatch.setattr(output, "_PROGRESS_AFTER_SECONDS", -1.0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with suppress(UsageError), Progress() as progress:
        progress.show_reading(1, 2048)
        raise UsageError("no such thing")
    assert terminal.getvalue() == "\r\x1b[Kcatfs: reading the domain: 1 file, 2.0 KiB\r\x1b[K"


def test_nothing_is_written_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of messages has no lines that are taken back."""
    monkeypatch.setattr(output, "_PROGRESS_AFTER_SECONDS", -1.0)
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with Progress() as progress:
        progress.show("half of it")
    assert file.getvalue() == ""
