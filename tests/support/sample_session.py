"""A small session without a mount: a lower in memory, a view over it, its log, its fold, its replay."""

import os

from catfs.digest import Digest
from catfs.merkle import MemoryNodes, NodeStore
from catfs.overlay import ContentDigests, HardLinks, View, fold
from tests.support.memory_lower import DEVICE, MemoryLower
from tests.support.trees import SAMPLE_HARD_LINKS, build_sample
from tests.support.views import MemoryTrace, make_view, memory_data, replayed, tree_of, walk_view


class SampleSession:
    """A view over the sample tree, or over a lower that the test has built.

    Args:
        lower: The lower; None for the sample tree.
        hard_links: The paths of each file of the lower with several names.
        nodes: Takes the nodes of all trees; None for new ones.
    """

    def __init__(
        self,
        lower: MemoryLower | None = None,
        hard_links: tuple[list[bytes], ...] = (),
        nodes: NodeStore | None = None,
    ) -> None:
        if lower is None:
            lower, hard_links = MemoryLower(), SAMPLE_HARD_LINKS
            build_sample(lower)
        self.lower = lower
        self.data = memory_data()
        self.trace = MemoryTrace()
        self.nodes = MemoryNodes() if nodes is None else nodes
        self.base = tree_of(self.nodes, walk_view(make_view(lower, data=self.data)))
        self.hard_links: HardLinks = {(DEVICE, lower.at(paths[0]).ino): paths for paths in hard_links}
        self.digests = ContentDigests()
        self.view = make_view(lower, self.trace, self.data)
        lower.calls.clear()
        lower.bytes_read = 0

    def close(self) -> None:
        """Close the data file."""
        os.close(self.data.descriptor)

    def fold(self, view: View | None = None) -> Digest:
        """Give the root that the fold makes of the view, or of another one of this session."""
        view = self.view if view is None else view
        return fold(view, 0, self.base, self.nodes, self.digests, self.hard_links).root

    def replayed(self) -> View:
        """Give the view that the log leads to."""
        return replayed(self.trace.records(), self.lower, self.data)

    def shown(self) -> Digest:
        """Give the root of what the view shows, without the help of the fold; loads all of it."""
        return tree_of(MemoryNodes(), walk_view(self.view)).root

    def check_roots(self) -> None:
        """Check that fold, replay and what the view shows have one root.

        Raises:
            AssertionError: when they have not.
        """
        folded = self.fold()
        assert self.fold(self.replayed()) == folded
        assert self.shown() == folded
