"""Promises about how the content of an output leaves the view."""

import errno
import os
from pathlib import Path

import pytest

from catfs.overlay import View
from catfs.overlay.nodes import File
from catfs.runtime.outputs import ViewOutputs
from tests.support.memory_lower import MemoryLower
from tests.support.views import create_file, make_view, memory_data, write_at

_MEBIBYTE = 1 << 20


@pytest.fixture
def view() -> View:
    """Give a view with a file of a large range, a hole, and some small ones."""
    view = make_view(MemoryLower(), data=memory_data())
    create_file(view, b"large", os.urandom(6 * _MEBIBYTE))
    write_at(view, b"large", 9 * _MEBIBYTE, b"behind a hole")
    write_at(view, b"large", 100, b"in front")
    return view


def _copied(view: View, place: Path) -> bytes:
    with place.open("w+b") as target:
        ViewOutputs(view, 0).copy_content(b"large", target.fileno())
    return place.read_bytes()


def _expected(view: View) -> bytes:
    node = view.resolve(0, b"large")
    assert isinstance(node, File)
    return view.read_content(node, 0, node.size)


def test_large_ranges_are_copied_by_the_file_system(
    view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it can copy never passes through this process; the rest is written around it, holes stay."""
    written = []
    pwrite = os.pwrite

    def count(target: int, block: memoryview, offset: int) -> int:
        written.append(len(block))
        return pwrite(target, block, offset)

    monkeypatch.setattr(os, "pwrite", count)
    expected = _expected(view)
    with (tmp_path / "data").open("w+b") as data:  # on the same file system as the target
        data.write(view.data.read(0, view.data.size))
        data.flush()
        os.dup2(data.fileno(), view.data.descriptor)
        assert _copied(view, tmp_path / "copy") == expected
    assert sum(written) <= 2 * _MEBIBYTE
    assert (tmp_path / "copy").stat().st_blocks * 512 < len(expected) - 2 * _MEBIBYTE


@pytest.mark.parametrize("reason", [errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_that_does_not_copy_costs_only_time(
    view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    """Then every byte is read and written."""

    def refuse(*_: object) -> int:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    assert _copied(view, tmp_path / "copy") == _expected(view)


def test_a_copy_that_stops_halfway_is_finished(
    view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the file system leaves is read and written."""
    counts = iter([70_000, 0])

    def copy_some(source: int, target: int, length: int, position: int, offset: int) -> int:
        data = os.pread(source, min(length, next(counts, 0)), position)
        return os.pwrite(target, data, offset)

    monkeypatch.setattr(os, "copy_file_range", copy_some)
    assert _copied(view, tmp_path / "copy") == _expected(view)


def test_a_full_disk_is_told(view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no matter of how to copy ends the copying."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    with pytest.raises(OSError, match="No space left on device"):
        _copied(view, tmp_path / "copy")
