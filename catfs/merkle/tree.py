"""A whole tree: a directory entry for the domain itself and the nodes below it.

A tree never changes; an update gives a new one that shares every node off the way. Paths are bytes
relative to the domain, names joined by `/`, b"" for the domain itself. Order of paths is the order of
a walk: a directory stands before everything below it, and names of one directory ascend. So `a/b`
comes before `a-b`, unlike in an order of the plain bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Self

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.errors import FormatError, UsageError, printable
from catfs.merkle.directory import (
    build_directory,
    find_entries,
    find_entry,
    iterate_directory,
    update_directory,
)
from catfs.merkle.node_store import NodeStore
from catfs.merkle.nodes import (
    EMPTY_DIRECTORY,
    check_name,
    child_digests,
    decode_domain_root,
    decode_node,
    encode_domain_root,
)
from catfs.records import Entry, Kind


class PathError(UsageError):
    """A path cannot be used with a tree.

    Args:
        path: The path, relative to the domain.
        problem: What is wrong with it.
    """

    def __init__(self, path: bytes, problem: str) -> None:
        super().__init__(f"path `{printable(path)}` of the tree: {problem}")
        self.path = path
        self.problem = problem


def split_path(path: bytes) -> list[bytes]:
    """Give the names of a path; none for b"", the domain itself.

    Raises:
        PathError: when one of them cannot be the name of a file.
    """
    if not path:
        return []
    names = path.split(b"/")
    try:
        for name in names:
            check_name(name)
    except FormatError as error:
        raise PathError(path, error.problem) from error
    return names


def join_path(parent: bytes, name: bytes) -> bytes:
    """Give the path of a name in a directory."""
    return parent + b"/" + name if parent else name


class Tree:
    """A tree that never changes.

    Constructing one puts its domain root node, so that the tree can be found again by its root.

    Args:
        nodes: Holds the nodes below the root entry.
        root_entry: The entry of the domain's own directory.

    Raises:
        FormatError: when the root entry is not a directory with a node digest.
    """

    __slots__ = ("_nodes", "_root", "_root_entry")

    def __init__(self, nodes: NodeStore, root_entry: Entry) -> None:
        self._nodes = nodes
        self._root_entry = root_entry
        self._root = nodes.put(encode_domain_root(root_entry))

    @classmethod
    def load(cls, nodes: NodeStore, root: Digest) -> Self:
        """Give the tree that has a domain root.

        Raises:
            MissingNodeError: when the store does not hold it.
            FormatError: when what it holds is not a domain root.
        """
        return cls(nodes, decode_domain_root(nodes.get(root)))

    @classmethod
    def from_entries(cls, nodes: NodeStore, entries: Mapping[bytes, Entry]) -> Self:
        """Build a tree from all its paths.

        Args:
            nodes: Takes the nodes.
            entries: Path to entry, in any order, with every directory and b"" for the domain itself.
                The digests of directories are computed; what stands there is ignored.

        Raises:
            PathError: when the parent of a path, or the domain itself, is not a directory of the mapping.
            FormatError: when a name is bad or an entry is inconsistent.
        """
        held = _by_directory(entries)
        digest = EMPTY_DIRECTORY
        for path in sorted(held, key=_depth, reverse=True):
            digest = build_directory(nodes, held[path].items())
            if path:
                parent, _, name = path.rpartition(b"/")
                held[parent][name] = replace(entries[path], digest=digest)
        # The domain itself has the least depth, so its digest was computed last.
        return cls(nodes, replace(entries[b""], digest=digest))

    @property
    def nodes(self) -> NodeStore:
        """The store that holds the nodes."""
        return self._nodes

    @property
    def root(self) -> Digest:
        """The domain root: seals the root entry and, through it, everything below."""
        return self._root

    @property
    def root_entry(self) -> Entry:
        """The entry of the domain's own directory."""
        return self._root_entry

    def __eq__(self, other: object) -> bool:
        return self._root == other._root if isinstance(other, Tree) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._root)

    def __repr__(self) -> str:
        return f"Tree({self._root.hex})"

    def entry(self, path: bytes) -> Entry | None:
        """Give the entry of a path, or None when it, or a directory on the way, is not there.

        Raises:
            PathError: when the path is bad.
            MissingNodeError: when a node on the way is not held.
            FormatError: when a node on the way is damaged.
        """
        entry = self._root_entry
        for name in split_path(path):
            if entry.kind is not Kind.DIRECTORY:
                return None
            found = find_entry(self._nodes, entry.digest, name)
            if found is None:
                return None
            entry = found
        return entry

    def directory(self, path: bytes) -> Iterator[tuple[bytes, Entry]]:
        """Give the names and entries of one directory, names ascending.

        Raises:
            PathError: when the path is bad, not there, or not a directory.
            MissingNodeError: when a node on the way is not held.
            FormatError: when a node on the way is damaged.
        """
        entry = self.entry(path)
        if entry is None:
            raise PathError(path, "expected a directory, but there is nothing")
        if entry.kind is not Kind.DIRECTORY:
            raise PathError(path, f"expected a directory, got a {entry.kind.value}")
        return iterate_directory(self._nodes, entry.digest)

    def items(self) -> Iterator[tuple[bytes, Entry]]:
        """Give every path with its entry, in the order of a walk, b"" first.

        Raises:
            MissingNodeError: when a node is not held.
            FormatError: when a node is damaged.
        """
        yield b"", self._root_entry
        yield from iterate_below(self._nodes, self._root_entry.digest)

    def update(self, changes: Mapping[bytes, Entry | None]) -> Self:
        """Give the tree with some paths changed; only nodes on their way are written anew.

        Args:
            changes: Path to new entry, in any order. None removes the path and all below it.
                A directory with a node digest brings its whole sub-tree; one with the digest of
                nothing (the default of an Entry) keeps the sub-tree that is there, or is new and
                empty. Changes below it are applied on top.

        Raises:
            PathError: when a path is bad, is to be added where no directory is, or is the domain
                itself and not a directory.
            MissingNodeError: when a node on the way is not held.
            FormatError: when an entry is inconsistent or a node on the way is damaged.
        """
        if not changes:
            return self
        return type(self)(self._nodes, _Update(self._nodes, changes).apply(self._root_entry))

    def walk_nodes(self) -> Iterator[tuple[Digest, bytes]]:
        """Give every node of the tree once, with its digest: the domain root first.

        Raises:
            MissingNodeError: when a node is not held.
            FormatError: when a node is damaged.
        """
        yield self._root, self._nodes.get(self._root)
        seen: set[bytes] = set()
        pending = [self._root_entry.digest]
        while pending:
            digest = pending.pop()
            if digest.raw in seen or digest == EMPTY_DIRECTORY:
                continue
            seen.add(digest.raw)
            blob = self._nodes.get(digest)
            node = decode_node(blob)
            yield digest, blob
            pending += child_digests(node)


