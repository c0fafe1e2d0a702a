"""The fold: it finds every change, also where nobody has looked, and costs what the change costs."""

import os
from collections.abc import Iterator

import pytest

from catfs.digest import Digest
from catfs.errors import MachineError
from catfs.linux import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from catfs.merkle import MemoryNodes
from catfs.overlay.attributes import AttributeChanges
from catfs.overlay.nodes import File
from tests.support.memory_lower import MemoryLower
from tests.support.sample_session import SampleSession
from tests.support.views import ACTOR, check_untouched_names, create_file, node_at, split, write_at


@pytest.fixture
def session() -> Iterator[SampleSession]:
    """Give a session over the sample tree."""
    session = SampleSession()
    yield session
    session.close()


class CountingNodes(MemoryNodes):
    """Nodes in memory that count how often they are asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def get(self, digest: Digest) -> bytes:
        """Count and give a node."""
        self.asked += 1
        return super().get(digest)

    def put(self, node: bytes) -> Digest:
        """Count and keep a node."""
        self.asked += 1
        return super().put(node)


def test_a_view_that_nobody_changed_has_the_root_of_its_base(session: SampleSession) -> None:
    """Looking at everything and reading it changes no root."""
    assert session.fold() == session.base.root
    session.shown()
    assert session.fold() == session.base.root


def test_undoing_every_change_gives_the_root_of_the_base(session: SampleSession) -> None:
    """A program that puts everything back is found to have done so, times aside."""
    view = session.view
    create_file(view, b"new", b"x")
    view.rename(*split(view, b"d"), *split(view, b"moved"), 0, ACTOR)
    write_at(view, b"a", 4, b"CONTENT")
    view.setattr(node_at(view, b"b").ino, AttributeChanges(mode=0o666), ACTOR)
    assert session.fold() != session.base.root
    view.unlink(*split(view, b"new"), ACTOR)
    view.rename(*split(view, b"moved"), *split(view, b"d"), 0, ACTOR)
    write_at(view, b"a", 4, b"content")
    view.setattr(node_at(view, b"b").ino, AttributeChanges(mode=0o600), ACTOR)
    assert session.fold() == session.base.root
    session.check_roots()


def test_a_change_through_one_name_shows_at_names_nobody_looked_up(session: SampleSession) -> None:
    """A hard link in a directory that was never loaded has the changed content."""
    write_at(session.view, b"e/h1", 0, b"SEVERAL")
    session.check_roots()


def test_a_change_after_the_only_known_name_went_is_found(session: SampleSession) -> None:
    """A file unlinked at its one known name, then written through its handle, changed at the others."""
    view = session.view
    handle = view.open(node_at(view, b"e/h1").ino, os.O_WRONLY, ACTOR)
    view.unlink(*split(view, b"e/h1"), ACTOR)
    view.write(handle, 0, b"SEVERAL")
    view.release(handle)
    session.check_roots()
    assert view.read_content(_file(session, b"links/h3"), 0, 7) == b"SEVERAL"


def test_names_loaded_after_the_change_count_as_touched(session: SampleSession) -> None:
    """`touched` stays complete when a directory with a further name is loaded later."""
    write_at(session.view, b"e/h1", 0, b"SEVERAL")
    node_at(session.view, b"links/h3")
    assert session.view.roots[0].touched == {b"e", b"links"}
    check_untouched_names(session.view)


def test_names_in_a_renamed_lower_directory_are_found(session: SampleSession) -> None:
    """A hard link is found in a directory that has been moved without being looked into."""
    view = session.view
    view.rename(*split(view, b"d"), *split(view, b"empty/d2"), 0, ACTOR)
    write_at(view, b"e/h1", 0, b"SEVERAL")
    session.check_roots()


def test_overwriting_in_place_is_seen_by_the_next_fold(session: SampleSession) -> None:
    """A digest is not remembered past an overwrite that moves no range."""
    view = session.view
    create_file(view, b"new", b"first")
    first = session.fold()
    size = session.data.size
    write_at(view, b"new", 0, b"again")
    assert session.data.size == size
    assert session.fold() != first
    session.check_roots()


def test_a_punched_hole_of_zeros_changes_nothing() -> None:
    """A hole where the lower has zeros is no difference, one where it has bytes is."""
    lower = MemoryLower()
    lower.file(b"f", bytes(4096) + b"x" * 4096)
    session = SampleSession(lower)
    mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    session.view.fallocate(_file(session, b"f"), mode, 0, 4096, ACTOR)
    assert session.fold() == session.base.root
    session.view.fallocate(_file(session, b"f"), mode, 4096, 1, ACTOR)
    assert session.fold() != session.base.root
    session.check_roots()
    session.close()


def test_a_path_that_the_base_lacks_is_an_error(session: SampleSession) -> None:
    """When the base was read after somebody removed a file, the fold says which one."""
    write_at(session.view, b"e/h5", 0, b"two")
    node_at(session.view, b"d/sub/deep")
    view = session.view
    session.base = session.base.update({b"d/sub/deep": None})
    view.rename(*split(view, b"d/sub/deep"), *split(view, b"there"), 0, ACTOR)
    with pytest.raises(MachineError, match=r"^d/sub/deep was in the domain"):
        session.fold()


def test_untouched_content_is_not_read(session: SampleSession) -> None:
    """Renaming, linking and changing attributes read no byte of the lower."""
    view = session.view
    view.rename(*split(view, b"d"), *split(view, b"e/d"), 0, ACTOR)
    view.link(node_at(view, b"e/h1").ino, *split(view, b"h"), ACTOR)
    view.setattr(node_at(view, b"tool").ino, AttributeChanges(mode=0o755), ACTOR)
    session.fold()
    assert session.lower.bytes_read == 0


def _cost(directories: int) -> tuple[int, int, int]:
    """Give nodes asked for, bytes and directories read for a change of 10 files among many."""
    lower = MemoryLower()
    for number in range(directories):
        lower.directory(b"d%d" % number)
        for inner in range(100):
            lower.file(b"d%d/f%d" % (number, inner), b"%d" % inner)
    nodes = CountingNodes()
    session = SampleSession(lower, nodes=nodes)
    for number in range(10):
        write_at(session.view, b"d%d/f%d" % (number, number), 0, b"changed")
    nodes.asked = 0
    before = session.lower.calls["scan"]
    session.fold()
    session.close()
    return nodes.asked, session.lower.bytes_read, session.lower.calls["scan"] - before


@pytest.mark.slow
def test_a_fold_costs_what_was_touched() -> None:
    """Folding 10 changed files reads as many nodes and bytes among 10,000 files as among 1,000."""
    small, large = _cost(10), _cost(100)
    assert small == large
    assert small[0] <= 10 * 3 + 3
    assert small[2] == 0


def _file(session: SampleSession, path: bytes) -> File:
    node = node_at(session.view, path)
    assert isinstance(node, File)
    return node
