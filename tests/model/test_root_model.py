"""The root of a real directory: every kind of change shows in it, and the way to a state never does."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.store import MemoryStore
from tests.support.spectra import encoded, tree_of


def _build(top: Path) -> None:
    """Build a small directory that every change below can be made to."""
    (top / "d" / "inner").mkdir(parents=True)
    (top / "d" / "file").write_bytes(b"content")
    (top / "file").write_bytes(b"content")
    (top / "tool").write_bytes(b"#!/bin/true\n")
    (top / "link").symlink_to("file")
    (top / "empty").mkdir()
    for path in (top, top / "d", top / "d" / "inner", top / "empty"):
        path.chmod(0o755)
    for path in (top / "d" / "file", top / "file", top / "tool"):
        path.chmod(0o644)


def _retarget(top: Path) -> None:
    (top / "link").unlink()
    (top / "link").symlink_to("tool")


def _make_file_of_link(top: Path) -> None:
    """Put a file that holds the link's target in its place."""
    (top / "link").unlink()
    (top / "link").write_bytes(b"file")
    (top / "link").chmod(0o777)


def _make_fifo_of_file(top: Path) -> None:
    (top / "file").unlink()
    os.mkfifo(top / "file")


def _make_directory_of_file(top: Path) -> None:
    (top / "file").unlink()
    (top / "file").mkdir()


def _swap(top: Path) -> None:
    """Exchange two files: the same names and the same contents, otherwise combined."""
    (top / "file").rename(top / "x")
    (top / "tool").rename(top / "file")
    (top / "x").rename(top / "tool")


CHANGES: Mapping[str, Callable[[Path], object]] = {
    "content": lambda top: (top / "file").write_bytes(b"another"),
    "content, same length": lambda top: (top / "file").write_bytes(b"Content"),
    "one byte more": lambda top: (top / "file").write_bytes(b"content\0"),
    "mode": lambda top: (top / "tool").chmod(0o755),
    "set-id bit": lambda top: (top / "tool").chmod(0o4644),
    "mode of a directory": lambda top: (top / "d").chmod(0o700),
    "mode of the domain itself": lambda top: top.chmod(0o700),
    "link target": _retarget,
    "file for link": _make_file_of_link,
    "fifo for file": _make_fifo_of_file,
    "directory for file": _make_directory_of_file,
    "empty directory removed": lambda top: (top / "empty").rmdir(),
    "empty directory added": lambda top: (top / "d" / "new").mkdir(),
    "rename": lambda top: (top / "file").rename(top / "elsewhere"),
    "rename of a directory": lambda top: (top / "d").rename(top / "e"),
    "case-only rename": lambda top: (top / "file").rename(top / "File"),
    "case-only rename of a directory": lambda top: (top / "d").rename(top / "D"),
    "move": lambda top: (top / "file").rename(top / "d" / "inner" / "file"),
    "exchange of two files": _swap,
    "deletion": lambda top: (top / "file").unlink(),
    "deletion of a tree": lambda top: shutil.rmtree(top / "d"),
    "one more name": lambda top: os.link(top / "file", top / "other"),
    "special file": lambda top: os.mkfifo(top / "pipe"),
}
"""Every kind of change that a root must show."""


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_change_changes_the_root(tmp_path: Path, change: str) -> None:
    """Of the domain, and so SPECTRUM.json too."""
    _build(tmp_path)
    before = tree_of(tmp_path).root
    spectrum = encoded(tmp_path, MemoryStore())
    assert spectrum.root == before
    CHANGES[change](tmp_path)
    after = encoded(tmp_path, MemoryStore())
    assert after.root == tree_of(tmp_path).root != before
    assert after.to_dict() != spectrum.to_dict()


def test_no_two_kinds_of_change_have_the_same_root(tmp_path: Path) -> None:
    """Each leads to a state of its own, and each state has a root of its own."""
    roots = set()
    for number, change in enumerate(CHANGES.values()):
        top = tmp_path / f"{number}"
        top.mkdir()
        _build(top)
        change(top)
        roots.add(tree_of(top).root)
    assert len(roots) == len(CHANGES)


def test_what_is_not_included_does_not_change_the_root(tmp_path: Path) -> None:
    """Times, and which of its names a file had first."""
    _build(tmp_path)
    before = tree_of(tmp_path).root
    os.utime(tmp_path / "file", (1, 1))
    shutil.copy2(tmp_path / "file", tmp_path / "copy")
    os.replace(tmp_path / "copy", tmp_path / "file")
    assert tree_of(tmp_path).root == before


_NAMES = [b"a", b"A", b"b", b"\xff", b"d/a", b"d/b", b"d/e/a", b"D/a"]
_STATES = st.dictionaries(st.sampled_from(_NAMES), st.sampled_from([b"", b"1", b"2"]), max_size=6)


@settings(max_examples=40)
@given(state=_STATES, detour=_STATES, data=st.data())
def test_the_way_to_a_state_never_shows_in_the_root(
    state: dict[bytes, bytes], detour: dict[bytes, bytes], data: st.DataObject
) -> None:
    """The same files, made in any order, over any other state before, have the same root."""
    order = data.draw(st.permutations(sorted(state)))
    with tempfile.TemporaryDirectory() as place:
        straight, roundabout = Path(place, "straight"), Path(place, "roundabout")
        straight.mkdir()
        roundabout.mkdir()
        for path in sorted(state):
            _write(straight, path, state[path])
        for path, content in detour.items():
            _write(roundabout, path, content)
        for path in order:
            _write(roundabout, path, state[path])
        for path in detour.keys() - state.keys():
            os.unlink(os.path.join(os.fsencode(roundabout), path))
        for folder in (b"d/e", b"d", b"D"):
            if not any(path.startswith(folder + b"/") for path in state):
                shutil.rmtree(os.path.join(os.fsencode(roundabout), folder), ignore_errors=True)
        assert tree_of(straight).root == tree_of(roundabout).root


def _write(top: Path, path: bytes, content: bytes) -> None:
    place = os.path.join(os.fsencode(top), path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    Path(os.fsdecode(place)).write_bytes(content)