def iterate_below(nodes: NodeStore, digest: Digest) -> Iterator[tuple[bytes, Entry]]:
    """Give every path below a directory, relative to it, in the order of a walk.

    Raises:
        MissingNodeError: when a node is not held.
        FormatError: when a node is damaged.
    """
    # A stack and no recursion: a path of 4,000 bytes can be 2,000 directories deep.
    stack = [(b"", iterate_directory(nodes, digest))]
    while stack:
        parent, entries = stack[-1]
        item = next(entries, None)
        if item is None:
            stack.pop()
            continue
        path = join_path(parent, item[0])
        yield path, item[1]
        if item[1].kind is Kind.DIRECTORY:
            stack.append((path, iterate_directory(nodes, item[1].digest)))


def _depth(path: bytes) -> int:
    return path.count(b"/") + 1 if path else 0


def _by_directory(entries: Mapping[bytes, Entry]) -> dict[bytes, dict[bytes, Entry]]:
    """Sort all paths of a tree into their directories, empty directories included."""
    root = entries.get(b"")
    if root is None or root.kind is not Kind.DIRECTORY:
        raise PathError(b"", "expected an entry of the domain itself, a directory")
    held: dict[bytes, dict[bytes, Entry]] = {
        path: {} for path, entry in entries.items() if entry.kind is Kind.DIRECTORY
    }
    for path, entry in entries.items():
        if not path:
            continue
        parent, _, name = path.rpartition(b"/")
        try:
            held[parent][name] = entry
        except KeyError:
            raise PathError(path, f"`{printable(parent)}` is not among the directories") from None
        if path.startswith(b"/"):
            raise PathError(path, "expected a path relative to the domain")
    return held


