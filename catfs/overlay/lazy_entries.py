"""The entries of a large directory: looked up one by one, also when all its names are wanted.

A directory of a million files takes seconds to look through and a gigabyte of nodes. A program that opens ten
files in it should wait for ten, and one that lists it needs names, not nodes.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping

from catfs.overlay.nodes import ListedName, Node

Find = Callable[[bytes], Node | None]
"""Gives the node of a name of the lower, None where there is none."""

Names = Callable[[], Iterable[tuple[bytes, int, int]]]
"""Gives each name of the lower, with its inode number and its kind, which is four bits of its mode."""

_KIND_BITS = 4
_KIND_MASK = (1 << _KIND_BITS) - 1


class LazyEntries(MutableMapping[bytes, Node]):
    """Entries that are known as far as somebody asked for them.

    Args:
        find: Asks the lower for one name.
        names: Asks it for all of them.
        found: Told each name that was found, with its node, when it is among the entries.
        known: The entries that are known from the start.
        gone: Names of the lower that the view has no more.
    """

    __slots__ = ("_find", "_found", "_gone", "_names", "known")

    def __init__(
        self,
        find: Find,
        names: Names,
        found: Callable[[bytes, Node], None],
        known: Mapping[bytes, Node],
        gone: Collection[bytes],
    ) -> None:
        self._find = find
        self._names = names
        self._found = found
        self._gone = set(gone)
        self.known = dict(known)
        """The entries that were asked for so far."""

    def __getitem__(self, name: bytes) -> Node:
        node = self.known.get(name)
        if node is None:
            node = None if name in self._gone else self._find(name)
            if node is None:
                raise KeyError(name)
            self.known[name] = node
            self._found(name, node)
        return node

    def __setitem__(self, name: bytes, node: Node) -> None:
        self.known[name] = node

    def __delitem__(self, name: bytes) -> None:
        self[name]
        del self.known[name]
        self._gone.add(name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.listed()[0])

    def __len__(self) -> int:
        return len(self.listed()[0])

    def __bool__(self) -> bool:
        return bool(self.known) or len(self) > 0

    def listed(self) -> "tuple[list[bytes], array[int]]":
        """Give all names and, for each, what `glance` makes of a name that nobody has looked up."""
        known, gone = self.known, self._gone
        names = list(known)
        marks = array("Q", (_mark(node.ino, node.mode >> 12) for node in known.values()))
        for name, ino, kind in self._names():
            if name not in known and name not in gone:
                names.append(name)
                marks.append(_mark(ino, kind))
        return names, marks

    def glance(self, name: bytes, mark: int) -> Node | ListedName | None:
        """Give what a listing says of a name, without looking it up; None when it is not there any more.

        Args:
            name: A name that was listed.
            mark: What stood beside it.
        """
        node = self.known.get(name)
        if node is None and name not in self._gone:
            return ListedName(mark >> _KIND_BITS, (mark & _KIND_MASK) << 12)
        return node


def _mark(ino: int, kind: int) -> int:
    return ino << _KIND_BITS | kind
