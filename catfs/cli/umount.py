"""`catfs umount`: end a mount, with or without a commit."""

import argparse
import os
from pathlib import Path

from catfs.cli.ending import (
    ENDING_STATUSES,
    add_domain,
    add_leftovers,
    add_rebase,
    end_by_commit,
    end_by_discard,
    end_moment,
    end_unchanged,
)
from catfs.cli.words import add_json
from catfs.records import Leftovers
from catfs.runtime.mounts import is_moment

_EPILOG = f"""\
Without --commit or --discard a session is only ended when nothing was changed in it. A session whose
server is gone (killed, or unmounted by `umount`) is committed or discarded all the same. The view of a
moment (`catfs mount --at`) is just unmounted.

{ENDING_STATUSES}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_domain(parser)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--commit", action="store_true", help="prove the session and commit declared outputs")
    choice.add_argument("--discard", action="store_true", help="drop everything that was written")
    add_leftovers(
        parser,
        "with --commit: what undeclared differences do (default: keep the mount and commit nothing)",
    )
    add_rebase(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.domain is not None and is_moment(Path(os.path.realpath(arguments.domain))):
        return end_moment(arguments.domain, as_json=arguments.json)
    if arguments.discard:
        return end_by_discard(arguments.domain, as_json=arguments.json)
    if arguments.commit:
        leftovers = Leftovers(arguments.leftovers)
        return end_by_commit(arguments.domain, leftovers, as_json=arguments.json, rebase=arguments.rebase)
    return end_unchanged(arguments.domain, as_json=arguments.json)
