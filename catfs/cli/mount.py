"""`catfs mount`: a view of a domain for everybody, at the domain's own path; or a moment, elsewhere."""

import argparse
import os
import sys
from pathlib import Path

from catfs.cli.output import print_json, tell
from catfs.cli.words import add_history, add_json, add_paths, path_argument, say_held, say_recoveries
from catfs.errors import UsageError, counted, printable
from catfs.records import Confine, Leftovers, put_bytes
from catfs.runtime.moment_mount import MomentMounted, mount_moment
from catfs.runtime.mounted import Mounted, start_mount
from catfs.runtime.request import RunRequest
from catfs.runtime.subject import find_subject
from catfs.runtime.transports import TRANSPORTS, make_transport

_EPILOG = """\
The session lasts until `catfs umount --commit` or `catfs umount --discard`. Everything that is written
goes to it; the domain itself is not touched before the commit. What was synced survives a crash of the
server or the machine: mounting the domain again goes on from there.

With --at a moment of a session or run with history is mounted at PLACE, read-only: SEQ is the number of a
record, meaning the moment right after it, `base` that before the first, `end` that after the last. The mount
lasts until `catfs umount PLACE`. Of several domains each is a directory of it, named 0, 1 and so on.

examples:
  catfs mount repo --output repo/proposal.patch
  (work in repo with any program)
  catfs diff
  catfs umount repo --commit
  catfs mount --at 4711 last /mnt/then
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "catfs mount [OPTION]... DOMAIN\n       catfs mount --at SEQ [DOMAIN|RUN] PLACE"
    parser.add_argument("domain", metavar="DOMAIN", help="the directory to mount over")
    parser.add_argument("place", nargs="?", metavar="PLACE", help="with --at: the directory to mount at")
    parser.add_argument("--at", metavar="SEQ", help="mount a moment of a session or run, read-only")
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
    if arguments.at is not None:
        return _mount_moment(arguments)
    if arguments.place is not None:
        raise UsageError("a domain is mounted at its own path", hint="a place goes with --at SEQ")
    request = RunRequest(
        arguments=(),
        domains=(path_argument(arguments.domain),),
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
        request,
        say,
        on_recovery=say_recoveries,
        on_held=say_held,
        fresh=arguments.fresh,
        foreground=arguments.foreground,
    )
    return 0


def _mount_moment(arguments: argparse.Namespace) -> int:
    """Mount a moment of the past."""
    if arguments.output or arguments.allowed_root or arguments.history or arguments.fresh:
        raise UsageError("a moment is read-only", hint="--at goes with --transport and --foreground only")
    word, place = (arguments.domain, arguments.place) if arguments.place else (None, arguments.domain)
    subject = find_subject(word, Path.cwd())

    def say(mounted: MomentMounted) -> None:
        path = os.fsencode(mounted.place)
        if arguments.json:
            record: dict[str, object] = {
                "schema": "cli-mount-at.v1",
                "of": mounted.name,
                "records": mounted.records,
                "domains": mounted.domains,
            }
            put_bytes(record, "place", path)
            print_json(record)
            sys.stdout.flush()
        moment = f"{mounted.name} with its first {counted(mounted.records, 'record')}"
        tell(f"{moment} is at {printable(path)}, read-only")
        if mounted.domains > 1:
            tell(f"its {mounted.domains} domains are the directories 0 to {mounted.domains - 1} there")

    transport = make_transport(arguments.transport)
    mount_moment(subject, arguments.at, Path(place), transport, say, foreground=arguments.foreground)
    return 0
