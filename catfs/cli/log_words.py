"""How records, processes and moments of a write log are said to people, and read from a command line."""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from catfs.cli.words import command_text
from catfs.errors import UsageError, printable
from catfs.forensics import Process
from catfs.forensics.counting import Counts
from catfs.records import format_time
from catfs.records.fields import put_bytes, put_bytes_list
from catfs.records.write_record import OF_THE_SESSION, ProcessRecord, Record, WriteRecord
from catfs.runtime.log_reading import LogItem, shown_path

_WALL: Final = b"bwrap"

_PID_MAX: Final = 2**31 - 1
_COUNT_MAX: Final = 2**63 - 1
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?)?Z?")
_OFFSET: Final = re.compile(r"\+(\d{1,9})(?:\.(\d{1,9}))?s?")


def program_name(program: ProcessRecord | None) -> str:
    """Give the short name of a program; `?` when it is not known."""
    return "?" if program is None else printable(os.path.basename(program.exe)) or "?"


def is_wall(program: ProcessRecord) -> bool:
    """Say whether a program is the one that confines commands (docs/design/0003-confinement.md)."""
    return os.path.basename(program.exe) == _WALL


def without_wall(chain: Sequence[ProcessRecord]) -> list[ProcessRecord]:
    """Give the programs of a chain without the wall around the command, at its end."""
    kept = list(chain)
    while kept and is_wall(kept[-1]):
        kept.pop()
    return kept


def program_text(program: ProcessRecord, limit: int = 80) -> str:
    """Give a program with its arguments; its executable when those are not known."""
    return command_text(program.argv, limit) if program.argv else program_name(program)


def actor_name(record: WriteRecord, program: ProcessRecord | None) -> str:
    """Give who is behind a change: a program, the session itself, or the kernel."""
    if record.op in OF_THE_SESSION:
        return "catfs"
    return program_name(program) if record.pid else "kernel"


def change_line(item: LogItem, record: WriteRecord, domains: Sequence[bytes], counts: Counts) -> str:
    """Give the line of a change: time, process, program, operation, path, place, and whether it was undone.

    An undo record itself never counts, and is not marked.
    """
    mark = "" if record.op == "undo" or counts(record.seq) else "  (undone)"
    return f"{head_text(record, item.program)} {record.op:<11} {change_text(record, domains)}{mark}"


def change_text(record: WriteRecord, domains: Sequence[bytes]) -> str:
    """Give what a change was about: path or paths, attribute, and where in the file."""
    text = shown_path(record.path, record.domain, tuple(domains))
    if "path2" in record.texts:
        second = record.texts["path2"]
        to = (
            printable(second) if record.op == "symlink" else shown_path(second, record.domain, tuple(domains))
        )
        text += f" -> {to}"
    if "name" in record.texts:
        text += f" [{printable(record.texts['name'])}]"
    if "first" in record.numbers:
        text += f"  {record.numbers['first']}.."
    if "length" in record.numbers:
        text += f"  {record.numbers.get('offset', 0)}+{record.numbers['length']}"
    return text


def head_text(record: Record, program: ProcessRecord | None) -> str:
    """Give the columns that every line begins with: time, process and program."""
    who = program_name(record) if isinstance(record, ProcessRecord) else actor_name(record, program)
    return f"{format_time(record.t)[:23]}Z {record.pid or '-':>7} {who:<14}"


def process_line(record: ProcessRecord) -> str:
    """Give the line of a process: its arguments and its parent."""
    words = " ".join(map(printable, record.argv))
    return f"{head_text(record, record)} {'process':<11} {words}  (parent {record.parent})"


def program_fields(program: ProcessRecord) -> dict[str, object]:
    """Give the JSON form of a program that a process ran."""
    fields: dict[str, object] = {"seq": program.seq, "time": format_time(program.t), "uid": program.uid}
    put_bytes(fields, "exe", program.exe)
    put_bytes(fields, "cwd", program.cwd)
    put_bytes_list(fields, "argv", list(program.argv))
    return fields


def process_fields(process: Process) -> dict[str, object]:
    """Give the JSON form of a process, without its programs."""
    return {
        "process": process.number,
        "pid": process.pid,
        "parent": process.parent,
        "parent_pid": process.parent_pid,
        "start": process.start,
    }


def duration_text(nanoseconds: int) -> str:
    """Give a length of time for people: `850 us`, `12.3 ms`, `4.56 s`, `3 min 20 s`."""
    if nanoseconds < 10**6:
        return f"{nanoseconds // 1000} us"
    if nanoseconds < 10**9:
        return f"{nanoseconds / 10**6:.1f} ms"
    if nanoseconds < 120 * 10**9:
        return f"{nanoseconds / 10**9:.2f} s"
    seconds = nanoseconds // 10**9
    return f"{seconds // 60} min {seconds % 60} s"


def pid_argument(text: str) -> int:
    """Read the id of a process.

    Raises:
        UsageError: when it is none.
    """
    return _whole_number(text, 10, _PID_MAX, "the id of a process")


def bytes_argument(text: str) -> int:
    """Read a number of bytes.

    Raises:
        UsageError: when it is none.
    """
    return _whole_number(text, 19, _COUNT_MAX, "a number of bytes")


def moment(text: str, first: int, *, end: bool) -> int:
    """Read a moment: a UTC time, or `+SECONDS` since the first record.

    Args:
        text: What was given.
        first: Time of the first record, in nanoseconds since 1970.
        end: Whether the last nanosecond that the text can mean is wanted, and not the first.

    Raises:
        UsageError: when it is neither.
    """
    offset, time = _OFFSET.fullmatch(text), _TIME.fullmatch(text)
    if offset is not None:
        whole, fraction = int(offset[1]) * 10**9, offset[2]
        start = first + whole
    elif time is not None:
        fraction = time[3]
        try:
            day = datetime.fromisoformat(f"{time[1]} {time[2] or '00:00:00'}").replace(tzinfo=UTC)
        except ValueError:
            raise _bad_moment(text) from None
        start = int(day.timestamp()) * 10**9
        if end and time[2] is None:
            return start + 86400 * 10**9 - 1
    else:
        raise _bad_moment(text)
    digits = fraction or ""
    start += int(digits.ljust(9, "0"))
    return start + (10 ** (9 - len(digits)) - 1 if end else 0)


def _bad_moment(text: str) -> UsageError:
    shown = printable(os.fsencode(text[:100]))
    hint = (
        "2026-01-31T12:00:00 or 2026-01-31 (UTC, a fraction may follow), or +1.5 for seconds since the start"
    )
    return UsageError(f"expected a time, got {shown!r}", hint=hint)


def _whole_number(text: str, digits: int, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= digits and int(text) <= most):
        raise UsageError(f"expected {what}, got {printable(os.fsencode(text[:100]))!r}")
    return int(text)
