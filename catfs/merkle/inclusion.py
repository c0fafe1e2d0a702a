"""Proof of what one path of a domain is, or that it is not there, checked without the domain.

The proof is the nodes on the way from the domain root to the path. Each node is named by its digest in
the node before it, and the first by the domain root, so nothing in it can be changed. Because a node
has one canonical encoding with sorted names, a name that a node does not hold is not there at all.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Self

from catfs.digest import Digest
from catfs.errors import FormatError, printable
from catfs.merkle.directory import checked_fan, name_byte
from catfs.merkle.nodes import (
    EMPTY_DIRECTORY,
    EMPTY_DIRECTORY_NODE,
    Fan,
    Leaf,
    decode_domain_root,
    decode_node,
    decode_row,
    encode_domain_root,
)
from catfs.merkle.tree import PathError, Tree, split_path
from catfs.records import Entry, Kind
from catfs.values import dataclass

PATH_PROOF_VERSION = 1
"""Version of the JSON form of a path proof."""


class ProofError(FormatError):
    """A proof does not prove what it is held against.

    Args:
        what: The proof, for people.
        step: Where in the proof, for people.
        expected: What should be there, short.
        got: What is there, short.
    """

    def __init__(self, what: str, step: str, expected: str, got: str) -> None:
        super().__init__(what, f"{step}: expected {expected}, got {got}")
        self.step = step
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class PathProof:
    """Proof of what one path of a domain is, or of its absence.

    Args:
        path: The path, relative to the domain; b"" is the domain itself.
        nodes: The domain root and then every leaf and fan on the way, each with its tag byte.
    """

    path: bytes
    nodes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        try:
            split_path(self.path)
        except PathError as error:
            raise FormatError("path proof", f"path `{printable(self.path)}`: {error.problem}") from error

    def verify(self, root: Digest) -> Entry | None:
        """Give the entry that the path has under a domain root; None means proven absent.

        Steps: (1) the first node is the domain root; (2) for each name of the path, while there is a
        directory to look into, the next nodes are that directory's, down to the leaf in whose bucket
        the name falls; (3) no node is left over. Needs neither the domain nor a store.

        What stays with the caller: to know that `root` is the root it trusts, and to compare the
        digest of the entry with the content.

        Raises:
            ProofError: when a node is not the one that the step before it names, or nodes are
                missing or left over.
            FormatError: when a node is not canonical.
        """
        reading = _Reading(self)
        # (1) The domain root.
        entry = decode_domain_root(reading.take(root))
        found: Entry | None = entry
        for name in split_path(self.path):
            if entry.kind is not Kind.DIRECTORY:
                found = None
                break
            # (2) The directory that the step before names.
            found = reading.find(entry.digest, name)
            if found is None:
                break
            entry = found
        # (3) Nothing else.
        reading.check_end()
        return found

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form (docs/formats/tree.md)."""
        record: dict[str, Any] = {"version": PATH_PROOF_VERSION}
        try:
            record["path"] = self.path.decode()
        except UnicodeDecodeError:
            record["path_base64"] = base64.b64encode(self.path).decode()
        record["nodes"] = [base64.b64encode(node).decode() for node in self.nodes]
        return record

    @classmethod
    def from_dict(cls, record: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when it is no object, or a field is missing, unknown, of the wrong type or
                not canonical.
        """
        if not isinstance(record, Mapping):
            raise FormatError("path proof", f"expected an object, got {type(record).__name__}")
        keys = set(record)
        if keys not in ({"version", "path", "nodes"}, {"version", "path_base64", "nodes"}):
            got = ", ".join(sorted(map(str, keys))) or "none"
            raise FormatError("path proof", f"expected version, path or path_base64, and nodes; got {got}")
        version = record["version"]
        if type(version) is not int or version != PATH_PROOF_VERSION:
            raise FormatError("path proof", f"expected version {PATH_PROOF_VERSION}, got {version!r}")
        nodes = record["nodes"]
        if not isinstance(nodes, list):
            raise FormatError("path proof", f"expected a list of nodes, got {type(nodes).__name__}")
        return cls(_path_of(record), tuple(_from_base64("node", node) for node in nodes))


def prove_path(tree: Tree, path: bytes) -> PathProof:
    """Give the proof of what a path of a tree is, or of its absence.

    Args:
        tree: The tree.
        path: The path, relative to the domain.

    Raises:
        PathError: when the path is bad.
        MissingNodeError: when a node on the way is not held.
        FormatError: when a node on the way is damaged.
    """
    names = split_path(path)
    entry: Entry | None = tree.root_entry
    nodes = [encode_domain_root(tree.root_entry)]
    for name in names:
        if entry is None or entry.kind is not Kind.DIRECTORY:
            break
        leaf = _collect(tree, entry.digest, name, nodes)
        row = None if leaf is None else leaf.find_row(name)
        entry = None if row is None else decode_row(row)
    return PathProof(path, tuple(nodes))


def _collect(tree: Tree, digest: Digest, name: bytes, nodes: list[bytes]) -> Leaf | None:
    """Append the nodes of one directory on the way to a name; give the leaf, or None for no bucket."""
    child: Digest | None = digest
    level = 0
    while child is not None:
        blob = EMPTY_DIRECTORY_NODE if child == EMPTY_DIRECTORY else tree.nodes.get(child)
        nodes.append(blob)
        node = decode_node(blob)
        if isinstance(node, Leaf):
            return node
        child = checked_fan(node, level).child(name_byte(name, level))
        level += 1
    return None


class _Reading:
    """Takes the nodes of a proof in order; each only as the one that was asked for."""

    def __init__(self, proof: PathProof) -> None:
        self._what = f"path proof of `{printable(proof.path)}`"
        self._nodes = proof.nodes
        self._position = 0

    def take(self, digest: Digest) -> bytes:
        """Give the next node, which must have the digest."""
        step = f"node {self._position}"
        if self._position == len(self._nodes):
            raise ProofError(self._what, step, f"node {digest.hex}", "the end of the proof")
        node = self._nodes[self._position]
        got = Digest.of(node)
        if got != digest:
            raise ProofError(self._what, step, digest.hex, got.hex)
        self._position += 1
        return node

    def find(self, digest: Digest, name: bytes) -> Entry | None:
        """Look a name up in the directory that the next nodes are."""
        prefix = b""
        node = decode_node(self.take(digest))
        while isinstance(node, Fan):
            value = name_byte(name, len(prefix))
            child = checked_fan(node, len(prefix)).child(value)
            if child is None:
                return None
            prefix += bytes([value])
            node = decode_node(self.take(child))
        self._check_bucket(node, prefix)
        row = node.find_row(name)
        return None if row is None else decode_row(row)

    def check_end(self) -> None:
        """Check that every node was needed."""
        if self._position != len(self._nodes):
            step = f"node {self._position}"
            raise ProofError(self._what, step, "the end of the proof", f"{len(self._nodes)} nodes")

    def _check_bucket(self, leaf: Leaf, prefix: bytes) -> None:
        """Check that every name of a leaf belongs there.

        A name outside its bucket would be listed in the directory, and proven absent at the same time.
        """
        if not prefix:
            return
        if not leaf.names:
            raise ProofError(self._what, f"node {self._position - 1}", "at least one name", "an empty bucket")
        for name in leaf.names:
            got = bytes(name_byte(name, level) for level in range(len(prefix)))
            if got != prefix:
                step = f"node {self._position - 1}, name `{printable(name)}`"
                raise ProofError(self._what, step, f"bucket {prefix.hex()}", got.hex())


def _path_of(record: Mapping[str, Any]) -> bytes:
    if "path_base64" in record:
        path = _from_base64("path_base64", record["path_base64"])
        try:
            path.decode()
        except UnicodeDecodeError:
            return path
        raise FormatError("path proof", "expected UTF-8 text under `path`, got it under `path_base64`")
    text = record["path"]
    if not isinstance(text, str):
        raise FormatError("path proof", f"expected text under `path`, got {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FormatError("path proof", "expected text that is UTF-8 under `path`, got surrogates") from None


def _from_base64(what: str, text: object) -> bytes:
    if not isinstance(text, str):
        raise FormatError("path proof", f"expected base64 text as {what}, got {type(text).__name__}")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("path proof", f"expected base64 text as {what}, got something else") from None
    # Unused low bits of the last character may be anything in base64; here they are zero.
    if base64.b64encode(data).decode() != text:
        raise FormatError("path proof", f"expected canonical base64 as {what}, got another spelling")
    return data
