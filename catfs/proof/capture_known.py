"""A base that is known from the last time: the tree of a domain without looking at all of it.

The index says what the domain was when it was last read. A proof about a session needs to know that this
still holds where the session looked or wrote, not everywhere: `refreshed` looks at the paths that were used,
takes over what their attributes prove to be the same, reads the others, and gives the tree. Its cost follows
the use and not the domain. What it does not say, and why the verdicts hold all the same: docs/design/0005.
"""

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from catfs.beneath import open_directory_beneath
from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import (
    STAT,
    IndexReader,
    KnownDirectory,
    LayeredNodes,
    MemoryNodes,
    MissingNodeError,
    NodeSource,
    NodeStore,
    Tree,
    hidden_digest,
    row_ctime,
    stat_row,
)
from catfs.merkle.nodes import load_node
from catfs.proof.capture import capture_below
from catfs.proof.capture_workers import CaptureError, hash_files
from catfs.records.entry import Entry, Kind, device_digest, kind_of_mode
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The tree of a domain, as far as it was looked at.

    Args:
        tree: The tree: true for every path that was asked for, and for the names of every directory on
            the way to one; for all others it is what the index says.
        checked: Number of names whose attributes were compared.
        changed: Paths at which the domain is not what the index says, ascending; the tree says what it is.
        fresh: Holds the nodes of the tree that are not kept yet.
    """

    tree: Tree
    checked: int
    changed: tuple[bytes, ...]
    fresh: MemoryNodes


class KnownBase:
    """What an index and a store of nodes say of a domain.

    Use `open_known`; it is a context manager that closes the index.

    Args:
        index: The index.
        nodes: Holds the nodes of its tree.
        hidden: (device, inode) of directories that are not part of the domain.
    """

    def __init__(
        self,
        index: IndexReader,
        nodes: NodeSource,
        hidden: Collection[tuple[int, int]] = (),
    ) -> None:
        self._index = index
        self._nodes = nodes
        self._hidden = frozenset(hidden)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def read(self) -> int:
        """When the reading that made the index began, in ns since 1970."""
        return self._index.facts.started

    @property
    def files(self) -> int:
        """Number of regular files, as of the index."""
        return self._index.facts.files

    @property
    def size(self) -> int:
        """Bytes in them, as of the index."""
        return self._index.facts.size

    def hard_links(self) -> dict[tuple[int, int], list[bytes]]:
        """Give the paths of each file with several names, as of the index, by (device, inode)."""
        return self._index.hard_links()

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def refreshed(self, root: int, used: Iterable[bytes]) -> Refreshed:
        """Give the tree of the domain, true at the paths that were used.

        Args:
            root: Descriptor of the domain's directory.
            used: Paths that were read or touched, relative to the domain, b"" for itself; a path that is
                not there is no error, and neither is one below it.

        Raises:
            CaptureError: when something that must be read cannot be read or changes meanwhile.
            MissingNodeError: when the store does not hold the tree any more.
            FormatError: when a node is damaged, or what must be read of the index.
        """
        fresh = MemoryNodes()
        top = LayeredNodes(fresh, self._nodes)
        refresh = _Refresh(root, self._index, top, self._hidden)
        for path in sorted({b"", *used}, key=lambda path: path.split(b"/") if path else []):
            refresh.look_at(path)
        entry = self._index.facts.root_entry
        tree = Tree(top, entry).update(refresh.changes)
        changed = tuple(sorted(refresh.changes))
        return Refreshed(tree, refresh.checked, changed, fresh)


def open_known(
    path: Path, root: int, nodes: NodeSource, hidden: Collection[tuple[int, int]] = ()
) -> KnownBase | None:
    """Open what is known of a domain; None when nothing usable is: then it has to be captured.

    Args:
        path: The index.
        root: Descriptor of the domain's directory.
        nodes: Should hold the nodes of its tree.
        hidden: (device, inode) of directories that are not part of the domain.
    """
    try:
        index = IndexReader(path)
    except (FormatError, OSError):
        return None
    status = os.fstat(root)
    facts = index.facts
    try:
        load_node(nodes, facts.root_entry.digest)
        is_whole = facts.root == (status.st_dev, status.st_ino) and facts.hidden == hidden_digest(hidden)
    except (MissingNodeError, FormatError):
        is_whole = False
    if is_whole:
        return KnownBase(index, nodes, hidden)
    index.close()
    return None


class _Refresh:
    """One look at the used paths of a domain, parents before what is in them."""

    def __init__(
        self, root: int, index: IndexReader, nodes: NodeStore, hidden: frozenset[tuple[int, int]]
    ) -> None:
        self._root = root
        self._index = index
        self._nodes = nodes
        self._hidden = hidden
        # What was looked at: for a directory that stays, what is known of it; for everything else None, which
        # means that nothing below it need be looked at.
        self._seen: dict[bytes, KnownDirectory | None] = {}
        self._links: dict[tuple[int, int], list[bytes]] | None = None
        self.changes: dict[bytes, Entry | None] = {}
        self.checked = 0

    def look_at(self, path: bytes) -> None:
        """Look at a path and at every directory on the way to it."""
        if b"" not in self._seen:
            top = os.fstat(self._root)
            self._seen[b""] = self._enter(b"", top, self._index.facts.root, self._index.facts.root_entry.mode)
        here = b""
        for name in path.split(b"/") if path else ():
            known = self._seen[here]
            if known is None:
                return
            here = _joined(here, name)
            if here not in self._seen:
                self._look_at_name(here, name, known)

    def _look_at_name(self, path: bytes, name: bytes, known: KnownDirectory) -> None:
        """Compare one name with what the index says of it, and read what that does not prove."""
        self._seen[path] = None
        self.checked += 1
        found = known.find(name)
        with self._opened(path.rpartition(b"/")[0]) as directory:
            try:
                status = os.lstat(name, dir_fd=directory)
                if stat.S_ISDIR(status.st_mode):
                    ino, dev, _, _, _, mode, _ = STAT.unpack(found[0]) if found else (0,) * 7
                    self._seen[path] = self._enter(path, status, (dev, ino), mode)
                else:
                    self._compare(path, directory, status, found)
            except FileNotFoundError:
                if found is not None:
                    self.changes[path] = None
            except OSError as error:
                raise CaptureError(path, f"cannot be read: {error.strerror}") from error

    def _enter(
        self, path: bytes, status: os.stat_result, place: tuple[int, int], mode: int
    ) -> KnownDirectory | None:
        """Look at a directory itself: its mode and its names; None when it is not the one that was indexed.

        Args:
            path: The directory.
            status: What it is now.
            place: (device, inode) of what the index knows under this path; (0, 0) for nothing.
            mode: Its mode there.
        """
        if (status.st_dev, status.st_ino) in self._hidden:
            return None
        known = self._index.part(*place) if place == (status.st_dev, status.st_ino) else None
        if known is None:
            with self._opened(path) as descriptor:
                self.changes[path] = capture_below(descriptor, self._nodes, self._hidden, self._index)
            return None
        if stat.S_IMODE(status.st_mode) != stat.S_IMODE(mode):
            self.changes[path] = Entry(Kind.DIRECTORY, stat.S_IMODE(status.st_mode))
        is_same = (known.mtime, known.ctime) == (status.st_mtime_ns, status.st_ctime_ns)
        if not is_same or self._index.may_hide_change(known.ctime):
            with self._opened(path) as descriptor:
                now = set(map(os.fsencode, os.listdir(descriptor)))
            known.check()
            before = set(known.names.split(b"\0")) - {b""}
            for name in sorted(now ^ before):
                self._look_at_name(_joined(path, name), name, known)
        return known

    def _compare(
        self, path: bytes, directory: int, status: os.stat_result, found: tuple[bytes, bytes] | None
    ) -> None:
        """Compare what is no directory with what the index says, and read it when that does not prove it.

        Args:
            path: Where it is.
            directory: Descriptor of the directory that it is in.
            status: What it is now.
            found: Its row of attributes and digest in the index.
        """
        row = stat_row(status)
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            self._look_at_links((status.st_dev, status.st_ino))
        if found is not None and found[0] == row and not self._index.may_hide_change(row_ctime(row)):
            return
        parent, _, name = path.rpartition(b"/")
        kind, mode, size = kind_of_mode(status.st_mode), stat.S_IMODE(status.st_mode), 0
        if kind is Kind.FILE:
            raw, after = hash_files(self._root, [(parent, [name])])
            if after != row:
                raise CaptureError(path, "changed while it was read")
            digest, size = Digest(raw), status.st_size
        elif kind is Kind.SYMLINK:
            target = os.readlink(name, dir_fd=directory)
            digest, mode, size = Digest.of(target), 0o777, len(target)
        else:
            digest = device_digest(status.st_rdev)
        if found is None or (found[1], STAT.unpack(found[0])[5]) != (digest.raw, status.st_mode):
            self.changes[path] = Entry(kind, mode, size, digest)

    def _look_at_links(self, key: tuple[int, int]) -> None:
        """Look at the other names of a file: whoever writes to one changes them all."""
        if self._links is None:
            self._links = self._index.hard_links()
        for path in self._links.pop(key, ()):
            self.look_at(path)

    @contextmanager
    def _opened(self, path: bytes) -> Iterator[int]:
        """Give a descriptor of a directory of the domain inside the block."""
        if not path:
            yield self._root
            return
        descriptor = open_directory_beneath(self._root, path.split(b"/"))
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _joined(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name
