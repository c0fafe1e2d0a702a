"""What changed inside text files, line by line, for people."""

import difflib
from typing import Final

from catfs.values import dataclass

DIFF_BYTES_MAX: Final = 512 * 1024
"""Largest file that is compared line by line, in bytes: longer ones take minutes and nobody reads them."""

DIFF_LINES_MAX: Final = 4_000
"""Most lines that a comparison has."""

LINE_CHARACTERS_MAX: Final = 2_000
"""Longest line that is shown in full, in characters."""

_CONTEXT_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Content:
    """What a file held.

    Args:
        size: Its bytes, counted.
        data: Them; None when nobody keeps them any more.
    """

    size: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class TextDiff:
    """How one file differs from what it was before.

    Args:
        domain: Index of its domain.
        path: Relative to it.
        change: added, removed or changed.
        lines: Lines that begin with `+`, `-`, a space, or `@@` for a place.
        added: Lines that were added.
        removed: Lines that were taken away.
        note: What keeps it from being shown, or from being shown in full; empty when nothing does.
    """

    domain: int
    path: bytes
    change: str
    lines: tuple[str, ...]
    added: int
    removed: int
    note: str = ""


def compare_texts(
    domain: int, path: bytes, change: str, before: Content | None, after: Content | None
) -> TextDiff:
    """Compare what a file held before and after.

    Args:
        domain: Index of its domain.
        path: Relative to it.
        change: added, removed or changed.
        before: What it held; None when it was not there.
        after: What it holds; None when it is gone.
    """
    sides = [Content(0, b"") if side is None else side for side in (before, after)]
    texts = [_text_of(side) for side in sides]
    for side, text, when in zip(sides, texts, ("before", "afterwards"), strict=True):
        if text is None:
            return TextDiff(domain, path, change, (), 0, 0, _why_not(side, when))
    old, new = ((text or "").splitlines() for text in texts)
    found = list(difflib.unified_diff(old, new, n=_CONTEXT_LINES, lineterm=""))[2:]
    added, removed = (sum(line.startswith(sign) for line in found) for sign in "+-")
    note = f"the first {DIFF_LINES_MAX} of {len(found)} lines" if len(found) > DIFF_LINES_MAX else ""
    shown = tuple(_shown(line) for line in found[:DIFF_LINES_MAX])
    return TextDiff(domain, path, change, shown, added, removed, note)


def _text_of(content: Content) -> str | None:
    """Give the text of a file; None for what is no text, too large, or not kept."""
    if content.data is None or len(content.data) > DIFF_BYTES_MAX or b"\0" in content.data:
        return None
    try:
        return content.data.decode()
    except UnicodeDecodeError:
        return None


def _why_not(content: Content, when: str) -> str:
    if content.size > DIFF_BYTES_MAX:
        return f"{content.size} bytes {when}: too large to compare line by line"
    if content.data is None:
        return f"what it held {when} ({content.size} bytes) is not kept any more"
    return f"no text {when}: {content.size} bytes"


def _shown(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS_MAX else f"{line[:LINE_CHARACTERS_MAX]}..."
