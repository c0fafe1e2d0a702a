"""What no file points at any more goes back to the disk, and nothing else does."""

import os
from collections.abc import Iterator
from errno import ENOSPC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.limits import DUE_BYTES_MAX, RELEASE_BYTES_MIN, SHARED_SWEEP_BYTES
from catfs.linux import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from catfs.overlay import DataFile, files
from catfs.overlay.nodes import File, error_of
from catfs.overlay.sharing import FreedRanges, RangeSet
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

_LARGE = b"large" * (RELEASE_BYTES_MIN // 2)
_SMALL = b"small" * (RELEASE_BYTES_MIN // 20)


class Bench:
    """A view over an empty lower, and its data file."""

    def __init__(self) -> None:
        self.lower, self.trace, self.data = MemoryLower(), MemoryTrace(), memory_data()
        self.view = make_view(self.lower, self.trace, self.data)

    def taken(self) -> int:
        """Give the space that the data file takes when nothing is due any more, in bytes."""
        self.view.freed.release()
        return os.fstat(self.data.descriptor).st_blocks * 512

    def file(self, path: bytes) -> File:
        """Give the node of a file."""
        node = node_at(self.view, path)
        assert isinstance(node, File)
        return node


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a view; in the end its log must lead to it."""
    made = Bench()
    yield made
    before = made.taken()
    assert walk_view(replayed(made.trace.records(), made.lower, made.data)) == walk_view(made.view)
    assert made.taken() == before, "a replay gives nothing back"
    os.close(made.data.descriptor)


def test_a_truncated_file_gives_its_space_back(bench: Bench) -> None:
    """Emptied and written again many times, a file takes the space of one version."""
    create_file(bench.view, b"kept", _LARGE)
    for _ in range(20):
        bench.view.truncate(bench.file(b"kept"), 0, ACTOR)
        write_at(bench.view, b"kept", 0, _LARGE)
    assert bench.taken() <= len(_LARGE) + RELEASE_BYTES_MIN
    assert bench.view.read_content(bench.file(b"kept"), 0, len(_LARGE)) == _LARGE


def test_small_files_that_go_together_give_their_space_back(bench: Bench) -> None:
    """Each is too small to be worth a call, all of them are not; the one between that stays is whole."""
    for index in range(20):
        create_file(bench.view, b"%02d" % index, _SMALL)
    for index in range(19):
        bench.view.unlink(1, b"%02d" % index, ACTOR)
    assert bench.taken() < 20 * len(_SMALL) // 3  # pages that two runs share stay
    assert bench.view.read_content(bench.file(b"19"), 0, len(_SMALL)) == _SMALL


def test_ranges_that_were_overwritten_or_punched_go(bench: Bench) -> None:
    """Writing over several earlier writes, and punching, leave only what can be read."""
    create_file(bench.view, b"file")
    for index in range(4):
        write_at(bench.view, b"file", index * len(_LARGE), _LARGE)
        create_file(bench.view, b"between-%d" % index, b"x")
    write_at(bench.view, b"file", 10, _LARGE * 3)
    hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    bench.view.fallocate(bench.file(b"file"), hole, 3 * len(_LARGE), len(_LARGE), ACTOR)
    assert bench.taken() <= 3 * len(_LARGE) + 2 * RELEASE_BYTES_MIN
    left = 3 * len(_LARGE) - 10
    assert bench.view.read_content(bench.file(b"file"), 10, left) == (_LARGE * 3)[:left]


def test_what_a_copy_shares_stays(bench: Bench) -> None:
    """The bytes of a file that was copied outlive it, whether it is cut or removed."""
    for name in (b"cut", b"gone"):
        create_file(bench.view, name, _LARGE)
        create_file(bench.view, b"copy of " + name)
        inos = bench.file(name).ino, bench.file(b"copy of " + name).ino
        bench.view.copy_range(inos[0], 0, inos[1], 0, len(_LARGE), ACTOR)
    bench.view.truncate(bench.file(b"cut"), 0, ACTOR)
    bench.view.unlink(1, b"gone", ACTOR)
    for name in (b"copy of cut", b"copy of gone"):
        assert bench.view.read_content(bench.file(name), 0, len(_LARGE)) == _LARGE


def test_copies_that_are_gone_give_their_space_back(bench: Bench) -> None:
    """Files that are copied and removed over and over take no more than a limit; a copy stays whole."""
    content = _LARGE * 16
    create_file(bench.view, b"original", content)
    for index in range(2 * SHARED_SWEEP_BYTES // len(content)):
        create_file(bench.view, b"source", content)
        create_file(bench.view, b"%d" % index)
        inos = bench.file(b"source").ino, bench.file(b"%d" % index).ino
        bench.view.copy_range(inos[0], 0, inos[1], 0, len(content), ACTOR)
        bench.view.unlink(1, b"source", ACTOR)
        if index:
            bench.view.unlink(1, b"%d" % (index - 1), ACTOR)
    assert bench.taken() < SHARED_SWEEP_BYTES + 4 * len(content)
    assert bench.view.read_content(bench.file(b"%d" % index), 0, len(content)) == content


@given(
    shared=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=6),
    used=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=6),
)
def test_what_is_used_stays_shared(shared: list[tuple[int, int]], used: list[tuple[int, int]]) -> None:
    """What is taken away is exactly what was shared and is not used."""

    def positions(runs: list[tuple[int, int]]) -> set[int]:
        return {at for start, length in runs for at in range(start, start + length)}

    ranges = RangeSet()
    for position, length in shared:
        ranges.add(position, length)
    taken = ranges.keep_only(used)
    assert positions(taken) == positions(shared) - positions(used)
    assert sum(length for _, length in taken) == len(positions(taken))
    left = {at for at in range(60) if ranges.overlaps(at, 1)}
    assert left == positions(shared) & positions(used)


def test_a_durable_session_waits_for_its_log(bench: Bench) -> None:
    """Until the next sync the bytes stay, for whoever continues from the last one."""
    bench.view.durable = True
    create_file(bench.view, b"file", _LARGE)
    bench.view.truncate(bench.file(b"file"), 0, ACTOR)
    assert bench.taken() >= len(_LARGE)
    bench.view.sync()
    assert bench.taken() <= RELEASE_BYTES_MIN


@given(order=st.permutations(range(12)))
def test_free_neighbours_join_in_any_order(order: list[int]) -> None:
    """Adjacent runs go back as soon as together they are large enough, and never more than they are."""
    data, length = memory_data(), RELEASE_BYTES_MIN // 4
    data.append(b"a" * length * 12 + b"the rest")
    freed = FreedRanges(data)
    for index in order:
        freed.add(index * length, length)
    freed.give_back()
    freed.release()
    assert data.read(12 * length, 8) == b"the rest"
    kept = data.read(0, 12 * length).count(b"a")
    assert kept <= 11 * length
    assert kept % length == 0
    os.close(data.descriptor)


def _space_of(data: DataFile) -> int:
    return os.fstat(data.descriptor).st_blocks * 512


def test_space_waits_for_a_quiet_moment_up_to_a_limit() -> None:
    """Nobody waits for the disk while runs are freed; beyond the limit the first ones go at once."""
    data, length = memory_data(), DUE_BYTES_MAX // 4
    for _ in range(8):
        data.append(b"a" * length)
    freed = FreedRanges(data)
    freed.waits = True
    for index in (0, 2, 4, 6):
        freed.add(index * length, length)
        freed.give_back()
    assert _space_of(data) == 8 * length
    freed.add(length, length)
    freed.give_back()
    assert _space_of(data) == 5 * length, "the first three are one run by now"
    assert [freed.release_next() for _ in range(3)] == [True, True, False]
    assert _space_of(data) == 3 * length
    os.close(data.descriptor)


def test_space_goes_at_once_where_nobody_sees_to_quiet_moments() -> None:
    """Whoever does not know of quiet moments leaves nothing taken."""
    data = memory_data()
    data.append(b"a" * RELEASE_BYTES_MIN)
    freed = FreedRanges(data)
    freed.add(0, RELEASE_BYTES_MIN)
    freed.give_back()
    assert (_space_of(data), freed.due_bytes) == (0, 0)
    os.close(data.descriptor)


def test_what_is_freed_twice_counts_once() -> None:
    """Runs that overlap, or went already, do not keep anybody busy; in the end nothing is due."""
    data, length = memory_data(), DUE_BYTES_MAX
    data.append(bytes(2 * length))
    freed = FreedRanges(data)
    freed.waits = True
    for position in (0, 0, length // 2, length, length):
        freed.add(position, length)
        freed.give_back()
    assert freed.due_bytes <= DUE_BYTES_MAX
    freed.release()
    assert (_space_of(data), freed.due_bytes) == (0, 0)
    os.close(data.descriptor)


def test_copies_that_go_one_after_the_other_give_their_space_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What files shared goes with the last of them, and only once."""
    monkeypatch.setattr(files, "SHARED_SWEEP_BYTES", len(_LARGE))
    data = memory_data()
    view = make_view(MemoryLower(), MemoryTrace(), data)
    view.freed.waits = True
    create_file(view, b"old", _LARGE)
    create_file(view, b"copy", b"")
    view.copy_range(node_at(view, b"old").ino, 0, node_at(view, b"copy").ino, 0, len(_LARGE), ACTOR)
    view.unlink(1, b"old", ACTOR)
    view.unlink(1, b"copy", ACTOR)
    assert view.freed.due_bytes <= len(_LARGE)
    view.freed.release()
    assert (_space_of(data), view.freed.due_bytes) == (0, 0)
    os.close(data.descriptor)


def test_space_that_is_due_is_told_to_be_free() -> None:
    """Whoever asks for the free space waits for no disk, and hears of what a write will find."""
    data = memory_data()
    view = make_view(MemoryLower(), MemoryTrace(), data)
    view.freed.waits = True
    create_file(view, b"old", _LARGE)
    view.unlink(1, b"old", ACTOR)
    told, below = view.space(), os.fstatvfs(data.descriptor)
    due = view.freed.due_bytes // below.f_frsize
    assert due > 0
    assert (told.f_bfree - below.f_bfree, told.f_bavail - below.f_bavail) == (due, due)
    assert told.f_blocks == below.f_blocks
    os.close(data.descriptor)


class _SmallDisk(DataFile):
    """A data file on a disk that holds few bytes."""

    def __init__(self, capacity: int) -> None:
        super().__init__(os.memfd_create("catfs-test", os.MFD_CLOEXEC))
        self.capacity = capacity

    def write(self, position: int, data: bytes | memoryview) -> None:
        """Replace bytes in place while there is room."""
        if _space_of(self) + len(data) > self.capacity:
            raise error_of(ENOSPC)
        super().write(position, data)


def test_a_full_disk_takes_what_was_just_freed() -> None:
    """A program that removes a file and writes another in its place finds the room; a second finds none."""
    data = _SmallDisk(2 * len(_LARGE))
    view = make_view(MemoryLower(), MemoryTrace(), data)
    view.freed.waits = True
    create_file(view, b"old", _LARGE)
    create_file(view, b"kept", b"x")
    view.unlink(1, b"old", ACTOR)
    create_file(view, b"new", _LARGE)
    write_at(view, b"new", len(_LARGE), _LARGE[: len(_LARGE) // 2])
    with pytest.raises(OSError, match="No space left") as caught:
        write_at(view, b"new", 2 * len(_LARGE), _LARGE)
    assert caught.value.errno == ENOSPC
    os.close(data.descriptor)
