"""Patterns for paths, as bytes: `*` and `?` stay within one name, `**` crosses slashes."""

import re

from catfs.errors import UsageError, printable

PATTERN_BYTES_MAX = 16 * 1024
"""Longest pattern, in bytes: four times the longest path that Linux takes in one call."""


def compile_glob(pattern: bytes) -> re.Pattern[bytes]:
    r"""Give the regular expression of a pattern; it is meant for `fullmatch` on a whole path.

    `*` is any part of one name, `?` one byte of it, `[a-z]` one byte of a set, `[!a-z]` one that is not
    in it, `**/` any folders or none, a final `**` everything below, and `\` takes the next byte as it is.

    Args:
        pattern: The pattern, relative to the domain like the paths themselves.

    Raises:
        UsageError: when it is empty, absolute, too long, or ends in the middle.
    """
    shown = printable(pattern[:200])
    if not pattern or pattern.startswith(b"/") or b"\0" in pattern or len(pattern) > PATTERN_BYTES_MAX:
        limit = f"of at most {PATTERN_BYTES_MAX} bytes"
        raise UsageError(f"expected a pattern {limit} relative to the domain, got {shown!r}")
    pieces: list[bytes] = []
    place = 0
    while place < len(pattern):
        piece, place = _piece(pattern, place)
        if piece is None:
            raise UsageError(
                f"the pattern {shown!r} ends in the middle", hint="`\\` makes a `[` or `\\` plain"
            )
        if not (pieces and piece == pieces[-1] and piece in {b".*", b"(?:.*/)?", b"[^/]*"}):
            pieces.append(piece)
    try:
        return re.compile(b"".join(pieces), re.DOTALL)
    except re.error as error:
        raise UsageError(f"the pattern {shown!r} cannot be used: {error}") from error


def _piece(pattern: bytes, place: int) -> tuple[bytes | None, int]:
    """Give the expression of what stands at a place, and the place behind it; None for what never ends."""
    if pattern.startswith(b"**/", place) and (place == 0 or pattern[place - 1 : place] == b"/"):
        return b"(?:.*/)?", place + 3
    if pattern.startswith(b"**", place):
        return b".*", place + 2
    one = pattern[place : place + 1]
    if one == b"*":
        return b"[^/]*", place + 1
    if one == b"?":
        return b"[^/]", place + 1
    if one == b"[":
        return _set(pattern, place)
    if one == b"\\":
        one, place = pattern[place + 1 : place + 2], place + 1
    return (re.escape(one) if one else None), place + 1


def _set(pattern: bytes, place: int) -> tuple[bytes | None, int]:
    """Give the expression of a set of bytes; a `]` that stands first belongs to it."""
    inverted = pattern.startswith(b"!", place + 1)
    start = place + 1 + inverted
    end = pattern.find(b"]", start + 1)
    if end < 0:
        return None, len(pattern)
    parts = re.sub(rb"([\\\[\]^&~|])", rb"\\\1", pattern[start:end])
    return b"(?!/)[" + (b"^" if inverted else b"") + parts + b"]", end + 1
