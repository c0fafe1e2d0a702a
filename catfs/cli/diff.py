"""`catfs diff`: how a view differs from its domain, or two moments of a session or run from each other."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, detailed_change_line
from catfs.errors import UsageError, printable
from catfs.ledger import RunReader
from catfs.records import Change, DomainDifference, RestoreDiff, put_bytes
from catfs.records.difference import change_fields
from catfs.runtime.live import ask_examination
from catfs.runtime.moments import moment_of, split_range
from catfs.runtime.past import open_past
from catfs.runtime.runs import checked_difference
from catfs.runtime.subject import find_subject

_EPILOG = """\
Without DOMAIN or RUN the mounted session is compared, or, if there is none, the last run is shown.
Lines begin with `+` for what was added, `-` for what was removed, and `~` for what changed.

A..B compares two moments of a session or run with history: numbers of records, each meaning the moment right
after it, `base` for that before the first and `end` for that after the last. One that is left out is the
first or the last.

examples:
  catfs diff
  catfs diff 100..200
  catfs diff 4711.. last
  catfs diff project
  catfs diff last --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "words",
        nargs="*",
        metavar="A..B | DOMAIN|RUN",
        help="two moments; a mounted domain, a run id, the beginning of one, `last`",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    words: list[str] = arguments.words
    moments = split_range(words[0]) if words else None
    words = words if moments is None else words[1:]
    if len(words) > 1:
        raise UsageError(f"expected one DOMAIN or RUN, got {len(words)}")
    subject = words[0] if words else None
    return _show_end(subject, arguments) if moments is None else _show_moments(*moments, subject, arguments)


def _show_moments(first: str, second: str, word: str | None, arguments: argparse.Namespace) -> int:
    """Show what differs between two moments."""
    with open_past(word, Path.cwd()) as past:
        ends = [moment_of(moment, past.log.size) for moment in (first, second)]
        found = past.changes(*map(past.view_at, ends))
        if arguments.json:
            print_json(_moments_json(past.name, ends, found))
            return 0
        for path, changes in found:
            for change in changes:
                print_result(detailed_change_line(change))
            if not changes:
                tell(f"nothing differs in {printable(path)}")
    return 0


def _moments_json(
    name: str, ends: list[int], found: Iterable[tuple[bytes, list[Change]]]
) -> dict[str, object]:
    domains = []
    for path, changes in found:
        domain: dict[str, object] = {"changes": [change_fields(change) for change in changes]}
        put_bytes(domain, "path", path)
        domains.append(domain)
    return {
        "schema": "cli-diff-moments.v1",
        "of": name,
        "from_records": ends[0],
        "to_records": ends[1],
        "domains": domains,
    }


def _show_end(word: str | None, arguments: argparse.Namespace) -> int:
    """Show how a view differs from its domain now, or did at the end."""
    subject = find_subject(word, Path.cwd())
    if isinstance(subject, RunReader):
        difference = checked_difference(subject, subject.proof())
        live = False
    else:
        difference = ask_examination(subject).difference
        live = True
    if arguments.json:
        print_json(_json(difference, live=live))
        return 0
    for domain in difference.domains:
        _show(domain)
    return 0


def _show(domain: DomainDifference) -> None:
    """Print the changes of one domain; a domain without any is told of on stderr."""
    place = printable(domain.path)
    for title, changes in (("leftovers", domain.leftovers), ("declared", domain.declared)):
        if changes:
            print_result(f"{title} in {place}: {len(changes)}")
        for change in changes:
            print_result(detailed_change_line(change))
    if not domain.changes:
        tell(f"nothing differs in {place}")


def _json(difference: RestoreDiff, *, live: bool) -> dict[str, object]:
    return {
        "schema": "cli-diff.v1",
        "run_id": difference.run_id,
        "live": live,
        "domains": [domain.to_dict() for domain in difference.domains],
    }
