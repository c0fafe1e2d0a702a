"""Memory returns: what the kernel has forgotten and nobody changed is let go of."""

import os

from catfs.limits import FORGETS_PER_SWEEP
from catfs.overlay import View
from catfs.overlay.nodes import Node
from catfs.records.write_record import WriteRecord
from tests.support.memory_lower import MemoryLower
from tests.support.views import ACTOR, MemoryTrace, make_view, node_at, walk_nodes, write_at

FILES = FORGETS_PER_SWEEP


def _lower() -> MemoryLower:
    """Give a lower with a directory of many files, one below another."""
    lower = MemoryLower()
    lower.directory(b"d")
    lower.directory(b"d/sub")
    for number in range(FILES):
        lower.file(b"d/sub/%d" % number, b"content")
    lower.link(b"d/sub/0", b"d/hard")
    return lower


def _look_up_all(view: View) -> list[Node]:
    """Look everything up as a kernel that lists the whole tree does, and give what it holds."""
    held = [node for path, node in walk_nodes(view) if path]
    for node in held:
        node.lookups += 1
    return held


def _forget(view: View, nodes: list[Node]) -> None:
    for node in reversed(nodes):
        view.forget(node.ino, 1)


def test_memory_returns_once_the_kernel_has_forgotten_a_tree() -> None:
    """A listed and forgotten tree leaves no nodes behind, and is the same when it is listed again."""
    view = make_view(_lower())
    held = _look_up_all(view)
    before = {path: (node.ino, node.mode, node.nlink, node.mtime) for path, node in walk_nodes(view)}
    assert len(view.nodes) == FILES + 3
    _forget(view, held)
    view.sweep()
    assert list(view.nodes) == [1]
    after = {path: (node.ino, node.mode, node.nlink, node.mtime) for path, node in walk_nodes(view)}
    assert after == before


def test_sweeps_come_by_themselves() -> None:
    """Nobody has to ask: forgetting many nodes is enough."""
    view = make_view(_lower())
    for _ in range(FORGETS_PER_SWEEP):
        node = node_at(view, b"d/sub/5")
        node.lookups += 1
        view.forget(node.ino, 1)
    assert list(view.nodes) == [1]


def test_open_changed_and_remembered_files_keep_their_directory() -> None:
    """Whatever a program could still ask for stays, with every change made to it."""
    view = make_view(_lower())
    held = _look_up_all(view)
    write_at(view, b"d/sub/5", 0, b"changed")
    _forget(view, held)
    view.sweep()
    assert node_at(view, b"d/sub/5").mtime > 10**17
    assert view.directory(node_at(view, b"d/sub").ino).touched == {b"5"}

    view = make_view(_lower())
    held = _look_up_all(view)
    handle = view.open(node_at(view, b"d/sub/5").ino, os.O_RDONLY, ACTOR)
    _forget(view, held)
    view.sweep()
    assert view.read(handle, 0, 7) == b"content"
    view.release(handle)

    view = make_view(_lower())
    held = _look_up_all(view)
    kept = node_at(view, b"d/sub/5")
    kept.lookups += 1
    _forget(view, held)
    view.sweep()
    assert view.getattr(kept.ino) is kept


def test_file_that_was_read_is_logged_as_read_once() -> None:
    """Letting go of a directory does not make the session forget what it has read."""
    trace = MemoryTrace()
    view = make_view(_lower(), trace)
    for _ in range(2):
        held = _look_up_all(view)
        handle = view.open(node_at(view, b"d/sub/7").ino, os.O_RDONLY, ACTOR)
        view.read(handle, 0, 7)
        view.release(handle)
        _forget(view, held)
        view.sweep()
        assert len(view.nodes) == 2
    records = [record for record in trace.records() if isinstance(record, WriteRecord)]
    assert [(record.op, record.path) for record in records] == [("read", b"d/sub/7")]
    assert len(view.used) == 1


def test_directory_that_was_moved_keeps_its_new_place() -> None:
    """A moved directory lets go of its entries and finds them again below its new name."""
    view = make_view(_lower())
    held = _look_up_all(view)
    view.rename(node_at(view, b"d").ino, b"sub", 1, b"moved", 0, ACTOR)
    _forget(view, held)
    view.sweep()
    assert len(view.nodes) < 10
    assert node_at(view, b"moved/9").size == 7
    assert node_at(view, b"d/hard") is node_at(view, b"moved/0")
