"""Proofs of what a path is, and of what is not there, hold without the domain and cannot be bent."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import MemoryNodes, PathError, PathProof, ProofError, Tree, prove_path
from catfs.merkle.nodes import encode_domain_root, encode_fan, encode_leaf, encode_row
from catfs.records import Entry, Kind

DIRECTORY = Entry(Kind.DIRECTORY, 0o755)
FILE = Entry(Kind.FILE, 0o644, 3, Digest.of(b"abc"))
ENTRIES = {
    b"": DIRECTORY,
    b"a": DIRECTORY,
    b"a/b": DIRECTORY,
    b"a/b/c": FILE,
    b"a/b/\xff": FILE,
    b"empty": DIRECTORY,
    b"large": DIRECTORY,
    **{b"large/%d" % index: FILE for index in range(300)},
}
TREE = Tree.from_entries(MemoryNodes(), ENTRIES)
ABSENT_IN_FAN = next(
    b"large/%d" % index
    for index in range(300, 9999)
    if Digest.of(b"%d" % index).raw[0] not in {Digest.of(b"%d" % held).raw[0] for held in range(300)}
)
PROOF = prove_path(TREE, b"a/b/c")


@pytest.mark.parametrize("path", [b"", b"a", b"a/b/c", b"a/b/\xff", b"empty", b"large/7", b"large"])
def test_a_path_that_is_there_is_proven_with_its_entry(path: bytes) -> None:
    """The proof gives the entry that the tree has."""
    proof = prove_path(TREE, path)
    assert proof.verify(TREE.root) == TREE.entry(path)
    assert PathProof.from_dict(json.loads(json.dumps(proof.to_dict()))) == proof


@pytest.mark.parametrize(
    "path", [b"b", b"a/x", b"a/b/c/d", b"empty/x", b"no/way/there", b"large/x", ABSENT_IN_FAN]
)
def test_a_path_that_is_not_there_is_proven_absent(path: bytes) -> None:
    """Also when a directory on the way is missing, empty, or no directory."""
    proof = prove_path(TREE, path)
    assert proof.verify(TREE.root) is None
    assert PathProof.from_dict(json.loads(json.dumps(proof.to_dict()))) == proof


def test_a_proof_is_the_nodes_on_the_way() -> None:
    """A domain root and one node for each small directory; one more for a large one."""
    assert len(PROOF.nodes) == 4
    assert len(prove_path(TREE, b"large/7").nodes) == 4
    assert len(prove_path(TREE, b"").nodes) == 1


def test_a_bad_path_cannot_be_proven() -> None:
    """Neither asking for it nor claiming it works."""
    with pytest.raises(PathError, match="no file can have the name"):
        prove_path(TREE, b"a//b")
    with pytest.raises(FormatError, match="no file can have the name"):
        PathProof(b"/a", PROOF.nodes)


@pytest.mark.parametrize(
    ("proof", "problem"),
    [
        (replace(PROOF, nodes=()), "node 0: expected node .* got the end of the proof"),
        (replace(PROOF, nodes=PROOF.nodes[:-1]), "node 3: expected node .* got the end of the proof"),
        (replace(PROOF, nodes=PROOF.nodes[1:]), "node 0: expected"),
        (replace(PROOF, nodes=(*PROOF.nodes, b"")), "node 4: expected the end of the proof, got 5 nodes"),
        (replace(PROOF, path=b"a/b"), "node 3: expected the end of the proof"),
        (replace(PROOF, path=b"a/x"), "node 3: expected the end of the proof"),
        (replace(PROOF, path=b"large/7"), "node 2: expected"),
        (replace(PROOF, nodes=PROOF.nodes[:2] + PROOF.nodes[3:]), "node 2: expected"),
    ],
)
def test_a_proof_with_nodes_missing_added_or_moved_is_refused(proof: PathProof, problem: str) -> None:
    """Each node must be the one that the node before it names, and none is left over."""
    with pytest.raises(ProofError, match=problem) as caught:
        proof.verify(TREE.root)
    assert caught.value.step.startswith("node ")


def test_a_proof_does_not_hold_under_another_root() -> None:
    """The message names the root that was wanted and the one that was found."""
    other = Digest.of(b"other")
    with pytest.raises(ProofError, match="node 0") as caught:
        PROOF.verify(other)
    assert (caught.value.expected, caught.value.got) == (other.hex, TREE.root.hex)


def test_every_changed_byte_of_a_proof_is_noticed() -> None:
    """No byte of a node is free."""
    for index, node in enumerate(PROOF.nodes):
        for at in range(len(node)):
            bent = node[:at] + bytes([node[at] ^ 1]) + node[at + 1 :]
            proof = replace(PROOF, nodes=(*PROOF.nodes[:index], bent, *PROOF.nodes[index + 1 :]))
            with pytest.raises(ProofError, match=f"node {index}"):
                proof.verify(TREE.root)


def _crooked(bucket: int, leaf: bytes, path: bytes) -> tuple[PathProof, Digest]:
    """Give a proof over a fan that a dishonest builder made, and its root."""
    fan = encode_fan(0, 300, {bucket: Digest.of(leaf)})
    root = encode_domain_root(Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(fan)))
    return PathProof(path, (root, fan, leaf)), Digest.of(root)


def test_a_name_outside_its_bucket_cannot_be_hidden() -> None:
    """Otherwise a dishonest tree could list a name and prove it absent."""
    bucket = Digest.of(b"x").raw[0]
    hidden = next(b"%d" % index for index in range(99) if Digest.of(b"%d" % index).raw[0] != bucket)
    proof, root = _crooked(bucket, encode_leaf([(hidden, encode_row(FILE))]), b"x")
    with pytest.raises(ProofError, match=f"expected bucket {bucket:02x}"):
        proof.verify(root)
    proof, root = _crooked(bucket, encode_leaf([]), b"x")
    with pytest.raises(ProofError, match="an empty bucket"):
        proof.verify(root)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda record: record.pop("nodes"), "expected version, path"),
        (lambda record: record.update(extra=1), "expected version, path"),
        (lambda record: record.update(version=2), "expected version 1, got 2"),
        (lambda record: record.update(version=True), "expected version 1, got True"),
        (lambda record: record.update(nodes={}), "list of nodes, got dict"),
        (lambda record: record.update(nodes=[1]), "base64 text as node, got int"),
        (lambda record: record.update(nodes=["*"]), "base64 text as node, got something else"),
        (lambda record: record.update(nodes=["é"]), "base64 text as node, got something else"),
        (lambda record: record.update(nodes=["AB=="]), "canonical base64 as node"),
        (lambda record: record.update(path=7), "text under `path`, got int"),
        (lambda record: record.update(path="a//b"), "no file can have the name"),
        (lambda record: record.update(path="\ud800"), "surrogates"),
    ],
)
def test_a_proof_record_with_a_bad_field_is_refused(
    change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    """Each field is checked for presence, type and spelling."""
    record = PROOF.to_dict()
    change(record)
    with pytest.raises(FormatError, match=problem):
        PathProof.from_dict(record)


@pytest.mark.parametrize("record", [None, [], "text", ["version", "path", "nodes"]])
def test_a_proof_record_that_is_no_object_is_refused(record: object) -> None:
    """Whatever JSON holds, the error is ours."""
    with pytest.raises(FormatError, match="expected an object"):
        PathProof.from_dict(record)


def test_a_path_is_spelled_in_one_way_only() -> None:
    """Text stands under `path`; base64 is for paths that are no text."""
    record = prove_path(TREE, b"a/b/\xff").to_dict()
    assert record["path_base64"] == base64.b64encode(b"a/b/\xff").decode()
    record["path_base64"] = base64.b64encode(b"a/b/c").decode()
    with pytest.raises(FormatError, match="got it under `path_base64`"):
        PathProof.from_dict(record)


@given(nodes=st.lists(st.binary(max_size=60), max_size=4), path=st.sampled_from([b"", b"a", b"a/b/\xff"]))
def test_nodes_made_of_any_bytes_prove_nothing(nodes: list[bytes], path: bytes) -> None:
    """Even under a root that fits the first of them, they end in an error."""
    root = Digest.of(nodes[0]) if nodes else TREE.root
    with pytest.raises(FormatError, match=r"domain root|path proof"):
        PathProof(path, tuple(nodes)).verify(root)
