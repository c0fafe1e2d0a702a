"""The Merkle tree over the records of a write log, as RFC 6962, section 2.1, defines it.

It lets one record be shown, with its place in the order, without the others (docs/formats/log-tree.md).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.errors import FormatError
from catfs.merkle.inclusion import ProofError
from catfs.values import dataclass

LOG_LEAF_PREFIX = b"\x00"
"""Hashed before a record: RFC 6962, MTH of one entry."""

LOG_NODE_PREFIX = b"\x01"
"""Hashed before two sub-trees: RFC 6962, MTH of more than one entry."""

LOG_RECORDS_MAX = 1 << 63
"""Most records of a log, counted: bounds the length of a proof to 63 digests."""


def leaf_hash(record: bytes) -> Digest:
    """Give the leaf hash of one record: SHA-256(0x00 || record)."""
    return Digest(hashlib.sha256(LOG_LEAF_PREFIX + record).digest())


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(LOG_NODE_PREFIX + left + right).digest()


class LogTree:
    """The root of a growing list of records, in memory that grows with the logarithm of its length."""

    def __init__(self) -> None:
        self._size = 0
        # The roots of the perfect sub-trees that the records so far consist of, largest first: one
        # for each bit set in the size.
        self._peaks: list[bytes] = []

    @property
    def size(self) -> int:
        """Number of records."""
        return self._size

    @property
    def root(self) -> Digest:
        """The Merkle tree hash of the records so far; SHA-256 of nothing when there is none."""
        if not self._peaks:
            return EMPTY_DIGEST
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = _node_hash(peak, root)
        return Digest(root)

    def append(self, record: bytes) -> Digest:
        """Add one record and give its leaf hash.

        Args:
            record: The bytes of the record, without what separates records in the file.
        """
        leaf = leaf_hash(record)
        self.append_leaf(leaf)
        return leaf

    def append_leaf(self, leaf: Digest) -> None:
        """Add one record of which only the leaf hash is at hand."""
        node = leaf.raw
        size = self._size
        while size & 1:
            node = _node_hash(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self._size += 1


@dataclass(frozen=True, slots=True)
class RecordProof:
    """Proof that a record stands at one place of a log.

    Args:
        index: Place of the record, counted from 0.
        size: Number of records of the log.
        siblings: The audit path of RFC 6962: hashes of the sub-trees beside the way, lowest first.
    """

    index: int
    size: int
    siblings: tuple[Digest, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.size <= LOG_RECORDS_MAX:
            raise FormatError(
                "record proof", f"expected an index below the size {self.size}, got {self.index}"
            )
        expected = _path_length(self.index, self.size)
        if len(self.siblings) != expected:
            raise FormatError("record proof", f"expected {expected} hashes, got {len(self.siblings)}")

    def verify(self, record: bytes, root: Digest) -> None:
        """Check that the log with this root holds the record at `index`.

        What stays with the caller: to know that `root` is the root of a log of `size` records.

        Raises:
            ProofError: when it does not.
        """
        got = self._root_over(leaf_hash(record).raw)
        if got != root.raw:
            step = f"root over record {self.index} of {self.size}"
            raise ProofError("record proof", step, root.hex, got.hex())

    def _root_over(self, node: bytes) -> bytes:
        index, last = self.index, self.size - 1
        for sibling in self.siblings:
            # A last node without a partner stands in for its parent until it is a right child.
            while index == last and not index & 1:
                index >>= 1
                last >>= 1
            node = _node_hash(sibling.raw, node) if index & 1 else _node_hash(node, sibling.raw)
            index >>= 1
            last >>= 1
        return node

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form (docs/formats/log-tree.md)."""
        return {"index": self.index, "size": self.size, "siblings": [node.hex for node in self.siblings]}

    @classmethod
    def from_dict(cls, record: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when it is no object, or a field is missing, unknown or of the wrong type.
        """
        if not isinstance(record, Mapping):
            raise FormatError("record proof", f"expected an object, got {type(record).__name__}")
        if set(record) != {"index", "size", "siblings"}:
            got = ", ".join(sorted(map(str, record))) or "none"
            raise FormatError("record proof", f"expected index, size and siblings, got {got}")
        index, size, siblings = record["index"], record["size"], record["siblings"]
        if type(index) is not int or type(size) is not int or not isinstance(siblings, list):
            raise FormatError("record proof", "expected two numbers and a list, got other types")
        return cls(index, size, tuple(map(Digest.from_hex, siblings)))


def prove_record(leaves: Sequence[Digest], index: int) -> RecordProof:
    """Give the proof that one record stands in a log.

    Args:
        leaves: The leaf hash of every record of the log, in order.
        index: Place of the record, counted from 0.

    Raises:
        FormatError: when there is no such record.
    """
    if not 0 <= index < len(leaves):
        raise FormatError("record proof", f"expected an index below the size {len(leaves)}, got {index}")
    siblings: list[Digest] = []
    level = [leaf.raw for leaf in leaves]
    position = index
    while len(level) > 1:
        beside = position ^ 1
        if beside < len(level):
            siblings.append(Digest(level[beside]))
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [_node_hash(left, right) for left, right in pairs] + level[len(level) & ~1 :]
        position >>= 1
    return RecordProof(index, len(leaves), tuple(siblings))


def _path_length(index: int, size: int) -> int:
    """Give the length of the audit path: one hash for each level at which the way has a partner."""
    length = 0
    last = size - 1
    while last:
        if index & 1 or index < last:
            length += 1
        index >>= 1
        last >>= 1
    return length
