"""The index file: what is written is read, and nothing damaged is ever believed."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import (
    IndexBusyError,
    IndexFacts,
    IndexReader,
    IndexWriter,
    MemoryNodes,
    build_directory,
    build_known,
    hidden_digest,
    index_name,
    row_ctime,
    stat_row,
)
from catfs.merkle.index_groups import GROUP_NAMES
from catfs.records import Entry, Kind
from catfs.records.entry import device_digest

ROOT_ENTRY = Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(b"node"))
FACTS = IndexFacts((1, 2), ROOT_ENTRY, 10**18, 3, 4, hidden_digest([(7, 8)]))
LINKS = {(1, 5): [b"a", b"x/\xff"], (1, 6): [b"y", b"z"]}
NAMES = [b"a", b"ab", b"b", b"\xff\n"]


def _status(ino: int, mode: int = 0o100644, ctime: int = 5) -> os.stat_result:
    """Give attributes as of `os.stat`."""
    whole = [mode, ino, 1, 1, 0, 0, 3, 0, 0, 0]
    status = os.stat_result([*whole, 0.0, 0.0, 0.0, 0, 6, ctime])
    assert (status.st_ino, status.st_mtime_ns, status.st_ctime_ns) == (ino, 6, ctime)
    return status


ROWS = [stat_row(_status(20 + at, ctime=50 + at)) for at in range(4)]
DIGESTS = [Digest.of(name).raw for name in NAMES]


def _write(path: Path) -> bytes:
    """Write an index of two directories and give its bytes."""
    with IndexWriter(path) as writer:
        writer.add(_status(9, 0o40755), b"\0".join(NAMES), b"".join(ROWS), b"".join(DIGESTS), b"n" * 32)
        writer.add(_status(2, 0o40755), b"", b"", b"", b"m" * 32)
        assert writer.finish(FACTS, LINKS)
    return path.read_bytes()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Facts, links, directories and every name."""
    _write(tmp_path / "i")
    with IndexReader(tmp_path / "i") as index:
        assert (len(index), index.facts, index.hard_links()) == (2, FACTS, LINKS)
        known = index.directory(1, 9)
        assert known is not None
        assert (known.names, known.node, known.mtime, known.ctime, known.newest) == (
            b"\0".join(NAMES),
            b"n" * 32,
            6,
            5,
            53,
        )
        assert known.entries() == dict(zip(NAMES, zip(ROWS, DIGESTS, strict=True), strict=True))
        assert [known.find(name) for name in NAMES] == list(zip(ROWS, DIGESTS, strict=True))
        assert [known.find(name) for name in (b"", b"c", b"\n", b"\xff", b"a\0ab")[1:4]] == [None] * 3
        empty = index.directory(1, 2)
        assert empty is not None
        assert (empty.entries(), empty.find(b"a"), empty.newest) == ({}, None, 0)
        assert [index.directory(*place) for place in ((1, 3), (2, 9), (1, 0), (9, 99))] == [None] * 4


def test_a_row_tells_when_a_file_changed() -> None:
    """And of a directory it says only what the tree needs."""
    assert row_ctime(ROWS[2]) == 52
    assert stat_row(_status(1, 0o40755, 1)) == stat_row(_status(1, 0o40755, 2))


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    """In the frame: the index is refused. In a block: its directory is unknown. Never another answer."""
    data = _write(tmp_path / "i")
    unknown = unseen = 0
    for at in range(len(data)):
        (tmp_path / "j").write_bytes(data[:at] + bytes([data[at] ^ 0x21]) + data[at + 1 :])
        try:
            index = IndexReader(tmp_path / "j")
        except FormatError:
            continue
        with index:
            known = index.directory(1, 9)
            if known is None:
                assert index.damaged_blocks == 1
                unknown += 1
            else:
                assert list(known.entries()) == NAMES
                unseen += 1
    assert unknown == sum(map(len, (*ROWS, *DIGESTS, b"\0".join(NAMES))))
    # Only the padding of the header says nothing.
    assert unseen == 4


