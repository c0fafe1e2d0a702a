"""Whole trees: building, reading and changing them by path."""

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import EMPTY_DIRECTORY, MemoryNodes, MissingNodeError, PathError, Tree
from catfs.records import Entry, Kind

DIRECTORY = Entry(Kind.DIRECTORY, 0o755)
FILE = Entry(Kind.FILE, 0o644, 3, Digest.of(b"abc"))
LINK = Entry(Kind.SYMLINK, 0o777, 1, Digest.of(b"a"))
ENTRIES = {
    b"": DIRECTORY,
    b"a": DIRECTORY,
    b"a-b": FILE,
    b"a/b": DIRECTORY,
    b"a/b/\xff\n": FILE,
    b"a/b/link": LINK,
    b"empty": DIRECTORY,
    b"z": FILE,
}


class CountingNodes(MemoryNodes):
    """Nodes in memory that count how often they are asked."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.writes = 0

    def get(self, digest: Digest) -> bytes:
        """Count and give a node."""
        self.reads += 1
        return super().get(digest)

    def put(self, node: bytes) -> Digest:
        """Count and keep a node."""
        self.writes += 1
        return super().put(node)


def _tree(entries: dict[bytes, Entry] | None = None) -> Tree:
    return Tree.from_entries(MemoryNodes(), ENTRIES if entries is None else entries)


def test_all_paths_come_in_the_order_of_a_walk() -> None:
    """A directory stands before what is below it, and before later names of its own directory."""
    paths = [path for path, _ in _tree().items()]
    assert paths == [b"", b"a", b"a/b", b"a/b/link", b"a/b/\xff\n", b"a-b", b"empty", b"z"]


def test_a_tree_built_from_its_own_items_is_the_same_tree() -> None:
    """Digests of directories are computed, not believed."""
    tree = _tree()
    items = dict(tree.items())
    assert _tree(items) == tree
    assert items[b"empty"].digest == EMPTY_DIRECTORY
    assert _tree({**items, b"a": DIRECTORY}).root == tree.root


def test_the_order_of_the_mapping_does_not_matter() -> None:
    """The root depends on the set of entries alone."""
    assert _tree(dict(reversed(ENTRIES.items()))) == _tree()


def test_entries_are_found_by_path() -> None:
    """A path that is not there, or goes through a file, has no entry."""
    tree = _tree()
    assert tree.entry(b"") == tree.root_entry
    assert tree.entry(b"a/b/link") == LINK
    assert tree.entry(b"a/b/missing") is None
    assert tree.entry(b"missing/b") is None
    assert tree.entry(b"z/below") is None


def test_a_directory_lists_its_names() -> None:
    """Names ascend by their bytes."""
    tree = _tree()
    assert [name for name, _ in tree.directory(b"a/b")] == [b"link", b"\xff\n"]
    assert list(tree.directory(b"empty")) == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (b"missing", "there is nothing"),
        (b"z", "expected a directory, got a file"),
        (b"/a", "no file can have the name ``"),
        (b"a//b", "no file can have the name ``"),
        (b"a/", "no file can have the name ``"),
        (b"a/../z", r"name `\.\.`"),
    ],
)
def test_a_path_that_is_no_directory_is_refused_with_its_name(path: bytes, problem: str) -> None:
    """The error says which path and why."""
    with pytest.raises(PathError, match=problem) as caught:
        _tree().directory(path)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ({b"a": DIRECTORY}, b""),
        ({b"": FILE}, b""),
        ({b"": DIRECTORY, b"a/b": FILE}, b"a/b"),
        ({b"": DIRECTORY, b"a": FILE, b"a/b": FILE}, b"a/b"),
        ({b"": DIRECTORY, b"/a": FILE}, b"/a"),
    ],
)
def test_a_tree_with_a_path_outside_its_directories_is_refused(
    entries: dict[bytes, Entry], path: bytes
) -> None:
    """Every path needs its parent, and the domain needs an entry."""
    with pytest.raises(PathError, match=r"expected|not among the directories") as caught:
        _tree(entries)
    assert caught.value.path == path


def test_a_tree_with_an_impossible_name_is_refused() -> None:
    """Names are checked where nodes are written."""
    with pytest.raises(FormatError, match=r"name `\.\.`"):
        _tree({b"": DIRECTORY, b"a": DIRECTORY, b"a/..": FILE})


def test_a_tree_is_loaded_by_its_root() -> None:
    """The domain root alone leads to everything."""
    tree = _tree()
    loaded = Tree.load(tree.nodes, tree.root)
    assert list(loaded.items()) == list(tree.items())
    assert hash(loaded) == hash(tree)
    assert tree.root.hex in repr(loaded)
    with pytest.raises(MissingNodeError, match="does not hold"):
        Tree.load(MemoryNodes(), tree.root)
    with pytest.raises(FormatError, match="domain root"):
        Tree.load(tree.nodes, tree.root_entry.digest)


def test_walking_the_nodes_gives_a_complete_copy() -> None:
    """Equal sub-trees are given once; the empty directory is not needed."""
    entries = dict(ENTRIES)
    for name in (b"one", b"two"):
        entries[name] = DIRECTORY
        entries |= {name + b"/%03d" % index: FILE for index in range(300)}
    tree = _tree(entries)
    copy = MemoryNodes()
    walked = list(tree.walk_nodes())
    assert all(copy.put(node) == digest for digest, node in walked)
    assert len(walked) == len(copy)
    assert walked[0][0] == tree.root
    assert dict(Tree.load(copy, tree.root).items()).keys() == entries.keys()


def test_a_tree_without_changes_is_itself() -> None:
    """No node is written for nothing."""
    tree = _tree()
    assert tree.update({}) is tree


@pytest.mark.parametrize(
    ("changes", "gone", "come"),
    [
        ({b"z": None}, [b"z"], {}),
        ({b"a": None}, [b"a", b"a/b", b"a/b/link", b"a/b/\xff\n"], {}),
        ({b"a": None, b"a/b": None, b"a/b/link": None}, [b"a", b"a/b", b"a/b/link", b"a/b/\xff\n"], {}),
        ({b"missing": None, b"missing/below": None, b"z/below": None}, [], {}),
        ({b"new": FILE}, [], {b"new": FILE}),
        ({b"new": DIRECTORY, b"new/x": FILE}, [], {b"new": DIRECTORY, b"new/x": FILE}),
        ({b"a/b/link": FILE, b"a/b/more": LINK}, [], {b"a/b/link": FILE, b"a/b/more": LINK}),
        ({b"a": FILE}, [b"a/b", b"a/b/link", b"a/b/\xff\n"], {b"a": FILE}),
        ({b"z": DIRECTORY, b"z/y": LINK}, [], {b"z": DIRECTORY, b"z/y": LINK}),
        ({b"a/b": Entry(Kind.DIRECTORY, 0o700)}, [], {b"a/b": Entry(Kind.DIRECTORY, 0o700)}),
        (
            {b"": Entry(Kind.DIRECTORY, 0o700), b"z": LINK},
            [],
            {b"": Entry(Kind.DIRECTORY, 0o700), b"z": LINK},
        ),
        (
            {b"a": Entry(Kind.DIRECTORY, 0o700), b"a/b/link": None},
            [b"a/b/link"],
            {b"a": Entry(Kind.DIRECTORY, 0o700)},
        ),
    ],
)
def test_an_updated_tree_equals_the_tree_built_anew(
    changes: dict[bytes, Entry | None], gone: list[bytes], come: dict[bytes, Entry]
) -> None:
    """Removals take what is below with them; a directory given without digest keeps what it holds."""
    before = _tree()
    wanted = {path: entry for path, entry in ENTRIES.items() if path not in gone} | come
    after = before.update(changes)
    assert after == _tree(wanted)
    assert dict(after.items()).keys() == wanted.keys()
    assert before == _tree()


def test_a_directory_given_with_its_digest_replaces_the_sub_tree() -> None:
    """This is how a fold hands over directories that it has built already; changes below come on top."""
    tree = _tree()
    brought = tree.entry(b"a/b")
    assert brought is not None
    after = tree.update({b"empty": brought, b"a": None})
    assert after.entry(b"empty/link") == LINK
    assert after.entry(b"a") is None
    both = tree.update({b"empty": brought, b"empty/link": None})
    assert both.entry(b"empty/link") is None
    assert both.entry(b"empty/\xff\n") == FILE


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({b"missing/x": FILE}, b"missing/x"),
        ({b"z/x": FILE}, b"z/x"),
        ({b"a": None, b"a/b": DIRECTORY}, b"a/b"),
        ({b"a": None, b"a/b/c": FILE}, b"a/b/c"),
        ({b"": None}, b""),
        ({b"": FILE}, b""),
        ({b"a//x": FILE}, b"a//x"),
    ],
)
def test_a_change_below_what_is_no_directory_is_refused(
    changes: dict[bytes, Entry | None], path: bytes
) -> None:
    """Nothing is added in the air, and the domain itself stays a directory."""
    with pytest.raises(PathError, match="path") as caught:
        _tree().update(changes)
    assert caught.value.path == path


def test_a_change_rewrites_only_the_directories_on_its_way() -> None:
    """Three directories and the domain root, not the hundred beside them."""
    nodes = CountingNodes()
    entries = {b"": DIRECTORY, b"deep": DIRECTORY, b"deep/er": DIRECTORY, b"deep/er/file": FILE}
    entries |= {b"beside-%d" % index: DIRECTORY for index in range(100)}
    tree = Tree.from_entries(nodes, entries)
    nodes.reads = nodes.writes = 0
    tree.update({b"deep/er/file": LINK})
    assert nodes.writes == 4
    # Each directory is read once to find the next and once to change it.
    assert nodes.reads == 5


def test_a_path_of_thousands_of_directories_passes_through() -> None:
    """Depth is bounded by nothing but memory."""
    depth = 2000
    entries = {b"": DIRECTORY}
    entries |= {b"/".join([b"d"] * count): DIRECTORY for count in range(1, depth)}
    deepest = b"/".join([b"d"] * (depth - 1))
    tree = _tree(entries)
    after = tree.update({deepest + b"/file": FILE})
    assert after.entry(deepest + b"/file") == FILE
    assert sum(1 for _ in after.items()) == depth + 1
    assert after.update({deepest + b"/file": None}) == tree
