"""`catfs mount`: a view of a domain for everybody, at the domain's own path."""

import argparse
import sys
from pathlib import Path

from catfs.cli.output import print_json, tell
from catfs.cli.words import add_json
from catfs.records import Confine, Leftovers
from catfs.runtime.mounted import start_mount
from catfs.runtime.request import RunRequest
from catfs.runtime.transports import TRANSPORTS

_EPILOG = """\
The view stays until `catfs umount --commit` or `catfs umount --discard`. Everything that is written
goes to the session; the domain itself is not touched before the commit.

example:
  catfs mount repo --output repo/proposal.patch
  (work in repo with any program)
  catfs diff
  catfs umount repo --commit
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("domain", type=Path, metavar="DOMAIN", help="the directory to mount over")
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="a path in the domain that may survive (repeatable)",
    )
    parser.add_argument(
        "--allowed-root",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder under which outputs may be declared (repeatable; default: anywhere in the domain)",
    )
    parser.add_argument(
        "--transport", choices=TRANSPORTS, default="auto", help="what serves the view (default: auto)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    request = RunRequest(
        arguments=(),
        domains=(arguments.domain,),
        outputs=tuple(arguments.output),
        allowed_roots=tuple(arguments.allowed_root),
        leftovers=Leftovers.FAIL,
        confine=Confine.OFF,
        transport=arguments.transport,
        cwd=Path.cwd(),
        argv=tuple(sys.argv[1:]),
    )
    job = start_mount(request)
    domain = job.declarations[0].path
    if arguments.json:
        print_json({"session": job.spec.run_id, "domain": str(domain)})
    tell(f"{domain} is mounted; end it with: catfs umount {domain} --commit | --discard")
    return 0
