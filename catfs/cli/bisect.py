"""`catfs bisect`: the first record after which a test fails."""

import argparse
import os
from pathlib import Path

from catfs.cli.log_words import change_text, without_wall
from catfs.cli.output import Progress, print_json, print_result, tell
from catfs.cli.words import add_json, command_text, find_workspace, time_text
from catfs.errors import UsageError, counted, printable
from catfs.records import put_bytes, put_bytes_list
from catfs.records.write_record import ProcessRecord
from catfs.runtime.bisect import Culprit, find_culprit
from catfs.runtime.confinement import Confinement
from catfs.runtime.moments import BASE, END, moment_of
from catfs.runtime.past import Past, open_past
from catfs.runtime.probe import Probe
from catfs.runtime.transports import TRANSPORTS, make_transport

_EPILOG = """\
TEST runs in the working directory, with the domain as it was at one moment after another, and passes when it
ends with status 0. It must pass in the first moment and fail in the last. It may write in the domain: each
try has a view of its own, which is dropped. Each try halves the records in question: 10,000 of them take 16.
Options stand before DOMAIN or RUN, which must have been begun with --history.

exit status: 0 found; 1 the test fails in the first moment or passes in the last; 2 bad arguments

examples:
  catfs bisect -- make test
  catfs bisect --from 4711 last -- sh -c '! grep -q oops report.txt'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = "catfs bisect [OPTION]... [DOMAIN|RUN] -- TEST [ARGUMENT]..."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--from", dest="first", default=BASE, metavar="SEQ", help="the first moment (default: base)"
    )
    parser.add_argument("--to", dest="last", default=END, metavar="SEQ", help="the last one (default: end)")
    parser.add_argument(
        "--confine", choices=["on", "off"], default="on", help="as of catfs run (default: on)"
    )
    parser.add_argument("--show", action="store_true", help="show what the test prints, on stderr")
    parser.add_argument("--transport", choices=TRANSPORTS, default="auto", help="what serves the views")
    add_json(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="WORDS", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    subject, test = _split(arguments.words)
    with open_past(subject, Path.cwd()) as past:
        first, last = (moment_of(word, past.log.size) for word in (arguments.first, arguments.last))
        if first >= last:
            got = f"{arguments.first} and {arguments.last}"
            raise UsageError(f"expected a last moment after the first, got {got}")
        probe = _probe(past, test, arguments)
        with Progress() as progress:
            culprit = find_culprit(
                past.log,
                first,
                last,
                probe.passes,
                lambda left, end: progress.show(
                    f"trying record {end - 1}, {counted(left, 'record')} in question"
                ),
            )
        if arguments.json:
            print_json(_json(past, culprit))
        else:
            _show(past, culprit)
    return 0


def _probe(past: Past, test: tuple[str, ...], arguments: argparse.Namespace) -> Probe:
    domains = tuple(Path(os.fsdecode(path)) for path in past.paths)
    wall = Confinement(arguments.confine == "on", domains, (), find_workspace().folder)
    transport = make_transport(arguments.transport)
    return Probe(past, test, Path.cwd(), wall, transport, arguments.show)


def _split(words: list[str]) -> tuple[str | None, tuple[str, ...]]:
    """Split [DOMAIN|RUN] -- TEST.

    Raises:
        UsageError: when there is no test, or more than one word before it.
    """
    if "--" not in words or not words[words.index("--") + 1 :]:
        raise UsageError("there is no test to run", hint="write it behind `--`: catfs bisect -- make test")
    place = words.index("--")
    if place > 1:
        raise UsageError(f"expected one DOMAIN or RUN before the --, got {' '.join(words[:place])!r}")
    return (words[0] if place else None), tuple(words[place + 1 :])


def _show(past: Past, culprit: Culprit) -> None:
    record = culprit.record
    print_result(f"record {record.seq}: {record.op} {change_text(record, past.paths)}")
    print_result(f"  at {time_text(record.t)}, the first after which the test fails")
    for number, program in enumerate(without_wall(culprit.programs)):
        print_result(f"  {'by' if number == 0 else 'started by'} process {_program_text(program)}")
    if not culprit.programs:
        print_result("  by no process that the log knows")
    tries = f"{culprit.tried} {'try' if culprit.tried == 1 else 'tries'}"
    tell(f"found among {counted(culprit.candidates, 'record')} by {tries}")


def _program_text(program: ProcessRecord) -> str:
    text = f"{program.process or program.pid} ({printable(program.exe) or 'unknown'})"
    return f"{text}: {command_text(program.argv, limit=100)}" if program.argv else text


def _json(past: Past, culprit: Culprit) -> dict[str, object]:
    record = culprit.record
    fields: dict[str, object] = {
        "schema": "cli-bisect.v1",
        "of": past.name,
        "seq": record.seq,
        "op": record.op,
        "t": record.t,
        "programs": list(map(_program_fields, culprit.programs)),
        "candidates": culprit.candidates,
        "tried": culprit.tried,
    }
    put_bytes(fields, "domain", past.paths[record.domain])
    put_bytes(fields, "path", record.path)
    return fields


def _program_fields(program: ProcessRecord) -> dict[str, object]:
    fields: dict[str, object] = {"process": program.process, "parent": program.parent}
    put_bytes(fields, "exe", program.exe)
    put_bytes_list(fields, "argv", program.argv)
    return fields
