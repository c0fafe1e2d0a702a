"""The state of a view: its inodes, its open handles, and how directories come in from the lower.

Everything here is synchronous and needs no lock: one thread owns a view.
"""

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from errno import EINVAL, ENAMETOOLONG, ENOTDIR, ESTALE
from types import MappingProxyType

from catfs.clock import Clock, system_clock
from catfs.limits import FORGETS_PER_SWEEP, FRESH_INODE_FIRST, LARGE_DIRECTORY_BYTES, NAME_BYTES_MAX
from catfs.overlay.data_file import DataFile
from catfs.overlay.lazy_entries import LazyEntries
from catfs.overlay.lower import Lower
from catfs.overlay.nodes import (
    SESSION_ACTOR,
    Actor,
    Directory,
    LowerStat,
    Node,
    Origin,
    error_of,
    node_from_lower,
)
from catfs.overlay.resting import RestingNodes
from catfs.overlay.sharing import FreedRanges, RangeSet
from catfs.overlay.trace import Place, Trace
from catfs.values import dataclass

ROOT_INODE = 1


NOTHING: Mapping[bytes, Node] = MappingProxyType({})
"""No entries."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain of a session.

    Args:
        lower: Its real files.
        label: Its name in the directory that joins several domains; any name without `/`.
        reserved: Path in the domain that programs may neither see nor make, or None.
    """

    lower: Lower
    label: bytes = b"0"
    reserved: bytes | None = None


class Handle:
    """An open file or directory.

    Args:
        node: What is open.
        actor: Who opened it.
    """

    __slots__ = ("actor", "names", "node")

    def __init__(self, node: Node, actor: Actor) -> None:
        self.node = node
        self.actor = actor
        self.names: list[bytes] | None = None
        """For a directory: the names of this stream, fixed when it is read from its start."""


