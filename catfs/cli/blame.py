"""`catfs blame`: which process wrote which bytes of a file last, and what led to it."""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from catfs.cli.log_words import process_fields, program_fields, program_name, program_text, without_wall
from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, add_subject
from catfs.errors import counted, printable
from catfs.forensics import (
    Blame,
    BlamedRange,
    Event,
    FileLife,
    Process,
    ProcessTable,
    blame_file,
    find_file,
)
from catfs.records import format_time
from catfs.records.fields import put_bytes, put_bytes_list
from catfs.records.write_record import ProcessRecord, Record
from catfs.runtime.live import log_of_subject
from catfs.runtime.log_reading import LogFilter, LogSource, counting_items
from catfs.runtime.runs import domain_of_path
from catfs.runtime.subject import check_word, find_subject

_EPILOG = """\
Without DOMAIN or RUN the mounted session is asked, or, if there is none, the last run.
PATH is relative to the domain, or absolute. A path that is gone, or was renamed, means the file that had it
last.

Each line is a range of bytes that one program wrote last. Below stands who these programs were and what led
to them, one line for each process that started the one above it. Bytes in no range are those of the original.
Zeros that came from extending a file, or from a gap, belong to whoever extended it. What was written through
a mapping of the file into memory has no process: the kernel writes it back, and does not say for whom.

exit status: 0 answered; 2 bad arguments, or the log is damaged

examples:
  catfs blame build/main.o
  catfs blame out/program last --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", metavar="PATH", help="the file, relative to the domain, or absolute")
    add_subject(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    check_word(arguments.path, "file")
    source = log_of_subject(find_subject(arguments.subject, Path.cwd()))
    domain, path = _place(os.fsencode(arguments.path), source.domains)
    life = find_file(_records(source, ProcessTable()), domain, path)
    if life is None:
        tell(f"nothing in {source.name} speaks of {printable(path) or 'the domain itself'}")
        if arguments.json:
            print_json({"schema": "cli-blame.v1", "file": None, "ranges": [], "writers": [], "maker": None})
        return 0
    table = ProcessTable()
    blame = blame_file(_records(source, table), life)
    if arguments.json:
        print_json(_fields(blame, table))
    else:
        _show(blame, table)
    return 0


def _place(path: bytes, domains: Sequence[bytes]) -> tuple[int, bytes]:
    """Give the index of the domain of a path, and the path relative to it."""
    if not domains:  # the declaration of the run cannot be read
        return 0, os.path.normpath(path)
    domain, relative = domain_of_path(path, domains)
    return list(domains).index(domain), relative


def _records(source: LogSource, table: ProcessTable) -> Iterator[tuple[Record, Process | None]]:
    """Give the records that count: what was undone wrote nothing that is there."""
    for item in counting_items(source, LogFilter(), table):
        yield item.record, item.process


def _writers(blame: Blame) -> dict[tuple[int, ProcessRecord], int]:
    """Give (process, program) -> bytes, those of the first range first; the maker of the file too."""
    found: dict[tuple[int, ProcessRecord], int] = {}
    for blamed in blame.ranges:
        if blamed.process is not None and blamed.program is not None:
            key = blamed.process, blamed.program
            found[key] = found.get(key, 0) + blamed.length
    return found


def _maker(life: FileLife, table: ProcessTable) -> tuple[Process, ProcessRecord] | None:
    """Give the process that made a file, or touched one of the original last, with its program."""
    event = life.born or life.last
    if event.process is None:
        return None
    process = table.processes[event.process]
    return process, process.program_at(event.seq)


def _show(blame: Blame, table: ProcessTable) -> None:
    life, maker = blame.life, _maker(blame.life, table)
    print_result(_title(blame))
    for blamed in blame.ranges:
        print_result(_range_line(blamed, table))
    original = blame.original_bytes
    if original and life.born is None:
        print_result(f"{counted(original, 'byte')} of the original were never written")
    writers = [(table.processes[number], program) for number, program in _writers(blame)]
    if maker is not None and maker not in writers:
        writers.append(maker)
    shown: set[ProcessRecord] = set()
    for process, program in writers:
        word = " (made it)" if (process, program) == maker and life.born is not None else ""
        print_result("")
        print_result(f"{process.pid} {program_text(program, 200)}{word}")
        _show_ancestors(_chain(table, process, program)[1:], shown)


def _show_ancestors(chain: Sequence[ProcessRecord], shown: set[ProcessRecord]) -> None:
    """Print what led to a writer, down to what was printed before."""
    for depth, step in enumerate(without_wall(chain), 1):
        head = f"{'  ' * depth}from {step.process or step.pid}"
        if step in shown:
            print_result(f"{head} {program_name(step)}, as above")
            return
        shown.add(step)
        print_result(f"{head} {program_text(step, 200)}")


def _title(blame: Blame) -> str:
    life = blame.life
    size = "" if blame.size is None else f", {counted(blame.size, 'byte')}"
    made = "of the original" if life.born is None else f"made by record {life.born.seq}"
    gone = "" if life.died is None else f", gone since record {life.died.seq}"
    return f"{printable(life.path) or '.'}: {life.kind.value}{size}, {made}{gone}"


def _range_line(blamed: BlamedRange, table: ProcessTable) -> str:
    who = program_name(blamed.program) if blamed.process is not None else "kernel"
    pid = "-" if blamed.process is None else str(table.processes[blamed.process].pid)
    time = f"{format_time(blamed.last.t)[:23]}Z"
    how = "" if "write" in blamed.operations else f"  zeros by {' and '.join(sorted(blamed.operations))}"
    records = f"#{blamed.first.seq}"
    if blamed.last.seq != blamed.first.seq:
        records += f"..{blamed.last.seq}"
    return f"{blamed.start:>12} {blamed.length:>12}  {time} {pid:>7} {who:<14} {records}{how}"


def _chain(table: ProcessTable, process: Process, program: ProcessRecord) -> list[ProcessRecord]:
    return table.chain(process, program.seq)


def _fields(blame: Blame, table: ProcessTable) -> dict[str, object]:
    writers = _writers(blame)
    places = {key: place for place, key in enumerate(writers)}
    maker = _maker(blame.life, table)
    return {
        "schema": "cli-blame.v1",
        "file": _file_fields(blame),
        "ranges": [_range_fields(blamed, places) for blamed in blame.ranges],
        "writers": [
            process_fields(table.processes[number])
            | {"bytes": size, "chain": _chain_fields(table, table.processes[number], program)}
            for (number, program), size in writers.items()
        ],
        "maker": None
        if maker is None
        else process_fields(maker[0]) | {"chain": _chain_fields(table, *maker)},
    }


def _chain_fields(table: ProcessTable, process: Process, program: ProcessRecord) -> list[dict[str, object]]:
    return [
        {"pid": step.process or step.pid} | program_fields(step) for step in _chain(table, process, program)
    ]


def _file_fields(blame: Blame) -> dict[str, object]:
    life = blame.life
    fields: dict[str, object] = {
        "domain": life.domain,
        "ino": life.ino,
        "kind": life.kind.value,
        "exists": bool(life.names),
        "size": blame.size,
        "born": _event_fields(life.born),
        "died": _event_fields(life.died),
    }
    put_bytes(fields, "path", life.path)
    put_bytes_list(fields, "names", life.names)
    return fields


def _range_fields(blamed: BlamedRange, places: dict[tuple[int, ProcessRecord], int]) -> dict[str, object]:
    writer = None
    if blamed.process is not None and blamed.program is not None:
        writer = places[blamed.process, blamed.program]
    return {
        "offset": blamed.start,
        "length": blamed.length,
        "first": _event_fields(blamed.first),
        "last": _event_fields(blamed.last),
        "operations": sorted(blamed.operations),
        "writer": writer,
    }


def _event_fields(event: Event | None) -> dict[str, object] | None:
    return None if event is None else {"seq": event.seq, "time": format_time(event.t)}
