"""`catfs log`: the write log of a session or a run: who changed what, when."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from catfs.cli.log_record import show_record
from catfs.cli.log_sums import print_sums, print_temporary
from catfs.cli.log_words import bytes_argument, change_line, moment, pid_argument, process_line
from catfs.cli.output import print_result, tell
from catfs.cli.words import add_json, add_subject
from catfs.errors import UsageError
from catfs.forensics import Grouping, ProcessTable
from catfs.forensics.counting import all_count
from catfs.records.write_record import WriteRecord
from catfs.runtime.following import follow_log
from catfs.runtime.live import log_of_subject
from catfs.runtime.log_reading import (
    ALL_OPERATIONS,
    LogFilter,
    LogItem,
    LogSource,
    choose_items,
    counting_items,
    counts_of,
    first_time,
    read_whole_log,
    wanted_items,
)
from catfs.runtime.log_subject import find_live_log
from catfs.runtime.subject import find_subject

_EPILOG = """\
Without DOMAIN or RUN the log of the mounted session is shown, or, if there is none, that of the last run.
Conditions are combined: a record is shown when it meets all of them.

In GLOB, `*` and `?` stay within one name, `**` crosses slashes, `[a-z]` is one byte of a set, and `\\` takes
the next byte as it is. It is held against whole paths relative to the domain.

TIME is a UTC time, such as 2026-01-31T12:00:00.5 or 2026-01-31, or +SECONDS since the first record.

Records that `catfs undo` took back end in `(undone)`. They do not count with --by and --temporary.

With --by the changes are summed up, one line for each process, folder, operation or ending of a name.
`left` are the bytes of them that nothing wrote over and whose file still has a name; written for each byte
left is the write amplification. With --temporary the files that the session made and of which nothing is
left are listed, with how long they lived and how much was written to them.

With --record SEQ --proof a file is printed that holds the record and the hashes from there to the root of the
log (RFC 6962), which the proof of the run states; `catfs verify FILE` checks it far from the run.

With --json the log's own lines are printed (docs/formats/write-log.md); the record of a process comes right
before the first record of what it did. Sums and temporary files are printed as one JSON object.

exit status: 0 shown; 2 bad arguments, or the log is damaged: what is whole is printed first

examples:
  catfs log --op create --op unlink
  catfs log last --path 'src/**/*.o' --min-bytes 65536
  catfs log --descendants-of 4711 --since +10 --until +12.5
  catfs log --follow project
  catfs log --by directory --path 'build/**'
  catfs log --temporary
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    _add_conditions(parser)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--follow",
        "-f",
        action="store_true",
        help="go on with what a live session, or a run, adds to its log",
    )
    forms.add_argument(
        "--by", choices=[grouping.value for grouping in Grouping], help="sum the changes up instead"
    )
    forms.add_argument(
        "--temporary", action="store_true", help="list the files that were made and are gone again"
    )
    forms.add_argument("--record", metavar="SEQ", help="show the record with this number")
    parser.add_argument(
        "--proof", action="store_true", help="with --record: print a file that proves that it stands there"
    )
    add_json(parser, "print the log's own lines, one JSON object each")


def _add_conditions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--path", metavar="GLOB", help="only changes of paths that fit the pattern")
    parser.add_argument(
        "--pid", type=pid_argument, metavar="N", help="only changes of this process or thread"
    )
    parser.add_argument(
        "--descendants-of",
        type=pid_argument,
        metavar="N",
        help="only changes of this process and of all that came from it",
    )
    parser.add_argument(
        "--op",
        action="append",
        default=[],
        choices=sorted(ALL_OPERATIONS),
        metavar="OP",
        help="only this operation (repeatable): " + " ".join(sorted(ALL_OPERATIONS)),
    )
    parser.add_argument("--since", metavar="TIME", help="only changes at that time or later")
    parser.add_argument("--until", metavar="TIME", help="only changes at that time or earlier")
    parser.add_argument(
        "--min-bytes", type=bytes_argument, metavar="N", help="only changes of at least so many bytes"
    )
    parser.add_argument(
        "--max-bytes", type=bytes_argument, metavar="N", help="only changes of at most so many bytes"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.record is not None:
        return show_record(arguments)
    if arguments.proof:
        raise UsageError("one record is proven at a time", hint="name it with --record SEQ")
    if arguments.follow:
        return _follow(arguments)
    source = log_of_subject(find_subject(arguments.subject, Path.cwd()))
    chosen = _filter(arguments, source)
    table = ProcessTable()
    if arguments.by is not None:
        items = counting_items(source, chosen, table)
        found = print_sums(items, table, Grouping(arguments.by), as_json=arguments.json)
    elif arguments.temporary:
        items = counting_items(source, chosen, table)
        found = print_temporary(items, table, source, as_json=arguments.json)
    else:
        found = _print_lines(read_whole_log(source, chosen, table), source, arguments)
    if not found:
        tell(f"no record of {source.name} fits")
    return 0


def _follow(arguments: argparse.Namespace) -> int:
    """Print what fits, now and whenever something is added, until the session ends."""
    live = find_live_log(arguments.subject, Path.cwd())
    chosen = _filter(arguments, live.source)
    items = choose_items(follow_log(live, sys.stdout.flush), chosen, ProcessTable())
    if not _print_lines(items, live.source, arguments):
        tell(f"no record of {live.source.name} fits")
    return 0


def _filter(arguments: argparse.Namespace, source: LogSource) -> LogFilter:
    """Give what is asked for.

    Raises:
        UsageError: when a condition cannot be met by anything.
    """
    first = 0 if arguments.since is None and arguments.until is None else first_time(source)
    since = None if arguments.since is None else moment(arguments.since, first, end=False)
    until = None if arguments.until is None else moment(arguments.until, first, end=True)
    if since is not None and until is not None and since > until:
        raise UsageError("--since is later than --until, so nothing can fit")
    least, most = arguments.min_bytes, arguments.max_bytes
    if least is not None and most is not None and least > most:
        raise UsageError("--min-bytes is more than --max-bytes, so nothing can fit")
    glob = None if arguments.path is None else os.fsencode(arguments.path)
    operations = frozenset(arguments.op)
    return LogFilter(glob, arguments.pid, operations, arguments.descendants_of, since, until, least, most)


def _print_lines(items: Iterable[LogItem], source: LogSource, arguments: argparse.Namespace) -> bool:
    """Print the wanted records, and say whether there was one."""
    found, counts = False, all_count if arguments.json else counts_of(source)
    for item in wanted_items(items):
        found = True
        if arguments.json:
            sys.stdout.write(item.line.decode() + "\n")
        elif isinstance(item.record, WriteRecord):
            print_result(change_line(item, item.record, source.domains, counts))
        elif "process" in arguments.op:
            print_result(process_line(item.record))
    return found