class ViewState:
    """The inodes and handles of a session.

    A session with one domain has that domain's directory as inode 1; a session with several has a
    directory there that holds one entry per domain.

    Args:
        domains: The domains, at least one.
        data: Where new bytes go.
        trace: Who is told of every change.
        clock: Where the time comes from.
        durable: Whether fsync makes the session durable. In a run it does not: nothing of a run is
            durable before its commit, which makes everything durable together.
        by_name: Whether the names of a directory are looked up one by one until somebody wants all of
            them, however small it is: for whoever asks for few, as a replay does.
    """

    def __init__(
        self,
        domains: Sequence[Domain],
        data: DataFile,
        trace: Trace,
        clock: Clock = system_clock,
        durable: bool = False,
        by_name: bool = False,
    ) -> None:
        self.domains = tuple(domains)
        self.reserved_names = frozenset(
            domain.reserved.rpartition(b"/")[2] for domain in domains if domain.reserved is not None
        )
        """The last part of each reserved path."""
        self.data = data
        self.trace = trace
        self.clock = clock
        self.durable = durable
        self._large_directory_bytes = 0 if by_name else LARGE_DIRECTORY_BYTES
        self.nodes: dict[int, Node] = {}
        self.resting = RestingNodes()
        """The files that only the kernel remembers: they are no nodes until it asks."""
        self.loaded: deque[tuple[Directory, bytes | None]] = deque()
        """What came in from the lower, the oldest first: a directory and a name in it, None for all."""
        self.handles: dict[int, Handle] = {}
        self.used: set[Origin] = set()
        """Every lower file that was read or touched: what must still be as it was before a commit."""
        self.shared = RangeSet()
        """The runs of the data file that several files point at."""
        self.forget_attributes: Callable[[int], None] = _nobody_caches
        """Tells whoever caches attributes that those of an inode changed without having been asked to;
        a transport puts its own in this place."""
        self.shared_dropped_bytes = 0
        """Bytes of shared runs that files let go of since it was last looked who has them."""
        self.freed = FreedRanges(data)
        """The runs of the data file that nothing refers to any more."""
        self.gives_back = True
        """Whether those go back to the disk; while a log is replayed they do not."""
        self.when_quiet: Callable[[], bool] = bool
        """Does a piece, of milliseconds, of what can wait for a moment without requests, and says whether
        there was any; called by a transport that knows of such moments, never within a request."""
        self.is_member: Callable[[Actor, int], bool] = _has_group
        """Says whether somebody is a member of a group; a transport puts in its place one that also knows
        of further groups."""
        self.unnamed: set[Node] = set()
        """Files that were made without a name and have none yet."""
        self.changed_links: set[Node] = set()
        """Touched files of which the lower has several names: those in directories that are not loaded
        yet are touched when they are."""
        self._next_inode = FRESH_INODE_FIRST
        self._fresh_handles = itertools.count(1)
        self._foreign_inodes: dict[tuple[int, int, int], int] = {}
        """(domain, device, inode) of lower files that cannot keep their number -> the one they have."""
        self.idle: set[Directory] = set()
        """Directories of which the kernel has forgotten entries since the last sweep."""
        self.forgets_until_sweep = FORGETS_PER_SWEEP
        self.roots: list[Directory] = []
        stats = [domain.lower.root() for domain in self.domains]
        self._device = stats[0].dev
        for index, lower_stat in enumerate(stats):
            ino = ROOT_INODE if len(stats) == 1 else self.fresh_inode()
            root = node_from_lower(ino, Origin(None, b"", lower_stat, index))
            if not isinstance(root, Directory):
                raise OSError(ENOTDIR, "a domain must be a directory", self.domains[index].label)
            root.domain = index
            self.roots.append(root)
            self.nodes[ino] = root
        if len(self.roots) > 1:
            self._join_roots()

    def _join_roots(self) -> None:
        """Make the directory that holds the roots of several domains."""
        top = Directory(ROOT_INODE, 0o555, 0, 0, self.clock())
        top.entries = {}
        top.nlink = 2 + len(self.roots)
        for domain, root in zip(self.domains, self.roots, strict=True):
            top.entries[domain.label] = root
        self.nodes[ROOT_INODE] = top

    def node(self, ino: int) -> Node:
        """Give the node with an inode number.

        Raises:
            OSError: ESTALE when there is none (any more).
        """
        node = self.nodes.get(ino)
        return self._wake(ino) if node is None else node

    def _wake(self, ino: int) -> Node:
        """Give a node that is at rest, which then is a node again.

        Raises:
            OSError: ESTALE when there is none, or it is not what it was.
        """
        place = self.resting.place(ino)
        directory = None if place is None else self.nodes.get(place[0])
        if place is not None and isinstance(directory, Directory):
            node = self.entries(directory).get(place[1])
            if node is not None and node.ino == ino:
                return node
        raise error_of(ESTALE)

    def directory(self, ino: int) -> Directory:
        """Give the directory with an inode number.

        Raises:
            OSError: ESTALE when there is none, ENOTDIR when it is something else.
        """
        node = self.node(ino)
        if not isinstance(node, Directory):
            raise error_of(ENOTDIR)
        return node

    def entries(self, directory: Directory) -> MutableMapping[bytes, Node]:
        """Give the entries of a directory, loading them from the lower at first use."""
        if directory.entries is None:
            directory.entries = self._load(directory)
        return directory.entries

    def _load(self, directory: Directory) -> MutableMapping[bytes, Node]:
        origin = directory.origin
        if origin is None:
            return {}
        if origin.lower_stat.size >= self._large_directory_bytes:
            return self.lazy_entries(directory, origin)
        entries: dict[bytes, Node] = {}
        for name, lower_stat in self.domains[origin.domain].lower.scan(origin):
            entries[name] = self._adopt(directory, origin, name, lower_stat)
            self._settle(directory, name, entries[name])
        self.loaded.append((directory, None))
        return entries

    def lazy_entries(
        self,
        directory: Directory,
        origin: Origin,
        known: Mapping[bytes, Node] = NOTHING,
        gone: Collection[bytes] = (),
    ) -> LazyEntries:
        """Give the entries of a directory, of which only some are loaded.

        Args:
            directory: The directory.
            origin: Where it comes from.
            known: Those that are loaded.
            gone: Names of the lower that it has no more.
        """
        lower = self.domains[origin.domain].lower

        def find(name: bytes) -> Node | None:
            lower_stat = lower.find(origin, name)
            return None if lower_stat is None else self._adopt(directory, origin, name, lower_stat)

        def names() -> Iterator[tuple[bytes, int, int]]:
            device = origin.lower_stat.dev
            for name, ino, kind in zip(*lower.names(origin), strict=True):
                yield name, self._number(device, ino, origin.domain), kind

        def found(name: bytes, node: Node) -> None:
            self.loaded.append((directory, name))
            self._settle(directory, name, node)

        return LazyEntries(find, names, found, known, gone)

    def _adopt(self, directory: Directory, origin: Origin, name: bytes, lower_stat: LowerStat) -> Node:
        """Give the node of a name of the lower, linked to its directory."""
        node = self._node_of_lower(Origin(origin, name, lower_stat, origin.domain))
        node.add_link(directory, name)
        return node

    def _settle(self, directory: Directory, name: bytes, node: Node) -> None:
        """Touch a name that was loaded, if it is a further one of a file that was changed already."""
        if node in self.changed_links:
            self.touch(directory, name)

    def _node_of_lower(self, origin: Origin) -> Node:
        """Give the node for a lower file: the known one for a further hard link, else a new one."""
        lower_stat = origin.lower_stat
        ino = self.inode_of_lower(lower_stat, origin.domain)
        known = self.nodes.get(ino)
        if known is not None and not isinstance(known, Directory):
            return known
        lookups = self.resting.take(ino, lower_stat)
        node = node_from_lower(ino, origin)
        node.lookups = lookups
        self.nodes[ino] = node
        return node

    def inode_of_lower(self, lower_stat: LowerStat, domain: int) -> int:
        """Give the inode number that a lower file has in the view."""
        return self._number(lower_stat.dev, lower_stat.ino, domain)

    def _number(self, device: int, ino: int, domain: int) -> int:
        """Keep the lower's inode number where it is free to be used.

        So tools that remember inode numbers (git's index is one) find their files unchanged. A file with
        names in two domains is a file of its own in each: each is proven and committed for itself.
        """
        key = (domain, device, ino)
        foreign = self._foreign_inodes.get(key)
        if foreign is not None:
            return foreign
        if device == self._device and ROOT_INODE < ino < FRESH_INODE_FIRST:
            known = self.nodes.get(ino)
            if known is None or known.origin is None or known.origin.domain == domain:
                return ino
        self._foreign_inodes[key] = self.fresh_inode()
        return self._foreign_inodes[key]

    def fresh_inode(self) -> int:
        """Give an inode number that was never used."""
        self._next_inode += 1
        return self._next_inode - 1

    def renumber(self, node: Node, ino: int) -> None:
        """Give a node the inode number that it had when the log was written.

        So the records that follow in a continued log mean the same nodes as those before. What has the
        number now gets another one, and lower files are still found again under theirs.
        """
        if node.ino == ino:
            return
        other = self.nodes.get(ino)
        moved = {node.ino: ino}
        del self.nodes[node.ino]
        if other is not None:
            other.ino = moved[ino] = self.fresh_inode()
            self.nodes[other.ino] = other
        node.ino = ino
        self.nodes[ino] = node
        self._next_inode = max(self._next_inode, ino + 1)
        if node.origin is not None or other is not None:
            for key, number in self._foreign_inodes.items():
                self._foreign_inodes[key] = moved.get(number, number)

    def lookup(self, parent: int, name: bytes) -> Node | None:
        """Give what a name in a directory stands for, or None; `.` is whatever has that number.

        Raises:
            OSError: ENAMETOOLONG, ENOTDIR, ESTALE, or what the lower raises.
        """
        if name == b".":
            return self.node(parent)
        directory = self.directory(parent)
        if name == b"..":
            return directory.parent or directory
        check_name_length(name)
        return self.entries(directory).get(name)

    def resolve(self, domain: int, path: bytes) -> Node | None:
        """Give the node at a path of a domain, or None. Symlinks are not followed."""
        node: Node | None = self.roots[domain]
        for name in path.split(b"/") if path else ():
            if not isinstance(node, Directory):
                return None
            node = self.entries(node).get(name)
        return node

    def find_lower_directory(self, domain: int, names: Sequence[bytes]) -> Directory | None:
        """Give the node of a directory of the lower, wherever the view has it now.

        A directory that was never loaded keeps its names, so it is enough to find the nearest known
        one above by its inode number and to go down from there.

        Args:
            domain: Index of the domain.
            names: The way to it in the lower; empty for the domain itself.

        Returns:
            The directory; None when the lower or the view has none there any more.
        """
        origin = self.roots[domain].origin
        assert origin is not None
        chain: list[Directory | None] = [self.roots[domain]]
        for name in names:
            origin = Origin(origin, name, origin.lower_stat, domain)
            lower_stat = self.domains[domain].lower.stat(origin)
            if lower_stat is None:
                return None
            node = self.nodes.get(self.inode_of_lower(lower_stat, domain))
            chain.append(node if isinstance(node, Directory) else None)
        deepest = max(index for index, node in enumerate(chain) if node is not None)
        here = chain[deepest]
        for name in names[deepest:]:
            assert here is not None
            child = self.entries(here).get(name)
            if not isinstance(child, Directory):
                return None
            here = child
        return here

    def place(self, directory: Directory, name: bytes) -> Place:
        """Give the path of a name in a directory, as the write log states it."""
        names = [name]
        here: Directory | None = directory
        while here is not None and here.domain is None:
            names.append(here.name)
            here = here.parent
        names.reverse()
        return Place(0 if here is None or here.domain is None else here.domain, b"/".join(names))

    def place_of(self, node: Node) -> Place:
        """Give a path of a node: one of its names, or its last one when it has none any more."""
        if isinstance(node, Directory) and node.domain is not None:
            return Place(node.domain, b"")
        if node.parent is not None:
            return self.place(node.parent, node.name)
        return Place(*node.last_path) if node.last_path is not None else Place(0, node.name)

    def use(self, origin: Origin) -> None:
        """Note that a lower file was read or touched.

        A durable session also writes down what the file was, so that a change of it is noticed by
        whoever continues the session.
        """
        if origin in self.used:
            return
        self.used.add(origin)
        if self.durable:
            lower_stat = origin.lower_stat
            self.trace.append(
                "base",
                Place(origin.domain, origin.path()),
                lower_stat.ino,
                SESSION_ACTOR,
                self.clock(),
                {
                    "mode": lower_stat.mode,
                    "size": lower_stat.size,
                    "mtime": lower_stat.mtime,
                    "ctime": lower_stat.ctime,
                },
            )

    def touch(self, parent: Directory, name: bytes) -> None:
        """Note that the view may differ from the lower at a name, and so below each of its parents."""
        node = parent.entries.get(name) if parent.entries is not None else None
        if node is not None and node.origin is not None:
            self.use(node.origin)
        here: Directory | None = parent
        while here is not None and name not in here.touched:
            here.touched.add(name)
            name, here = here.name, here.parent

    def touch_node(self, node: Node) -> None:
        """Note that a node may differ from the lower, at each of its names."""
        if node.origin is not None and node.origin.lower_stat.nlink > 1 and not isinstance(node, Directory):
            self.changed_links.add(node)
        for parent, name in node.links():
            self.touch(parent, name)

    def record(self, op: str, place: Place, node: Node, actor: Actor, now: int, **details: object) -> None:
        """Tell the trace of a change; one to a file without a name says that it has none."""
        if node.nlink == 0 and node.last_path is not None and op not in {"unlink", "rmdir"}:
            details["unlinked"] = True
        self.trace.append(op, place, node.ino, actor, now, details)  # type: ignore[arg-type]  # keywords by name

    def open_handle(self, node: Node, actor: Actor) -> int:
        """Give the number of a new handle on a node."""
        number = next(self._fresh_handles)
        self.handles[number] = Handle(node, actor)
        node.opens += 1
        return number

    def handle(self, number: int) -> Handle:
        """Give an open handle.

        Raises:
            OSError: ESTALE when it is not open.
        """
        try:
            return self.handles[number]
        except KeyError:
            raise error_of(ESTALE) from None

    def forget(self, ino: int, count: int) -> None:
        """Drop references that the kernel held; a node that nothing names or uses goes with the last."""
        node = self.nodes.get(ino)
        if node is not None:
            node.lookups = max(0, node.lookups - count)
            self.drop_if_unused(node)

    def drop_if_unused(self, node: Node) -> None:
        """Let go of a node that has no name, no handle and no kernel reference."""
        if node.nlink == 0 and node.lookups == 0 and node.opens == 0 and self.nodes.get(node.ino) is node:
            del self.nodes[node.ino]
            self.unnamed.discard(node)
            self.changed_links.discard(node)
            self.discard_content(node)

    def discard_content(self, node: Node) -> None:
        """Give back what a dropped node stored; the part that knows content fills this in."""


def _has_group(actor: Actor, gid: int) -> bool:
    """Say whether a group is the one that somebody acts with."""
    return actor.gid == gid


def _nobody_caches(ino: int) -> None:
    """Tell nobody."""


def check_name_length(name: bytes) -> None:
    """Refuse a name that no file system takes.

    Raises:
        OSError: ENAMETOOLONG, or EINVAL when it is empty.
    """
    if len(name) > NAME_BYTES_MAX:
        raise error_of(ENAMETOOLONG, name)
    if not name:
        raise OSError(EINVAL, "a name cannot be empty")
