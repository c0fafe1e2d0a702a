"""Canonical bytes of the nodes of a tree: leaf, fan and domain root (docs/formats/tree.md).

A node is a directory, or a part of one when it has more than 256 entries. The same set of entries has
exactly one encoding, so equal digests mean equal directories and different digests mean different
ones. That only holds if nothing else is ever read, hence the decoders refuse every other spelling.

Entries are kept in columns: all rows of fixed width, then all names. Encoding and decoding are then a
few calls over whole columns, and reading one entry out of 256 does not unpack the other 255.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from operator import ge

from catfs.digest import DIGEST_BYTES, EMPTY_DIGEST, Digest
from catfs.errors import FormatError, printable
from catfs.limits import FILE_BYTES_MAX, NAME_BYTES_MAX
from catfs.merkle.node_store import NodeSource, NodeStore
from catfs.records import Entry, Kind
from catfs.values import dataclass

LEAF_TAG = 0xC1
"""First byte of a leaf: a whole directory, or one bucket of a large one. No tag is 0x00 or 0x01,
which RFC 6962 uses for the write log, so no node can be passed off as a part of a log tree."""

FAN_TAG = 0xC2
"""First byte of a fan: a directory, or a bucket of one, that is split further."""

DOMAIN_ROOT_TAG = 0xC3
"""First byte of a domain root: seals the entry of the domain's own directory."""

NODE_VERSION = 1
"""Version of all three layouts; part of the hashed bytes, so versions never share a digest."""

LEAF_ENTRIES_MAX = 256
"""Most entries of one leaf: a larger directory is split."""

FAN_LEVELS = DIGEST_BYTES
"""Most levels of fans, counted: one for each byte of SHA-256(name)."""

_LEAF_HEAD = struct.Struct("<BBH")
_ROW = struct.Struct("<BHQ32s")
_FAN_HEAD = struct.Struct("<BBBQ32s")
_DOMAIN_ROOT = struct.Struct("<BBH32s")

ROW_BYTES = _ROW.size
"""Width of the row of one entry, in bytes: kind, mode, size and digest, without the name; 43."""

_MODE_HIGH_BYTE = 2
_SIZE_AT = 3
_DIGEST_AT = 11
_SIZE_HIGH_BYTE = _DIGEST_AT - 1
_NO_SIZE = bytes(_DIGEST_AT - _SIZE_AT)

_DECODED_MAX = 256
"""Nodes that are kept as they were decoded, a few MB at most: whoever changes a tree and compares it with
another reads the nodes on the way again and again."""

_CODES = {
    Kind.FILE: 1,
    Kind.DIRECTORY: 2,
    Kind.SYMLINK: 3,
    Kind.FIFO: 4,
    Kind.SOCKET: 5,
    Kind.CHARACTER_DEVICE: 6,
    Kind.BLOCK_DEVICE: 7,
}
# Keyed by the text of the kind, because hashing a member of an Enum runs Python code and this
# look-up is done once for every entry of a tree.
_CODE_OF_KIND = {kind.value: code for kind, code in _CODES.items()}
_KIND_OF_CODE = {code: kind for kind, code in _CODES.items()}
_FILE_CODE = _CODES[Kind.FILE]
_DIRECTORY_CODE = _CODES[Kind.DIRECTORY]

_VALID_CODES = bytes(_KIND_OF_CODE)
_VALID_MODE_HIGH_BYTES = bytes(range(0o7777 >> 8, -1, -1))
_VALID_SIZE_HIGH_BYTES = bytes(range((FILE_BYTES_MAX >> 56) + 1))


def encode_row(entry: Entry) -> bytes:
    """Give the 43 bytes that say what an entry is, without its name.

    Raises:
        FormatError: when the entry has a field that its kind does not have, a directory has no node
            digest, or the size is beyond 2**63 - 1.
    """
    code = _CODE_OF_KIND[entry.kind._value_]
    raw = entry.digest.raw
    if entry.size > FILE_BYTES_MAX:
        raise FormatError("entry", f"expected a size up to {FILE_BYTES_MAX}, got {entry.size}")
    if code != _FILE_CODE:
        _check_fields(entry.kind, entry.mode, entry.size, raw)
    return _ROW.pack(code, entry.mode, entry.size, raw)


