"""The tree over a log follows RFC 6962, and a record proof holds for its record and place alone."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.errors import FormatError
from catfs.merkle import LogTree, ProofError, RecordProof, leaf_hash, prove_record


def _records(count: int) -> list[bytes]:
    return [b"record %d" % index for index in range(count)]


def _root(records: list[bytes]) -> Digest:
    tree = LogTree()
    for record in records:
        tree.append(record)
    return tree.root


def _root_by_definition(records: list[bytes]) -> Digest:
    """Follow the words of RFC 6962, section 2.1."""
    if not records:
        return Digest.of(b"")
    if len(records) == 1:
        return Digest.of(b"\x00" + records[0])
    split = 1
    while split * 2 < len(records):
        split *= 2
    left, right = _root_by_definition(records[:split]), _root_by_definition(records[split:])
    return Digest.of(b"\x01" + left.raw + right.raw)


def test_an_empty_log_has_the_hash_of_nothing_as_root() -> None:
    """RFC 6962: MTH of the empty list."""
    assert LogTree().root == EMPTY_DIGEST
    assert LogTree().size == 0


@pytest.mark.parametrize("count", range(1, 34))
def test_the_root_follows_the_definition(count: int) -> None:
    """Appending one by one gives what the recursive definition gives."""
    assert _root(_records(count)) == _root_by_definition(_records(count))


def test_leaves_can_be_appended_by_their_hash() -> None:
    """The root needs no record, only its leaf hash, which append gives."""
    tree, other = LogTree(), LogTree()
    for record in _records(11):
        leaf = tree.append(record)
        assert leaf == leaf_hash(record)
        other.append_leaf(leaf)
    assert (other.root, other.size) == (tree.root, 11)


def test_memory_grows_with_the_logarithm() -> None:
    """A log of 1,000 records keeps as many hashes as 1,000 has bits set."""
    tree = LogTree()
    for record in _records(1000):
        tree.append(record)
    assert len(tree._peaks) == (1000).bit_count()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 31])
def test_every_record_is_proven_at_its_place_only(count: int) -> None:
    """The proof holds for the record, and for no other record or place."""
    records = _records(count)
    root = _root(records)
    leaves = [leaf_hash(record) for record in records]
    for index, record in enumerate(records):
        proof = prove_record(leaves, index)
        proof.verify(record, root)
        assert RecordProof.from_dict(json.loads(json.dumps(proof.to_dict()))) == proof
        with pytest.raises(ProofError, match=f"record {index} of {count}"):
            proof.verify(b"another", root)
        for other in range(count):
            if other != index and len(prove_record(leaves, other).siblings) == len(proof.siblings):
                with pytest.raises(ProofError, match=f"record {other} of {count}"):
                    replace(proof, index=other).verify(record, root)


def test_every_changed_hash_of_a_proof_is_noticed() -> None:
    """No hash of the audit path is free; the message names both roots."""
    records = _records(21)
    root = _root(records)
    proof = prove_record([leaf_hash(record) for record in records], 13)
    for at in range(len(proof.siblings)):
        bent = list(proof.siblings)
        bent[at] = Digest.of(b"bent")
        with pytest.raises(ProofError, match="record 13 of 21") as caught:
            replace(proof, siblings=tuple(bent)).verify(records[13], root)
        assert caught.value.expected == root.hex


@pytest.mark.parametrize(
    ("index", "size", "count"), [(-1, 4, 2), (4, 4, 2), (0, 0, 0), (0, 4, 1), (0, 4, 3), (4, 5, 2), (0, 1, 1)]
)
def test_a_proof_of_impossible_shape_is_refused(index: int, size: int, count: int) -> None:
    """Lengths are checked before anything is hashed."""
    with pytest.raises(FormatError, match="record proof: expected"):
        RecordProof(index, size, (EMPTY_DIGEST,) * count)


def test_a_record_that_is_not_there_cannot_be_proven() -> None:
    """The index must be below the size."""
    with pytest.raises(FormatError, match="below the size 1, got 1"):
        prove_record([EMPTY_DIGEST], 1)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ([], "expected an object"),
        ({}, "expected index, size and siblings, got none"),
        ({"index": 0, "size": 1, "siblings": [], "more": 1}, "expected index, size and siblings"),
        ({"index": False, "size": 1, "siblings": []}, "other types"),
        ({"index": 0, "size": 1.0, "siblings": []}, "other types"),
        ({"index": 0, "size": 1, "siblings": {}}, "other types"),
        ({"index": 0, "size": 2, "siblings": ["00"]}, "64 lower-case hexadecimal digits"),
        ({"index": 0, "size": 2, "siblings": [7]}, "64 lower-case hexadecimal digits"),
    ],
)
def test_a_record_proof_with_a_bad_field_is_refused(record: object, problem: str) -> None:
    """Each field is checked for presence and type."""
    with pytest.raises(FormatError, match=problem):
        RecordProof.from_dict(record)


@given(count=st.integers(1, 300), data=st.data())
def test_proofs_hold_for_logs_of_any_length(count: int, data: st.DataObject) -> None:
    """Proving and appending agree on every shape of tree."""
    index = data.draw(st.integers(0, count - 1))
    records = _records(count)
    prove_record([leaf_hash(record) for record in records], index).verify(records[index], _root(records))
