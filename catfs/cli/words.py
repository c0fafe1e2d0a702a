"""Sentences and arguments that several commands share."""

import argparse
import os
import shlex
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from errno import EROFS
from pathlib import Path

from catfs.cli.output import tell
from catfs.commit import Outcome as RecoveryOutcome
from catfs.commit import Recovery
from catfs.errors import printable
from catfs.records import Change, Confine, DomainDifference, Entry, Kind, Outcome, Proof, format_time
from catfs.records.entry import kind_of_mode
from catfs.records.run_files import STEPS_FOLDER
from catfs.runtime.conclude import Conclusion
from catfs.runtime.subject import require_workspace
from catfs.runtime.workspace import Workspace

_SHOWN_MAX = 20
"""Most paths listed on stderr; the rest is counted, and all of them are in the ledger."""

_TAIL_BYTES = 65536
"""What a command printed last, as far as it is searched for the reason why it failed."""

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def add_json(parser: argparse.ArgumentParser, text: str = "print the result as JSON") -> None:
    """Declare `--json`."""
    parser.add_argument("--json", action="store_true", help=text)


def path_argument(word: str) -> Path:
    """Give the path that an argument names. A variable that is not set must not mean `here`.

    Raises:
        ArgumentTypeError: when it is empty.
    """
    if not word:
        raise argparse.ArgumentTypeError("expected a path, got an empty word")
    return Path(word)


def target_argument(word: str) -> Path:
    """Give the path of what a command makes; a file there is replaced, so nothing else may be there.

    Raises:
        ArgumentTypeError: when it is empty, `-`, or a symlink, device or other special file.
    """
    path = path_argument(word)
    if word == "-":
        raise argparse.ArgumentTypeError("expected a file: what is made is not written to standard output")
    with suppress(OSError):  # nothing there, or the command will say what is wrong with the place
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            kind = kind_of_mode(mode).value.replace("_", " ")
            raise argparse.ArgumentTypeError(f"expected a file or a free name, got the {kind} {plain(word)}")
    return path


def add_target(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare `--output`, which names what a command makes."""
    parser.add_argument("-o", "--output", required=True, type=target_argument, metavar="FILE", help=text)


def add_subject(parser: argparse.ArgumentParser) -> None:
    """Declare the argument that names a mounted session or a run."""
    parser.add_argument(
        "subject",
        nargs="?",
        metavar="DOMAIN|RUN",
        help="a mounted domain, a run id, the beginning of one, `last`",
    )


def add_paths(parser: argparse.ArgumentParser, option: str, metavar: str, text: str) -> None:
    """Declare an option that names a path and may be given several times."""
    parser.add_argument(option, action="append", default=[], type=path_argument, metavar=metavar, help=text)


def find_workspace(start: Path | None = None) -> Workspace:
    """Give the workspace at or above a folder, the working directory by default.

    Raises:
        UsageError: when there is none.
    """
    return require_workspace(start or Path.cwd())


def change_line(change: Change) -> str:
    """Give the line for one change: `+` added, `-` removed, `~` changed."""
    return f"{_SIGNS[change.kind.value]} {printable(change.path) or '.'}"


def detailed_change_line(change: Change) -> str:
    """Give the line for one change, with what changed: kind, mode, size or content."""
    before, after = change.before, change.after
    if before is None or after is None:
        there = after if before is None else before
        return change_line(change) + ("/" if there is not None and there.kind is Kind.DIRECTORY else "")
    aspects = []
    if before.kind is not after.kind:
        aspects.append(f"{_kind_word(before)} -> {_kind_word(after)}")
    if before.mode != after.mode:
        aspects.append(f"mode {before.mode:04o} -> {after.mode:04o}")
    if before.size != after.size:
        aspects.append(f"{before.size} -> {after.size} bytes")
    if before.kind is after.kind and before.digest != after.digest and before.kind is not Kind.DIRECTORY:
        aspects.append("target" if before.kind is Kind.SYMLINK else "content")
    return f"{change_line(change)}  ({', '.join(aspects)})"


def _kind_word(entry: Entry) -> str:
    return entry.kind.value.replace("_", " ")


def add_history(parser: argparse.ArgumentParser) -> None:
    """Declare `--history`."""
    parser.add_argument(
        "--history",
        action="store_true",
        help="keep all that is ever written, so that every version can be had later",
    )


def plain(name: str) -> str:
    """Give a name that came from a file name in a form that every terminal and every JSON text can hold."""
    return printable(os.fsencode(name))


def time_text(nanoseconds: int) -> str:
    """Give a time for people: UTC to the second, `2026-01-31 12:00:00`."""
    return format_time(nanoseconds)[:19].replace("T", " ")


def command_text(arguments: Sequence[bytes], limit: int = 60) -> str:
    """Give a command for people, cut off when it is long.

    Args:
        arguments: Its arguments.
        limit: Most characters.
    """
    text = " ".join(shlex.quote(printable(word)) for word in arguments)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def say_recoveries(reports: Iterable[Recovery]) -> None:
    """Tell what was found of interrupted commits."""
    for report in reports:
        if report.outcome is RecoveryOutcome.FINISHED:
            tell(f"finished the interrupted commit {report.commit_id}")
        elif report.outcome is not RecoveryOutcome.GIVEN_UP:
            tell(f"the interrupted commit {report.commit_id} {report.outcome.value}: {report.message}")


def say_held(sentence: str) -> None:
    """Tell who keeps a session that is waited for."""
    tell(f"{sentence}; waiting for that")


def say_conclusion(conclusion: Conclusion) -> None:
    """Tell how a run ended: the sentence, and the paths it is about."""
    tell(f"{conclusion.proof.run_id}: {conclusion.sentence}")
    if conclusion.proof.outcome in {Outcome.DIRTY, Outcome.RESTORED}:
        say_leftovers(conclusion.difference.domains)
    for note in conclusion.notes:
        tell(f"{printable(note.path)}: {note.kind.value.replace('_', ' ')} {note.detail}".rstrip())
    if conclusion.proof.outcome is Outcome.DIRTY:
        tell("declare outputs with --output, or drop leftovers with --leftovers discard")
    if conclusion.proof.outcome is Outcome.CONFLICT:
        tell("run again on what is there now")
    if _has_met_the_wall(conclusion.proof):
        tell("outside the domains everything was read-only for the command; --allow-write PATH opens a place")


def _has_met_the_wall(proof: Proof) -> bool:
    """Say whether a confined command failed and told of a refused write, as builds with a cache do."""
    if proof.outcome is not Outcome.FAILED or proof.confine is not Confine.ON:
        return False
    refused = os.strerror(EROFS).encode()
    steps = find_workspace().runs / proof.run_id / STEPS_FOLDER
    for file in steps.glob("*.std*"):
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _TAIL_BYTES))
            if refused in stream.read():
                return True
    return False


def say_leftovers(domains: Sequence[DomainDifference]) -> None:
    """List undeclared changes, the first of them."""
    for domain in domains:
        for change in domain.leftovers[:_SHOWN_MAX]:
            tell(f"  {change_line(change)}")
        if len(domain.leftovers) > _SHOWN_MAX:
            tell(f"  and {len(domain.leftovers) - _SHOWN_MAX} more in {printable(domain.path)}")