def decode_row(row: bytes) -> Entry:
    """Give the entry of a row that came out of a decoded leaf."""
    code, mode, size, raw = _ROW.unpack(row)
    return Entry(_KIND_OF_CODE[code], mode, size, Digest(raw))


def row_digest(row: bytes) -> Digest:
    """Give the digest in a row."""
    return Digest(row[-DIGEST_BYTES:])


def is_directory_row(row: bytes) -> bool:
    """Whether a row is that of a directory."""
    return row[0] == _DIRECTORY_CODE


def _check_fields(kind: Kind, mode: int, size: int, raw: bytes) -> None:
    """Refuse fields that a kind does not have: one state must not have two encodings."""
    if kind is Kind.SYMLINK:
        if mode != 0o777:
            raise FormatError("entry", f"expected mode 0o777 of a symlink, got {mode:#o}")
        return
    if size and kind is not Kind.FILE:
        raise FormatError("entry", f"expected size 0 of a {kind.value}, got {size}")
    if kind is Kind.DIRECTORY and raw == EMPTY_DIGEST.raw:
        raise FormatError("entry", "expected the node digest of a directory, got the digest of nothing")
    if (kind is Kind.FIFO or kind is Kind.SOCKET) and raw != EMPTY_DIGEST.raw:
        raise FormatError("entry", f"expected the digest of nothing for a {kind.value}, got {raw.hex()}")


def check_names(names: Sequence[bytes]) -> None:
    """Check names of one directory: each is a possible file name, and they ascend without repeats.

    Raises:
        FormatError: naming the first bad name.
    """
    joined = b"\0".join(names)
    if (
        not (b"/" in joined or b"" in names or b"." in names or b".." in names)
        and joined.count(b"\0") == max(len(names) - 1, 0)
        and not any(map(ge, names, names[1:]))
        and (len(joined) <= NAME_BYTES_MAX or max(map(len, names)) <= NAME_BYTES_MAX)
    ):
        return
    for name in names:
        check_name(name)
    before, after = next(pair for pair in pairwise(names) if pair[0] >= pair[1])
    problem = "stands twice" if before == after else f"stands after {printable(before)}"
    raise FormatError("directory", f"expected names in ascending order, but {printable(after)} {problem}")


