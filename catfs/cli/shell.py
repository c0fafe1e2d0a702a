"""`catfs shell`: a shell in a view of a domain; what it leaves is proven and committed as after a run."""

import argparse
import os
import pwd
import sys
from pathlib import Path

from catfs.cli.output import print_json, tell
from catfs.cli.words import add_json, add_paths, path_argument, say_conclusion, say_recoveries
from catfs.errors import printable
from catfs.records.job import Confine, Leftovers
from catfs.runtime.request import RunRequest
from catfs.runtime.run import run_command
from catfs.runtime.terminal import is_interactive

_EPILOG = """\
The shell is the one that $SHELL names, in a terminal of its own, with job control. It is a run like any other
(`catfs run`): it sees the domain at its path and may change everything there, and when it ends, what it left
is compared with what was there. The status of the last command counts: leave with `exit 0` to commit, or with
`exit 1` to drop everything. What the terminal showed is kept with the run. Where stdin or stdout is no
terminal, the shell reads commands from stdin.

exit status: as of `catfs run`

examples:
  catfs shell
  catfs shell project --output project/notes.txt --leftovers discard
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "domain",
        nargs="?",
        type=path_argument,
        metavar="DOMAIN",
        help="the directory that must be returned as it was (default: the working directory)",
    )
    add_paths(parser, "--output", "PATH", "a path in the domain that may survive (repeatable)")
    parser.add_argument(
        "--leftovers",
        choices=[policy.value for policy in Leftovers],
        default=Leftovers.FAIL.value,
        help="what undeclared differences do: fail the run (default), or be listed and dropped",
    )
    parser.add_argument(
        "--confine",
        choices=[choice.value for choice in Confine],
        default=Confine.ON.value,
        help="make everything outside the domain read-only for the shell (default: on)",
    )
    add_paths(parser, "--allow-write", "PATH", "a place outside that the shell may write (repeatable)")
    parser.add_argument("--history", action="store_true", help="keep every byte that is written (catfs cat)")
    parser.add_argument("--intent", default="", metavar="TEXT", help="what it is for; kept in the ledger")
    parser.add_argument("--run-id", metavar="ID", help="name of the run (default: one made from the time)")
    add_json(parser, "print the proof as JSON at the end; what the shell prints goes to stderr")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    cwd, domain = Path.cwd(), Path(os.path.realpath(arguments.domain or Path()))
    shell = _shell()
    request = RunRequest(
        arguments=_command(shell, domain, cwd),
        domains=(domain,),
        outputs=tuple(arguments.output),
        allow_write=tuple(arguments.allow_write),
        leftovers=Leftovers(arguments.leftovers),
        confine=Confine(arguments.confine),
        transport="auto",
        intent=arguments.intent,
        run_id=arguments.run_id,
        cwd=cwd,
        argv=tuple(sys.argv[1:]),
        history=arguments.history,
        terminal=is_interactive() and not arguments.json,
    )
    if request.terminal:
        place = printable(os.fsencode(domain))
        tell(f"{shell} in a view of {place}: `exit 0` ends it and commits, `exit 1` drops everything")
    conclusion = run_command(request, output=2 if arguments.json else 1, on_recovery=say_recoveries)
    if conclusion.cut_off:
        tell("processes of the shell lived on; they were cut off from the view")
    if arguments.json:
        print_json(conclusion.proof.to_dict())
    say_conclusion(conclusion)
    return conclusion.proof.exit_status


def _shell() -> str:
    """Give the path of the user's shell."""
    named = os.environ.get("SHELL")
    if named:
        return named
    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:  # a user without an entry, as in many containers
        return "/bin/sh"


def _command(shell: str, domain: Path, cwd: Path) -> tuple[str, ...]:
    """Give the command that becomes the shell, in the domain unless it is called from inside."""
    if cwd.is_relative_to(domain):
        return (shell,)
    return ("/bin/sh", "-c", 'cd -- "$1" && exec "$2"', "catfs", str(domain), shell)
