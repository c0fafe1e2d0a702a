"""Where nodes are kept: an interface, an implementation in memory, and stores laid over each other.

A node is kept whole, tag byte first, under the SHA-256 of exactly those bytes. Any store of bytes by
SHA-256 can therefore keep nodes without knowing what they are.
"""

from typing import Protocol

from catfs.digest import Digest
from catfs.errors import CatfsError

_REMEMBERED_MAX = 1024
"""Nodes of a store that are remembered at most: 11 MB when all are as large as nodes get."""


class MissingNodeError(CatfsError):
    """A tree names a node that its store does not hold.

    Args:
        digest: The digest of the node.
        place: Which store was asked, for people.
    """

    def __init__(self, digest: Digest, place: str) -> None:
        super().__init__(
            f"{place} does not hold the tree node {digest.hex}",
            hint="the tree was handed over incompletely, or the store was cleaned too early",
        )
        self.digest = digest
        self.place = place


class NodeSource(Protocol):
    """Something that nodes can be read from."""

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node, tag byte first, whose SHA-256 is the digest.

        Raises:
            MissingNodeError: when no such node is held.
            FormatError: when it is held but damaged.
        """
        ...


class NodeStore(NodeSource, Protocol):
    """Something that nodes can be read from and written to."""

    def put(self, node: bytes) -> Digest:
        """Keep a node, given with its tag byte, and give its digest; keeping it twice is no error."""
        ...


class MemoryNodes:
    """Nodes in a dictionary."""

    def __init__(self) -> None:
        self._nodes: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def find(self, raw: bytes) -> bytes | None:
        """Give the bytes of a node by the 32 bytes of its digest, or None when it was never put."""
        return self._nodes.get(raw)

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node, tag byte first.

        Raises:
            MissingNodeError: when it was never put.
        """
        try:
            return self._nodes[digest.raw]
        except KeyError:
            raise MissingNodeError(digest, "the memory of this process") from None

    def put(self, node: bytes) -> Digest:
        """Keep a node and give its digest."""
        digest = Digest.of(node)
        self._nodes[digest.raw] = node
        return digest


class RememberedNodes:
    """Nodes of another source, remembered when they have been read: the same few are asked for many times.

    Args:
        source: Where they are.
    """

    def __init__(self, source: NodeSource) -> None:
        self._source = source
        self._nodes: dict[bytes, bytes] = {}

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node, tag byte first.

        Raises:
            MissingNodeError: when the source does not hold it.
            FormatError: when it is held but damaged.
        """
        node = self._nodes.get(digest.raw)
        if node is None:
            if len(self._nodes) >= _REMEMBERED_MAX:
                self._nodes.clear()
            node = self._nodes[digest.raw] = self._source.get(digest)
        return node


class LayeredNodes:
    """A store that writes to its top and reads from the top first, then from what lies below.

    Args:
        top: Takes every new node.
        below: Asked in this order for nodes that the top does not hold; never written to.
    """

    def __init__(self, top: MemoryNodes, *below: NodeSource) -> None:
        self._top = top
        self._below = below

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node from the first layer that holds it.

        Raises:
            MissingNodeError: when no layer holds it.
        """
        node = self._top.find(digest.raw)
        if node is not None:
            return node
        for layer in self._below:
            try:
                return layer.get(digest)
            except MissingNodeError:
                continue
        raise MissingNodeError(digest, f"none of {1 + len(self._below)} layered stores")

    def put(self, node: bytes) -> Digest:
        """Keep a node in the top layer and give its digest."""
        return self._top.put(node)
