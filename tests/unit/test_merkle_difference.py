"""The difference of two trees lists what changed, in order, and reads little."""

import pytest

from catfs.digest import Digest
from catfs.merkle import MemoryNodes, Tree, diff
from catfs.records import ChangeKind, Entry, Kind

DIRECTORY = Entry(Kind.DIRECTORY, 0o755)
FILE = Entry(Kind.FILE, 0o644, 3, Digest.of(b"abc"))
OTHER = Entry(Kind.FILE, 0o644, 3, Digest.of(b"abd"))
ENTRIES = {
    b"": DIRECTORY,
    b"a": DIRECTORY,
    b"a-b": FILE,
    b"a/b": DIRECTORY,
    b"a/b/c": FILE,
    b"a/d": FILE,
    b"z": FILE,
}


class CountingNodes(MemoryNodes):
    """Nodes in memory that count how often they are read."""

    reads = 0

    def get(self, digest: Digest) -> bytes:
        """Count and give a node."""
        self.reads += 1
        return super().get(digest)


def _changes(changes: dict[bytes, Entry | None]) -> list[tuple[str, bytes]]:
    """Give kind and path of each difference that changes make to the tree of this module."""
    before = Tree.from_entries(MemoryNodes(), ENTRIES)
    return [(change.kind.value, change.path) for change in diff(before, before.update(changes))]


def test_equal_trees_do_not_differ() -> None:
    """Nothing is read when the roots are equal."""
    nodes = CountingNodes()
    tree = Tree.from_entries(nodes, ENTRIES)
    assert list(diff(tree, Tree.from_entries(MemoryNodes(), ENTRIES))) == []
    assert nodes.reads == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({b"a/b/c": OTHER}, [("changed", b"a/b/c")]),
        ({b"z": None, b"a-b": OTHER}, [("changed", b"a-b"), ("removed", b"z")]),
        ({b"a/b": Entry(Kind.DIRECTORY, 0o700)}, [("changed", b"a/b")]),
        (
            {b"a/b": Entry(Kind.DIRECTORY, 0o700), b"a/b/c": None},
            [("changed", b"a/b"), ("removed", b"a/b/c")],
        ),
        ({b"": Entry(Kind.DIRECTORY, 0o700)}, [("changed", b"")]),
        (
            {b"": Entry(Kind.DIRECTORY, 0o700), b"a/new": FILE},
            [("changed", b""), ("added", b"a/new")],
        ),
        (
            {b"a": None},
            [("removed", b"a"), ("removed", b"a/b"), ("removed", b"a/b/c"), ("removed", b"a/d")],
        ),
        (
            {b"a": FILE},
            [("changed", b"a"), ("removed", b"a/b"), ("removed", b"a/b/c"), ("removed", b"a/d")],
        ),
        (
            {b"z": DIRECTORY, b"z/x": DIRECTORY, b"z/x/y": FILE},
            [("changed", b"z"), ("added", b"z/x"), ("added", b"z/x/y")],
        ),
        ({b"m": DIRECTORY, b"m/n": FILE}, [("added", b"m"), ("added", b"m/n")]),
        ({b"a/b/c": OTHER, b"a-b": OTHER}, [("changed", b"a/b/c"), ("changed", b"a-b")]),
    ],
)
def test_each_difference_is_listed_in_the_order_of_a_walk(
    changes: dict[bytes, Entry | None], expected: list[tuple[str, bytes]]
) -> None:
    """Sub-trees that come or go are listed in full; a directory is no change for what is below it."""
    assert _changes(changes) == expected


def test_a_difference_holds_both_entries() -> None:
    """The entries before and after are those of the two trees."""
    before = Tree.from_entries(MemoryNodes(), ENTRIES)
    after = before.update({b"a/d": OTHER})
    [change] = diff(before, after)
    assert (change.before, change.after, change.kind) == (FILE, OTHER, ChangeKind.CHANGED)


def test_the_difference_turned_around_is_its_inverse() -> None:
    """Added and removed trade places."""
    before = Tree.from_entries(MemoryNodes(), ENTRIES)
    after = before.update({b"a": FILE, b"new": DIRECTORY, b"new/x": FILE, b"z": None})
    forth = [(change.path, change.before, change.after) for change in diff(before, after)]
    back = [(change.path, change.after, change.before) for change in diff(after, before)]
    assert forth == back


@pytest.mark.parametrize("count", [10, 250, 3000])
def test_only_nodes_whose_digests_differ_are_read(count: int) -> None:
    """One changed file among many directories of many files costs a few reads in each tree."""
    entries = {b"": DIRECTORY}
    entries |= {b"d%d" % index: DIRECTORY for index in range(200)}
    entries |= {b"d5/%d" % index: FILE for index in range(count)}
    old_nodes, new_nodes = CountingNodes(), CountingNodes()
    before = Tree.from_entries(old_nodes, entries)
    after = Tree.from_entries(new_nodes, entries | {b"d5/7": OTHER})
    old_nodes.reads = new_nodes.reads = 0
    assert [change.path for change in diff(before, after)] == [b"d5/7"]
    expected = 2 if count <= 256 else 3
    # The root directory and d5 are read once to see their shape and once for their rows; a fan that
    # meets a fan is read once, and then only the bucket that differs.
    assert old_nodes.reads == new_nodes.reads <= 2 * expected


def test_growing_beyond_256_entries_lists_only_what_came() -> None:
    """A leaf and a fan are compared by their entries."""
    entries = {b"": DIRECTORY} | {b"%03d" % index: FILE for index in range(256)}
    before = Tree.from_entries(MemoryNodes(), entries)
    after = before.update({b"256": FILE, b"000": None, b"257": FILE})
    assert [(change.kind.value, change.path) for change in diff(before, after)] == [
        ("removed", b"000"),
        ("added", b"256"),
        ("added", b"257"),
    ]
    assert len(list(diff(after, before))) == 3


def test_large_directories_are_compared_bucket_by_bucket() -> None:
    """A name that comes into or leaves a bucket of its own is found too."""
    entries = {b"": DIRECTORY} | {b"%03d" % index: FILE for index in range(300)}
    before = Tree.from_entries(MemoryNodes(), entries)
    gone = {b"%03d" % index: None for index in range(40)}
    come = {b"x%03d" % index: FILE for index in range(60)}
    found = [change.path for change in diff(before, before.update({**gone, **come}))]
    assert found == sorted([*gone, *come])


def test_a_difference_thousands_of_directories_deep_is_found() -> None:
    """Depth is bounded by nothing but memory."""
    paths = [b"/".join([b"d"] * count) for count in range(1, 1500)]
    before = Tree.from_entries(MemoryNodes(), {b"": DIRECTORY} | dict.fromkeys(paths, DIRECTORY))
    after = before.update({paths[-1] + b"/file": FILE})
    assert [change.path for change in diff(before, after)] == [paths[-1] + b"/file"]
    assert len(list(diff(before, before.update({b"d": None})))) == len(paths)
