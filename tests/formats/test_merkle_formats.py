"""Every kept sample of the tree, proof and log tree formats is still read to the same root."""

import json
from pathlib import Path
from typing import Any

import pytest

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.merkle import (
    LogTree,
    MemoryNodes,
    PathProof,
    RecordProof,
    Tree,
    build_directory,
    leaf_hash,
    prove_path,
    prove_record,
)
from catfs.records import Entry, Kind

SAMPLES = Path(__file__).parent / "merkle"
PAGES = Path(__file__).parents[2] / "docs" / "formats"
READ_HERE = {
    "directories-1.json",
    "log-tree-1.json",
    "path-proofs-1.json",
    "tree-1.json",
}


def _sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def _entries() -> dict[bytes, Entry]:
    """Give all paths of the sample tree."""
    return {
        bytes.fromhex(row["path_hex"]): Entry(
            Kind(row["kind"]),
            int(row["mode"], 8),
            row["size"],
            Digest.from_hex(row["digest"]) if "digest" in row else EMPTY_DIGEST,
        )
        for row in _sample("tree-1.json")["entries"]
    }


def test_every_kept_sample_is_read_by_a_test() -> None:
    """A sample that nobody reads proves nothing: add its reading here."""
    assert {path.name for path in SAMPLES.iterdir()} == READ_HERE


def test_the_sample_tree_is_built_to_the_kept_root_and_nodes() -> None:
    """One entry of every kind, a set-id bit, a name that is no text, an empty directory."""
    sample = _sample("tree-1.json")
    tree = Tree.from_entries(MemoryNodes(), _entries())
    assert tree.root.hex == sample["root"]
    assert {digest.hex: node.hex() for digest, node in tree.walk_nodes()} == sample["nodes"]
    assert {entry.kind for entry in _entries().values()} == set(Kind)


def test_the_sample_nodes_are_read_to_the_sample_tree() -> None:
    """From the kept bytes alone."""
    sample = _sample("tree-1.json")
    nodes = MemoryNodes()
    for digest, node in sample["nodes"].items():
        assert nodes.put(bytes.fromhex(node)).hex == digest
    tree = Tree.load(nodes, Digest.from_hex(sample["root"]))
    built = Tree.from_entries(MemoryNodes(), _entries())
    assert list(tree.items()) == list(built.items())


@pytest.mark.parametrize("count", [0, 1, 256, 257, 300, 5000])
def test_directories_of_every_shape_have_the_kept_digest(count: int) -> None:
    """Files named 0, 1, 2, … of mode 0644 that hold one x: below, at and above the limit of a leaf."""
    entry = Entry(Kind.FILE, 0o644, 1, Digest.of(b"x"))
    digest = build_directory(MemoryNodes(), [(b"%d" % index, entry) for index in range(count)])
    kept = _sample("directories-1.json")
    assert digest.hex == kept[str(count)]
    assert len(kept) == 6


def test_the_sample_path_proofs_hold_and_are_still_written_so() -> None:
    """Present, absent, and absent because a link is on the way."""
    sample = _sample("path-proofs-1.json")
    tree = Tree.from_entries(MemoryNodes(), _entries())
    for row in sample["proofs"]:
        proof = PathProof.from_dict(row["proof"])
        found = proof.verify(Digest.from_hex(sample["root"]))
        assert (None if found is None else found.digest.hex) == row["digest"]
        assert prove_path(tree, proof.path).to_dict() == row["proof"]


def test_the_log_tree_gives_the_known_answers_of_certificate_transparency() -> None:
    """The records, roots and audit paths with which implementations of RFC 6962 test themselves."""
    sample = _sample("log-tree-1.json")
    records = [bytes.fromhex(text) for text in sample["records"]]
    tree = LogTree()
    for record, root in zip(records, sample["roots"], strict=True):
        tree.append(record)
        assert tree.root.hex == root
    for row in sample["proofs"]:
        proof = RecordProof.from_dict(row)
        proof.verify(records[proof.index], Digest.from_hex(sample["roots"][proof.size - 1]))
        leaves = [leaf_hash(record) for record in records[: proof.size]]
        assert prove_record(leaves, proof.index).to_dict() == row


def test_the_example_of_the_page_is_the_kept_sample() -> None:
    """The page shows the root of the sample that the other tests read."""
    assert _sample("tree-1.json")["root"] in (PAGES / "tree.md").read_text()


def test_the_bytes_shown_on_the_tree_page_are_those_of_the_sample() -> None:
    """The worked example is in the kept nodes, byte for byte."""
    text = (PAGES / "tree.md").read_text()
    shown = "".join(
        line.split("|")[0].replace(" ", "")
        for line in text.split("```example\n")[1].split("```")[0].splitlines()
    )
    assert shown in _sample("tree-1.json")["nodes"].values()


def test_the_example_of_the_log_tree_page_is_a_known_answer() -> None:
    """The page shows an audit path of the kept sample."""
    text = (PAGES / "log-tree.md").read_text()
    shown = json.loads(text.split("```json\n")[1].split("```")[0])
    assert shown in _sample("log-tree-1.json")["proofs"]
