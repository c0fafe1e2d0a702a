"""A writer that is killed at any call leaves a store in which everything that can be read is right."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.merkle import IndexFacts, IndexReader, IndexWriter, hidden_digest
from catfs.records import Entry, Kind
from catfs.store import LocalStore, check_store, collect_garbage
from tests.support.killed import run_until

KEPT = b"held before"
SMALL = [b"small %d" % at for at in range(5)]
LARGE = [b"large " * 20_000, bytes(range(256)) * 500]
CALLS = ["write", "fsync", "rename", "mkdir", "unlink", "utime", "open"]


def _batch(store: LocalStore) -> None:
    with store.batch() as batch:
        for data in (*SMALL, *LARGE):
            batch.put(data)


def _one_by_one(store: LocalStore) -> None:
    for data in (*SMALL[:2], LARGE[0]):
        store.put(data)


def _join(store: LocalStore) -> None:
    for at in range(3):
        with store.batch() as batch:
            batch.put(b"pack %d" % at)


def _collect(store: LocalStore) -> None:
    for data in LARGE:
        store.put(data)
    with store.batch() as batch:
        batch.put(SMALL[0])
        batch.put(b"kept in the pack")
    live = [Digest.of(KEPT), Digest.of(b"kept in the pack")]
    collect_garbage(store, live, grace_ns=0, clock=lambda: 2**62)


@pytest.mark.parametrize("work", [_batch, _one_by_one, _join, _collect])
def test_a_killed_writer_leaves_nothing_that_reads_as_valid(
    tmp_path: Path, work: Callable[[LocalStore], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every call: what is listed is whole, what was held is held, and the next writer succeeds."""
    monkeypatch.setattr("catfs.store.pack_set.JOINED_PACKS_MIN", 3)
    for number in range(1, 1000):
        root = tmp_path / str(number)
        kept = LocalStore(root).put(KEPT)
        is_done = run_until(number, CALLS, lambda root=root: work(LocalStore(root)))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        store = LocalStore(root)
        assert check_store(store, threads=1).problems == ()
        assert store.get(kept) == KEPT
        for digest in store.iterate():
            store.verify(digest)
        if work is _collect and is_done:
            assert set(store.iterate()) == {kept, Digest.of(b"kept in the pack")}
        work(store)
        collect_garbage(store, store.iterate())
        assert os.listdir(root / "tmp") == []
        assert check_store(store, threads=1).problems == ()
        if is_done:
            return
    pytest.fail("the work never ends")


def test_a_killed_writer_leaves_the_old_index_or_the_new(tmp_path: Path) -> None:
    """At every call; and the next one is not held up."""
    entry = Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(b"node"))
    facts = IndexFacts((1, 2), entry, 10, 1, 1, hidden_digest([]))

    def write(path: Path, files: int) -> None:
        with IndexWriter(path) as writer:
            writer.add(os.stat(tmp_path), b"", b"", b"", b"n" * 32)
            writer.finish(facts._replace(files=files), {})

    seen = set()
    for number in range(1, 100):
        path = tmp_path / f"{number}.index"
        write(path, 1)
        is_done = run_until(number, CALLS, lambda path=path: write(path, 2))  # type: ignore[misc]  # as above
        with IndexReader(path) as index:
            seen.add(index.facts.files)
        write(path, 3)
        with IndexReader(path) as index:
            assert index.facts.files == 3
        if is_done:
            break
    assert seen == {1, 2}
