"""`catfs discard`: drop everything that was written in a mounted session and end it."""

import argparse

from catfs.cli.ending import ENDING_STATUSES, add_domain, end_by_discard
from catfs.cli.words import add_json

_EPILOG = f"""\
The same as `catfs umount --discard`.

{ENDING_STATUSES}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_domain(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return end_by_discard(arguments.domain, as_json=arguments.json)
