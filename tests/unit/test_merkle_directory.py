"""Directories as nodes: shape, look-up, and the cost of a change."""

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import (
    EMPTY_DIRECTORY,
    MemoryNodes,
    build_directory,
    find_entries,
    find_entry,
    iterate_directory,
    update_directory,
)
from catfs.merkle.nodes import Fan, Leaf, decode_node, encode_fan, encode_leaf, encode_row, load_node
from catfs.records import Entry, Kind


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


def _files(count: int) -> dict[bytes, Entry]:
    return {b"name-%d" % n: Entry(Kind.FILE, 0o644, n, Digest.of(b"%d" % n)) for n in range(count)}


def test_an_empty_directory_has_the_known_digest() -> None:
    """The constant is what building gives."""
    assert build_directory(MemoryNodes(), []) == EMPTY_DIRECTORY


@pytest.mark.parametrize(("count", "shape"), [(1, Leaf), (256, Leaf), (257, Fan), (3000, Fan)])
def test_more_than_256_entries_are_split(count: int, shape: type) -> None:
    """256 entries are one leaf, 257 are a fan."""
    nodes = MemoryNodes()
    digest = build_directory(nodes, _files(count).items())
    assert isinstance(decode_node(nodes.get(digest)), shape)


@pytest.mark.parametrize("count", [0, 5, 256, 257, 3000])
def test_a_directory_gives_back_its_entries_in_name_order(count: int) -> None:
    """Iterating, finding one and finding many agree with what was put in."""
    nodes = MemoryNodes()
    files = _files(count)
    digest = build_directory(nodes, reversed(files.items()))
    assert list(iterate_directory(nodes, digest)) == sorted(files.items(), key=lambda item: item[0])
    assert find_entries(nodes, digest, [*files, b"absent"]) == files
    assert find_entry(nodes, digest, b"absent") is None
    for name in list(files)[:20]:
        assert find_entry(nodes, digest, name) == files[name]


def test_a_bucket_of_more_than_256_entries_is_split_again() -> None:
    """The second level splits by the second byte of the hash."""
    names = [b"%d" % n for n in range(80_000)]
    crowded = [name for name in names if Digest.of(name).raw[0] == 7]
    assert len(crowded) > 256
    nodes = MemoryNodes()
    digest = build_directory(nodes, [(name, Entry(Kind.FIFO, 0o600)) for name in crowded])
    top = decode_node(nodes.get(digest))
    assert isinstance(top, Fan)
    [(value, child)] = top.children()
    below = decode_node(nodes.get(child))
    assert isinstance(below, Fan)
    assert (value, top.level, below.level, below.total) == (7, 0, 1, len(crowded))
    assert find_entry(nodes, digest, crowded[99]) == Entry(Kind.FIFO, 0o600)
    without = update_directory(nodes, digest, dict.fromkeys(crowded[10:]))
    assert without == build_directory(nodes, [(name, Entry(Kind.FIFO, 0o600)) for name in crowded[:10]])


@pytest.mark.parametrize(("count", "reads", "writes"), [(200, 1, 1), (2000, 2, 2), (20_000, 2, 2)])
def test_a_change_touches_only_the_nodes_on_its_way(count: int, reads: int, writes: int) -> None:
    """One leaf and the fans above it are read and written, however large the directory is."""
    nodes = CountingNodes()
    files = _files(count)
    digest = build_directory(nodes, files.items())
    nodes.reads = nodes.writes = 0
    entry = Entry(Kind.FILE, 0o600)
    changed = update_directory(nodes, digest, {b"name-77": entry})
    assert (nodes.reads, nodes.writes) == (reads, writes)
    assert changed == build_directory(MemoryNodes(), (files | {b"name-77": entry}).items())


def test_finding_many_reads_each_node_once() -> None:
    """Looking up 200 names of a leaf is one read."""
    nodes = CountingNodes()
    files = _files(200)
    digest = build_directory(nodes, files.items())
    assert len(find_entries(nodes, digest, files)) == 200
    assert nodes.reads == 1


