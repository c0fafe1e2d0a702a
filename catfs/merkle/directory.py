"""One directory as nodes: build it, change it, look into it.

The shape of a directory depends on its set of names alone. Up to 256 entries are one leaf. More are a
fan, whose children hold the names that share one byte of SHA-256(name): byte 0 in the first fan, byte
1 in the fans below it, and so on. A change therefore rewrites one leaf and the fans above it, and gives
exactly the digest that building the new directory from nothing would give.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle.node_store import NodeSource, NodeStore
from catfs.merkle.nodes import (
    EMPTY_DIRECTORY,
    EMPTY_DIRECTORY_NODE,
    LEAF_ENTRIES_MAX,
    Fan,
    Leaf,
    check_name,
    check_names,
    decode_row,
    encode_fan,
    encode_leaf,
    encode_row,
    load_node,
    put_changed,
)
from catfs.records import Entry

RowPair = tuple[bytes, bytes]
"""A name and the row of its entry."""


def build_directory(nodes: NodeStore, items: Iterable[tuple[bytes, Entry]]) -> Digest:
    """Put the nodes of a directory and give its digest.

    Args:
        nodes: Takes the nodes.
        items: Name and entry of everything in the directory, in any order; for a sub-directory
            the entry carries the digest of its node.

    Raises:
        FormatError: when a name is bad or stands twice, or an entry is inconsistent.
    """
    pairs = [(name, encode_row(entry)) for name, entry in items]
    pairs.sort()
    return build_rows(nodes, pairs)


def build_rows(nodes: NodeStore, pairs: list[RowPair]) -> Digest:
    """Put the nodes of a directory whose entries are encoded already and give its digest.

    Args:
        nodes: Takes the nodes.
        pairs: Name and row (from `encode_row`) of each entry, names ascending.

    Raises:
        FormatError: when a name is bad, repeated or out of order.
    """
    # Checked here for the whole directory, because more than 256 equal names could never be split.
    check_names([name for name, _ in pairs])
    return _build(nodes, pairs, 0)


def update_directory(nodes: NodeStore, digest: Digest, changes: Mapping[bytes, Entry | None]) -> Digest:
    """Put the nodes by which a changed directory differs and give its new digest.

    Args:
        nodes: Holds the directory and takes the new nodes.
        digest: The directory as it is.
        changes: Name to new entry; None removes the name, and removing what is not there changes
            nothing.

    Raises:
        MissingNodeError: when a node of the directory is not held.
        FormatError: when a name is bad, an entry is inconsistent, or a node on the way is damaged.
    """
    if not changes:
        return digest
    rows: dict[bytes, bytes | None] = {}
    for name, entry in changes.items():
        check_name(name)
        rows[name] = None if entry is None else encode_row(entry)
    outcome = _update(nodes, digest, rows, 0)
    return nodes.put(EMPTY_DIRECTORY_NODE) if outcome.digest is None else outcome.digest


def find_entry(nodes: NodeSource, digest: Digest, name: bytes) -> Entry | None:
    """Give the entry of one name, or None when the directory does not hold it.

    Raises:
        MissingNodeError: when a node on the way is not held.
        FormatError: when a node on the way is damaged.
    """
    level = 0
    node = load_node(nodes, digest)
    while isinstance(node, Fan):
        child = checked_fan(node, level).child(name_byte(name, level))
        if child is None:
            return None
        node = load_node(nodes, child)
        level += 1
    row = node.find_row(name)
    return None if row is None else decode_row(row)


def find_entries(nodes: NodeSource, digest: Digest, names: Iterable[bytes]) -> dict[bytes, Entry]:
    """Give the entries of several names, reading each node on the way once.

    Names that the directory does not hold are left out.

    Raises:
        MissingNodeError: when a node on the way is not held.
        FormatError: when a node on the way is damaged.
    """
    found: dict[bytes, Entry] = {}
    if wanted := list(names):
        _find(nodes, digest, wanted, 0, found)
    return found


def iterate_directory(nodes: NodeSource, digest: Digest) -> Iterator[tuple[bytes, Entry]]:
    """Give every name with its entry, in the order of the name bytes.

    Raises:
        MissingNodeError: when a node of the directory is not held.
        FormatError: when a node of the directory is damaged.
    """
    for name, row in directory_rows(nodes, digest):
        yield name, decode_row(row)


def directory_rows(nodes: NodeSource, digest: Digest, level: int = 0) -> list[RowPair]:
    """Give every name with its row, in the order of the name bytes.

    Args:
        nodes: Holds the directory.
        digest: A directory, or a bucket of one.
        level: How many fans lie above it.
    """
    node = load_node(nodes, digest)
    if isinstance(node, Leaf):
        return list(zip(node.names, node.rows(), strict=True))
    pairs: list[RowPair] = []
    for _, child in checked_fan(node, level).children():
        pairs += directory_rows(nodes, child, level + 1)
    check_total(node.total, len(pairs))
    pairs.sort()
    return pairs


def name_byte(name: bytes, level: int) -> int:
    """Give the byte of SHA-256(name) by which a fan of a level splits."""
    return hashlib.sha256(name).digest()[level]


def checked_fan(fan: Fan, level: int) -> Fan:
    """Give the fan back when it belongs at a level.

    Raises:
        FormatError: when it was built for another one.
    """
    if fan.level != level:
        raise FormatError("tree fan", f"expected one of level {level}, got one of level {fan.level}")
    return fan


def check_total(expected: int, got: int) -> None:
    """Check what a fan says of the number of entries below it.

    Raises:
        FormatError: when it is not the number that is there.
    """
    if expected != got:
        raise FormatError("tree fan", f"expected {expected} entries below it, got {got}")


class _Outcome(NamedTuple):
    """What an update made of a bucket: its new digest (None: empty) and its entries before and after."""

    digest: Digest | None
    before: int
    after: int


def _build(nodes: NodeStore, pairs: list[RowPair], level: int) -> Digest:
    if len(pairs) <= LEAF_ENTRIES_MAX:
        return nodes.put(encode_leaf(pairs))
    groups: dict[int, list[RowPair]] = {}
    for pair in pairs:
        groups.setdefault(name_byte(pair[0], level), []).append(pair)
    children = {value: _build(nodes, group, level + 1) for value, group in groups.items()}
    return nodes.put(encode_fan(level, len(pairs), children))


def _update(
    nodes: NodeStore, digest: Digest | None, changes: Mapping[bytes, bytes | None], level: int
) -> _Outcome:
    node = load_node(nodes, EMPTY_DIRECTORY if digest is None else digest)
    if isinstance(node, Fan):
        return _update_fan(nodes, checked_fan(node, level), changes)
    before = len(node.names)
    same_names = node.with_rows(changes)
    if same_names is not None:
        return _Outcome(put_changed(nodes, same_names) if before else None, before, before)
    rows = dict(zip(node.names, node.rows(), strict=True))
    for name, row in changes.items():
        if row is None:
            rows.pop(name, None)
        else:
            rows[name] = row
    if not rows:
        return _Outcome(None, before, 0)
    return _Outcome(_build(nodes, sorted(rows.items()), level), before, len(rows))


def _update_fan(nodes: NodeStore, fan: Fan, changes: Mapping[bytes, bytes | None]) -> _Outcome:
    groups: dict[int, dict[bytes, bytes | None]] = {}
    for name, row in changes.items():
        groups.setdefault(name_byte(name, fan.level), {})[name] = row
    total = fan.total
    changed: dict[int, Digest | None] = {}
    for value, group in groups.items():
        outcome = _update(nodes, fan.child(value), group, fan.level + 1)
        total += outcome.after - outcome.before
        changed[value] = outcome.digest
    kept = {value: digest for value, digest in changed.items() if digest is not None}
    is_same_shape = len(kept) == len(changed) and all(fan.child(value) is not None for value in changed)
    if total > LEAF_ENTRIES_MAX and is_same_shape:
        return _Outcome(put_changed(nodes, fan.with_children(total, kept)), fan.total, total)
    children = {value: child for value, child in fan.children() if value not in changed} | kept
    if total > LEAF_ENTRIES_MAX:
        return _Outcome(nodes.put(encode_fan(fan.level, total, children)), fan.total, total)
    pairs: list[RowPair] = []
    for child in children.values():
        pairs += directory_rows(nodes, child, fan.level + 1)
    check_total(total, len(pairs))
    pairs.sort()
    return _Outcome(_build(nodes, pairs, fan.level) if pairs else None, fan.total, total)


def _find(
    nodes: NodeSource, digest: Digest, names: list[bytes], level: int, found: dict[bytes, Entry]
) -> None:
    node = load_node(nodes, digest)
    if isinstance(node, Leaf):
        for name in names:
            row = node.find_row(name)
            if row is not None:
                found[name] = decode_row(row)
        return
    groups: dict[int, list[bytes]] = {}
    for name in names:
        groups.setdefault(name_byte(name, level), []).append(name)
    for value, group in groups.items():
        child = checked_fan(node, level).child(value)
        if child is not None:
            _find(nodes, child, group, level + 1, found)
