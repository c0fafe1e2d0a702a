"""The command line: finds the command, runs it, turns every error into a sentence and an exit status.

The only place where a command's module is imported late, so that `catfs --help` and small commands do
not wait for what they do not need; and, besides the request boundary of a transport, the only place
that catches every exception.
"""

import argparse
import gc
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

import catfs
from catfs.errors import CatfsError, ExitStatus

COMMANDS = {
    "run": "run a command in a copy-on-write view, prove what it left, commit declared outputs",
    "shell": "run a shell in a copy-on-write view, as a run of its own",
    "mount": "mount a domain's view for everybody, at the domain's own path",
    "umount": "end a mount: commit its declared outputs, or discard everything",
    "commit": "end a mount and commit its declared outputs",
    "discard": "end a mount and drop everything that was written",
    "status": "say what is mounted and how it stands",
    "cat": "print what a file held at any moment of a session or run with history",
    "diff": "list how a view differs from its domain",
    "replay": "recompute what the log of a run leads to, from its base and the log alone",
    "bisect": "find the first record after which a test fails",
    "undo": "let a mounted session go back to before a record",
    "log": "print the write log: who changed what, when",
    "export": "write the log in a format that other programs read",
    "top": "watch who writes where in a live session, and how fast",
    "blame": "say which process wrote which bytes of a file last",
    "tree": "show the processes of a session or run, and what each read and wrote",
    "audit": "look for suspicious patterns in a write log",
    "report": "write a run as one page for a browser",
    "proof": "show the proof of a run or of a live session, or prove one path",
    "verify": "check the ledger of runs, without the domain",
    "validate": "check a job specification or a ledger and list everything that is wrong",
    "runs": "list the runs of the workspace",
    "spectrum": "write a directory down as path and content hash, make it again, compare",
    "cas": "keep contents by their SHA-256, give them back, check and clean the store",
    "doctor": "find what crashes left behind, and clean it up",
}


_STATUS_OF_BROKEN_PIPE = 128 + 13
"""Exit status when the reader of the results went away, as of a program that SIGPIPE ended: what was
found out may not have been told, so it cannot count as a success."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `catfs` with arguments.

    Args:
        arguments: Without the program's name; None means those of the process.

    Returns:
        The exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(format="catfs: %(message)s", level=logging.WARNING)
    status = _run_to_the_end(given)
    if arguments is None:
        # The process ends: what it holds, perhaps all names of a large domain, need not be taken apart first.
        gc.freeze()
    return status


def _run_to_the_end(given: Sequence[str]) -> int:
    """Run a command and give its exit status, whatever happens to it."""
    try:
        return _run(given)
    except CatfsError as error:
        _complain(str(error))
        return int(error.exit_status)
    except BrokenPipeError:
        _drop_output()
        return _STATUS_OF_BROKEN_PIPE
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        place = f" ({os.fsdecode(error.filename)})" if error.filename else ""
        _complain(f"{error.strerror or error}{place}")
        return int(ExitStatus.INTERNAL)
    except Exception:
        traceback.print_exc()
        _complain("this is a defect of catfs; the lines above say where, please report them")
        return int(ExitStatus.INTERNAL)


def _run(given: Sequence[str]) -> int:
    parser, modules = _parser(given)
    arguments = parser.parse_args(given)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return int(ExitStatus.USAGE)
    status = modules[arguments.command].run(arguments)
    sys.stdout.flush()
    return int(status)


def _parser(given: Sequence[str]) -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    """Make the parser; only the command that is asked for gets its arguments, and so its module."""
    parser = argparse.ArgumentParser(
        prog="catfs",
        description="Let a program work inside a directory, prove what it left, "
        "and commit only what was declared.",
        epilog="`catfs COMMAND --help` explains a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"catfs {catfs.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    wanted = next((word for word in given if not word.startswith("-")), None)
    modules = {}
    for name, summary in COMMANDS.items():
        description = f"{summary[0].upper()}{summary[1:]}."
        command = commands.add_parser(name, help=summary, description=description, add_help=name == wanted)
        command.allow_abbrev = False
        if name == wanted:
            modules[name] = importlib.import_module(f"catfs.cli.{_module_of(name, given)}")
            modules[name].add_arguments(command)
    return parser, modules


def _module_of(name: str, given: Sequence[str]) -> str:
    """Give the module of a command; a run of a job specification has one that loads the validator."""
    own = given[: given.index("--")] if "--" in given else given
    is_job = name == "run" and any(word.partition("=")[0] == "--jobspec" for word in own)
    return "run_job" if is_job else name


def _complain(sentence: str) -> None:
    print(f"catfs: {sentence}", file=sys.stderr)


def _drop_output() -> None:
    """Let nothing be written at exit to a reader that is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
