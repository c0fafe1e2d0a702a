"""A pack hands over a tree whole, or says why not; it never gives a wrong node."""

import os
import struct
from pathlib import Path

import pytest

from catfs.digest import Digest, checksum
from catfs.errors import FormatError, UsageError
from catfs.merkle import (
    EMPTY_DIRECTORY,
    MemoryNodes,
    MissingNodeError,
    PackReader,
    PackWriter,
    Tree,
    diff,
    write_pack,
)
from catfs.records import Entry, Kind

DIRECTORY = Entry(Kind.DIRECTORY, 0o755)
FILE = Entry(Kind.FILE, 0o644, 3, Digest.of(b"abc"))
SMALL = {b"": DIRECTORY, b"a": DIRECTORY, b"a/b": FILE, b"c": FILE}


def _tree(entries: dict[bytes, Entry] | None = None) -> Tree:
    return Tree.from_entries(MemoryNodes(), SMALL if entries is None else entries)


def _pack(folder: Path) -> tuple[Path, bytes]:
    """Write the pack of the small tree and give its path and bytes."""
    path = folder / "pack"
    write_pack(path, _tree())
    return path, path.read_bytes()


@pytest.mark.parametrize("count", [0, 1, 300])
def test_a_tree_comes_out_of_a_pack_as_it_went_in(tmp_path: Path, count: int) -> None:
    """Root, entries and nodes are the same, whatever the size."""
    tree = _tree(SMALL | {b"a/file %d" % index: FILE for index in range(count)})
    write_pack(tmp_path / "pack", tree)
    with PackReader(tmp_path / "pack") as reader:
        assert (reader.root, reader.root_entry) == (tree.root, tree.root_entry)
        assert list(reader.tree().items()) == list(tree.items())
        assert len(reader) == sum(1 for _ in tree.walk_nodes())


def test_an_empty_domain_comes_out_of_a_pack(tmp_path: Path) -> None:
    """Nothing but a domain root is needed."""
    write_pack(tmp_path / "pack", _tree({b"": DIRECTORY}))
    with PackReader(tmp_path / "pack") as reader:
        assert reader.root_entry.digest == EMPTY_DIRECTORY
        assert len(list(reader.tree().items())) == 1


def test_a_pack_can_be_written_while_its_tree_is_built(tmp_path: Path) -> None:
    """The writer is a node store: equal nodes are kept once, and what was put can be read at once."""
    with PackWriter(tmp_path / "pack") as writer:
        tree = Tree.from_entries(writer, SMALL | {b"x": DIRECTORY, b"x/b": FILE})
        changed = tree.update({b"x/b": None})
        assert list(changed.items())[-1][0] == b"x"
        before = len(writer)
        assert changed.update({b"x/b": FILE}) == tree
        assert len(writer) == before
        writer.close(changed.root_entry, durable=True)
    with PackReader(os.fsencode(tmp_path / "pack")) as reader:
        assert reader.tree() == changed


def test_a_pack_of_changes_needs_the_nodes_below_it(tmp_path: Path) -> None:
    """Only what differs is written when the rest is held elsewhere."""
    base = _tree()
    write_pack(tmp_path / "base", base)
    after = base.update({b"c": None})
    with PackWriter(tmp_path / "changes") as writer:
        writer.put(after.nodes.get(after.root_entry.digest))
        writer.close(after.root_entry)
    with PackReader(tmp_path / "base") as low, PackReader(tmp_path / "changes") as high:
        assert [change.path for change in diff(low.tree(), high.tree(low))] == [b"c"]
        assert list(high.tree(low).items()) == list(after.items())
        with pytest.raises(MissingNodeError, match="none of 2 layered stores"):
            list(high.tree().items())


def test_a_tree_from_a_pack_can_be_changed_in_memory(tmp_path: Path) -> None:
    """The file stays as it is."""
    path, data = _pack(tmp_path)
    with PackReader(path) as reader:
        changed = reader.tree().update({b"new": FILE})
        assert changed == _tree(SMALL | {b"new": FILE})
    assert path.read_bytes() == data


def test_a_node_that_was_not_put_is_missing(tmp_path: Path) -> None:
    """Writer and reader name the pack and the node."""
    digest = Digest.of(b"none")
    path, _ = _pack(tmp_path)
    with PackReader(path) as reader, pytest.raises(MissingNodeError, match=r"node pack .*/pack") as caught:
        reader.get(digest)
    assert caught.value.digest == digest
    with PackWriter(tmp_path / "other") as writer, pytest.raises(MissingNodeError, match="other"):
        writer.get(digest)


def test_a_pack_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    """The second writer of a name fails, and the first one's file stays."""
    path, data = _pack(tmp_path)
    with pytest.raises(FileExistsError, match="pack"):
        PackWriter(path)
    assert path.read_bytes() == data


