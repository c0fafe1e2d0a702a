"""The tree in a line: of items or a directory, with proofs, verification and differences."""

import base64
import os
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError, UsageError
from catfs.merkle import MemoryNodes, PathError, PathProof, Tree, weak_flat_root
from catfs.proof import MerkleTree
from catfs.records import Entry, Kind

ITEMS = {b"a": b"one", b"d/b": b"two", b"d/e/c": b"three", b"\xff": b"odd"}
USUAL = Entry(Kind.DIRECTORY, 0o755)


def _file(content: bytes) -> Entry:
    return Entry(Kind.FILE, 0o644, len(content), Digest.of(content))


def test_the_root_is_the_one_that_everything_else_states() -> None:
    """In any order, as mapping or pairs, with directories given or not."""
    entries = {path: _file(content) for path, content in ITEMS.items()}
    tree = Tree.from_entries(MemoryNodes(), {**entries, b"": USUAL, b"d": USUAL, b"d/e": USUAL})
    made = MerkleTree(ITEMS)
    assert made.root == tree.root
    assert made.root_hash() == tree.root.hex
    assert made == MerkleTree(reversed(ITEMS.items())) == MerkleTree({**entries, b"d": USUAL})
    assert hash(made) == hash(MerkleTree(entries))
    assert MerkleTree() != made


def test_a_directory_has_the_root_of_its_items(tmp_path: Path) -> None:
    """Given by text, bytes or path."""
    tmp_path.chmod(0o755)
    for path, content in ITEMS.items():
        place = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), path)))
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o644)
    (tmp_path / "d" / "e").chmod(0o755)
    (tmp_path / "d").chmod(0o755)
    expected = MerkleTree(ITEMS)
    for given in (tmp_path, str(tmp_path), os.fsencode(tmp_path)):
        assert MerkleTree.from_directory(given) == expected
    with pytest.raises(FileNotFoundError, match="nothing"):
        MerkleTree.from_directory(tmp_path / "nothing")


@pytest.mark.parametrize("path", ITEMS)
def test_a_proof_holds_for_its_leaf_and_no_other(path: bytes) -> None:
    """Under its root and no other, by digest or by text, as content or as entry."""
    made = MerkleTree(ITEMS)
    proof = made.proof(path)
    assert MerkleTree.verify(made.root, ITEMS[path], proof)
    assert MerkleTree.verify(made.root_hash(), _file(ITEMS[path]), proof)
    for other in (b"other", Entry(Kind.FILE, 0o755, len(ITEMS[path]), Digest.of(ITEMS[path])), None):
        assert not MerkleTree.verify(made.root, other, proof)
    assert not MerkleTree.verify(MerkleTree().root, ITEMS[path], proof)


def test_absence_and_directories_can_be_proven_too() -> None:
    """None is the leaf of what is not there; a directory is compared by its mode."""
    made = MerkleTree(ITEMS)
    assert MerkleTree.verify(made.root, None, made.proof(b"d/no"))
    assert not MerkleTree.verify(made.root, b"", made.proof(b"d/no"))
    assert MerkleTree.verify(made.root, USUAL, made.proof(b"d"))
    assert not MerkleTree.verify(made.root, Entry(Kind.DIRECTORY, 0o700), made.proof(b"d"))


def test_a_changed_proof_never_holds() -> None:
    """Whichever byte of whichever node."""
    made = MerkleTree(ITEMS)
    proof = made.proof(b"d/b")
    for number, node in enumerate(proof.nodes):
        for at in range(0, len(node), 7):
            changed = node[:at] + bytes([node[at] ^ 1]) + node[at + 1 :]
            nodes = (*proof.nodes[:number], changed, *proof.nodes[number + 1 :])
            assert not MerkleTree.verify(made.root, b"two", PathProof(b"d/b", nodes))
    record = proof.to_dict()
    record["nodes"].append(base64.b64encode(b"more").decode())
    assert not MerkleTree.verify(made.root, b"two", PathProof.from_dict(record))
    with pytest.raises(FormatError, match="64 lower-case"):
        MerkleTree.verify("root", b"two", proof)


