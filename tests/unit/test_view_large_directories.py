"""Large directories: who opens one file waits for one, and who lists them leaves nothing behind."""

from errno import ENOENT

import pytest

from catfs.overlay import Domain, View, state
from catfs.overlay import forgetting as forgetting_module
from catfs.overlay.nodes import Directory
from tests.support.memory_lower import MemoryLower
from tests.support.sample_session import SampleSession
from tests.support.trees import SAMPLE_HARD_LINKS
from tests.support.views import ACTOR, MemoryTrace, make_view, memory_data, node_at, walk_nodes, write_at

FILES = 50


@pytest.fixture(autouse=True)
def every_directory_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every directory count as large."""
    monkeypatch.setattr(state, "LARGE_DIRECTORY_BYTES", 0)


@pytest.fixture
def lower() -> MemoryLower:
    """A directory with many files."""
    lower = MemoryLower()
    lower.directory(b"d")
    for number in range(FILES):
        lower.file(b"d/%d" % number, b"content")
    return lower


def _directory(view: View) -> Directory:
    found = node_at(view, b"d")
    assert isinstance(found, Directory)
    return found


def _names(view: View) -> list[bytes]:
    return sorted(view.entries(_directory(view)))


def test_opening_a_file_asks_for_that_file_alone(lower: MemoryLower) -> None:
    """Nothing is scanned, and no node is made for the others."""
    view = make_view(lower)
    write_at(view, b"d/7", 0, b"new")
    assert (lower.calls["scan"], lower.calls["find"]) == (0, 2)
    assert len(view.nodes) == 3


def test_a_listing_gives_every_name_once(lower: MemoryLower) -> None:
    """What was looked up, made and removed before stands in it as it should."""
    view = make_view(lower)
    directory = _directory(view)
    node_at(view, b"d/1")
    view.unlink(directory.ino, b"2", ACTOR)
    view.create(directory.ino, b"made", 0o100644, ACTOR)
    view.rename(directory.ino, b"3", directory.ino, b"moved", 0, ACTOR)
    expected = {b"%d" % number for number in range(FILES)} - {b"2", b"3"} | {b"made", b"moved"}
    assert _names(view) == sorted(expected)
    assert len(view.entries(directory)) == len(expected)
    assert view.lookup(directory.ino, b"2") is None


def test_what_was_removed_can_be_made_again(lower: MemoryLower) -> None:
    """A name that is gone hides the one of the original until it is taken anew."""
    view = make_view(lower)
    directory = _directory(view)
    for _ in range(2):
        view.unlink(directory.ino, b"5", ACTOR)
        with pytest.raises(OSError, match="No such file") as caught:
            view.unlink(directory.ino, b"5", ACTOR)
        assert caught.value.errno == ENOENT
        made = view.create(directory.ino, b"5", 0o100644, ACTOR)
        assert view.lookup(directory.ino, b"5") is made


def test_fold_and_replay_agree_without_scanning() -> None:
    """The trees of a session come out as ever, hard links in other directories too."""
    session = SampleSession()
    directory = node_at(session.view, b"d")
    write_at(session.view, SAMPLE_HARD_LINKS[0][0], 0, b"by one of its names")
    session.view.create(directory.ino, b"new", 0o100644, ACTOR)
    session.view.unlink(1, b"a", ACTOR)
    folded = session.fold()
    assert session.fold(session.replayed()) == folded
    assert session.lower.calls["scan"] == 0
    session.check_roots()
    session.close()


def test_forgetting_does_not_load(lower: MemoryLower) -> None:
    """Letting go of a large directory looks only at what was asked for."""
    view = make_view(lower)
    node = node_at(view, b"d/9")
    node.lookups += 1
    view.forget(node.ino, 1)
    view.sweep()
    assert list(view.nodes) == [1]
    assert lower.calls["scan"] == 0
    assert len(_names(view)) == FILES


def test_a_listing_lets_go_where_there_is_a_lot(lower: MemoryLower, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of nodes, what a listing loaded goes when it has come to its end."""
    view = make_view(lower)
    before = [path for path, _ in walk_nodes(view)]
    view.listed(_directory(view))
    assert len(view.nodes) == FILES + 2
    monkeypatch.setattr(forgetting_module, "LISTED_NODES_MAX", FILES)
    view.listed(_directory(view))
    assert list(view.nodes) == [1]
    assert [path for path, _ in walk_nodes(view)] == before


def test_a_view_by_name_lists_small_directories_no_more_than_large_ones(
    lower: MemoryLower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who replays a log asks for the names in it and for no others."""
    monkeypatch.setattr(state, "LARGE_DIRECTORY_BYTES", 1 << 20)
    view = View([Domain(lower)], memory_data(), MemoryTrace(), by_name=True)
    write_at(view, b"d/7", 0, b"new")
    assert (lower.calls["scan"], len(view.nodes)) == (0, 3)
    make_view(lower).entries(_directory(make_view(lower)))
    assert lower.calls["scan"] > 0
