"""What differs between two views of the same lower, found without a tree of it.

Only names that one of the two views touched are looked at, so the cost follows what happened in between
and before, and not the domain. Content is hashed only where the ranges of a file differ.
"""

import stat
from collections.abc import Callable, Iterable, Iterator

from catfs.digest import Digest
from catfs.overlay.fold import hash_content
from catfs.overlay.nodes import Directory, File, Node, Origin, Symlink
from catfs.overlay.view import View
from catfs.records import Change, Entry, Kind
from catfs.records.entry import device_digest, kind_of_mode

DigestOfOriginal = Callable[[Origin], Digest | None]
"""Gives the digest of a file of the lower where it is known, so that it need not be read."""


def unknown_digest(origin: Origin) -> Digest | None:
    """Know nothing: every file is read."""
    del origin
    return None


def changes_between(
    before: View, after: View, domain: int, known: DigestOfOriginal = unknown_digest
) -> Iterator[Change]:
    """Give every path at which two views differ, in the order of a walk, as `catfs.merkle.diff` would.

    A directory that appears or goes is followed by all below it; entries of directories have no digest.

    Args:
        before: The earlier view; lower directories may be loaded.
        after: The later one, of the same lower.
        domain: Index of the domain.
        known: Digests of lower files.

    Raises:
        OSError: when content cannot be read.
    """
    for view in (before, after):
        _find_hard_links(view, domain)
    walk = _Walk(before, after, known)
    pairs = iter([(b"", before.roots[domain], after.roots[domain])])
    # A stack and no recursion: a path of 4,000 bytes can be 2,000 directories deep.
    stack: list[Iterator[_Pair]] = [pairs]
    while stack:
        pair = next(stack[-1], None)
        if pair is None:
            stack.pop()
            continue
        change = walk.change(*pair)
        if change is not None:
            yield change
        stack.append(walk.below(*pair))


_Pair = tuple[bytes, Node | None, Node | None]
"""A path with what each view has there."""


class _Walk:
    """Compares pairs of nodes."""

    def __init__(self, before: View, after: View, known: DigestOfOriginal) -> None:
        self._before = before
        self._after = after
        self._known = known

    def change(self, path: bytes, old: Node | None, new: Node | None) -> Change | None:
        """Give the difference of one path, what lies below it aside."""
        if (
            isinstance(old, File)
            and isinstance(new, File)
            and old.mode == new.mode
            and _same_ranges(old, new)
        ):
            return None
        before = None if old is None else self._entry(self._before, old)
        after = None if new is None else self._entry(self._after, new)
        return None if before == after else Change(path, before, after)

    def below(self, path: bytes, old: Node | None, new: Node | None) -> Iterator[_Pair]:
        """Give the pairs below one path that may differ, in order."""
        old_entries = self._before.entries(old) if isinstance(old, Directory) else {}
        new_entries = self._after.entries(new) if isinstance(new, Directory) else {}
        names: Iterable[bytes] = old_entries.keys() | new_entries.keys()
        if isinstance(old, Directory) and isinstance(new, Directory) and _same_origin(old, new):
            names = old.touched | new.touched
        prefix = path + b"/" if path else b""
        for name in sorted(names):
            yield prefix + name, old_entries.get(name), new_entries.get(name)

    def _entry(self, view: View, node: Node) -> Entry:
        kind, mode = kind_of_mode(node.mode), stat.S_IMODE(node.mode)
        if isinstance(node, Directory):
            return Entry(kind, mode)
        if isinstance(node, File):
            return Entry(kind, mode, node.size, self._digest(view, node))
        if isinstance(node, Symlink):
            target = view.link_target(node)
            return Entry(Kind.SYMLINK, 0o777, len(target), Digest.of(target))
        return Entry(kind, mode, 0, device_digest(node.rdev))

    def _digest(self, view: View, node: File) -> Digest:
        if node.extents is None and node.origin is not None:
            known = self._known(node.origin)
            if known is not None:
                return known
        return hash_content(view, node)


def _same_origin(old: Node, new: Node) -> bool:
    """Say whether two nodes stand for the same file of the lower."""
    if old.origin is None or new.origin is None:
        return False
    return old.origin.names() == new.origin.names()


def _same_ranges(old: File, new: File) -> bool:
    """Say whether two files certainly hold the same: no byte of a history is ever replaced."""
    if old.extents is None or new.extents is None:
        return old.extents is new.extents and _same_origin(old, new)
    if (old.origin is None) != (new.origin is None):
        return False
    return old.extents == new.extents and (old.origin is None or _same_origin(old, new))


def _find_hard_links(view: View, domain: int) -> None:
    """Look through all directories when a changed file of the lower has names that nobody has seen yet."""
    if all(len(node.links()) >= node.nlink for node in view.changed_links):
        return
    waiting = [view.roots[domain]]
    while waiting:
        entries = view.entries(waiting.pop())
        waiting.extend(node for node in entries.values() if isinstance(node, Directory))