def test_a_difference_has_what_was_added_removed_and_changed() -> None:
    """Directories that came or went are among it; one whose mode changed counts as changed."""
    before = MerkleTree(ITEMS)
    changed = {path: content for path, content in ITEMS.items() if path != b"d/e/c"} | {b"a": b"1"}
    after = MerkleTree([*changed.items(), (b"n/x", b""), (b"d", Entry(Kind.DIRECTORY, 0o700))])
    found = before.diff(after)
    assert (found.added, found.removed, found.changed) == ((b"n", b"n/x"), (b"d/e", b"d/e/c"), (b"a", b"d"))
    assert after.diff(before).added == found.removed
    assert found
    assert not before.diff(MerkleTree(ITEMS))


def test_what_is_no_tree_is_refused() -> None:
    """A path twice, a path below a file, a name that no file can have."""
    with pytest.raises(UsageError, match="got a twice"):
        MerkleTree([(b"a", b"1"), (b"a", b"2")])
    with pytest.raises(PathError, match="`a` is not among the directories"):
        MerkleTree({b"a": b"1", b"a/b": b"2"})
    with pytest.raises(FormatError, match="no file can have the name"):
        MerkleTree({b"a/../b": b"1"})


HASHES = [(bytes([letter]), Digest.of(bytes([letter])).hex) for letter in b"abcdefg"]


@pytest.mark.parametrize(
    ("count", "root"),
    [
        (0, "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d"),
        (1, "e9d3abb7e803c64cd22b7cad0514f6eb17dd10cd20c72aa9d502910bd3c27f43"),
        (2, "b2919a8a45f8cef84bffa0b85f614933a11b8e470cd51c44cc57047e1cb8af16"),
        (3, "b15c8a463e6fb4873ee219d1ca450247ab762ca00a671b1c609c69fd98a037fc"),
        (7, "4ad500e572cfd6246f0941f9ccf29aa3c7df6e0fb061ccc9f37f9ab3af313a61"),
    ],
)
def test_the_weak_root_is_that_of_the_older_scheme(count: int, root: str) -> None:
    """Known answers, whatever the order."""
    assert weak_flat_root(HASHES[:count]) == weak_flat_root(reversed(HASHES[:count])) == root


def test_the_weak_root_collides_where_the_tree_does_not() -> None:
    """A last leaf that stands twice has the same weak root as one that stands once."""
    three = HASHES[:3]
    assert weak_flat_root(three) == weak_flat_root([*three, three[-1]])
    assert weak_flat_root(HASHES[:5]) == weak_flat_root([*HASHES[:5], HASHES[4]])
    paths = [path for path, _ in three]
    with pytest.raises(UsageError, match="got c twice"):
        MerkleTree([(path, path) for path in [*paths, paths[-1]]])


def test_the_weak_root_takes_a_node_for_a_leaf() -> None:
    """Leaves and nodes are hashed alike: the text of a node, given as a leaf, has the digest of the node."""
    first, second = (weak_flat_root([item]) for item in HASHES[:2])
    text = first + second
    inner = weak_flat_root(HASHES[:2])
    assert Digest.of(text.encode()).hex == inner


def test_the_weak_root_knows_no_modes_kinds_and_empty_directories() -> None:
    """The tree does."""
    usual = MerkleTree({b"a": b"1"})
    assert usual != MerkleTree({b"a": Entry(Kind.FILE, 0o755, 1, Digest.of(b"1"))})
    assert usual != MerkleTree([(b"a", b"1"), (b"empty", USUAL)])
    assert usual != MerkleTree({b"a": Entry(Kind.SYMLINK, 0o777, 1, Digest.of(b"1"))})
