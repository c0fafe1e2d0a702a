"""Every kept store and index is still read, object by object and name by name."""

import shutil
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.merkle import IndexFacts, IndexReader, hidden_digest
from catfs.records import Entry, Kind
from catfs.store import LocalStore, check_store, store_statistics

STORES = Path(__file__).parent / "store"
INDEXES = Path(__file__).parent / "index"
PAGES = Path(__file__).parents[2] / "docs" / "formats"

CONTENTS = {
    "packed": b"a small object",
    "packed and compressed": b"a small object that compresses well. " * 40,
    "empty": b"",
    "loose": b"".join(Digest.of(b"%d" % at).raw for at in range(20)),
    "loose and compressed": b"a large object that compresses well: " * 40_000,
}
"""What the kept stores hold; the last is longer than one frame, the last but one cannot be compressed."""

FACTS = IndexFacts(
    (1, 2),
    Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(b"node")),
    10**18,
    3,
    4,
    hidden_digest([(7, 8)]),
)
"""What the kept index says of its domain."""


@pytest.fixture(name="store", params=["kept-1"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> LocalStore:
    """Give a copy of a kept store: opening one makes its lock."""
    shutil.copytree(STORES / request.param, tmp_path / "store")
    return LocalStore(tmp_path / "store", durable=False)


def test_every_sample_is_read_by_a_test() -> None:
    """A sample that nobody reads proves nothing: add its reading here."""
    assert {path.name for path in STORES.iterdir()} == {"kept-1"}
    assert {path.name for path in INDEXES.iterdir()} == {"index-1", "index-2"}


@pytest.mark.parametrize("name", CONTENTS)
def test_kept_objects_come_back(store: LocalStore, name: str) -> None:
    """In whole and in part."""
    data = CONTENTS[name]
    digest = Digest.of(data)
    assert store.get(digest) == data
    assert store.size(digest) == len(data)
    assert store.read(digest, 3, 7) == data[3:10]
    assert store.read(digest, len(data) // 2, len(data)) == data[len(data) // 2 :]


def test_a_kept_store_is_sound_and_has_every_form(store: LocalStore) -> None:
    """Nothing besides, and objects of each of the four forms."""
    check = check_store(store)
    assert (check.objects, check.problems) == (len(CONTENTS), ())
    assert sorted(store.iterate()) == sorted(map(Digest.of, CONTENTS.values()))
    found = store_statistics(store)
    assert (found.packs, found.packed, found.loose, found.unreadable) == (1, 3, 2, 0)
    assert found.size == sum(map(len, CONTENTS.values()))
    for name, suffix in (("loose", ""), ("loose and compressed", ".zst")):
        digest = Digest.of(CONTENTS[name]).hex
        assert (store.root / digest[:2] / digest[2:4] / f"{digest}{suffix}").is_file()


def test_a_kept_store_takes_more(store: LocalStore) -> None:
    """Both versions of writers in one folder."""
    digest = store.put(b"new")
    with store.batch() as batch:
        batch.put(b"newer")
    assert store.get(digest) == b"new"
    assert check_store(store).problems == ()


def test_the_kept_index_is_read() -> None:
    """Facts, links and names of version 1."""
    with IndexReader(INDEXES / "index-1") as index:
        assert (len(index), index.facts) == (2, FACTS)
        assert index.hard_links() == {(1, 5): [b"a", b"x/\xff"], (1, 6): [b"y", b"z"]}
        known = index.directory(1, 9)
        assert known is not None
        assert (known.names, known.node, known.mtime, known.ctime) == (b"a\0ab\0b\0\xff\n", b"n" * 32, 6, 5)
        assert [digest for _, digest in known.entries().values()] == [
            Digest.of(name).raw for name in (b"a", b"ab", b"b", b"\xff\n")
        ]


def test_the_kept_index_with_groups_is_read() -> None:
    """Each name of a large directory of version 2, alone and with all others."""
    names = [b"file %04d" % number for number in range(600)]
    with IndexReader(INDEXES / "index-2") as index:
        assert (len(index), index.facts) == (1, FACTS)
        part, whole = index.part(1, 9), index.directory(1, 9)
        assert part is not None
        assert whole is not None
        assert [name for name in names if part.find(name) != whole.entries()[name]] == []
        assert list(whole.entries()) == names
        assert [digest for _, digest in whole.entries().values()] == [Digest.of(name).raw for name in names]


@pytest.mark.parametrize("name", ["index-1", "index-2"])
def test_the_kept_index_is_what_its_page_says(name: str) -> None:
    """Its first bytes and last ones."""
    data = (INDEXES / name).read_bytes()
    page = (PAGES / "index.md").read_text("utf-8")
    for mark in (data[:8], data[-8:]):
        assert f"`{mark.decode()}`" in page
