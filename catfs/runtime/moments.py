"""Words for the moments of a session or run: `base`, `end`, or the number of a record."""

import re
from typing import Final

from catfs.errors import UsageError, counted, printable

BASE: Final = "base"
"""Before the first record."""

END: Final = "end"
"""After the last record."""

_RANGE: Final = re.compile(r"(base|\d+)?\.\.(end|base|\d+)?", re.ASCII)


def moment_of(word: str, size: int) -> int:
    """Give how many records there are at a moment.

    Args:
        word: `base`, `end`, or the sequence number of a record: the moment right after it.
        size: Number of records of the log.

    Raises:
        UsageError: when it is none of these, or the log has no such record.
    """
    if word == BASE:
        return 0
    if word == END:
        return size
    return record_of(word, size) + 1


def record_of(word: str, size: int) -> int:
    """Give the sequence number of a record.

    Args:
        word: The number.
        size: Number of records of the log.

    Raises:
        UsageError: when it is no number, or the log has no such record.
    """
    if not (word.isascii() and word.isdigit() and len(word) <= 19):
        shown = printable(word.encode("utf-8", "surrogateescape")[:100])
        raise UsageError(f"expected the number of a record, {BASE} or {END}, got {shown!r}")
    seq = int(word)
    if seq >= size:
        has = f"the log has {counted(size, 'record')}"
        last = f", the last is {size - 1}" if size else ""
        raise UsageError(f"there is no record {seq}: {has}{last}", hint="`catfs log --json` numbers them")
    return seq


def split_range(word: str) -> tuple[str, str] | None:
    """Give the two moments of a word like `3..9`, `..9`, `3..` or `base..end`; None when it is no range.

    An end that is left out is the first or the last moment. Two dots alone are a directory.
    """
    match = _RANGE.fullmatch(word)
    if match is None or word == "..":
        return None
    return match[1] or BASE, match[2] or END
