"""`catfs log`: the write log of a session or a run: who changed what, when."""

import argparse
import os
import sys
from pathlib import Path

from catfs.cli.output import print_result
from catfs.cli.words import add_json, add_subject
from catfs.errors import UsageError, printable
from catfs.records import format_time
from catfs.records.write_record import ProcessRecord, WriteRecord
from catfs.runtime.live import log_of_subject
from catfs.runtime.log_reading import (
    ALL_OPERATIONS,
    LogFilter,
    LogItem,
    read_log,
    shown_path,
)
from catfs.runtime.subject import find_subject

_PID_MAX = 2**31 - 1

_EPILOG = """\
Without DOMAIN or RUN the log of the mounted session is shown, or, if there is none, that of the last run.
Conditions are combined: a record is shown when it meets all of them.

In GLOB, `*` and `?` stay within one name, `**` crosses slashes, `[a-z]` is one byte of a set, and `\\` takes
the next byte as it is. It is held against whole paths relative to the domain.

With --json the log's own lines are printed (docs/formats/write-log.md); the record of a process comes right
before the first record of what it did.

exit status: 0 shown; 2 bad arguments, or the log is damaged: what is whole is printed first

examples:
  catfs log --op create --op unlink
  catfs log last --path 'src/**/*.o'
  catfs log project --pid 4711 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    parser.add_argument("--path", metavar="GLOB", help="only changes of paths that fit the pattern")
    parser.add_argument("--pid", type=_pid, metavar="N", help="only changes of this process or thread")
    parser.add_argument(
        "--op",
        action="append",
        default=[],
        choices=sorted(ALL_OPERATIONS),
        metavar="OP",
        help="only this operation (repeatable): " + " ".join(sorted(ALL_OPERATIONS)),
    )
    add_json(parser, "print the log's own lines, one JSON object each")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    glob = None if arguments.path is None else os.fsencode(arguments.path)
    chosen = LogFilter(glob, arguments.pid, arguments.op)
    source = log_of_subject(find_subject(arguments.subject, Path.cwd()))
    write = sys.stdout.write
    for item in read_log(source, chosen):
        if arguments.json:
            write(item.line.decode() + "\n")
        elif isinstance(item.record, WriteRecord):
            print_result(_change_line(item, item.record, source.domains))
        elif "process" in arguments.op:
            print_result(_process_line(item.record))
    return 0


def _pid(text: str) -> int:
    """Read the id of a process.

    Raises:
        UsageError: when it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _PID_MAX):
        raise UsageError(
            f"expected the id of a process for --pid, got {printable(os.fsencode(text[:100]))!r}"
        )
    return int(text)


def _change_line(item: LogItem, record: WriteRecord, domains: tuple[bytes, ...]) -> str:
    """Give the line of a change: time, process, program, operation, path, and where in the file."""
    line = f"{_head(record.t, record.pid, item.process)} {record.op:<11} "
    line += shown_path(record.path, record.domain, domains)
    if "path2" in record.texts:
        second = record.texts["path2"]
        text = printable(second) if record.op == "symlink" else shown_path(second, record.domain, domains)
        line += f" -> {text}"
    if "name" in record.texts:
        line += f" [{printable(record.texts['name'])}]"
    if "length" in record.numbers:
        line += f"  {record.numbers.get('offset', 0)}+{record.numbers['length']}"
    return line


def _process_line(record: ProcessRecord) -> str:
    words = " ".join(map(printable, record.argv))
    return f"{_head(record.t, record.pid, record)} {'process':<11} {words}  (parent {record.parent})"


def _head(time: int, pid: int, process: ProcessRecord | None) -> str:
    program = "?" if process is None else printable(os.path.basename(process.exe)) or "?"
    if not pid:
        program = "kernel"
    return f"{format_time(time)[:23]}Z {pid:>7} {program:<14}"
