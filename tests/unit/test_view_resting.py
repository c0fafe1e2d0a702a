"""Nodes go to rest: the kernel may remember a million files while the view keeps only where they are."""

import os
from errno import ESTALE

import pytest

from catfs.overlay import View, forgetting, state
from catfs.overlay.nodes import Directory, Node
from catfs.overlay.resting import RestingNodes
from tests.support.memory_lower import MemoryLower
from tests.support.views import ACTOR, make_view, node_at, walk_view

FILES = 20

Told = tuple[int, int, int, int]


@pytest.fixture(params=["small", "large"])
def lower(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MemoryLower:
    """A directory with files, once loaded as a whole and once by name; nothing may stay a node for long."""
    if request.param == "large":
        monkeypatch.setattr(state, "LARGE_DIRECTORY_BYTES", 0)
    monkeypatch.setattr(forgetting, "AWAKE_NODES_MAX", 0)
    lower = MemoryLower()
    lower.directory(b"d")
    for number in range(FILES):
        lower.file(b"d/%02d" % number, b"content %d" % number)
    lower.symlink(b"d/link", b"00")
    lower.link(b"d/00", b"d/hard")
    return lower


def _hold(view: View, names: list[bytes]) -> dict[bytes, Node]:
    """Let the kernel look names up in the directory, each once, and give their nodes."""
    directory = _directory(view)
    directory.lookups += 1
    held = {name: view.entries(directory)[name] for name in names}
    for node in held.values():
        node.lookups += 1
    return held


def _directory(view: View) -> Directory:
    found = view.entries(view.roots[0])[b"d"]
    assert isinstance(found, Directory)
    return found


def _told(node: Node) -> Told:
    return node.ino, node.mode, node.size, node.mtime


def _rest(view: View) -> None:
    while view.loaded:
        view.rest()


NAMES = [b"%02d" % number for number in range(1, FILES)]


def test_what_only_the_kernel_remembers_is_no_node(lower: MemoryLower) -> None:
    """All files but those with several names go, and the kernel's questions are answered as before."""
    view = make_view(lower)
    held = {name: _told(node) for name, node in _hold(view, [*NAMES, b"link"]).items()}
    _rest(view)
    assert len(view.resting) == len(held)
    assert len(view.nodes) <= 3
    for name, told in held.items():
        node = view.node(told[0])
        assert (_told(node), node.lookups) == (told, 1)
        assert node is view.entries(_directory(view))[name]
    assert len(view.resting) == 0


def test_looking_a_name_up_wakes_its_node(lower: MemoryLower) -> None:
    """There is one node for a file, whichever way it is asked for, and it has all references."""
    view = make_view(lower)
    ino = _hold(view, [b"05"])[b"05"].ino
    _rest(view)
    assert ino in view.resting
    node = view.entries(_directory(view))[b"05"]
    assert (node.ino, node.lookups, ino in view.resting) == (ino, 1, False)


def test_memory_returns_when_the_kernel_forgets_what_rests(lower: MemoryLower) -> None:
    """The last reference takes the row along, and the directory with the last row."""
    view = make_view(lower)
    held = _hold(view, NAMES)
    held[b"07"].lookups += 1
    numbers = {name: node.ino for name, node in held.items()}
    _rest(view)
    for ino in numbers.values():
        view.forget(ino, 1)
    assert len(view.resting) == 1
    view.forget(numbers[b"07"], 1)
    assert len(view.resting) == 0
    with pytest.raises(OSError, match="Stale") as caught:
        view.node(numbers[b"07"])
    assert caught.value.errno == ESTALE
    view.forget(_directory(view).ino, 1)
    view.sweep()
    assert list(view.nodes) == [1]


def test_what_was_used_stays_awake(lower: MemoryLower) -> None:
    """Read, changed, open and hard-linked files keep their nodes, with all that happened to them."""
    view = make_view(lower)
    held = _hold(view, [b"00", b"01", b"02", b"03", b"04"])
    handle = view.open(held[b"01"].ino, os.O_RDONLY, ACTOR)
    reading = view.open(held[b"02"].ino, os.O_RDONLY, ACTOR)
    view.read(reading, 0, 1)
    view.release(reading)
    writing = view.open(held[b"03"].ino, os.O_WRONLY, ACTOR)
    view.write(writing, 0, b"changed")
    view.release(writing)
    _rest(view)
    assert [view.nodes.get(held[name].ino) is held[name] for name in sorted(held)] == [True] * 4 + [False]
    assert view.read(handle, 0, 7) == b"content"
    view.release(handle)


def test_a_directory_at_rest_still_lacks_what_was_removed(lower: MemoryLower) -> None:
    """Removed, renamed and new names are as they were before the others went to rest."""
    view = make_view(lower)
    _hold(view, NAMES)
    directory = _directory(view).ino
    view.unlink(directory, b"03", ACTOR)
    view.rename(directory, b"04", directory, b"moved", 0, ACTOR)
    view.unlink(directory, b"05", ACTOR)
    view.create(directory, b"05", 0o100600, ACTOR)
    before = walk_view(view)
    _rest(view)
    assert len(view.resting) == len(NAMES) - 3
    assert walk_view(view) == before


def test_a_file_that_somebody_changed_meanwhile_is_not_passed_off_as_the_same(lower: MemoryLower) -> None:
    """The kernel believes what it was told of a file; what has taken its place is refused."""
    view = make_view(lower)
    ino = _hold(view, [b"09"])[b"09"].ino
    _rest(view)
    lower.at(b"d/09").content = b"other"
    with pytest.raises(OSError, match="Stale") as caught:
        view.node(ino)
    assert caught.value.errno == ESTALE
    lower.remove(b"d/09")
    with pytest.raises(OSError, match="Stale"):
        view.node(ino)


def test_rest_comes_by_itself_and_in_small_steps(lower: MemoryLower, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking names up is enough, and the youngest nodes stay."""
    monkeypatch.setattr(forgetting, "AWAKE_NODES_MAX", 10)
    monkeypatch.setattr(state, "LARGE_DIRECTORY_BYTES", 0)
    view = make_view(lower)
    directory = node_at(view, b"d")
    directory.lookups += 1
    for name in NAMES:
        node = view.lookup(directory.ino, name)
        assert node is not None
        node.lookups += 1
        assert len(view.nodes) <= 12
        assert view.nodes[node.ino] is node
    assert lower.let_go_of == [(b"d", name) for name in NAMES[: len(lower.let_go_of)]]
    assert len(view.resting) == len(lower.let_go_of) > 0


def test_a_row_counts_the_references_of_the_kernel(lower: MemoryLower) -> None:
    """References are dropped one by one or together, and more than there are take the row away too."""
    view = make_view(lower)
    node = _hold(view, [b"01"])[b"01"]
    assert node.origin is not None
    for dropped, left in (([1, 1], 1), ([2], 1), ([3], 0), ([1, 9], 0)):
        resting = RestingNodes()
        node.lookups = 3
        resting.put(node, 5, b"01", node.origin.lower_stat)
        for count in dropped:
            assert resting.forget(node.ino, count) == 5
        assert (len(resting), node.ino in resting) == (1 if left else 0, bool(left))
        assert resting.take(node.ino, node.origin.lower_stat) == left
        assert resting.place(node.ino) is None