def check_name(name: bytes) -> None:
    """Check that bytes can be the name of a file.

    Raises:
        FormatError: when they are empty, longer than 255 bytes, `.`, `..`, or contain `/` or NUL.
    """
    if not name or name in {b".", b".."} or b"/" in name or b"\0" in name:
        raise FormatError("file name", f"no file can have the name `{printable(name)}`")
    if len(name) > NAME_BYTES_MAX:
        raise FormatError("file name", f"expected at most {NAME_BYTES_MAX} bytes, got {len(name)}")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A decoded leaf: up to 256 entries.

    Args:
        names: The names, ascending.
        table: The rows of the entries, 43 bytes each, in the order of the names.
    """

    names: list[bytes]
    table: bytes

    def rows(self) -> list[bytes]:
        """Give the row of each entry in the order of the names."""
        table = self.table
        return [table[at : at + ROW_BYTES] for at in range(0, len(table), ROW_BYTES)]

    def find_row(self, name: bytes) -> bytes | None:
        """Give the row of a name, or None when the leaf does not hold it."""
        index = bisect_left(self.names, name)
        if index == len(self.names) or self.names[index] != name:
            return None
        return self.table[index * ROW_BYTES : (index + 1) * ROW_BYTES]

    def changed_rows(self, other: "Leaf") -> Iterator[tuple[bytes, bytes, bytes]]:
        """Give each name whose row differs in another leaf of the same names, with both rows, in their order.

        Halves that are equal are compared as a whole, so the cost follows the number of changes.
        """
        pending = [(0, len(self.names))]
        while pending:
            low, high = pending.pop()
            old = self.table[low * ROW_BYTES : high * ROW_BYTES]
            new = other.table[low * ROW_BYTES : high * ROW_BYTES]
            if old == new:
                continue
            if high - low == 1:
                yield self.names[low], old, new
                continue
            middle = (low + high) // 2
            pending += [(middle, high), (low, middle)]

    def with_rows(self, rows: Mapping[bytes, bytes | None]) -> "Leaf | None":
        """Give this leaf with other rows for some of its names.

        Args:
            rows: The rows; None for a name that is to go.

        Returns:
            None when that would change its set of names.
        """
        table = bytearray(self.table)
        for name, row in rows.items():
            at = bisect_left(self.names, name)
            if row is None or at == len(self.names) or self.names[at] != name:
                return None
            table[at * ROW_BYTES : (at + 1) * ROW_BYTES] = row
        return Leaf(self.names, bytes(table))

    def encoded(self) -> bytes:
        """Give the bytes of this leaf, tag byte first."""
        head = _LEAF_HEAD.pack(LEAF_TAG, NODE_VERSION, len(self.names))
        return b"".join([head, self.table, b"\0".join(self.names)])


@dataclass(frozen=True, slots=True)
class Fan:
    """A decoded fan: a directory, or a bucket of one, split by one byte of SHA-256(name).

    Args:
        level: Which byte of SHA-256(name) splits it, 0 to 31.
        total: Number of directory entries below it, at least 257.
        present: Bit b is set when there is a child for byte value b.
        table: Digests of the children, 32 bytes each, by ascending byte value.
    """

    level: int
    total: int
    present: int
    table: bytes

    def child(self, value: int) -> Digest | None:
        """Give the digest of the child for a byte value, or None when no name falls there."""
        bit = 1 << value
        if not self.present & bit:
            return None
        at = DIGEST_BYTES * (self.present & (bit - 1)).bit_count()
        return Digest(self.table[at : at + DIGEST_BYTES])

    def changed_children(self, other: "Fan") -> Iterator[tuple[Digest, Digest]]:
        """Give each child that differs from that of another fan, with it; both have the same places."""
        for at in range(0, len(self.table), DIGEST_BYTES):
            old, new = self.table[at : at + DIGEST_BYTES], other.table[at : at + DIGEST_BYTES]
            if old != new:
                yield Digest(old), Digest(new)

    def with_children(self, total: int, children: Mapping[int, Digest]) -> "Fan":
        """Give this fan with other digests for some children that it has.

        Args:
            total: Number of directory entries below it then.
            children: Byte value to the digest of its child.

        Raises:
            FormatError: when a leaf would do for so few entries.
        """
        _check_fan(self.level, total)
        table = bytearray(self.table)
        for value, digest in children.items():
            bit = 1 << value
            assert self.present & bit
            at = DIGEST_BYTES * (self.present & (bit - 1)).bit_count()
            table[at : at + DIGEST_BYTES] = digest.raw
        return Fan(self.level, total, self.present, bytes(table))

    def encoded(self) -> bytes:
        """Give the bytes of this fan, tag byte first."""
        present = self.present.to_bytes(32, "little")
        return _FAN_HEAD.pack(FAN_TAG, NODE_VERSION, self.level, self.total, present) + self.table

    def children(self) -> Iterator[tuple[int, Digest]]:
        """Give each byte value that has a child, ascending, with the digest of the child."""
        at = 0
        for value in range(256):
            if self.present >> value & 1:
                yield value, Digest(self.table[at : at + DIGEST_BYTES])
                at += DIGEST_BYTES


def encode_leaf(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Give the bytes of a leaf, tag byte first.

    Args:
        pairs: Name and row (from `encode_row`) of each entry, at most 256, names ascending.

    Raises:
        FormatError: when there are too many, or a name is bad, repeated or out of order.
    """
    if len(pairs) > LEAF_ENTRIES_MAX:
        raise FormatError("tree leaf", f"expected at most {LEAF_ENTRIES_MAX} entries, got {len(pairs)}")
    names = [name for name, _ in pairs]
    check_names(names)
    head = _LEAF_HEAD.pack(LEAF_TAG, NODE_VERSION, len(names))
    return b"".join([head, *[row for _, row in pairs], b"\0".join(names)])


def encode_fan(level: int, total: int, children: Mapping[int, Digest]) -> bytes:
    """Give the bytes of a fan, tag byte first.

    Args:
        level: Which byte of SHA-256(name) splits it.
        total: Number of directory entries below it, at least 257.
        children: Byte value to the digest of the leaf or fan that holds its names; none is empty.

    Raises:
        FormatError: when the level is beyond the last, or a leaf would do for so few entries.
    """
    _check_fan(level, total)
    present = sum(1 << value for value in children)
    head = _FAN_HEAD.pack(FAN_TAG, NODE_VERSION, level, total, present.to_bytes(32, "little"))
    return b"".join([head, *[children[value].raw for value in sorted(children)]])


