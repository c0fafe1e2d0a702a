"""Which names runs and paths may have in a record: each thing has one spelling."""

import re
from collections.abc import Iterable

from catfs.errors import FormatError, printable
from catfs.limits import NAME_BYTES_MAX

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def check_run_id(run_id: str) -> None:
    """Check that a text can name a run: letters, digits, `.`, `_` and `-`, at most 128, not a hidden name.

    Raises:
        FormatError: when it cannot.
    """
    if not _RUN_ID.fullmatch(run_id):
        expected = "expected up to 128 of A-Z a-z 0-9 . _ -, a letter or digit first"
        raise FormatError("run id", f"{expected}, got {run_id!r}")


def check_absolute(path: bytes) -> None:
    """Check that a path is absolute and is the only spelling of itself.

    Raises:
        FormatError: when it is relative, ends in a slash, or has `.`, `..`, empty or too long names.
    """
    if not path.startswith(b"/"):
        raise FormatError("path", f"expected an absolute path, got {printable(path)!r}")
    if path != b"/":
        check_relative(path[1:])


def check_relative(path: bytes) -> None:
    """Check that a path is relative and is the only spelling of itself; b"" stands for the domain itself.

    Raises:
        FormatError: when it is absolute, ends in a slash, or has `.`, `..`, empty or too long names.
    """
    for name in path.split(b"/") if path else ():
        if name in {b"", b".", b".."} or b"\0" in name or len(name) > NAME_BYTES_MAX:
            raise FormatError("path", f"expected names joined by single slashes, got {printable(path)!r}")


def is_at_or_below(path: bytes, outputs: Iterable[bytes]) -> bool:
    """Say whether a path of a domain is one of its outputs or below one; b"" is above everything."""
    return any(not output or path == output or path.startswith(output + b"/") for output in outputs)