MANY = [b"name-%04d" % number for number in range(2 * GROUP_NAMES + 7)]
MANY_ROWS = [stat_row(_status(1000 + at, ctime=50)) for at in range(len(MANY))]
MANY_DIGESTS = [Digest.of(name).raw for name in MANY]


def _write_large(path: Path) -> bytes:
    """Write an index of a directory with several groups, and give its bytes."""
    with IndexWriter(path) as writer:
        columns = (b"\0".join(MANY), b"".join(MANY_ROWS), b"".join(MANY_DIGESTS))
        writer.add(_status(9, 0o40755), *columns, b"n" * 32)
        assert writer.finish(FACTS, {})
    return path.read_bytes()


def test_a_name_of_a_large_directory_is_found_in_its_group(tmp_path: Path) -> None:
    """First, last and all others; and what is not there is in no group."""
    _write_large(tmp_path / "i")
    absent = [b"", b"a", b"name-", b"name-0000x", b"name-0255x", b"name-0256\0name-0257", b"zzz", b"\xff"]
    with IndexReader(tmp_path / "i") as index:
        known = index.part(1, 9)
        assert known is not None
        assert [known.find(name) for name in MANY] == list(zip(MANY_ROWS, MANY_DIGESTS, strict=True))
        assert [known.find(name) for name in absent] == [None] * len(absent)
        whole = index.directory(1, 9)
        assert whole is not None
        assert whole.entries() == dict(zip(MANY, zip(MANY_ROWS, MANY_DIGESTS, strict=True), strict=True))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2**20), flip=st.integers(1, 255), name=st.sampled_from([*MANY, b"name-0256x", b"a"]))
def test_damage_in_a_large_directory_never_gives_another_answer(
    tmp_path: Path, at: int, flip: int, name: bytes
) -> None:
    """One name is right, or refused; all of it is right, or unknown."""
    if not (tmp_path / "i").exists():
        _write_large(tmp_path / "i")
    data = bytearray((tmp_path / "i").read_bytes())
    at = 16 + at % (len(data) - 16)
    data[at] ^= flip
    (tmp_path / "j").write_bytes(data)
    right = dict(zip(MANY, zip(MANY_ROWS, MANY_DIGESTS, strict=True), strict=True))
    try:
        index = IndexReader(tmp_path / "j")
    except FormatError:
        return
    with index:
        assert index.directory(1, 9) is None
        part = index.part(1, 9)
        if part is None:
            return
        found = right.get(name)
        with suppress(FormatError):
            found = part.find(name)
        assert found == right.get(name)


def test_every_cut_is_found(tmp_path: Path) -> None:
    """However much is left."""
    data = _write(tmp_path / "i")
    for length in range(len(data)):
        (tmp_path / "j").write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"index .*/j"):
            IndexReader(tmp_path / "j")


def test_another_version_is_refused(tmp_path: Path) -> None:
    """It may mean something else."""
    data = _write(tmp_path / "i")
    (tmp_path / "i").write_bytes(data[:8] + b"\3" + data[9:])
    with pytest.raises(FormatError, match="version 1 to 2"):
        IndexReader(tmp_path / "i")


def test_an_index_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    """And one that keeps some directories copies their blocks."""
    data = _write(tmp_path / "i")
    with IndexReader(tmp_path / "i") as old, IndexWriter(tmp_path / "i", old) as writer:
        for place in ((1, 9), (1, 2)):
            known = old.directory(*place)
            assert known is not None
            writer.keep(known)
        assert not writer.finish(FACTS._replace(started=11), LINKS)
    assert (tmp_path / "i").read_bytes() == data
    with IndexReader(tmp_path / "i") as old, IndexWriter(tmp_path / "i", old) as writer:
        known = old.directory(1, 9)
        assert known is not None
        writer.keep(known)
        assert writer.finish(FACTS, {})
    with IndexReader(tmp_path / "i") as index:
        known = index.directory(1, 9)
        assert known is not None
        assert (len(index), list(known.entries()), index.hard_links()) == (1, NAMES, {})


