"""What the store of a workspace must keep is found in runs, sessions, indexes and spectra."""

import os
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.merkle import Tree, index_name
from catfs.proof.capture import Capture, capture
from catfs.proof.capture_nodes import BatchNodes
from catfs.records import PROOF_FILE
from catfs.runtime.base import BasePlaces, write_facts
from catfs.runtime.stores import UnfollowedRootError, reachable_objects
from catfs.store import LocalStore, collect_garbage
from tests.support.workspaces import SampleWorkspace


@pytest.fixture(name="sample")
def _sample(tmp_path: Path) -> SampleWorkspace:
    """Give a workspace with one domain and no run."""
    return SampleWorkspace(tmp_path)


@pytest.fixture(name="store")
def _store(sample: SampleWorkspace) -> LocalStore:
    """Give the store of the workspace."""
    return LocalStore(sample.workspace.store)


def _read(sample: SampleWorkspace, store: LocalStore, index: Path | None = None) -> Capture:
    """Read the domain into the store, as a session does."""
    folder = os.open(sample.domain, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with store.batch() as batch:
            return capture(folder, BatchNodes(batch), index=index, workers=0)
    finally:
        os.close(folder)


def _collect(sample: SampleWorkspace, store: LocalStore) -> tuple[Digest, ...]:
    return collect_garbage(store, reachable_objects(sample.workspace, store), grace_ns=-(2**62)).removed


def test_an_unused_store_is_emptied(sample: SampleWorkspace, store: LocalStore) -> None:
    """Nodes of a reading that nobody kept, and contents that somebody put."""
    _read(sample, store)
    store.put(b"put by hand")
    held = sorted(store.iterate())
    assert _collect(sample, store) == tuple(held)
    assert list(store.iterate()) == []


def test_the_base_of_a_session_stays(sample: SampleWorkspace, store: LocalStore) -> None:
    """Live or suspended: the facts in its folder say so."""
    found = _read(sample, store)
    folder = sample.workspace.sessions / "s1"
    folder.mkdir(parents=True)
    write_facts(BasePlaces(folder, store.root, (), (), ()), 0, found)
    held = set(store.iterate())
    assert _collect(sample, store) == ()
    assert set(store.iterate()) == held
    (folder / "base-0.json").write_bytes(b"{}")
    with pytest.raises(UnfollowedRootError, match="session s1 cannot be followed") as caught:
        _collect(sample, store)
    assert caught.value.owner == "session s1"
    assert set(store.iterate()) == held


def test_what_an_index_rests_on_stays(sample: SampleWorkspace, store: LocalStore) -> None:
    """So the next session need not read the domain; a damaged index keeps nothing."""
    sample.workspace.indexes.mkdir(parents=True, exist_ok=True)
    index = sample.workspace.indexes / index_name(os.fsencode(sample.domain))
    _read(sample, store, index)
    assert _collect(sample, store) == ()
    index.write_bytes(b"damaged")
    assert _collect(sample, store) != ()


def test_the_trees_of_a_run_stay(sample: SampleWorkspace, store: LocalStore) -> None:
    """As far as the store has them; a run whose proof cannot be read stops the cleaning."""
    sample.add_run("run-1")
    before = set(store.iterate())
    found = _read(sample, store)
    with store.batch() as batch:
        root = Tree(BatchNodes(batch), found.root_entry).root
    proof = sample.run_folder("run-1") / PROOF_FILE
    is_of_the_run = root.hex.encode() in proof.read_bytes()
    assert is_of_the_run
    held = set(store.iterate())
    assert root in held - before
    assert _collect(sample, store) == ()
    sound = proof.read_bytes()
    proof.write_bytes(sound[:-1])
    with pytest.raises(UnfollowedRootError, match="run run-1 cannot be followed"):
        _collect(sample, store)
    proof.write_bytes(sound)
    store.delete(found.root_entry.digest)
    with pytest.raises(UnfollowedRootError, match="does not hold the tree node"):
        _collect(sample, store)
    assert set(store.iterate()) == held - {found.root_entry.digest}
