"""Copied ranges stay apart, holes are found, files without a name get one; and the log says it all."""

import os
from collections.abc import Iterator
from errno import EINVAL, EISDIR, ENOENT, ENXIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.overlay import View
from catfs.overlay.nodes import File
from catfs.overlay.sharing import RangeSet
from tests.support.memory_lower import MemoryLower
from tests.support.views import (
    ACTOR,
    MemoryTrace,
    create_file,
    make_view,
    memory_data,
    node_at,
    replayed,
    walk_view,
    write_at,
)

_RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=12)


class Bench:
    """A view over a small lower, and its log."""

    def __init__(self) -> None:
        self.lower = MemoryLower()
        self.lower.file(b"lower", b"0123456789")
        self.lower.directory(b"folder")
        self.trace = MemoryTrace()
        self.data = memory_data()
        self.view: View = make_view(self.lower, self.trace, self.data)

    def copy(self, source: bytes, offset: int, target: bytes, target_offset: int, length: int) -> int:
        """Copy a range between two paths."""
        view = self.view
        inos = node_at(view, source).ino, node_at(view, target).ino
        return view.copy_range(inos[0], offset, inos[1], target_offset, length, ACTOR)

    def content(self, path: bytes) -> bytes:
        """Give the content of a file."""
        node = node_at(self.view, path)
        assert isinstance(node, File)
        return self.view.read_content(node, 0, node.size)

    def again(self) -> View:
        """Give the view that the log leads to."""
        return replayed(self.trace.records(), self.lower, self.data)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a view over a small lower."""
    made = Bench()
    yield made
    os.close(made.data.descriptor)


@given(_RUNS, st.integers(0, 80), st.integers(1, 12))
def test_shared_ranges_are_a_set(runs: list[tuple[int, int]], position: int, length: int) -> None:
    """A run overlaps exactly when one of its bytes was added, in whatever order they came."""
    ranges, model = RangeSet(), set[int]()
    for start, count in runs:
        ranges.add(start, count)
        model.update(range(start, start + count))
    assert ranges.overlaps(position, length) == bool(model & set(range(position, position + length)))
    assert len(ranges) == sum(1 for byte in model if byte - 1 not in model)


def test_new_bytes_are_shared_not_moved(bench: Bench) -> None:
    """Copying what was written in the session adds nothing to the data file."""
    create_file(bench.view, b"source", b"abcdefgh")
    create_file(bench.view, b"target", b"..")
    before = bench.data.size
    assert bench.copy(b"source", 2, b"target", 1, 100) == 6
    assert bench.data.size == before
    assert bench.content(b"target") == b".cdefgh"
    assert walk_view(bench.again()) == walk_view(bench.view)


def test_shared_bytes_are_not_overwritten_in_place(bench: Bench) -> None:
    """After a copy both files change alone, in the session and in one that continues it."""
    create_file(bench.view, b"source", b"abcdefgh")
    create_file(bench.view, b"target")
    bench.copy(b"source", 0, b"target", 0, 8)
    again = bench.again()
    for view in (bench.view, again):
        write_at(view, b"source", 0, b"XX")
        write_at(view, b"target", 6, b"YY")
    assert bench.content(b"source") == b"XXcdefgh"
    assert bench.content(b"target") == b"abcdefYY"
    assert len(again.shared) == 1


def test_shared_bytes_survive_their_first_file(bench: Bench) -> None:
    """Removing the file that was copied gives none of its space back."""
    content = bytes(range(1, 251)) * 600
    create_file(bench.view, b"source", content)
    create_file(bench.view, b"target")
    bench.copy(b"source", 0, b"target", 0, len(content))
    bench.view.unlink(1, b"source", ACTOR)
    assert bench.content(b"target") == content


def test_lower_bytes_and_holes_are_copied(bench: Bench) -> None:
    """A copy from a lower file, and of a file with a hole, reads the same."""
    create_file(bench.view, b"target")
    assert bench.copy(b"lower", 3, b"target", 0, 4) == 4
    create_file(bench.view, b"sparse")
    write_at(bench.view, b"sparse", 8, b"end")
    assert bench.copy(b"sparse", 0, b"target", 2, 100) == 11
    assert bench.content(b"target") == b"34" + bytes(8) + b"end"
    assert bench.copy(b"lower", 10, b"target", 0, 5) == 0
    assert walk_view(bench.again()) == walk_view(bench.view)


def test_copies_are_refused_like_by_the_system(bench: Bench) -> None:
    """A range is not copied onto itself, and a directory not at all."""
    cases = [((b"lower", 0, b"lower", 3, 5), EINVAL), ((b"folder", 0, b"lower", 0, 1), EISDIR)]
    for arguments, expected in cases:
        with pytest.raises(OSError, match=os.strerror(expected)) as failure:
            bench.copy(*arguments)
        assert failure.value.errno == expected
    assert bench.copy(b"lower", 0, b"lower", 5, 5) == 5
    assert bench.content(b"lower") == b"0123401234"


def test_data_and_holes_are_found(bench: Bench) -> None:
    """Seeking gives the next data and the next hole in whole blocks; the end of the file is a hole."""
    create_file(bench.view, b"file")
    write_at(bench.view, b"file", 8196, b"data")
    bench.view.truncate(_file(bench.view, b"file"), 20_000, ACTOR)
    ino = node_at(bench.view, b"file").ino
    found = [bench.view.seek(ino, offset, os.SEEK_DATA) for offset in (0, 4097, 8192, 8201)]
    assert found == [8192, 8192, 8192, 8201]
    found = [bench.view.seek(ino, offset, os.SEEK_HOLE) for offset in (0, 5000, 8192, 8201, 19_999)]
    assert found == [0, 5000, 12_288, 12_288, 19_999]
    assert bench.view.seek(node_at(bench.view, b"lower").ino, 3, os.SEEK_HOLE) == 10
    for offset in (12_288, 20_000, 99_999):
        with pytest.raises(OSError, match="No such device") as failure:
            bench.view.seek(ino, offset, os.SEEK_DATA)
        assert failure.value.errno == ENXIO
    with pytest.raises(OSError, match="Invalid") as failure:
        bench.view.seek(ino, 0, os.SEEK_SET)
    assert failure.value.errno == EINVAL


def test_holes_of_the_lower_are_holes(bench: Bench) -> None:
    """A sparse file of the lower has its holes in the view, before and after a part was written."""
    content = bytes(8192) + b"data" * 1024 + bytes(12_288)
    bench.lower.file(b"sparse", content)
    bench.lower.at(b"sparse").is_sparse = True
    node = node_at(bench.view, b"sparse")
    assert isinstance(node, File)
    assert list(bench.view.runs(node)) == [(0, 8192, True), (8192, 12_288, False), (12_288, 24_576, True)]
    assert bench.view.seek(node.ino, 5000, os.SEEK_DATA) == 8192
    assert bench.view.seek(node.ino, 0, os.SEEK_HOLE) == 0
    write_at(bench.view, b"sparse", 16_384, b"new")
    bench.view.truncate(node, 30_000, ACTOR)
    assert [(start, end) for start, end, is_hole in bench.view.runs(node) if not is_hole] == [
        (8192, 12_288),
        (16_384, 16_387),
    ]
    assert bench.view.seek(node.ino, 12_288, os.SEEK_HOLE) == 12_288
    assert bench.view.seek(node.ino, 12_288, os.SEEK_DATA) == 16_384
    with pytest.raises(OSError, check=lambda error: error.errno == ENXIO):
        bench.view.seek(node.ino, 20_480, os.SEEK_DATA)


def test_a_file_without_a_name_may_get_one_once(bench: Bench) -> None:
    """A nameless file is linked with all its content; after losing its name it gets none any more."""
    view = bench.view
    node = view.tmpfile(node_at(view, b"folder").ino, 0o600, ACTOR)
    node.lookups += 1
    view.write_file(node, 0, b"content", ACTOR, clear_set_id=False)
    assert node.nlink == 0
    view.link(node.ino, 1, b"named", ACTOR)
    assert (node.nlink, bench.content(b"named")) == (1, b"content")
    assert walk_view(bench.again()) == walk_view(view)
    view.unlink(1, b"named", ACTOR)
    with pytest.raises(OSError, match="No such file") as failure:
        view.link(node.ino, 1, b"again", ACTOR)
    assert failure.value.errno == ENOENT


def test_a_forgotten_file_without_a_name_is_dropped(bench: Bench) -> None:
    """A nameless file goes with the last reference, and the log that made it can still be followed."""
    view = bench.view
    node = view.tmpfile(1, 0o600, ACTOR)
    node.lookups += 1
    view.write_file(node, 0, b"content", ACTOR, clear_set_id=False)
    view.forget(node.ino, 1)
    assert node.ino not in view.nodes
    assert not view.unnamed
    assert walk_view(bench.again()) == walk_view(view)


def _file(view: View, path: bytes) -> File:
    node = node_at(view, path)
    assert isinstance(node, File)
    return node
