"""Damage of what a workspace keeps is found, named and cleaned up."""

from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.runtime.base import BasePlaces
from catfs.runtime.base_reader import BaseReader
from catfs.runtime.doctor import clean, examine_workspace
from catfs.runtime.findings import Finding, Trouble
from catfs.runtime.kept_health import examine_indexes, examine_store
from catfs.store import LocalStore
from tests.support.trees import opened
from tests.support.workspaces import SampleWorkspace


@pytest.fixture
def sample(tmp_path: Path) -> SampleWorkspace:
    """A workspace whose domain was read once."""
    sample = SampleWorkspace(tmp_path)
    _read(sample)
    return sample


def _index(sample: SampleWorkspace) -> Path:
    return sample.workspace.indexes / "domain.index"


def _read(sample: SampleWorkspace) -> None:
    """Read the domain, as a session does."""
    folder = sample.root / "session"
    folder.mkdir(exist_ok=True)
    with opened(sample.domain) as root:
        reader = BaseReader(BasePlaces(folder, sample.workspace.store, (_index(sample),), (root,), ()))
        reader.finish()
        reader.stop()


def _findings(sample: SampleWorkspace) -> list[Finding]:
    return [*examine_indexes(sample.workspace), *examine_store(sample.workspace)]


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def test_what_is_sound_is_not_complained_of(sample: SampleWorkspace) -> None:
    """Neither is a workspace in which nothing was kept yet."""
    assert _findings(sample) == []
    assert examine_workspace(sample.workspace) == []


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_damaged_index_is_removed_and_made_again(sample: SampleWorkspace, place: int) -> None:
    """In its frame or in the block of a directory: one flipped bit is found."""
    _flip(_index(sample), place)
    (found,) = _findings(sample)
    assert (found.trouble, found.lost) == (Trouble.DAMAGED_INDEX, "")
    assert all(treatment.cleaned for treatment in clean([found]))
    assert not _index(sample).exists()
    _read(sample)
    assert _findings(sample) == []


def test_a_damaged_node_is_named_removed_and_made_again(sample: SampleWorkspace) -> None:
    """One flipped byte in the store is found; after the next reading the store is whole."""
    (pack,) = (sample.workspace.store / "packs").iterdir()
    _flip(pack, 20)
    (found,) = _findings(sample)
    assert found.trouble is Trouble.DAMAGED_STORE
    assert pack.name in found.sentence
    assert "the object" in found.lost
    assert all(treatment.cleaned for treatment in clean([found]))
    before = set(LocalStore(sample.workspace.store).iterate())
    _read(sample)
    assert len(set(LocalStore(sample.workspace.store).iterate()) - before) == 1
    assert _findings(sample) == []


def test_a_file_that_is_no_object_is_named_and_removed(sample: SampleWorkspace) -> None:
    """Whatever has no business in the store does not stay there."""
    stranger = sample.workspace.store / "packs" / "notes.txt"
    stranger.write_bytes(b"hello")
    (found,) = _findings(sample)
    assert "packs/notes.txt" in found.sentence
    assert all(treatment.cleaned for treatment in clean([found]))
    assert not stranger.exists()


def test_a_damaged_object_of_its_own_is_named(sample: SampleWorkspace) -> None:
    """Objects in files of their own are read too."""
    store = LocalStore(sample.workspace.store)
    digest = store.put(b"x" * 100, compress=False)
    (path,) = sample.workspace.store.glob(f"??/??/{digest.hex}")
    _flip(path, 5)
    (found,) = _findings(sample)
    assert digest.hex in found.lost
    assert [treatment.report for treatment in clean([found])] == [f"the object {digest.hex} is removed"]
    assert not store.has(Digest.of(b"x" * 100))


def test_what_killed_writers_left_is_cleared(sample: SampleWorkspace) -> None:
    """Unless somebody writes: then it may be his."""
    left = sample.workspace.store / "tmp" / ("0" * 32)
    left.write_bytes(b"half an object")
    with LocalStore(sample.workspace.store).batch():
        assert _findings(sample) == []
    (found,) = _findings(sample)
    assert found.trouble is Trouble.LEFT_TEMPORARIES
    with LocalStore(sample.workspace.store).batch():
        (treatment,) = clean([found])
        assert not treatment.cleaned
        assert "is being written to" in treatment.report
    (treatment,) = clean([found])
    assert treatment.cleaned
    assert not left.exists()


def test_a_store_of_another_version_is_left_alone(sample: SampleWorkspace) -> None:
    """What is not understood is not cleaned."""
    (sample.workspace.store / "format").chmod(0o600)
    (sample.workspace.store / "format").write_bytes(b"catfs store 9\n")
    (found,) = _findings(sample)
    assert "expected the format" in found.sentence
    assert not any(treatment.cleaned for treatment in clean([found]))
