"""The part of a base that bears witness: the nodes which whoever verifies a run has to read.

The verifier changes the base by the difference, compares the two, and looks at outputs. It reads the nodes on
the way to what was changed and no others. So a run folder that holds these can be verified without the domain
and without the store, and its size follows the change.
"""

from collections.abc import Sequence

from catfs.digest import Digest
from catfs.merkle import EMPTY_DIRECTORY, LayeredNodes, MemoryNodes, NodeSource, Tree, diff
from catfs.merkle.nodes import child_raws, decode_domain_root, decode_node, encode_domain_root
from catfs.proof.assemble import post_tree, rows_below
from catfs.records import Change, DomainTree, listed_change


class _NotedNodes:
    """Nodes that are read from somewhere else, each noted.

    Args:
        source: Where they are.
    """

    def __init__(self, source: NodeSource) -> None:
        self._source = source
        self.noted: dict[bytes, bytes] = {}

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node, tag byte first."""
        node = self._source.get(digest)
        if digest != EMPTY_DIRECTORY:
            self.noted[digest.raw] = node
        return node


def base_manifest(
    path: bytes, base: Tree, changes: Sequence[Change], declared: Sequence[Change], outputs: Sequence[bytes]
) -> DomainTree:
    """Give a domain before a run by its root, with the nodes that the verification of the run reads.

    Args:
        path: Absolute path of the domain.
        base: Its tree.
        changes: Every change of the run.
        declared: Those at and below declared outputs.
        outputs: The declared outputs.

    Raises:
        MissingNodeError: when the tree is not whole.
    """
    nodes = _NotedNodes(base.nodes)
    tree = Tree(LayeredNodes(MemoryNodes(), nodes), base.root_entry)
    view = tree.update({change.path: listed_change(change).after for change in changes})
    for _ in diff(tree, view):
        pass
    for output in outputs:
        rows_below(view, output, frozenset())
    post_tree(tree, declared)
    root = encode_domain_root(base.root_entry)
    noted = nodes.noted | {base.root.raw: root}
    return DomainTree(path, base.root, tuple(noted[raw] for raw in sorted(noted)))


def post_manifest(path: bytes, post: Tree) -> DomainTree:
    """Give a domain after a run by its root; what it holds follows from the base and the difference.

    Args:
        path: Absolute path of the domain.
        post: Its tree.
    """
    return DomainTree(path, post.root, ())


def new_nodes(tree: Tree, fresh: Sequence[MemoryNodes]) -> list[bytes]:
    """Give the nodes of a tree that only memory holds.

    What hangs below a node that is kept elsewhere is kept there too, so the walk ends at such a node.

    Args:
        tree: The tree.
        fresh: What holds nodes that are kept nowhere else.
    """
    found: dict[bytes, bytes] = {}
    pending = [tree.root.raw]
    while pending:
        raw = pending.pop()
        if raw in found:
            continue
        node = next((held for nodes in fresh if (held := nodes.find(raw)) is not None), None)
        if node is None:
            continue
        found[raw] = node
        pending += _children(node, is_root=raw == tree.root.raw)
    return list(found.values())


def _children(node: bytes, *, is_root: bool) -> list[bytes]:
    if is_root:
        return [decode_domain_root(node).digest.raw]
    return child_raws(decode_node(node))