def test_a_writer_that_is_left_unfinished_leaves_no_file(tmp_path: Path) -> None:
    """Only `close` makes a pack."""
    with PackWriter(tmp_path / "pack") as writer:
        writer.put(b"node")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="is closed"):
        writer.put(b"node")
    with pytest.raises(MissingNodeError, match="does not hold"):
        write_pack(tmp_path / "pack", Tree(MemoryNodes(), Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(b"x"))))
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pack_stays_when_its_writer_is_left(tmp_path: Path) -> None:
    """Closing twice is an error; aborting after closing is nothing."""
    with PackWriter(tmp_path / "pack") as writer:
        writer.close(_tree({b"": DIRECTORY}).root_entry)
        writer.abort()
        with pytest.raises(UsageError, match="is closed"):
            writer.close(DIRECTORY)
    assert (tmp_path / "pack").exists()


def test_a_pack_is_for_its_owner_only(tmp_path: Path) -> None:
    """Names and digests of a domain are nobody else's business."""
    path, _ = _pack(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_pack_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    """A writer that was stopped leaves nothing that can be taken for a pack."""
    path, data = _pack(tmp_path)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError, match="node pack"):
            PackReader(path)


def test_a_pack_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    """Every byte is covered, padding too."""
    path, data = _pack(tmp_path)
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(FormatError, match="node pack"):
            PackReader(path)


def test_a_pack_with_bytes_added_is_refused(tmp_path: Path) -> None:
    """Neither before, nor after, nor in between."""
    path, data = _pack(tmp_path)
    for at in (0, 1, 16, 40, len(data) - 66, len(data)):
        path.write_bytes(data[:at] + b"\0" + data[at:])
        with pytest.raises(FormatError, match="node pack"):
            PackReader(path)


def test_a_forged_pack_never_gives_a_wrong_node(tmp_path: Path) -> None:
    """With the checksum made to fit, each node is still what its digest says, or an error."""
    path, data = _pack(tmp_path)
    tree = _tree()
    nodes = dict(tree.walk_nodes())
    for at in range(len(data) - 16):
        body = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 : -16]
        path.write_bytes(body + struct.pack("<Q8s", checksum(body), b"catfsend"))
        try:
            reader = PackReader(path)
        except FormatError:
            continue
        with reader:
            for digest, node in nodes.items():
                try:
                    assert reader.get(digest) == node
                except (FormatError, MissingNodeError) as error:
                    assert "node pack" in str(error)  # noqa: PT017 (either error is right here)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "at least 82 bytes, got 0"),
        (bytes(100), "begin with b'catfspak'"),
        (struct.pack("<8sI4x", b"catfspak", 2) + bytes(66), "expected version 1, got 2"),
        (struct.pack("<8sI4x", b"catfspak", 1) + bytes(66), "not finished, or cut off"),
    ],
)
def test_the_refusal_of_a_pack_says_what_is_wrong(tmp_path: Path, data: bytes, problem: str) -> None:
    """Another file, another version and an unfinished pack are told apart."""
    (tmp_path / "pack").write_bytes(data)
    with pytest.raises(FormatError, match=problem):
        PackReader(tmp_path / "pack")


@pytest.mark.parametrize(
    ("trailer", "problem"),
    [
        ((1, 16, 0o755, EMPTY_DIRECTORY.raw), "index of 1 nodes at byte 16"),
        ((0, 8, 0o755, EMPTY_DIRECTORY.raw), "index of 0 nodes at byte 8"),
        ((1 << 60, 16, 0o755, EMPTY_DIRECTORY.raw), "index of"),
        ((0, 16, 0o10000, EMPTY_DIRECTORY.raw), "root mode up to 0o7777"),
        ((0, 16, 0o755, Digest.of(b"").raw), "node digest of a directory"),
    ],
)
def test_a_trailer_that_does_not_fit_is_refused(
    tmp_path: Path, trailer: tuple[int, int, int, bytes], problem: str
) -> None:
    """Every number of the trailer is held against the file."""
    body = struct.pack("<8sI4x", b"catfspak", 1) + struct.pack("<QQH32s", *trailer)
    (tmp_path / "pack").write_bytes(body + struct.pack("<Q8s", checksum(body), b"catfsend"))
    with pytest.raises(FormatError, match=problem):
        PackReader(tmp_path / "pack")


def test_a_file_damaged_behind_its_writer_is_noticed(tmp_path: Path) -> None:
    """What the writer reads back is held against its digest."""
    with PackWriter(tmp_path / "pack") as writer:
        digest = writer.put(b"some node")
        assert writer.get(digest) == b"some node"
        with (tmp_path / "pack").open("r+b") as file:
            file.seek(20)
            file.write(b"S")
        with pytest.raises(FormatError, match=digest.hex):
            writer.get(digest)


def test_many_nodes_are_written_in_few_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three megabytes of nodes are a handful of writes."""
    sizes: list[int] = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        """Note the size and write."""
        sizes.append(len(data))
        return real(descriptor, data)

    with PackWriter(tmp_path / "pack") as writer:
        monkeypatch.setattr(os, "write", write)
        digests = [writer.put(b"%d" % index * 1000) for index in range(1000)]
        writer.close(_tree({b"": DIRECTORY}).root_entry)
    assert len(sizes) <= 4
    with PackReader(tmp_path / "pack") as reader:
        assert all(reader.get(digest) == b"%d" % index * 1000 for index, digest in enumerate(digests))