def test_an_index_of_the_version_before_is_read_and_written_anew(tmp_path: Path) -> None:
    """What it says is taken over, though its large directories have no groups."""
    kept = Path(__file__).parents[1] / "formats/index/index-1"
    (tmp_path / "i").write_bytes(kept.read_bytes())
    with IndexReader(tmp_path / "i") as old, IndexWriter(tmp_path / "i", old) as writer:
        assert old.version == 1
        before = [old.at(place) for place in range(len(old))]
        for known in before:
            assert known is not None
            writer.keep(known)
        assert writer.finish(old.facts, old.hard_links())
        with IndexReader(tmp_path / "i") as new:
            assert (new.version, new.facts, new.hard_links()) == (2, old.facts, old.hard_links())
            for one, other in zip(before, map(new.at, range(len(new))), strict=True):
                assert one is not None
                assert other is not None
                assert (one.entries(), one.node, one.newest) == (other.entries(), other.node, other.newest)


def test_an_unfinished_index_leaves_the_old_one(tmp_path: Path) -> None:
    """Only `finish` replaces."""
    data = _write(tmp_path / "i")
    with IndexWriter(tmp_path / "i") as writer:
        writer.add(_status(2), b"", b"", b"", b"m" * 32)
    assert (tmp_path / "i").read_bytes() == data
    assert os.listdir(tmp_path) == ["i"]


def test_one_process_at_a_time_writes_an_index(tmp_path: Path) -> None:
    """The second does without; what a killed one left is written over."""
    (tmp_path / "i.new").write_bytes(b"left over" * 1000)
    with IndexWriter(tmp_path / "i") as writer:
        with pytest.raises(IndexBusyError, match=r"i\.new"):
            IndexWriter(tmp_path / "i")
        assert writer.finish(FACTS, {})
    with IndexReader(tmp_path / "i") as index:
        assert len(index) == 0


def test_each_domain_has_its_own_name() -> None:
    """Of a fixed length, whatever its path."""
    names = {index_name(path) for path in (b"/a", b"/b", b"/\xff" * 1000)}
    assert len(names) == 3
    assert {len(name) for name in names} == {len("x" * 32 + ".index")}


@pytest.mark.parametrize("count", [0, 1, 256, 257, 1000])
def test_a_directory_is_built_from_rows_as_from_entries(count: int) -> None:
    """Every kind gives the same node either way."""
    kinds = {
        0o100644: Entry(Kind.FILE, 0o644, 3, Digest.of(b"f")),
        0o104755: Entry(Kind.FILE, 0o4755, 3, Digest.of(b"g")),
        0o120777: Entry(Kind.SYMLINK, 0o777, 3, Digest.of(b"abc")),
        0o010600: Entry(Kind.FIFO, 0o600),
        0o140600: Entry(Kind.SOCKET, 0o600),
        0o020600: Entry(Kind.CHARACTER_DEVICE, 0o600, 0, device_digest(5)),
        0o060600: Entry(Kind.BLOCK_DEVICE, 0o600, 0, device_digest(6)),
        0o041777: Entry(Kind.DIRECTORY, 0o1777, 0, Digest.of(b"node")),
    }
    names = sorted(b"name %d" % at for at in range(count))
    chosen = [(list(kinds)[at % len(kinds)]) for at in range(count)]
    rows = b"".join(stat_row(_status(at, mode)) for at, mode in enumerate(chosen))
    entries = [kinds[mode] for mode in chosen]
    digests = b"".join(entry.digest.raw for entry in entries)
    first, second = MemoryNodes(), MemoryNodes()
    built = build_known(first, names, rows, digests)
    assert built == build_directory(second, zip(names, entries, strict=True))
    assert len(first) == len(second)


def test_a_mode_without_a_kind_is_refused() -> None:
    """It would be a file of no kind in the tree."""
    with pytest.raises(FormatError, match="no kind"):
        build_known(MemoryNodes(), [b"a"], stat_row(_status(1, 0o030644)), bytes(32))