class _Update:
    """One update: what changes in which directory, and what each of these directories is.

    First downwards, from the domain to the deepest directory with a change, it is found out what
    each directory holds now; then upwards each directory is written once.
    """

    def __init__(self, nodes: NodeStore, changes: Mapping[bytes, Entry | None]) -> None:
        self._nodes = nodes
        self._changes = changes
        self._wanted: dict[bytes, dict[bytes, Entry | None]] = {b"": {}}
        self._ways: dict[bytes, set[bytes]] = {}
        self._bases: dict[bytes, Entry | None] = {}
        for path, entry in changes.items():
            if path:
                self._add(path, entry)

    def _add(self, path: bytes, entry: Entry | None) -> None:
        names = split_path(path)
        parent = b"/".join(names[:-1])
        self._wanted.setdefault(parent, {})[names[-1]] = entry
        while parent:
            above, _, name = parent.rpartition(b"/")
            ways = self._ways.setdefault(above, set())
            if name in ways:
                break
            ways.add(name)
            self._wanted.setdefault(above, {})
            parent = above

    def apply(self, root_entry: Entry) -> Entry:
        """Write the nodes and give the new root entry."""
        wanted = self._changes.get(b"", root_entry)
        if wanted is None or wanted.kind is not Kind.DIRECTORY:
            raise PathError(b"", "the domain itself can only be a directory")
        root = _kept(wanted, root_entry)
        self._bases[b""] = root
        order = sorted(self._wanted, key=_depth)
        for path in order:
            self._resolve(path)
        for path in reversed(order):
            base = self._bases[path]
            if base is None:
                continue
            changed = replace(base, digest=update_directory(self._nodes, base.digest, self._wanted[path]))
            if not path:
                root = changed
                continue
            parent, _, name = path.rpartition(b"/")
            self._wanted[parent][name] = changed
        return root

    def _resolve(self, path: bytes) -> None:
        """Find out what the changed directories of one directory are before the changes below them."""
        base = self._bases[path]
        wanted = self._wanted[path]
        ways = self._ways.get(path, set())
        if base is None:
            self._check_nothing_added(path)
            self._bases.update({join_path(path, name): None for name in ways})
            return
        keeping = {name: entry for name, entry in wanted.items() if entry is not None and _keeps(entry)}
        found = find_entries(self._nodes, base.digest, ways | keeping.keys())
        for name, entry in keeping.items():
            wanted[name] = _kept(entry, found.get(name))
        for name in ways:
            below = wanted[name] if name in wanted else found.get(name)
            is_directory = below is not None and below.kind is Kind.DIRECTORY
            self._bases[join_path(path, name)] = below if is_directory else None

    def _check_nothing_added(self, path: bytes) -> None:
        for name, entry in self._wanted[path].items():
            if entry is not None:
                problem = f"cannot be added, because `{printable(path)}` is no directory of the tree"
                raise PathError(join_path(path, name), problem)


def _keeps(entry: Entry) -> bool:
    """Whether a wanted entry is a directory that keeps the sub-tree that is there."""
    return entry.kind is Kind.DIRECTORY and entry.digest == EMPTY_DIGEST


def _kept(wanted: Entry, current: Entry | None) -> Entry:
    """Give a wanted directory with the sub-tree it brings, or else keeps."""
    if not _keeps(wanted):
        return wanted
    if current is not None and current.kind is Kind.DIRECTORY:
        return replace(wanted, digest=current.digest)
    return replace(wanted, digest=EMPTY_DIRECTORY)
