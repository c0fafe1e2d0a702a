"""The entries of a large directory: looked up one by one, and all loaded only when they are listed.

A directory of a million files takes seconds to scan and a gigabyte of nodes. A program that opens ten files
in it should wait for ten.
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping

from catfs.overlay.nodes import Node

Find = Callable[[bytes], Node | None]
"""Gives the node of a name of the lower, None where there is none."""

Scan = Callable[[], Iterable[tuple[bytes, Callable[[], Node]]]]
"""Gives all names of the lower, each with what makes its node."""


class LazyEntries(MutableMapping[bytes, Node]):
    """Entries that are known as far as somebody asked for them.

    Args:
        find: Asks the lower for one name.
        scan: Asks it for all of them.
        found: Told each name that was found, with its node, when it is among the entries.
    """

    __slots__ = ("_find", "_found", "_gone", "_is_whole", "_scan", "known")

    def __init__(self, find: Find, scan: Scan, found: Callable[[bytes, Node], None]) -> None:
        self._find = find
        self._scan = scan
        self._found = found
        self._gone: set[bytes] = set()
        """Names of the lower that the view has no more."""
        self._is_whole = False
        self.known: dict[bytes, Node] = {}
        """The entries that were asked for so far."""

    def __getitem__(self, name: bytes) -> Node:
        node = self.known.get(name)
        if node is None:
            node = None if self._is_whole or name in self._gone else self._find(name)
            if node is None:
                raise KeyError(name)
            self._take(name, node)
        return node

    def __setitem__(self, name: bytes, node: Node) -> None:
        self.known[name] = node

    def __delitem__(self, name: bytes) -> None:
        self[name]
        del self.known[name]
        self._gone.add(name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def _whole(self) -> dict[bytes, Node]:
        """Give all entries, loading those that nobody asked for yet."""
        if not self._is_whole:
            for name, make in self._scan():
                if name not in self.known and name not in self._gone:
                    self._take(name, make())
            self._is_whole = True
        return self.known

    def _take(self, name: bytes, node: Node) -> None:
        self.known[name] = node
        self._found(name, node)
