"""Memory that returns: directories that nobody needs any more are as if never loaded.

What the kernel has forgotten and the session has not changed can be read from the lower again. So
once all entries of a loaded directory are of that kind, the directory lets go of them. Looking
costs a walk over the entries; therefore it is done once for many forgotten nodes.

What the kernel has not forgotten goes to rest when there is a lot of it, the oldest first.
"""

from catfs.limits import AWAKE_NODES_MAX, FORGETS_PER_SWEEP, LISTED_NODES_MAX
from catfs.overlay.lazy_entries import LazyEntries
from catfs.overlay.nodes import Directory, File, Node, Symlink
from catfs.overlay.resting import LOOKUPS_MAX
from catfs.overlay.state import ViewState

_RESTED_AT_ONCE = 64
"""Entries that are looked at between two requests, a tenth of a millisecond; or one directory."""


class Forgetting(ViewState):
    """Letting go of what the kernel has forgotten."""

    def forget(self, ino: int, count: int) -> None:
        """Drop references that the kernel held, and from time to time what nobody needs any more."""
        if ino in self.resting:
            parent = self.nodes.get(self.resting.forget(ino, count))
            if ino in self.resting:
                return
            parents = [parent] if isinstance(parent, Directory) else []
        else:
            node = self.nodes.get(ino)
            super().forget(ino, count)
            if node is None or node.lookups:
                return
            parents = [parent for parent, _ in node.links()]
        self.idle.update(parents)
        self.forgets_until_sweep -= 1
        if self.forgets_until_sweep <= 0:
            self.sweep()

    def listed(self, directory: Directory) -> None:
        """Let go of what was loaded for a listing that has come to its end, where there is a lot of it."""
        if self.known_to_kernel() > LISTED_NODES_MAX:
            self.idle.add(directory)
            self.sweep()

    def known_to_kernel(self) -> int:
        """Give about how many files the kernel may hold."""
        return len(self.nodes) + len(self.resting)

    def rest(self) -> None:
        """Put some of the oldest nodes to rest, when there are many. Not in the middle of an operation."""
        room = _RESTED_AT_ONCE
        while room > 0 and self.loaded and self._are_many():
            directory, name = self.loaded.popleft()
            if name is None:
                room -= self._rest_directory(directory)
            else:
                room -= 1
                self._rest_name(directory, name)

    def _are_many(self) -> bool:
        """Say whether there are many nodes, or many directories in the list that nobody has any more."""
        return len(self.nodes) > AWAKE_NODES_MAX or len(self.loaded) > 2 * AWAKE_NODES_MAX

    def _rest_name(self, directory: Directory, name: bytes) -> None:
        """Put what was looked up in a directory to rest, if it is there and may."""
        entries = directory.entries
        if not isinstance(entries, LazyEntries):
            return
        node = entries.known.get(name)
        if node is not None and self._may_rest(directory, name, node):
            self._put_to_rest(directory, name, node)
            del entries.known[name]

    def _rest_directory(self, directory: Directory) -> int:
        """Put to rest what is in a directory, as far as may be, and give how many entries were looked at."""
        entries, origin = directory.entries, directory.origin
        if entries is None or origin is None or isinstance(entries, LazyEntries):
            return 1
        resting = {name for name, node in entries.items() if self._may_rest(directory, name, node)}
        if not resting:
            return len(entries)
        gone: set[bytes] = set()
        if directory.touched:
            gone = set(self.domains[origin.domain].lower.names(origin).names) - entries.keys()
        for name in resting:
            self._put_to_rest(directory, name, entries[name])
        awake = {name: node for name, node in entries.items() if name not in resting}
        directory.entries = self.lazy_entries(directory, origin, awake, gone)
        return len(entries)

    def _may_rest(self, directory: Directory, name: bytes, node: Node) -> bool:
        """Say whether a node is exactly what the lower would give again under its one name."""
        origin = node.origin
        return (
            isinstance(node, File | Symlink)
            and origin is not None
            and name not in directory.touched
            and node.opens == 0
            and origin.lower_stat.nlink == node.nlink == 1
            and node.xattrs is None
            and node.parent is directory
            and origin.name == name
            and origin.parent is directory.origin
            and origin not in self.used
            and node.lookups <= LOOKUPS_MAX
            and self.nodes.get(node.ino) is node
            and self.inode_of_lower(origin.lower_stat, origin.domain) == node.ino
        )

    def _put_to_rest(self, directory: Directory, name: bytes, node: Node) -> None:
        """Keep of a node only what the kernel refers to; its directory must let go of it."""
        origin = node.origin
        assert origin is not None
        assert directory.origin is not None
        if node.lookups:
            self.resting.put(node, directory.ino, name, origin.lower_stat)
        node.drop_link(directory, name)
        del self.nodes[node.ino]
        self.domains[origin.domain].lower.let_go(directory.origin, name)

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
