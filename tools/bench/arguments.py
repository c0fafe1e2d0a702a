"""The command line of the benchmark."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from catfs.errors import UsageError
from tools.bench.model import DEVFUSE, FUSE_OVERLAYFS, NATIVE, PEERS

PROFILED = (NATIVE, FUSE_OVERLAYFS, DEVFUSE)
"""The peers that are profiled unless others are named: what the promises compare."""

_EPILOG = """\
examples:
  python -m tools.bench --list
  python -m tools.bench --rows create,stat-warm --peers fuse-overlayfs,catfs-devfuse
  python -m tools.bench --profile find,rm
  python -m tools.bench --json result.json --chart result.png --markdown

Needs root: it mounts, and it drops the kernel's caches. It mounts in a mount namespace of its own.
exit status: 0 when everything was measured, 1 when a row failed (or a promise is broken, with --check),
2 for bad arguments, 125 when the machine cannot do it
"""


def make_parser() -> argparse.ArgumentParser:
    """Give the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Measure catfs beside the bare disk and other overlays, in turns, in one run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=_words, default=[], metavar="A,B", help="only these rows (see --list)")
    parser.add_argument("--peers", type=_words, metavar="A,B", help=f"only these: {', '.join(PEERS)}")
    parser.add_argument(
        "--rounds", type=_positive, default=5, metavar="N", help="samples of each (default: 5)"
    )
    parser.add_argument(
        "--limit-seconds",
        type=_positive,
        default=300,
        metavar="S",
        help="longest time of one sample (default: 300)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path("/var/tmp"),  # noqa: S108  # a folder of unforeseeable name is made in it
        metavar="DIR",
        help="where the work is done, on the file system to be measured (default: /var/tmp)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--chart", type=Path, metavar="FILE.png", help="draw the ratios (needs matplotlib)")
    parser.add_argument("--markdown", action="store_true", help="print the table of ratios in Markdown")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a promise is broken")
    parser.add_argument(
        "--quick", action="store_true", help="tiny amounts, to try the tool; times mean nothing"
    )
    parser.add_argument("--install", action="store_true", help="install what is missing with apt-get and pip")
    parser.add_argument(
        "--profile",
        type=_words,
        default=[],
        metavar="A,B",
        help="instead of comparing times, show where those of these rows go: processors, and requests to "
        f"the server (needs perf; {', '.join(PROFILED)} unless --peers names others)",
    )
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    return parser


def check_words(kind: str, words: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that do not exist.

    Args:
        kind: What they name, in the singular.
        words: Those that were given.
        known: Those that exist.

    Raises:
        UsageError: for the first unknown one.
    """
    for word in words:
        if word not in known:
            raise UsageError(f"there is no {kind} {word!r}", hint=f"known are {', '.join(known)}")


def check_profile(arguments: argparse.Namespace) -> None:
    """Refuse options that say what to do with times, where there is a profile instead.

    Args:
        arguments: The command line.

    Raises:
        UsageError: for the first of them.
    """
    for name in ("rows", "json", "chart", "markdown", "check"):
        if arguments.profile and getattr(arguments, name):
            raise UsageError(
                f"--{name} cannot be given with --profile, which compares no times",
                hint="leave one of the two out; rows to profile are named behind --profile",
            )


def check_directory(directory: Path) -> None:
    """Refuse a directory that cannot be worked in.

    Raises:
        UsageError: when it is none, or overlay options cannot name it.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is no directory", hint="name an existing one with --directory")
    if any(character in str(directory.resolve()) for character in ",:\\ \n"):
        raise UsageError(
            f"{str(directory.resolve())!r} has a comma, colon, backslash or space in it",
            hint="overlay file systems cannot take it as an option; name another one with --directory",
        )


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value
