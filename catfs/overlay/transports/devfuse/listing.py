"""Directory streams without handles: positions that stay right while names come and go.

No OPENDIR is ever sent, so a READDIR says only which directory and behind which position. A position
therefore belongs to a name for good: names that are new to a listing go to its end, and names that
have gone leave a gap that is skipped.
"""

from collections.abc import Iterator, Mapping

from catfs.overlay.nodes import Node

_FIRST_POSITION = 2
"""Positions 1 and 2 are behind `.` and `..`."""
_GAPS_MAX = 64
"""A listing is made anew once it has this many gaps more than names."""


class Listing:
    """The order in which the names of one directory are given out."""

    __slots__ = ("_base", "_names", "_old_base", "_old_names")

    def __init__(self) -> None:
        self._base = self._old_base = _FIRST_POSITION
        self._names: list[bytes] = []
        self._old_names: list[bytes] = []
        """The listing before the last one was made anew, for streams that are still in it."""

    def refresh(self, entries: Mapping[bytes, Node]) -> None:
        """Take up names that are new; called when a stream starts."""
        names = list(entries)
        if names == self._names:
            return
        if len(self._names) > 2 * len(names) + _GAPS_MAX:
            self._old_base, self._old_names = self._base, self._names
            self._base += len(self._names)
            self._names = names
            return
        known = set(self._names)
        self._names.extend(name for name in names if name not in known)

    def behind(self, position: int, entries: Mapping[bytes, Node]) -> Iterator[tuple[int, bytes, Node]]:
        """Give (position behind the name, name, node) of each name behind a position, in order.

        Args:
            position: At least 2.
            entries: The names that the directory has now.
        """
        base, names = self._base, self._names
        if position < base and position != _FIRST_POSITION:
            base, names = self._old_base, self._old_names
        for index in range(max(position - base, 0), len(names)):
            name = names[index]
            node = entries.get(name)
            if node is not None:
                yield base + index + 1, name, node
