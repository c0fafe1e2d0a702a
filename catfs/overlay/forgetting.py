"""Memory that returns: directories that nobody needs any more are as if never loaded.

What the kernel has forgotten and the session has not changed can be read from the lower again. So
once all entries of a loaded directory are of that kind, the directory lets go of them. Looking
costs a walk over the entries; therefore it is done once for many forgotten nodes.
"""

from catfs.limits import FORGETS_PER_SWEEP, LISTED_NODES_MAX
from catfs.overlay.lazy_entries import LazyEntries
from catfs.overlay.nodes import Directory, Node
from catfs.overlay.state import ViewState


class Forgetting(ViewState):
    """Letting go of what the kernel has forgotten."""

    def forget(self, ino: int, count: int) -> None:
        """Drop references that the kernel held, and from time to time what nobody needs any more."""
        node = self.nodes.get(ino)
        super().forget(ino, count)
        if node is None or node.lookups:
            return
        for parent, _ in node.links():
            self.idle.add(parent)
        self.forgets_until_sweep -= 1
        if self.forgets_until_sweep <= 0:
            self.sweep()

    def listed(self, directory: Directory) -> None:
        """Let go of what was loaded for a listing that has come to its end, where there is a lot of it."""
        if len(self.nodes) > LISTED_NODES_MAX:
            self.idle.add(directory)
            self.sweep()

    def sweep(self) -> None:
        """Let go of the entries of every directory whose entries nobody needs.

        The next sweep is put off in proportion to the entries that this one looked at, so that the
        work per forgotten node stays the same however large directories are.
        """
        looked_at = 0
        candidates, self.idle = self.idle, set()
        for candidate in candidates:
            directory: Directory | None = candidate
            while directory is not None:
                looked, unloaded = self._unload(directory)
                looked_at += looked
                directory = directory.parent if unloaded and not directory.lookups else None
        self.forgets_until_sweep = max(FORGETS_PER_SWEEP, looked_at // 8)

    def _unload(self, directory: Directory) -> tuple[int, bool]:
        """Let go of the entries of a directory, if nobody needs any of them.

        Returns:
            How many entries were looked at, and whether the directory let go of them.
        """
        if directory.entries is None or directory.origin is None or directory.touched or directory.opens:
            return 0, False
        entries = directory.entries
        known = entries.known if isinstance(entries, LazyEntries) else entries
        for looked, node in enumerate(known.values(), 1):
            if self._is_needed(node):
                return looked, False
        for name, node in known.items():
            node.drop_link(directory, name)
            if node.parent is None and node.origin not in self.used:
                del self.nodes[node.ino]
        directory.entries = None
        return len(known), True

    def _is_needed(self, node: Node) -> bool:
        """Say whether a node is more than what the lower would give again.

        A file that was read stays a node, found again by its inode number, so that it is known that
        it was read; a directory is not found again and so keeps its place.
        """
        if node.lookups or node.opens:
            return True
        if isinstance(node, Directory):
            return bool(node.entries is not None or node.touched or node.origin in self.used)
        return False
