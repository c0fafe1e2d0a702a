"""Fold: turn what a session changed into the tree of its view.

Only names that were touched are looked at; whatever else the view holds has the digest that it has
in the base, also below a directory that was renamed as a whole. So the cost follows the change and
not the domain.
"""

import stat
from collections.abc import Iterator, Mapping

from catfs.digest import Digest, Hasher
from catfs.errors import MachineError, printable
from catfs.limits import HASH_CHUNK_BYTES
from catfs.merkle import EMPTY_DIRECTORY, NodeStore, Tree, update_directory
from catfs.overlay.extents import Extents, Source
from catfs.overlay.nodes import Directory, File, Node, Origin, Symlink
from catfs.overlay.view import View
from catfs.records.entry import Entry, Kind, device_digest, kind_of_mode

HardLinks = Mapping[tuple[int, int], list[bytes]]
"""(device, inode) of a lower file with several names -> its paths in the domain."""


class ContentDigests:
    """Digests of changed content, remembered by the file and where its bytes are.

    The same ranges have the same content as long as their file was not written to in place: only a file that
    shares them with no other is. So a view that was made again from the log is not hashed again, unless the
    log led elsewhere. Two files that share ranges know nothing of each other here, for one may have got them
    before and the other after they were written to.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, tuple[int, int] | None, int, bytes], Digest | None] = {}

    def digest(self, view: View, node: File) -> Digest | None:
        """Give the digest of a changed file, or None when its content equals the lower's after all."""
        assert node.extents is not None
        origin = node.origin
        lower = (origin.lower_stat.dev, origin.lower_stat.ino) if origin else None
        key = (view.data.torn, node.ino, lower, node.rewrites, node.extents.key())
        if key not in self._known:
            self._known[key] = None if _equals_lower(view, node, node.extents) else hash_content(view, node)
        return self._known[key]


def hash_content(view: View, node: File) -> Digest:
    """Give the digest of a file of a view; of a hole only the length counts, and it is not read.

    Raises:
        OSError, EOFError: when its content cannot be read.
    """
    hasher = Hasher()
    for start, end, is_hole in view.runs(node):
        if is_hole:
            hasher.update_zeros(end - start)
            continue
        for offset in range(start, end, HASH_CHUNK_BYTES):
            hasher.update(view.read_content(node, offset, min(HASH_CHUNK_BYTES, end - offset)))
    return hasher.digest()


def _equals_lower(view: View, node: File, extents: Extents) -> bool:
    """Say whether the changed ranges of a file hold what the lower holds there."""
    if node.origin is None or extents.size != node.origin.lower_stat.size:
        return False
    lower = view.domains[node.origin.domain].lower
    for start, piece in extents.ranges():
        if piece.source is Source.LOWER:
            continue
        for shift in range(0, piece.length, HASH_CHUNK_BYTES):
            length = min(HASH_CHUNK_BYTES, piece.length - shift)
            if view.read_content(node, start + shift, length) != lower.read(
                node.origin, start + shift, length
            ):
                return False
    return True


def fold(
    view: View, domain: int, base: Tree, nodes: NodeStore, digests: ContentDigests, hard_links: HardLinks
) -> Tree:
    """Give the tree of a domain as the view shows it.

    Args:
        view: The view; it is not changed, but lower directories may be loaded.
        domain: Index of the domain.
        base: The tree of its lower.
        nodes: Takes the new nodes; must also give those of the base.
        digests: Remembers digests of content between folds.
        hard_links: The lower's files with several names.

    Raises:
        OSError: when content cannot be read.
        MachineError: when the base has no entry for something that the lower had.
    """
    return _Fold(view, domain, base, nodes, digests, hard_links).run()


class _Fold:
    """One fold, as a walk over the touched names."""

    def __init__(
        self,
        view: View,
        domain: int,
        base: Tree,
        nodes: NodeStore,
        digests: ContentDigests,
        hard_links: HardLinks,
    ) -> None:
        self._view = view
        self._root = view.roots[domain]
        self._domain = domain
        self._base = base
        self._nodes = nodes
        self._digests = digests
        self._hard_links = hard_links
        self._directories: dict[Directory, Digest] = {}

    def run(self) -> Tree:
        self._touch_hard_links()
        for directory in reversed(list(touched_directories(self._root))):
            changes = {name: self._entry(directory, name) for name in directory.touched}
            below = self._base_digest(directory)
            self._directories[directory] = update_directory(self._nodes, below, changes)
        mode = stat.S_IMODE(self._root.mode)
        return Tree(self._nodes, Entry(Kind.DIRECTORY, mode, 0, self._directory_digest(self._root)))

    def _touch_hard_links(self) -> None:
        """Touch the names of changed lower files that nobody has looked up yet."""
        for node in list(self._view.changed_links):
            if node.origin is None or node.origin.domain != self._domain:
                continue
            key = (node.origin.lower_stat.dev, node.origin.lower_stat.ino)
            for path in self._hard_links.get(key, ()):
                *above, name = path.split(b"/")
                directory = self._view.find_lower_directory(self._domain, above)
                if directory is not None:
                    self._view.entries(directory).get(name)
            self._view.touch_node(node)

    def _entry(self, directory: Directory, name: bytes) -> Entry | None:
        node = self._view.entries(directory).get(name)
        if node is None:
            return None
        kind, mode = kind_of_mode(node.mode), stat.S_IMODE(node.mode)
        if isinstance(node, Directory):
            return Entry(kind, mode, 0, self._directory_digest(node))
        if isinstance(node, File):
            digest = None if node.extents is None else self._digests.digest(self._view, node)
            return Entry(kind, mode, node.size, digest or self._base_entry(node).digest)
        if isinstance(node, Symlink):
            target = self._view.link_target(node)
            return Entry(kind, 0o777, len(target), Digest.of(target))
        return Entry(kind, mode, 0, device_digest(node.rdev))

    def _directory_digest(self, directory: Directory) -> Digest:
        known = self._directories.get(directory)
        return self._base_digest(directory) if known is None else known

    def _base_digest(self, directory: Directory) -> Digest:
        return EMPTY_DIRECTORY if directory.origin is None else self._base_entry(directory).digest

    def _base_entry(self, node: Node) -> Entry:
        assert node.origin is not None
        entry = self._base.entry(node.origin.path())
        if entry is None:
            raise _base_missing(node.origin)
        return entry


def _base_missing(origin: Origin) -> MachineError:
    """Give the error for a lower path that the session saw and the base does not have."""
    return MachineError(
        f"{printable(origin.path())} was in the domain when the session used it, "
        "but not when the base was read",
        hint="something else changes the domain at the same time",
    )


def touched_directories(root: Directory) -> Iterator[Directory]:
    """Give every directory that has touched names, parents before what is below them."""
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        if directory.touched:
            yield directory
        if directory.entries is not None:
            children = (directory.entries.get(name) for name in directory.touched)
            waiting.extend(child for child in children if isinstance(child, Directory))
