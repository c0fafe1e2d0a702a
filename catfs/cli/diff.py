"""`catfs diff`: how a view differs from its domain, in a mounted session or at the end of a run."""

import argparse
from pathlib import Path

from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, add_subject, detailed_change_line
from catfs.errors import printable
from catfs.ledger import RunReader
from catfs.records import DomainDifference, RestoreDiff
from catfs.runtime.live import ask_examination
from catfs.runtime.runs import checked_difference
from catfs.runtime.subject import find_subject

_EPILOG = """\
Without DOMAIN or RUN the mounted session is compared, or, if there is none, the last run is shown.
Lines begin with `+` for what was added, `-` for what was removed, and `~` for what changed.

examples:
  catfs diff
  catfs diff project
  catfs diff last --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    subject = find_subject(arguments.subject, Path.cwd())
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
