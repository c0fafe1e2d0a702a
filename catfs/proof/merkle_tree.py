"""A Merkle tree in a line: of items or of a directory, with proofs and differences.

The root is the domain root that every other part of catfs states for the same paths (docs/formats/tree.md).
The class stands here and not beside the trees themselves, because reading a directory is what this room does.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError, UsageError, printable
from catfs.merkle import MemoryNodes, PathProof, Tree, diff, prove_path
from catfs.proof.capture import capture
from catfs.records import ChangeKind, Entry, Kind, listed_entry
from catfs.values import dataclass

Item = Entry | bytes
"""What stands at a path: an entry, or the content of a file with the usual mode."""

USUAL_DIRECTORY: Final = Entry(Kind.DIRECTORY, 0o755)
"""What every directory is that items lie in and that is no item itself, the top too."""

_FILE_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class TreeDifference:
    """The paths in which two trees differ, each in the order of a walk.

    Args:
        added: Only in the second.
        removed: Only in the first.
        changed: In both, and not the same; a directory only when its own mode differs.
    """

    added: tuple[bytes, ...]
    removed: tuple[bytes, ...]
    changed: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class MerkleTree:
    """A Merkle tree of paths.

    Args:
        items: Path, relative and with `/` between names, to what stands there, in any order. Directories that
            are not given are as USUAL_DIRECTORY; b"" is the top itself.

    Raises:
        UsageError: when a path stands twice.
        PathError: when a path lies below what is no directory.
        FormatError: when a name cannot be that of a file, or an entry contradicts itself.
    """

    __slots__ = ("_tree",)

    def __init__(self, items: Mapping[bytes, Item] | Iterable[tuple[bytes, Item]] = ()) -> None:
        entries = {b"": USUAL_DIRECTORY}
        given: set[bytes] = set()
        for path, item in items.items() if isinstance(items, Mapping) else items:
            if path in given:
                raise UsageError(f"expected each path once, got {printable(path)} twice")
            given.add(path)
            entries[path] = _entry(item)
            for at, byte in enumerate(path):
                if byte == ord("/"):
                    entries.setdefault(path[:at], USUAL_DIRECTORY)
        self._tree = Tree.from_entries(MemoryNodes(), entries)

    @classmethod
    def from_directory(cls, path: str | bytes | os.PathLike[str]) -> Self:
        """Give the tree of a directory, every file of it read.

        Raises:
            CaptureError: when something cannot be read or changes meanwhile.
            OSError: when the directory cannot be opened.
        """
        made = cls()
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            nodes = MemoryNodes()
            made._tree = Tree(nodes, capture(folder, nodes).root_entry)
        finally:
            os.close(folder)
        return made

    @property
    def tree(self) -> Tree:
        """The tree with all that can be asked of it."""
        return self._tree

    @property
    def root(self) -> Digest:
        """The domain root."""
        return self._tree.root

    def root_hash(self) -> str:
        """Give the domain root as 64 hexadecimal digits."""
        return self.root.hex

    def proof(self, path: bytes) -> PathProof:
        """Give the proof of what a path is, or that it is not there.

        Raises:
            PathError: when the path is bad.
        """
        return prove_path(self._tree, path)

    @staticmethod
    def verify(root: Digest | str, leaf: Item | None, proof: PathProof) -> bool:
        """Say whether a proof shows that its path is a leaf under a root; needs no tree.

        Args:
            root: The domain root, as a digest or in hexadecimal digits, from a source that is trusted.
            leaf: What stands at the path; None for nothing. Of a directory only the mode is compared.
            proof: The proof.

        Raises:
            FormatError: when the text of the root is no digest.
        """
        expected = root if isinstance(root, Digest) else Digest.from_hex(root)
        try:
            found = proof.verify(expected)
        except FormatError:
            return False
        if leaf is None or found is None:
            return leaf is found
        return listed_entry(found) == listed_entry(_entry(leaf))

    def diff(self, other: "MerkleTree") -> TreeDifference:
        """Give the paths in which another tree differs from this one; reads only what differs."""
        paths: dict[ChangeKind, list[bytes]] = {kind: [] for kind in ChangeKind}
        for change in diff(self._tree, other.tree):
            paths[change.kind].append(change.path)
        return TreeDifference(
            *(tuple(paths[kind]) for kind in (ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED))
        )

    def __eq__(self, other: object) -> bool:
        return self.root == other.root if isinstance(other, MerkleTree) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.root)

    def __repr__(self) -> str:
        return f"MerkleTree({self.root_hash()})"


def _entry(item: Item) -> Entry:
    return item if isinstance(item, Entry) else Entry(Kind.FILE, _FILE_MODE, len(item), Digest.of(item))