def encode_domain_root(entry: Entry) -> bytes:
    """Give the bytes of a domain root, tag byte first: its SHA-256 is the root of the domain.

    Raises:
        FormatError: when the entry is not a directory with a node digest.
    """
    if entry.kind is not Kind.DIRECTORY:
        raise FormatError("domain root", f"expected a directory, got a {entry.kind.value}")
    _check_fields(entry.kind, entry.mode, entry.size, entry.digest.raw)
    return _DOMAIN_ROOT.pack(DOMAIN_ROOT_TAG, NODE_VERSION, entry.mode, entry.digest.raw)


def decode_node(node: bytes) -> Leaf | Fan:
    """Read a leaf or a fan, refusing everything but its one canonical encoding.

    Raises:
        FormatError: when the bytes are anything else.
    """
    if not node:
        raise FormatError("tree node", "expected at least a tag byte, got nothing")
    if node[0] == LEAF_TAG:
        return _decode_leaf(node)
    if node[0] == FAN_TAG:
        return _decode_fan(node)
    raise FormatError("tree node", f"expected tag {LEAF_TAG:#x} or {FAN_TAG:#x}, got {node[0]:#x}")


def decode_domain_root(node: bytes) -> Entry:
    """Read a domain root and give the entry of the domain's own directory.

    Raises:
        FormatError: when the bytes are anything but its one canonical encoding.
    """
    if len(node) != _DOMAIN_ROOT.size:
        raise FormatError("domain root", f"expected {_DOMAIN_ROOT.size} bytes, got {len(node)}")
    tag, version, mode, raw = _DOMAIN_ROOT.unpack(node)
    if tag != DOMAIN_ROOT_TAG:
        raise FormatError("domain root", f"expected tag {DOMAIN_ROOT_TAG:#x}, got {tag:#x}")
    _check_version("domain root", version)
    entry = Entry(Kind.DIRECTORY, mode, 0, Digest(raw))
    _check_fields(entry.kind, mode, 0, raw)
    return entry


def load_node(nodes: NodeSource, digest: Digest) -> Leaf | Fan:
    """Read one leaf or fan out of a store.

    The empty directory is known without asking.

    Raises:
        MissingNodeError: when the store does not hold it.
        FormatError: when what it holds is not canonical.
    """
    if digest.raw == EMPTY_DIRECTORY.raw:
        return _EMPTY_LEAF
    try:
        blob = nodes.get(digest)
        node = _decoded.get(blob) or decode_node(blob)
    except FormatError as error:
        raise FormatError(f"tree node {digest.hex}", error.problem) from error
    _remember(blob, node)
    return node


def put_changed(nodes: NodeStore, node: Leaf | Fan) -> Digest:
    """Keep what `with_rows` or `with_children` made of a node, and give its digest.

    Whoever compares the tree with the one before reads it next, and does not decode it for that.
    """
    blob = node.encoded()
    _remember(blob, node)
    return nodes.put(blob)


