"""Small promises about opening, reading and listing that real programs rely on."""

import os
from errno import ESTALE

import pytest

from catfs.overlay.nodes import Origin
from catfs.records.write_record import WriteRecord
from tests.support.memory_lower import MemoryLower
from tests.support.views import ACTOR, MemoryTrace, create_file, make_view, node_at, write_at


def test_opening_an_empty_file_to_truncate_it_moves_its_times() -> None:
    """`: > stamp` marks a file that is empty already, as make's stamp files are."""
    view = make_view(MemoryLower(), MemoryTrace())
    node = create_file(view, b"stamp")
    before = node.mtime
    view.release(view.open(node.ino, os.O_WRONLY | os.O_TRUNC, ACTOR))
    assert node.mtime > before
    assert node.ctime == node.mtime


def test_directory_stream_is_given_in_portions_without_loss() -> None:
    """Portions of any size make up the whole stream, also when names go in between."""
    view = make_view(MemoryLower())
    names = [b"f%03d" % number for number in range(50)]
    for name in names:
        create_file(view, name)
    handle = view.opendir(1, ACTOR)
    seen: list[bytes] = []
    position = 0
    while entries := view.read_directory(handle, position, 7):
        assert len(entries) <= 7
        seen.extend(name for _, name, _ in entries)
        position = entries[-1][0]
        if position == 14:
            for name in names[20:40]:
                view.unlink(1, name, ACTOR)
    assert seen == [b".", b"..", *names[:20], *names[40:]]


class _CutLower(MemoryLower):
    """A lower whose files were cut after they were scanned."""

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        return super().read(origin, offset, length)[:3]


def test_lower_file_that_was_cut_underneath_is_an_error() -> None:
    """Bytes that are gone from the lower are never replaced by others or left out."""
    lower = _CutLower()
    lower.file(b"a", b"0123456789")
    view = make_view(lower)
    node = node_at(view, b"a")
    handle = view.open(node.ino, os.O_RDONLY, ACTOR)
    with pytest.raises(OSError, match="cut underneath") as caught:
        view.read(handle, 0, 10)
    assert caught.value.errno == ESTALE
    write_at(view, b"a", 8, b"xy")
    with pytest.raises(OSError, match="cut underneath"):
        view.read(handle, 0, 10)


def test_reading_past_the_end_gives_what_there_is() -> None:
    """A read across the end of a lower file is short, and one behind it empty."""
    lower = MemoryLower()
    lower.file(b"a", b"0123456789")
    view = make_view(lower)
    handle = view.open(node_at(view, b"a").ino, os.O_RDONLY, ACTOR)
    assert view.read(handle, 6, 100) == b"6789"
    assert view.read(handle, 10, 5) == b""
    assert view.read(handle, 4000, 5) == b""


def test_log_names_a_hard_link_whose_other_name_was_never_looked_up() -> None:
    """A write through a descriptor is logged under the name that went last, while others are unknown."""
    lower = MemoryLower()
    lower.directory(b"one")
    lower.directory(b"two")
    lower.file(b"one/x", b"content")
    lower.link(b"one/x", b"two/y")
    trace = MemoryTrace()
    view = make_view(lower, trace)
    handle = view.open(node_at(view, b"one/x").ino, os.O_WRONLY, ACTOR)
    view.unlink(node_at(view, b"one").ino, b"x", ACTOR)
    view.write(handle, 0, b"C")
    last = trace.records()[-1]
    assert isinstance(last, WriteRecord)
    assert (last.op, last.path) == ("write", b"one/x")
    assert node_at(view, b"two/y").size == 7
