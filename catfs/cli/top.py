"""`catfs top`: who writes where in a live session, and how fast, until the session ends."""

import argparse
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from catfs.cli.log_words import duration_text, program_text
from catfs.cli.output import human_bytes, print_json, print_result
from catfs.cli.words import add_json, add_subject
from catfs.clock import system_clock
from catfs.errors import UsageError, counted
from catfs.forensics import ProcessTable, Rate, RateMeter
from catfs.records.fields import put_bytes, put_bytes_list
from catfs.runtime.following import Tail
from catfs.runtime.log_reading import shown_path
from catfs.runtime.log_subject import LiveLog, find_live_log

_WINDOW_SECONDS_MAX = 3600
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_SMALL_SCREEN_LINES = 8

_EPILOG = """\
Without DOMAIN or RUN the only session that goes on here is shown: a mount, or a run that has not ended.
The busiest of the last seconds stand first. On a terminal the screen is renewed twice a second, until the
session ends or `q` is pressed; elsewhere, or with --once, it is printed once, as plain lines.

examples:
  catfs top
  catfs top project --seconds 30
  catfs top --once --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    parser.add_argument("--once", action="store_true", help="print it once, and end")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=5,
        metavar="N",
        help="how long something counts as recent (default: 5)",
    )
    add_json(parser, "print it once, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    live = find_live_log(arguments.subject, Path.cwd())
    watch = _Watch(live, arguments.seconds)
    try:
        watch.look()
        if arguments.json:
            print_json(watch.fields())
        elif arguments.once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            print_result("\n".join(watch.lines(200, None)))
        else:
            _show_until_end(watch)
    finally:
        watch.close()
    return 0


class _Watch:
    """What is known of a live session.

    Args:
        live: The session.
        seconds: How long something counts as recent.
    """

    def __init__(self, live: LiveLog, seconds: int) -> None:
        self._live = live
        self._seconds = seconds
        self._tail = Tail(live)
        self._table = ProcessTable()
        self._meter = RateMeter(seconds * 10**9)

    def close(self) -> None:
        """Close the log."""
        self._tail.close()

    def look(self) -> bool:
        """Take in what was added to the log, and say whether the session goes on."""
        lives = self._tail.lives()
        for _, record in self._tail.new_records():
            self._meter.note(record, self._table.note(record))
        self._meter.advance(system_clock())
        return lives

    def lines(self, columns: int, rows: int | None) -> list[str]:
        """Give what is shown.

        Args:
            columns: Longest line.
            rows: Most lines; None for all.
        """
        session, total = self._live.session, self._meter.total()
        age = duration_text(max(0, system_clock() - session.started))
        places = " ".join(shown_path(domain, 0, ()) for domain in self._live.source.domains)
        totals = f"{age}, {counted(total.changes, 'change')}, {human_bytes(total.written)} written"
        head = [
            f"{session.kind} {session.identity} of {places}",
            f"{totals}; in the last {self._seconds} s {self._per_second(total)}",
        ]
        room = None if rows is None else max(2, (rows - len(head) - 4) // 2)
        processes = [self._process_line(number, rate) for number, rate in self._meter.processes()[:room]]
        folders = [
            f"{self._columns(rate)}  {shown_path(path, domain, self._live.source.domains)}"
            for (domain, path), rate in self._meter.folders()[:room]
        ]
        title = f"{'changes/s':>10} {'bytes/s':>11} {'changes':>9} {'written':>11}"
        parts = [*head, "", f"{title} {'pid':>8}  program", *processes, "", f"{title}  folder", *folders]
        return [line[:columns] for line in parts[:rows]]

    def fields(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "schema": "cli-top.v1",
            "session": self._live.session.identity,
            "seconds": self._seconds,
            "records": self._meter.records,
            "total": self._rate_fields(self._meter.total()),
            "processes": [self._process_fields(*item) for item in self._meter.processes()],
            "directories": [self._folder_fields(*item) for item in self._meter.folders()],
        }

    def _process_line(self, number: int | None, rate: Rate) -> str:
        if number is None:
            return f"{self._columns(rate)} {'-':>8}  the kernel, or unknown"
        process = self._table.processes[number]
        return f"{self._columns(rate)} {process.pid:>8}  {program_text(process.last, 200)}"

    def _columns(self, rate: Rate) -> str:
        recent = human_bytes(rate.recent_bytes // self._seconds)
        changes = rate.recent_changes / self._seconds
        return f"{changes:>10.1f} {recent:>11} {rate.changes:>9} {human_bytes(rate.written):>11}"

    def _per_second(self, rate: Rate) -> str:
        changes = rate.recent_changes / self._seconds
        return f"{changes:.1f} changes and {human_bytes(rate.recent_bytes // self._seconds)} a second"

    def _rate_fields(self, rate: Rate) -> dict[str, object]:
        return {
            "changes": rate.changes,
            "written": rate.written,
            "changes_per_second": rate.recent_changes / self._seconds,
            "bytes_per_second": rate.recent_bytes / self._seconds,
        }

    def _process_fields(self, number: int | None, rate: Rate) -> dict[str, object]:
        fields, program = self._rate_fields(rate), None
        if number is not None:
            program = self._table.processes[number].last
        fields["pid"] = 0 if number is None else self._table.processes[number].pid
        put_bytes(fields, "exe", b"" if program is None else program.exe)
        put_bytes_list(fields, "argv", () if program is None else program.argv)
        return fields

    def _folder_fields(self, folder: tuple[int, bytes], rate: Rate) -> dict[str, object]:
        fields = self._rate_fields(rate) | {"domain": folder[0]}
        put_bytes(fields, "path", folder[1])
        return fields


def _show_until_end(watch: _Watch) -> None:
    """Renew the screen until the session ends or `q` is pressed, and leave the last state in the terminal."""
    with _screen():
        while watch.look():
            columns, rows = shutil.get_terminal_size()
            if rows < _SMALL_SCREEN_LINES:
                rows = _SMALL_SCREEN_LINES
            _draw(watch.lines(columns, rows - 1))
            if _is_quit_pressed(0.5):
                break
    print_result("\n".join(watch.lines(shutil.get_terminal_size().columns, 20)))


def _draw(lines: Sequence[str]) -> None:
    """Draw over what is there, so that nothing flickers; the two title lines stand out."""
    shown = [f"{_BOLD}{line}{_PLAIN}" if "changes/s" in line else line for line in lines]
    encoding = sys.stdout.encoding or "utf-8"
    text = _HOME + "".join(f"{line}{_REST_OF_LINE}\r\n" for line in shown) + _REST_OF_SCREEN
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[None]:
    """Use the second screen of the terminal, with keys that are read at once."""
    before = termios.tcgetattr(0)
    tty.setcbreak(0)
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _is_quit_pressed(seconds: float) -> bool:
    """Wait for a key, and say whether it was the one that ends."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([0], [], [], left)[0]:
            keys = os.read(0, 64)
            if not keys or b"q" in keys or b"Q" in keys:
                return True
    return False


def _seconds(text: str) -> int:
    """Read a number of seconds.

    Raises:
        UsageError: when it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= _WINDOW_SECONDS_MAX):
        raise UsageError(f"expected seconds for --seconds, up to {_WINDOW_SECONDS_MAX}")
    return int(text)
