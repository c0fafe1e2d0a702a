"""Nodes have one canonical encoding, and nothing else is read."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import (
    EMPTY_DIRECTORY,
    LayeredNodes,
    MemoryNodes,
    MissingNodeError,
    RememberedNodes,
    node_store,
)
from catfs.merkle.nodes import (
    DOMAIN_ROOT_TAG,
    FAN_TAG,
    LEAF_TAG,
    ROW_BYTES,
    Fan,
    Leaf,
    check_names,
    decode_domain_root,
    decode_node,
    decode_row,
    encode_domain_root,
    encode_fan,
    encode_leaf,
    encode_row,
    load_node,
)
from catfs.records import Entry, Kind

SOME = Digest.of(b"some")
OTHER = Digest.of(b"other")
FILE = Entry(Kind.FILE, 0o644, 5, SOME)
ENTRIES = [
    FILE,
    Entry(Kind.FILE, 0o7777, (1 << 63) - 1, SOME),
    Entry(Kind.DIRECTORY, 0o755, 0, SOME),
    Entry(Kind.SYMLINK, 0o777, 9, SOME),
    Entry(Kind.FIFO, 0o600),
    Entry(Kind.SOCKET, 0o600),
    Entry(Kind.CHARACTER_DEVICE, 0o600, 0, SOME),
    Entry(Kind.BLOCK_DEVICE, 0o600, 0, SOME),
]
ROW = encode_row(FILE)
LEAF = encode_leaf([(b"%d" % index, encode_row(entry)) for index, entry in enumerate(ENTRIES)])
FAN = encode_fan(1, 300, {0: SOME, 7: OTHER, 255: SOME})
DOMAIN_ROOT = encode_domain_root(Entry(Kind.DIRECTORY, 0o755, 0, SOME))


def _leaf(count: int, rows: list[bytes], names: bytes) -> bytes:
    """Give a leaf that nothing has checked."""
    return struct.pack("<BBH", LEAF_TAG, 1, count) + b"".join(rows) + names


def _row(kind: int, mode: int, size: int, digest: Digest) -> bytes:
    """Give a row that nothing has checked."""
    return struct.pack("<BHQ32s", kind, mode, size, digest.raw)


def _encoded_again(node: bytes) -> bytes:
    """Decode a node and encode what was read."""
    read = decode_node(node)
    if isinstance(read, Leaf):
        return encode_leaf(list(zip(read.names, read.rows(), strict=True)))
    return encode_fan(read.level, read.total, dict(read.children()))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.kind.value)
def test_a_row_gives_back_every_kind_of_entry(entry: Entry) -> None:
    """What is written of an entry is all that an entry is."""
    assert decode_row(encode_row(entry)) == entry


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (Entry(Kind.FILE, 0o644, 1 << 63, SOME), "size up to"),
        (Entry(Kind.DIRECTORY, 0o755, 4096, SOME), "size 0 of a directory, got 4096"),
        (Entry(Kind.DIRECTORY, 0o755), "node digest of a directory"),
        (Entry(Kind.SYMLINK, 0o755, 3, SOME), "mode 0o777 of a symlink, got 0o755"),
        (Entry(Kind.FIFO, 0o600, 0, SOME), "digest of nothing for a fifo"),
        (Entry(Kind.SOCKET, 0o600, 1), "size 0 of a socket"),
        (Entry(Kind.BLOCK_DEVICE, 0o600, 1, SOME), "size 0 of a block_device"),
    ],
)
def test_an_entry_with_fields_its_kind_does_not_have_is_refused(entry: Entry, problem: str) -> None:
    """One state of the disk never has two encodings."""
    with pytest.raises(FormatError, match=problem):
        encode_row(entry)


@pytest.mark.parametrize("node", [LEAF, FAN, encode_leaf([])], ids=["leaf", "fan", "empty"])
def test_a_node_read_and_written_again_is_the_same_bytes(node: bytes) -> None:
    """Decoding and encoding are inverse."""
    assert _encoded_again(node) == node


def test_a_leaf_finds_each_of_its_names_and_no_other() -> None:
    """Looking up in a leaf is exact."""
    leaf = decode_node(LEAF)
    assert isinstance(leaf, Leaf)
    assert [leaf.find_row(b"%d" % index) for index in range(len(ENTRIES))] == leaf.rows()
    assert [leaf.find_row(name) for name in (b"", b"/", b"00", b"9", b"\xff")] == [None] * 5


def test_a_fan_finds_each_of_its_children_and_no_other() -> None:
    """Looking up in a fan is exact."""
    fan = decode_node(FAN)
    assert isinstance(fan, Fan)
    assert list(fan.children()) == [(0, SOME), (7, OTHER), (255, SOME)]
    assert {value for value in range(256) if fan.child(value) is not None} == {0, 7, 255}
    assert fan.child(7) == OTHER


def test_a_domain_root_seals_mode_and_digest() -> None:
    """A chmod of the domain itself changes its root, and so does any change below."""
    roots = {
        encode_domain_root(Entry(Kind.DIRECTORY, mode, 0, digest))
        for mode in (0o755, 0o700)
        for digest in (SOME, OTHER)
    }
    assert len(roots) == 4
    assert decode_domain_root(DOMAIN_ROOT) == Entry(Kind.DIRECTORY, 0o755, 0, SOME)


def test_only_a_directory_can_be_a_domain_root() -> None:
    """A domain is a directory."""
    with pytest.raises(FormatError, match="expected a directory, got a file"):
        encode_domain_root(FILE)


def test_tags_differ_from_each_other_and_from_those_of_the_log_tree() -> None:
    """No node can be passed off as another kind of node."""
    assert len({LEAF_TAG, FAN_TAG, DOMAIN_ROOT_TAG, 0x00, 0x01}) == 5
    assert (LEAF[0], FAN[0], DOMAIN_ROOT[0]) == (LEAF_TAG, FAN_TAG, DOMAIN_ROOT_TAG)


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (b"", "at least a tag byte"),
        (b"\x00", "expected tag"),
        (DOMAIN_ROOT, "expected tag"),
        (LEAF[:3], "head of 4 bytes"),
        (bytes([LEAF_TAG, 2, 0, 0]), "version 1, got 2"),
        (LEAF + b"\0", "expected 8 names, got 9"),
        (LEAF + b"\0z", "expected 8 names, got 9"),
        (encode_leaf([]) + b"x", "expected 0 names, got 1"),
        (_leaf(1, [], b"a"), "1 rows in 47 bytes"),
        (_leaf(1, [ROW], b""), "no file can have the name ``"),
        (_leaf(2, [ROW, ROW], b"a"), "expected 2 names, got 1"),
        (_leaf(2, [ROW, ROW], b"b\0a"), "a stands after b"),
        (_leaf(2, [ROW, ROW], b"a\0a"), "a stands twice"),
        (_leaf(2, [ROW, ROW], b"\0a"), "no file can have the name ``"),
        (_leaf(1, [ROW], b"a/b"), "name `a/b`"),
        (_leaf(1, [ROW], b"."), r"name `\.`"),
        (_leaf(1, [ROW], b".."), r"name `\.\.`"),
        (_leaf(1, [ROW], b"x" * 256), "at most 255 bytes, got 256"),
        (_leaf(1, [_row(0, 0o644, 0, SOME)], b"a"), "no kind has the code 0"),
        (_leaf(1, [_row(8, 0o644, 0, SOME)], b"a"), "no kind has the code 8"),
        (_leaf(1, [_row(1, 0o10000, 0, SOME)], b"a"), "modes from 0"),
        (_leaf(1, [_row(1, 0o644, 1 << 63, SOME)], b"a"), "sizes up to"),
        (_leaf(1, [_row(2, 0o755, 1, SOME)], b"a"), "size 0 of a directory"),
        (_leaf(1, [_row(2, 0o755, 0, Digest.of(b""))], b"a"), "node digest of a directory"),
        (_leaf(1, [_row(3, 0o644, 1, SOME)], b"a"), "0o777 of a symlink"),
        (_leaf(1, [_row(4, 0o644, 0, SOME)], b"a"), "digest of nothing for a fifo"),
        (_leaf(257, [ROW] * 257, b"\0".join(b"%03d" % n for n in range(257))), "at most 256 entries"),
        (FAN[:42], "head of 43 bytes"),
        (bytes([FAN_TAG, 9]) + FAN[2:], "version 1, got 9"),
        (bytes([FAN_TAG, 1, 32]) + FAN[3:], "level below 32, got 32"),
        (FAN[:3] + struct.pack("<Q", 256) + FAN[11:], "more than 256 entries, got 256"),
        (FAN[:11] + bytes(32), "each of 0 children"),
        (FAN[:-1], "each of 3 children, got 95"),
        (FAN + bytes(32), "each of 3 children, got 128"),
    ],
)
def test_a_node_that_is_not_canonical_is_refused(node: bytes, problem: str) -> None:
    """Order, repeats, names, kinds, fields, lengths and trailing bytes are all checked."""
    with pytest.raises(FormatError, match=problem):
        decode_node(node)


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (DOMAIN_ROOT[:-1], "expected 36 bytes, got 35"),
        (DOMAIN_ROOT + b"\0", "expected 36 bytes, got 37"),
        (LEAF[:36], "expected tag"),
        (bytes([DOMAIN_ROOT_TAG, 7]) + DOMAIN_ROOT[2:], "version 1, got 7"),
        (DOMAIN_ROOT[:2] + b"\0\x10" + DOMAIN_ROOT[4:], "a mode from 0 to 0o7777"),
        (DOMAIN_ROOT[:4] + Digest.of(b"").raw, "node digest of a directory"),
    ],
)
def test_a_domain_root_that_is_not_canonical_is_refused(node: bytes, problem: str) -> None:
    """Every field of a domain root is checked."""
    with pytest.raises(FormatError, match=problem):
        decode_domain_root(node)


def test_leaves_and_fans_of_the_wrong_size_are_not_written() -> None:
    """The shape rule holds for whoever writes, too."""
    with pytest.raises(FormatError, match="at most 256 entries, got 257"):
        encode_leaf([(b"%03d" % index, ROW) for index in range(257)])
    with pytest.raises(FormatError, match="more than 256 entries, got 256"):
        encode_fan(0, 256, {0: SOME})
    with pytest.raises(FormatError, match="level below 32"):
        encode_fan(32, 257, {0: SOME})


@given(
    node=st.sampled_from([LEAF, FAN, encode_leaf([(b"a", ROW), (b"b", ROW)])]),
    edits=st.lists(
        st.tuples(st.integers(0, 600), st.integers(0, 2), st.binary(max_size=3)), min_size=1, max_size=3
    ),
)
def test_a_damaged_node_is_refused_or_read_exactly_as_written(
    node: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    """Whatever is read encodes to the very bytes it was read from: no second spelling exists."""
    for at, removed, added in edits:
        node = node[:at] + added + node[at + removed :]
    try:
        again = _encoded_again(node)
    except FormatError:
        return
    assert again == node


@given(names=st.lists(st.binary(max_size=3), max_size=5))
def test_checking_names_at_once_agrees_with_checking_them_one_by_one(names: list[bytes]) -> None:
    """The check over the whole column accepts exactly sorted sets of possible names."""
    possible = all(
        name and name not in {b".", b".."} and b"/" not in name and b"\0" not in name for name in names
    )
    if possible and names == sorted(set(names)):
        check_names(names)
    else:
        with pytest.raises(FormatError, match="name"):
            check_names(names)


def test_a_name_of_255_bytes_is_a_name() -> None:
    """The limit is the one of Linux."""
    node = encode_leaf([(b"x" * 255, ROW), (b"y" * 255, ROW)])
    assert len(node) == 4 + 2 * ROW_BYTES + 511
    assert _encoded_again(node) == node


def test_the_digest_of_a_damaged_node_stands_in_the_message() -> None:
    """A reader of the message can find the node."""
    nodes = MemoryNodes()
    digest = nodes.put(LEAF + b"\0")
    with pytest.raises(FormatError, match=f"tree node {digest.hex}: expected 8 names"):
        load_node(nodes, digest)


def test_the_empty_directory_is_known_to_every_store() -> None:
    """A directory without entries costs no node."""
    assert load_node(MemoryNodes(), EMPTY_DIRECTORY) == Leaf([], b"")


def test_a_missing_node_is_named() -> None:
    """The error keeps the digest."""
    with pytest.raises(MissingNodeError, match=SOME.hex) as caught:
        MemoryNodes().get(SOME)
    assert caught.value.digest == SOME


def test_layers_are_read_from_the_top_and_only_the_top_is_written() -> None:
    """A tree can be changed without changing the store it came from."""
    low, high = MemoryNodes(), MemoryNodes()
    kept = low.put(LEAF)
    both = LayeredNodes(high, low)
    added = both.put(FAN)
    assert (both.get(kept), both.get(added)) == (LEAF, FAN)
    assert (len(low), len(high)) == (1, 1)
    with pytest.raises(MissingNodeError, match="none of 2 layered stores") as caught:
        both.get(SOME)
    assert caught.value.digest == SOME


class _CountedNodes:
    """Nodes in memory that count how often they are asked."""

    def __init__(self, held: MemoryNodes) -> None:
        self._held = held
        self.reads = 0

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node."""
        self.reads += 1
        return self._held.get(digest)