def _remember(blob: bytes, node: Leaf | Fan) -> None:
    """Remember how the bytes of a node are decoded; nobody changes it."""
    if len(_decoded) >= _DECODED_MAX and blob not in _decoded:
        for old in list(_decoded)[: _DECODED_MAX // 2]:
            _decoded.pop(old, None)
    _decoded[blob] = node


def child_digests(node: Leaf | Fan) -> list[Digest]:
    """Give the digests of the nodes that a leaf or fan refers to: of its buckets, or of its directories."""
    return [Digest(raw) for raw in child_raws(node)]


def child_raws(node: Leaf | Fan) -> list[bytes]:
    """Give the same as 32 bytes each."""
    table = node.table
    if isinstance(node, Fan):
        return [table[at : at + DIGEST_BYTES] for at in range(0, len(table), DIGEST_BYTES)]
    return [
        table[at + _DIGEST_AT : at + ROW_BYTES]
        for at in range(0, len(table), ROW_BYTES)
        if table[at] == _DIRECTORY_CODE
    ]


def _decode_leaf(node: bytes) -> Leaf:
    if len(node) < _LEAF_HEAD.size:
        raise FormatError("tree leaf", f"expected a head of {_LEAF_HEAD.size} bytes, got {len(node)}")
    _, version, count = _LEAF_HEAD.unpack_from(node)
    _check_version("tree leaf", version)
    if count > LEAF_ENTRIES_MAX:
        raise FormatError("tree leaf", f"expected at most {LEAF_ENTRIES_MAX} entries, got {count}")
    names_at = _LEAF_HEAD.size + count * ROW_BYTES
    if len(node) < names_at:
        raise FormatError("tree leaf", f"expected {count} rows in {names_at} bytes, got {len(node)}")
    table = node[_LEAF_HEAD.size : names_at]
    blob = node[names_at:]
    names = blob.split(b"\0") if count or blob else []
    if len(names) != count:
        raise FormatError("tree leaf", f"expected {count} names, got {len(names)}")
    check_names(names)
    _check_table(table)
    return Leaf(names, table)


def _check_table(table: bytes) -> None:
    """Check every row of a leaf, a column at a time."""
    codes = table[::ROW_BYTES]
    if wrong := codes.translate(None, _VALID_CODES):
        raise FormatError("tree leaf", f"no kind has the code {wrong[0]}")
    if table[_MODE_HIGH_BYTE::ROW_BYTES].translate(None, _VALID_MODE_HIGH_BYTES):
        raise FormatError("tree leaf", "expected modes from 0 to 0o7777, got a larger one")
    if table[_SIZE_HIGH_BYTE::ROW_BYTES].translate(None, _VALID_SIZE_HIGH_BYTES):
        raise FormatError("tree leaf", f"expected sizes up to {FILE_BYTES_MAX}, got a larger one")
    if codes.count(_FILE_CODE) == len(codes):
        return
    no_size, no_digest = _NO_SIZE, EMPTY_DIGEST.raw
    for at, code in zip(range(0, len(table), ROW_BYTES), codes, strict=True):
        # Files may have any fields; directories are many, and looked at without unpacking them.
        if code == _FILE_CODE or (
            code == _DIRECTORY_CODE
            and table[at + _SIZE_AT : at + _DIGEST_AT] == no_size
            and table[at + _DIGEST_AT : at + ROW_BYTES] != no_digest
        ):
            continue
        _, mode, size, raw = _ROW.unpack_from(table, at)
        _check_fields(_KIND_OF_CODE[code], mode, size, raw)


def _decode_fan(node: bytes) -> Fan:
    if len(node) < _FAN_HEAD.size:
        raise FormatError("tree fan", f"expected a head of {_FAN_HEAD.size} bytes, got {len(node)}")
    _, version, level, total, bits = _FAN_HEAD.unpack_from(node)
    _check_version("tree fan", version)
    _check_fan(level, total)
    present = int.from_bytes(bits, "little")
    table = node[_FAN_HEAD.size :]
    if not present or len(table) != present.bit_count() * DIGEST_BYTES:
        raise FormatError(
            "tree fan",
            f"expected one digest for each of {present.bit_count()} children, got {len(table)} bytes of them",
        )
    return Fan(level, total, present, table)


def _check_fan(level: int, total: int) -> None:
    if level >= FAN_LEVELS:
        raise FormatError("tree fan", f"expected a level below {FAN_LEVELS}, got {level}")
    if total <= LEAF_ENTRIES_MAX:
        raise FormatError("tree fan", f"expected more than {LEAF_ENTRIES_MAX} entries, got {total}")


def _check_version(what: str, version: int) -> None:
    if version != NODE_VERSION:
        raise FormatError(what, f"expected version {NODE_VERSION}, got {version}")


EMPTY_DIRECTORY_NODE = encode_leaf([])
"""The bytes of the leaf without entries."""

EMPTY_DIRECTORY = Digest.of(EMPTY_DIRECTORY_NODE)
"""The node digest of a directory without entries."""

_EMPTY_LEAF = Leaf([], b"")

_decoded: dict[bytes, Leaf | Fan] = {}
"""The bytes of a node to what they say, the oldest first."""
