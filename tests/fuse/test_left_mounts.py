"""A mount that a test leaves behind is found and taken away."""

import ctypes
import os
from pathlib import Path

import pytest

from tests.conftest import unmount_below


@pytest.mark.fuse
def test_left_mounts_are_detached(tmp_path: Path) -> None:
    """Mounts below a folder are detached, inner ones too, whatever characters their names have."""
    outer = tmp_path / "with space\nand newline"
    outer.mkdir()
    _mount_memory(outer)
    inner = outer / "back\\slash"
    inner.mkdir()
    _mount_memory(inner)
    assert unmount_below(tmp_path) == [str(outer), str(inner)]
    assert unmount_below(tmp_path) == []
    assert list(outer.iterdir()) == []


def _mount_memory(point: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(point), b"tmpfs", 0, b"size=64k") != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(point))
