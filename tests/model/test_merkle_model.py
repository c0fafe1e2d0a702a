"""Trees behave as a plain dictionary of paths does, and their digests as the format page says."""

import hashlib
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.merkle import (
    MemoryNodes,
    PathProof,
    Tree,
    build_directory,
    diff,
    iterate_directory,
    prove_path,
    update_directory,
)
from catfs.records import Entry, Kind

CODES = [
    Kind.FILE,
    Kind.DIRECTORY,
    Kind.SYMLINK,
    Kind.FIFO,
    Kind.SOCKET,
    Kind.CHARACTER_DEVICE,
    Kind.BLOCK_DEVICE,
]
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)
NAMES = st.sampled_from([b"a", b"b", b"a-", b"a\n", b"\xff", b"ab"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
LEAVES = st.sampled_from(
    [
        Entry(Kind.FILE, 0o644, 1, Digest.of(b"x")),
        Entry(Kind.FILE, 0o755, 1, Digest.of(b"x")),
        Entry(Kind.FILE, 0o644),
        Entry(Kind.SYMLINK, 0o777, 1, Digest.of(b"y")),
        Entry(Kind.FIFO, 0o600),
    ]
)
ANY = LEAVES | st.sampled_from([DIRECTORY, Entry(Kind.DIRECTORY, 0o1777)])


def directory_by_the_page(entries: Mapping[bytes, Entry], level: int = 0) -> bytes:
    """Give the digest of a directory by following docs/formats/tree.md word for word."""
    names = sorted(entries)
    if len(names) <= 256:
        node = bytes([0xC1, 1]) + len(names).to_bytes(2, "little")
        for name in names:
            entry = entries[name]
            node += bytes([1 + CODES.index(entry.kind)]) + entry.mode.to_bytes(2, "little")
            node += entry.size.to_bytes(8, "little") + entry.digest.raw
        return hashlib.sha256(node + b"\0".join(names)).digest()
    buckets: dict[int, dict[bytes, Entry]] = {}
    for name in names:
        buckets.setdefault(hashlib.sha256(name).digest()[level], {})[name] = entries[name]
    bits = bytearray(32)
    for value in buckets:
        bits[value // 8] |= 1 << value % 8
    node = bytes([0xC2, 1, level]) + len(names).to_bytes(8, "little") + bits
    node += b"".join(directory_by_the_page(buckets[value], level + 1) for value in sorted(buckets))
    return hashlib.sha256(node).digest()


def root_by_the_page(entries: Mapping[bytes, Entry]) -> bytes:
    """Give the root of a domain by following docs/formats/tree.md word for word."""

    def below(path: bytes) -> bytes:
        prefix = path + b"/" if path else b""
        held: dict[bytes, Entry] = {}
        for other, entry in entries.items():
            name = other[len(prefix) :]
            if other and other.startswith(prefix) and name and b"/" not in name:
                is_directory = entry.kind is Kind.DIRECTORY
                digest = Digest(below(other)) if is_directory else entry.digest
                held[name] = Entry(entry.kind, entry.mode, entry.size, digest)
        return directory_by_the_page(held)

    return hashlib.sha256(bytes([0xC3, 1]) + entries[b""].mode.to_bytes(2, "little") + below(b"")).digest()


def apply_to_model(model: dict[bytes, Entry], changes: Mapping[bytes, Entry | None]) -> dict[bytes, Entry]:
    """Apply changes to a plain dictionary, parents first."""
    result = dict(model)
    for path in sorted(changes, key=lambda path: path.split(b"/")):
        entry = changes[path]
        is_directory = entry is not None and entry.kind is Kind.DIRECTORY
        if not is_directory:
            result = {other: held for other, held in result.items() if not other.startswith(path + b"/")}
        result.pop(path, None)
        if entry is not None:
            result[path] = entry
    return result


def possible_changes(
    model: dict[bytes, Entry], wanted: Mapping[bytes, Entry | None]
) -> dict[bytes, Entry | None]:
    """Keep the changes of which every one that adds has a directory to add to."""
    changes: dict[bytes, Entry | None] = {}
    for path in sorted(wanted, key=lambda path: path.split(b"/")):
        parent = path.rpartition(b"/")[0]
        held = apply_to_model(model, changes).get(parent)
        if wanted[path] is None or (held is not None and held.kind is Kind.DIRECTORY):
            changes[path] = wanted[path]
    return changes


CHANGES = st.dictionaries(PATHS, ANY | st.none(), max_size=12)


@given(rounds=st.lists(CHANGES, max_size=4))
def test_updates_in_any_order_equal_a_build_and_a_dictionary(
    rounds: list[dict[bytes, Entry | None]],
) -> None:
    """However a tree came about, it is the tree of what it holds, and its root is the page's."""
    model: dict[bytes, Entry] = {b"": DIRECTORY}
    tree = Tree.from_entries(MemoryNodes(), model)
    for wanted in rounds:
        changes = possible_changes(model, wanted)
        model = apply_to_model(model, changes)
        tree = tree.update(changes)
        assert tree == Tree.from_entries(MemoryNodes(), model)
        assert tree.root.raw == root_by_the_page(model)
    held = {
        path: Entry(entry.kind, entry.mode, entry.size, EMPTY_DIGEST if entry.size == 0 else entry.digest)
        for path, entry in tree.items()
    }
    assert held == model
    assert list(held) == sorted(held, key=lambda path: path.split(b"/") if path else [])


@given(first=CHANGES, second=CHANGES)
def test_a_difference_is_what_two_dictionaries_differ_in(
    first: dict[bytes, Entry | None], second: dict[bytes, Entry | None]
) -> None:
    """Applying the difference to the first tree gives the second."""
    empty: dict[bytes, Entry] = {b"": DIRECTORY}
    models = [apply_to_model(empty, possible_changes(empty, wanted)) for wanted in (first, second)]
    before, after = (Tree.from_entries(MemoryNodes(), model) for model in models)
    changes = list(diff(before, after))
    expected = [
        path for path in models[0].keys() | models[1].keys() if models[0].get(path) != models[1].get(path)
    ]
    paths = [change.path for change in changes]
    assert paths == sorted(expected, key=lambda path: path.split(b"/") if path else [])
    assert before.update(_without_digests({change.path: change.after for change in changes})) == after


def _without_digests(changes: dict[bytes, Entry | None]) -> dict[bytes, Entry | None]:
    """Say of each directory that it keeps what it holds: what changes below stands in the list itself."""
    return {
        path: Entry(Kind.DIRECTORY, entry.mode)
        if entry is not None and entry.kind is Kind.DIRECTORY
        else entry
        for path, entry in changes.items()
    }


@given(wanted=CHANGES, path=PATHS)
def test_a_proof_says_what_the_dictionary_says(wanted: dict[bytes, Entry | None], path: bytes) -> None:
    """Present or absent, the proof holds and survives its JSON form."""
    empty: dict[bytes, Entry] = {b"": DIRECTORY}
    model = apply_to_model(empty, possible_changes(empty, wanted))
    tree = Tree.from_entries(MemoryNodes(), model)
    proof = PathProof.from_dict(prove_path(tree, path).to_dict())
    found = proof.verify(tree.root)
    assert found == tree.entry(path)
    assert (found is None) == (path not in model)


@settings(max_examples=40)
@given(
    start=st.integers(0, 300),
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 330), LEAVES | st.none()), max_size=90).map(dict), max_size=5
    ),
)
def test_a_directory_around_256_entries_never_remembers_how_it_came_about(
    start: int, batches: list[dict[int, Entry | None]]
) -> None:
    """Any updates, up and down across the limit, give the digest of a build, which is the page's."""
    nodes = MemoryNodes()
    model = {b"%d" % index: Entry(Kind.FIFO, 0o600) for index in range(start)}
    digest = build_directory(nodes, model.items())
    for batch in batches:
        changes = {b"%d" % index: entry for index, entry in batch.items()}
        digest = update_directory(nodes, digest, changes)
        model = apply_to_model(model, changes)
        assert digest == build_directory(MemoryNodes(), model.items())
    assert digest.raw == directory_by_the_page(model)
    assert list(iterate_directory(nodes, digest)) == sorted(model.items(), key=lambda item: item[0])
