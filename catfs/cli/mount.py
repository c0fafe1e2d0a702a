"""`catfs mount`: a view of a domain for everybody, at the domain's own path."""

import argparse
import os
import sys
from pathlib import Path

from catfs.cli.output import print_json, tell
from catfs.cli.words import add_history, add_json, add_paths, path_argument, say_recoveries
from catfs.errors import printable
from catfs.records import Confine, Leftovers, put_bytes
from catfs.runtime.mounted import Mounted, start_mount
from catfs.runtime.request import RunRequest
from catfs.runtime.transports import TRANSPORTS

_EPILOG = """\
The session lasts until `catfs umount --commit` or `catfs umount --discard`. Everything that is written
goes to it; the domain itself is not touched before the commit. What was synced survives a crash of the
server or the machine: mounting the domain again goes on from there.

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
    parser.add_argument("domain", type=path_argument, metavar="DOMAIN", help="the directory to mount over")
    add_paths(parser, "--output", "PATH", "a path in the domain that may survive (repeatable)")
    add_paths(
        parser,
        "--allowed-root",
        "DIR",
        "a folder under which outputs may be declared (repeatable; default: anywhere in the domain)",
    )
    parser.add_argument(
        "--transport", choices=TRANSPORTS, default="auto", help="what serves the view (default: auto)"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="drop a session of the domain whose server is gone, instead of resuming it",
    )
    parser.add_argument(
        "--foreground",
        action="store_true",
        help="stay until the mount ends; a signal unmounts, and the session can be resumed",
    )
    add_history(parser)
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
        history=arguments.history,
    )

    def say(mounted: Mounted) -> None:
        path = os.fsencode(mounted.job.declarations[0].path)
        domain = printable(path)
        if arguments.json:
            record: dict[str, object] = {
                "schema": "cli-mount.v1",
                "session": mounted.job.spec.run_id,
                "resumed": mounted.resumed,
                "lost_bytes": mounted.lost_bytes,
                "committed": mounted.committed,
            }
            put_bytes(record, "domain", path)
            print_json(record)
            sys.stdout.flush()
        if mounted.committed is not None:
            tell(f"the session before was committed by run {mounted.committed}; this is a new one")
        if mounted.resumed is not None:
            tell(f"the session {mounted.job.spec.run_id} goes on, with {mounted.resumed} records")
        if mounted.lost_bytes:
            tell(f"{mounted.lost_bytes} bytes at the end of its log were never synced and cannot be believed")
        tell(f"{domain} is mounted; end it with: catfs umount {domain} --commit | --discard")

    start_mount(
        request, say, on_recovery=say_recoveries, fresh=arguments.fresh, foreground=arguments.foreground
    )
    return 0
