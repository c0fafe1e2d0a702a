"""`catfs commit`: prove a mounted session, commit its declared outputs and end it."""

import argparse

from catfs.cli.ending import ENDING_STATUSES, add_domain, add_leftovers, add_rebase, end_by_commit
from catfs.cli.words import add_json
from catfs.records import Leftovers

_EPILOG = f"""\
The same as `catfs umount --commit`.

{ENDING_STATUSES}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_domain(parser)
    add_leftovers(parser, "what undeclared differences do (default: keep the mount and commit nothing)")
    add_rebase(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    leftovers = Leftovers(arguments.leftovers)
    return end_by_commit(arguments.domain, leftovers, as_json=arguments.json, rebase=arguments.rebase)
