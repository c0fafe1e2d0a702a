"""Every error that catfs raises on purpose, split by whose fault it is.

An error keeps its facts in fields, knows the exit status of the command that meets it,
and reads as one sentence: what, where, expected, got, what to do.
"""

import os
from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit statuses of the command line (DESIGN, section 10)."""

    RESTORED = 0
    DIRTY = 1
    USAGE = 2
    CONFLICT = 3
    INTERNAL = 125
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127


class CatfsError(Exception):
    """The root of all errors that catfs raises on purpose.

    Args:
        message: One sentence for people.
        hint: What the reader can do about it, or None.
    """

    exit_status: ExitStatus = ExitStatus.INTERNAL

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} ({self.hint})"


class UsageError(CatfsError):
    """The command line, the configuration or a declaration cannot be used."""

    exit_status = ExitStatus.USAGE


class FormatError(CatfsError):
    """Bytes from disk, log or socket are not what their format says.

    Args:
        what: Name of the file, record or message.
        problem: What is wrong with it: expected and got.
    """

    exit_status = ExitStatus.USAGE

    def __init__(self, what: str, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"{what}: {problem}", hint=hint)
        self.what = what
        self.problem = problem


class ConflictError(CatfsError):
    """Something changed underneath a session: committing would lose somebody's change.

    Args:
        path: Path relative to the domain, as bytes.
        expected: What the session saw.
        got: What is there now.
    """

    exit_status = ExitStatus.CONFLICT

    def __init__(self, path: bytes, expected: str, got: str) -> None:
        super().__init__(
            f"{printable(path)} changed underneath the session: expected {expected}, got {got}",
            hint="nothing was committed; run again on the new state",
        )
        self.path = path
        self.expected = expected
        self.got = got


class MachineError(CatfsError):
    """The machine cannot do what catfs needs (no /dev/fuse, no bubblewrap, no permission)."""


class CommitError(CatfsError):
    """A commit could not be carried out; the domain holds the old state or is recoverable."""


def reason_of(error: BaseException) -> str:
    """Give what an error says, for people: of one of the machine its words and the file, not its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return ": ".join([error.strerror, *(printable(os.fsencode(name)) for name in names)])


def printable(name: bytes) -> str:
    """Give a name or path in a form that is safe on a terminal: escapes for what is not text."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str) -> str:
    """Give a number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
