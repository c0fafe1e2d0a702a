"""`catfs tree`: the processes of a session or run, who started whom, and what each read and wrote."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from catfs.cli.log_sums import sum_fields
from catfs.cli.log_words import is_wall, process_fields, program_fields, program_text
from catfs.cli.output import human_bytes, print_json, print_result, tell
from catfs.cli.words import add_json, add_subject
from catfs.errors import counted
from catfs.forensics import Activity, Deeds, Place, Process, ProcessTable
from catfs.records.fields import put_bytes
from catfs.runtime.live import log_of_subject
from catfs.runtime.log_reading import LogFilter, LogSource, counting_items, shown_path
from catfs.runtime.subject import find_subject

_NAMED_MAX = 3
"""Most paths named in the line of a process; the rest is counted."""

_EPILOG = """\
Without DOMAIN or RUN the mounted session is shown, or, if there is none, the last run.

A process is in the tree when it changed something, or was the first to read a file of the original, or
started one that is in the tree; the wall around a confined command is left out. `reads` are the files of the
original that it was the first to read: what was read before comes from the kernel's cache and is not told to
catfs. `writes` are the paths that it changed. What `catfs undo` took back does not count.

examples:
  catfs tree
  catfs tree last --paths
  catfs tree project --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    parser.add_argument("--paths", action="store_true", help="list every path, one on a line")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    source = log_of_subject(find_subject(arguments.subject, Path.cwd()))
    table, activity = ProcessTable(), Activity()
    for item in counting_items(source, LogFilter(), table):
        activity.note(item.record, item.process)
    deeds = activity.deeds(table)
    active = [found for found in deeds if found.did_something]
    if arguments.json:
        print_json({"schema": "cli-tree.v1", "processes": [_fields(found) for found in active]})
        return 0
    if not active:
        tell(f"there is no process in {source.name}")
    _Printer(table, deeds, source, all_paths=arguments.paths).show()
    return 0


class _Printer:
    """Prints the tree.

    Args:
        table: The processes.
        deeds: What each did, by its number; unknown ones last.
        source: The log.
        all_paths: Whether every path is listed.
    """

    def __init__(
        self, table: ProcessTable, deeds: Sequence[Deeds], source: LogSource, *, all_paths: bool
    ) -> None:
        self._table = table
        self._deeds = deeds
        self._source = source
        self._all_paths = all_paths

    def show(self) -> None:
        """Print it, without recursion: builds may nest deeply."""
        waiting = [(process.number, "", "") for process in reversed(self._roots())]
        while waiting:
            number, head, indent = waiting.pop()
            children = self._children(number)
            self._print(self._deeds[number], head, indent + ("│ " if children else "  "))
            for place, child in enumerate(reversed(children)):
                last = place == 0
                waiting.append(
                    (child.number, indent + ("└─" if last else "├─"), indent + ("  " if last else "│ "))
                )
        for unknown in self._deeds[len(self._table.processes) :]:
            self._print(unknown, "", "  ")

    def _roots(self) -> list[Process]:
        """Give the processes that stand at the top: those of the wall are passed through."""
        roots = list[Process]()
        waiting = list(reversed(self._children(None)))
        while waiting:
            process = waiting.pop()
            if is_wall(process.last):
                waiting += reversed(self._children(process.number))
            else:
                roots.append(process)
        return roots

    def _children(self, number: int | None) -> list[Process]:
        """Give the processes that one started and of which something counts."""
        return [child for child in self._table.children(number) if self._deeds[child.number].did_something]

    def _print(self, deeds: Deeds, head: str, indent: str) -> None:
        process = deeds.process
        if process is None:
            print_result("the kernel, or unknown")
        for place, program in enumerate(() if process is None else process.programs):
            pid = f"{program.process or program.pid} " if place == 0 else "then "
            print_result(f"{head if place == 0 else indent}{pid}{program_text(program, 100)}")
        self._print_paths(indent, "reads", deeds.reads, "")
        written = deeds.own.written
        self._print_paths(indent, "writes", deeds.writes, f", {human_bytes(written)}" if written else "")

    def _print_paths(self, indent: str, word: str, places: Sequence[Place], amount: str) -> None:
        if not places:
            return
        names = [shown_path(path, domain, self._source.domains) for domain, path in places]
        if self._all_paths:
            print_result(f"{indent}  {word} {counted(len(names), 'path')}{amount}")
            for name in names:
                print_result(f"{indent}    {name}")
            return
        more = len(names) - _NAMED_MAX
        text = ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        print_result(f"{indent}  {word} {text}{amount}")


def _fields(deeds: Deeds) -> dict[str, object]:
    fields: dict[str, object] = {"process": None, "programs": []}
    if deeds.process is not None:
        fields = process_fields(deeds.process)
        fields["programs"] = [program_fields(program) for program in deeds.process.programs]
    return fields | {
        "own": sum_fields(deeds.own),
        "together": sum_fields(deeds.together),
        "reads": [_place_fields(place) for place in deeds.reads],
        "writes": [_place_fields(place) for place in deeds.writes],
    }


def _place_fields(place: Place) -> dict[str, object]:
    fields: dict[str, object] = {"domain": place[0]}
    put_bytes(fields, "path", place[1])
    return fields