def test_a_remembered_node_is_read_once_and_a_missing_one_is_asked_for_again() -> None:
    """The source is spared; what it lacks now it may have later."""
    held = MemoryNodes()
    digest = held.put(encode_leaf([(b"name", ROW)]))
    source = _CountedNodes(held)
    nodes = RememberedNodes(source)
    assert nodes.get(digest) == nodes.get(digest) == held.get(digest)
    assert source.reads == 1
    later = encode_leaf([(b"other", ROW)])
    with pytest.raises(MissingNodeError, match=Digest.of(later).hex):
        nodes.get(Digest.of(later))
    held.put(later)
    assert nodes.get(Digest.of(later)) == later


def test_remembered_nodes_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk over a whole tree does not keep the tree in memory."""
    monkeypatch.setattr(node_store, "_REMEMBERED_MAX", 3)
    held = MemoryNodes()
    digests = [held.put(encode_leaf([(b"%d" % number, ROW)])) for number in range(5)]
    source = _CountedNodes(held)
    nodes = RememberedNodes(source)
    assert [nodes.get(digest) for digest in digests] == [held.get(digest) for digest in digests]
    nodes.get(digests[0])
    assert source.reads == 6


@given(st.sets(st.integers(0, 99)), st.integers(1, 100))
def test_changed_rows_of_two_leaves_are_found_and_written(changed: set[int], count: int) -> None:
    """Exactly the rows that differ are given, in order; writing them is encoding the leaf anew."""
    other = encode_row(Entry(Kind.FILE, 0o600, 1, OTHER))
    pairs = [(b"%03d" % number, ROW) for number in range(count)]
    rows = {b"%03d" % number: other for number in changed if number < count}
    leaf = decode_node(encode_leaf(pairs))
    assert isinstance(leaf, Leaf)
    new = leaf.with_rows(rows)
    assert new is not None
    assert new.encoded() == encode_leaf([(name, rows.get(name, row)) for name, row in pairs])
    assert new == decode_node(new.encoded())
    assert list(leaf.changed_rows(new)) == [(name, ROW, other) for name in sorted(rows)]
    assert leaf.with_rows({b"000": None}) is None
    assert leaf.with_rows({b"absent": other}) is None
