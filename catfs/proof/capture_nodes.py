"""Nodes of trees in a store of bytes, and what a store must keep so that trees stay whole."""

from collections.abc import Iterable, Iterator

from catfs.digest import Digest
from catfs.merkle import MissingNodeError, NodeSource
from catfs.merkle.nodes import Fan, decode_domain_root, is_directory_row, load_node, row_digest
from catfs.store import Batch, MissingObjectError, ObjectReader


class StoredNodes:
    """Nodes read from a store of bytes.

    Args:
        store: The store, or a batch of one.
    """

    def __init__(self, store: ObjectReader) -> None:
        self._reader = store

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node, tag byte first.

        Raises:
            MissingNodeError: when the store does not hold it.
            FormatError: when it is damaged.
        """
        try:
            return self._reader.get(digest)
        except MissingObjectError as error:
            raise MissingNodeError(digest, error.place) from error


class BatchNodes(StoredNodes):
    """Nodes read from and written to a batch.

    Args:
        batch: The batch.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._writer = batch

    def put(self, node: bytes) -> Digest:
        """Keep a node, given with its tag byte, and give its digest."""
        # More than half of a node are digests: it hardly gets smaller, and is read often.
        return self._writer.put(node, compress=False)


def reachable(nodes: NodeSource, roots: Iterable[Digest]) -> Iterator[Digest]:
    """Give every digest that trees need: of their roots, their nodes, and what their entries say.

    Nodes that trees share are followed once. Digests of content are given whether or not a store holds it,
    and may be given several times.

    Args:
        nodes: Holds the trees.
        roots: Their domain roots.

    Raises:
        MissingNodeError: when a node is not held.
        FormatError: when a node is damaged.
    """
    seen: set[bytes] = set()
    for root in roots:
        yield root
        pending = [decode_domain_root(nodes.get(root)).digest]
        while pending:
            digest = pending.pop()
            if digest.raw in seen:
                continue
            seen.add(digest.raw)
            yield digest
            node = load_node(nodes, digest)
            if isinstance(node, Fan):
                pending += [child for _, child in node.children()]
                continue
            for row in node.rows():
                if is_directory_row(row):
                    pending.append(row_digest(row))
                else:
                    yield row_digest(row)
