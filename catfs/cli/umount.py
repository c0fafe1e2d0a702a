"""`catfs umount`: end a mount, with or without a commit."""

import argparse
import os
import sys
from collections.abc import Mapping
from errno import EBUSY, EINVAL
from pathlib import Path

from catfs.cli.output import print_json, tell
from catfs.cli.words import add_json, find_workspace, say_leftovers
from catfs.errors import MachineError, UsageError
from catfs.linux import umount2
from catfs.records import Leftovers, RestoreDiff
from catfs.runtime.control import ask
from catfs.runtime.mounted import conclude_suspended
from catfs.runtime.sessions import SessionFacts, clear_dead_session, is_mount_point, mount_session

_EPILOG = """\
Without --commit or --discard a session is only ended when nothing was changed in it. A session whose
server is gone (killed, or unmounted by `umount`) is committed or discarded all the same.

exit status: 0 ended; 1 something undeclared was left behind, the mount stays; 2 bad arguments;
3 the domain changed underneath; 125 the mount is in use or catfs itself failed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "domain", nargs="?", type=Path, metavar="DOMAIN", help="the domain (default: the only mounted one)"
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--commit", action="store_true", help="prove the session and commit declared outputs")
    choice.add_argument("--discard", action="store_true", help="drop everything that was written")
    parser.add_argument(
        "--leftovers",
        choices=[policy.value for policy in Leftovers],
        default=Leftovers.FAIL.value,
        help="with --commit: what undeclared differences do (default: keep the mount and commit nothing)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    workspace = find_workspace()
    facts = mount_session(workspace, arguments.domain)
    policy = Leftovers(arguments.leftovers)
    if arguments.discard:
        _discard(facts)
        tell(f"{facts.domains[0]} is as it was; what was written in the session is dropped")
        return 0
    if not facts.live:
        if not arguments.commit:
            raise UsageError(
                f"the server of the session of {facts.domains[0]} is gone",
                hint="choose --commit or --discard, or mount the domain again to go on",
            )
        found = conclude_suspended(workspace, facts, policy, tuple(sys.argv[1:]))
        return _report(found, as_json=arguments.json)
    found = ask(facts.folder, {"ask": "examine", "leftovers": policy.value})
    if not arguments.commit:
        _check_unchanged(RestoreDiff.from_dict(found["difference"]))
        _discard(facts)
        tell(f"{facts.domains[0]} is unmounted; nothing had been changed")
        return 0
    if not found["exit_status"]:
        ask(facts.folder, {"ask": "stay"})
        _unmount(facts)
        found = ask(facts.folder, {"ask": "commit", "leftovers": policy.value})
    return _report(found, as_json=arguments.json)


def _discard(facts: SessionFacts) -> None:
    """Drop a session, whether its server lives or not."""
    if not facts.live:
        clear_dead_session(facts)
        return
    ask(facts.folder, {"ask": "stay"})
    _unmount(facts)
    ask(facts.folder, {"ask": "discard"})


def _report(found: Mapping[str, object], *, as_json: bool) -> int:
    """Tell how a commit went and give its exit status."""
    status = found["exit_status"]
    assert isinstance(status, int)
    if as_json:
        print_json(found)
    tell(str(found["sentence"]))
    say_leftovers(RestoreDiff.from_dict(found["difference"]).domains)
    if status == 1:
        tell("the session goes on; `catfs umount --commit --leftovers discard` drops what is listed")
    return status


def _check_unchanged(difference: RestoreDiff) -> None:
    count = sum(len(domain.changes) for domain in difference.domains)
    if count:
        raise UsageError(
            f"the session has {count} changes", hint="`catfs diff` lists them; choose --commit or --discard"
        )


def _unmount(facts: SessionFacts) -> None:
    """Take the mount away, unless somebody did already."""
    domain = facts.domains[0]
    if not is_mount_point(domain):
        return
    try:
        umount2(os.fsencode(domain), 0)
    except OSError as error:
        if error.errno == EBUSY:
            raise MachineError(
                f"{domain} is in use", hint="leave it with every shell and program, then try again"
            ) from error
        if error.errno != EINVAL:
            raise MachineError(f"{domain} cannot be unmounted: {error.strerror}") from error
