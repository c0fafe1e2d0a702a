"""The difference of two trees, found by descending only where digests differ."""

from collections.abc import Iterator

from catfs.digest import Digest
from catfs.merkle.directory import checked_fan, directory_rows
from catfs.merkle.node_store import NodeSource
from catfs.merkle.nodes import Fan, Leaf, decode_row, load_node
from catfs.merkle.tree import Tree, join_path
from catfs.records import Change, Entry, Kind

_Difference = tuple[bytes, bytes | None, bytes | None]
"""A name with its row before and after; None where it is not there."""


def diff(before: Tree, after: Tree) -> Iterator[Change]:
    """Give every path at which two trees differ, in the order of a walk.

    A directory that is added or removed is followed by everything below it. A directory that is a
    directory in both trees is a change only when its mode differs, not because something below does.
    Where a directory and something else replace each other, the change of the path itself is followed
    by what disappears or appears below it.

    Reads no node below equal digests. The two trees may be kept in different stores.

    Raises:
        MissingNodeError: when a node that must be read is not held.
        FormatError: when a node that must be read is damaged.
    """
    if before.root == after.root:
        return
    walk = _Walk(before.nodes, after.nodes)
    if before.root_entry.mode != after.root_entry.mode:
        yield Change(b"", before.root_entry, after.root_entry)
    # A stack and no recursion: a path of 4,000 bytes can be 2,000 directories deep.
    stack = [(b"", walk.directories(before.root_entry.digest, after.root_entry.digest))]
    while stack:
        parent, differences = stack[-1]
        item = next(differences, None)
        if item is None:
            stack.pop()
            continue
        path = join_path(parent, item[0])
        old = None if item[1] is None else decode_row(item[1])
        new = None if item[2] is None else decode_row(item[2])
        if not _same_but_for_digest(old, new):
            yield Change(path, old, new)
        old_below, new_below = _directory_digest(old), _directory_digest(new)
        if old_below != new_below:
            stack.append((path, walk.directories(old_below, new_below)))


def _same_but_for_digest(old: Entry | None, new: Entry | None) -> bool:
    """Whether both are directories with the same mode: what differs then lies below."""
    return (
        old is not None
        and new is not None
        and old.kind is Kind.DIRECTORY
        and new.kind is Kind.DIRECTORY
        and old.mode == new.mode
    )


def _directory_digest(entry: Entry | None) -> Digest | None:
    return entry.digest if entry is not None and entry.kind is Kind.DIRECTORY else None


class _Walk:
    """Compares pairs of directories of two stores."""

    def __init__(self, old_nodes: NodeSource, new_nodes: NodeSource) -> None:
        self._old_nodes = old_nodes
        self._new_nodes = new_nodes

    def directories(self, old: Digest | None, new: Digest | None) -> Iterator[_Difference]:
        """Give the names in which two directories differ, ascending; None is no directory at all."""
        found: list[_Difference] = []
        self._compare(old, new, 0, found)
        found.sort(key=_name)
        return iter(found)

    def _compare(self, old: Digest | None, new: Digest | None, level: int, found: list[_Difference]) -> None:
        if old == new:
            return
        if old is not None and new is not None:
            old_node = load_node(self._old_nodes, old)
            new_node = load_node(self._new_nodes, new)
            if isinstance(old_node, Fan) and isinstance(new_node, Fan):
                self._compare_fans(checked_fan(old_node, level), checked_fan(new_node, level), found)
                return
            if isinstance(old_node, Leaf) and isinstance(new_node, Leaf) and old_node.names == new_node.names:
                found += old_node.changed_rows(new_node)
                return
        old_rows = {} if old is None else dict(directory_rows(self._old_nodes, old, level))
        new_rows = {} if new is None else dict(directory_rows(self._new_nodes, new, level))
        for name, row in old_rows.items():
            other = new_rows.get(name)
            if row != other:
                found.append((name, row, other))
        found += [(name, None, row) for name, row in new_rows.items() if name not in old_rows]

    def _compare_fans(self, old: Fan, new: Fan, found: list[_Difference]) -> None:
        if old.present == new.present:
            for before, after in old.changed_children(new):
                self._compare(before, after, old.level + 1, found)
            return
        new_children = dict(new.children())
        for value, child in old.children():
            self._compare(child, new_children.pop(value, None), old.level + 1, found)
        for child in new_children.values():
            self._compare(None, child, new.level + 1, found)


def _name(difference: _Difference) -> bytes:
    return difference[0]