def test_growing_and_shrinking_across_256_gives_the_built_digest() -> None:
    """The shape forgets how the directory came about."""
    nodes = MemoryNodes()
    small, large = _files(256), _files(300)
    extra: dict[bytes, Entry | None] = {name: large[name] for name in large.keys() - small.keys()}
    built_small = build_directory(nodes, small.items())
    built_large = build_directory(nodes, large.items())
    assert update_directory(nodes, built_small, extra) == built_large
    assert update_directory(nodes, built_large, dict.fromkeys(extra)) == built_small
    assert update_directory(nodes, built_large, dict.fromkeys(large)) == EMPTY_DIRECTORY


def test_a_change_that_changes_nothing_gives_the_same_digest() -> None:
    """Removing an absent name and setting an equal entry are no changes."""
    nodes = MemoryNodes()
    for count in (3, 300):
        files = _files(count)
        digest = build_directory(nodes, files.items())
        assert update_directory(nodes, digest, {}) == digest
        assert update_directory(nodes, digest, {b"absent": None, b"name-1": files[b"name-1"]}) == digest


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0b", b"x" * 256])
def test_a_name_that_no_file_can_have_is_refused(name: bytes) -> None:
    """Building and changing check names alike."""
    entry = Entry(Kind.FIFO, 0o600)
    with pytest.raises(FormatError, match="file name"):
        build_directory(MemoryNodes(), [(name, entry)])
    with pytest.raises(FormatError, match="file name"):
        update_directory(MemoryNodes(), EMPTY_DIRECTORY, {name: entry})


@pytest.mark.parametrize("count", [2, 300])
def test_a_name_given_twice_is_refused(count: int) -> None:
    """Also when there are more of it than fit into a leaf."""
    with pytest.raises(FormatError, match="same stands twice"):
        build_directory(MemoryNodes(), [(b"same", Entry(Kind.FIFO, 0o600))] * count)


def test_a_fan_in_the_wrong_place_is_refused() -> None:
    """A node that is canonical by itself is still held against its place."""
    nodes = MemoryNodes()
    leaf = nodes.put(encode_leaf([(b"a", encode_row(Entry(Kind.FIFO, 0o600)))]))
    misplaced = nodes.put(encode_fan(1, 300, dict.fromkeys(range(256), leaf)))
    with pytest.raises(FormatError, match="expected one of level 0, got one of level 1"):
        find_entry(nodes, misplaced, b"a")
    with pytest.raises(FormatError, match="expected one of level 0, got one of level 1"):
        find_entries(nodes, misplaced, [b"a"])
    with pytest.raises(FormatError, match="expected one of level 0, got one of level 1"):
        update_directory(nodes, misplaced, {b"a": None})


def test_a_fan_that_miscounts_is_refused() -> None:
    """The number of entries decides the shape, so it is checked where it can be."""
    nodes = MemoryNodes()
    leaf = nodes.put(encode_leaf([(b"a", encode_row(Entry(Kind.FIFO, 0o600)))]))
    lying = nodes.put(encode_fan(0, 300, {1: leaf}))
    with pytest.raises(FormatError, match="expected 300 entries below it, got 1"):
        list(iterate_directory(nodes, lying))


@pytest.mark.parametrize("count", [5, 300])
def test_a_node_made_by_a_change_is_read_as_its_bytes_say(count: int) -> None:
    """What is remembered of it, so that it need not be decoded, is no other node."""
    nodes = MemoryNodes()
    old = build_directory(nodes, _files(count).items())
    new = update_directory(nodes, old, {b"name-3": Entry(Kind.FILE, 0o600, 1, Digest.of(b"new"))})
    pending, seen = [new], 0
    while pending:
        digest = pending.pop()
        node = load_node(nodes, digest)
        assert node == decode_node(nodes.get(digest))
        pending += [child for _, child in node.children()] if isinstance(node, Fan) else []
        seen += 1
    assert (seen > 1) == (count > 256)
