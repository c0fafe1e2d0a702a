"""Directory streams without handles: positions that stay right while names come and go.

No OPENDIR is ever sent, so a READDIR says only which directory and behind which position. A position
therefore belongs to a name for good: names that are new to a listing go to its end, and names that
have gone leave a gap that is skipped.
"""

from array import array
from collections.abc import Iterator, Mapping

from catfs.overlay.lazy_entries import LazyEntries
from catfs.overlay.nodes import ListedName, Node

_FIRST_POSITION = 2
"""Positions 1 and 2 are behind `.` and `..`."""
_GAPS_MAX = 64
"""A listing is made anew once it has this many gaps more than names."""


class Listing:
    """The order in which the names of one directory are given out."""

    __slots__ = ("_base", "_marks", "_names", "_old_base", "_old_names")

    def __init__(self) -> None:
        self._base = self._old_base = _FIRST_POSITION
        self._names: list[bytes] = []
        self._marks: array[int] = array("Q")
        """What stood beside each of the first names when they were listed without their nodes."""
        self._old_names: list[bytes] = []
        """The listing before the last one was made anew, for streams that are still in it."""

    def refresh(self, entries: Mapping[bytes, Node]) -> None:
        """Take up names that are new; called when a stream starts."""
        names, marks = entries.listed() if isinstance(entries, LazyEntries) else (list(entries), array("Q"))
        if names == self._names:
            self._marks = marks
            return
        if not self._names or len(self._names) > 2 * len(names) + _GAPS_MAX:
            self._old_base, self._old_names = self._base, self._names
            self._base += len(self._names)
            self._names, self._marks = names, marks
            return
        known = set(self._names)
        self._names.extend(name for name in names if name not in known)

    def behind(
        self, position: int, entries: Mapping[bytes, Node]
    ) -> Iterator[tuple[int, bytes, Node | ListedName]]:
        """Give (position behind the name, name, node) of each name behind a position, in order.

        Args:
            position: At least 2.
            entries: The names that the directory has now; those that nobody looked up get no node.
        """
        base, names, marks = self._base, self._names, self._marks
        if position < base and position != _FIRST_POSITION:
            base, names, marks = self._old_base, self._old_names, _NO_MARKS
        lazy = entries if isinstance(entries, LazyEntries) else None
        for index in range(max(position - base, 0), len(names)):
            name = names[index]
            if lazy is not None and index < len(marks):
                node = lazy.glance(name, marks[index])
            else:
                node = entries.get(name)
            if node is not None:
                yield base + index + 1, name, node


_NO_MARKS: "array[int]" = array("Q")
