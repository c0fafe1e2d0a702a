"""Reading a domain with an index gives, after any changes, what reading it without one gives."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.clock import system_clock
from catfs.merkle import RACY_NS, MemoryNodes, Tree
from catfs.proof.capture import Capture, capture
from catfs.proof.capture_known import open_known

NAMES = [b"a", b"b", b"c", b"\xff", b"d"]
PATHS = [b"/".join(names) for first in NAMES for names in ([first], *([first, second] for second in NAMES))]

Action = Callable[[bytes, bytes, bytes], None]


def _edit(path: bytes, other: bytes, content: bytes) -> None:
    """Change content without changing size or mtime."""
    del other
    before = os.lstat(path)
    if not stat.S_ISREG(before.st_mode):
        return
    with open(path, "r+b") as stream:
        stream.write(content[: before.st_size].ljust(before.st_size, b"."))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _write(path: bytes, other: bytes, content: bytes) -> None:
    del other
    # Opening a fifo would otherwise wait for a reader.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK), "wb") as stream:
        stream.write(content)


def _append(path: bytes, other: bytes, content: bytes) -> None:
    del other
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK), "ab") as stream:
        stream.write(content)


def _remove(path: bytes, other: bytes, content: bytes) -> None:
    del other, content
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _touch(path: bytes, other: bytes, content: bytes) -> None:
    del other
    os.utime(path, (0, len(content)), follow_symlinks=False)


def _chmod(path: bytes, other: bytes, content: bytes) -> None:
    del other
    if not stat.S_ISLNK(os.lstat(path).st_mode):
        os.chmod(path, 0o700 | len(content))


def _symlink(path: bytes, other: bytes, content: bytes) -> None:
    del other
    os.symlink(content.replace(b"\0", b"0") or b"x", path)


def _fifo(path: bytes, other: bytes, content: bytes) -> None:
    del other, content
    os.mkfifo(path)


def _mkdir(path: bytes, other: bytes, content: bytes) -> None:
    del other, content
    os.mkdir(path)


def _link(path: bytes, other: bytes, content: bytes) -> None:
    del content
    os.link(path, other, follow_symlinks=False)


def _rename(path: bytes, other: bytes, content: bytes) -> None:
    del content
    os.rename(path, other)


def _swap(path: bytes, other: bytes, content: bytes) -> None:
    del content
    os.rename(path, b"swapped")
    os.rename(other, path)
    os.rename(b"swapped", other)


ACTIONS: list[Action] = [
    *(_edit, _edit, _write, _write, _append, _remove, _touch, _chmod, _symlink, _fifo),
    *(_mkdir, _mkdir, _link, _rename, _swap),
]

_ACTION = st.tuples(
    st.sampled_from(ACTIONS), st.sampled_from(PATHS), st.sampled_from(PATHS), st.binary(max_size=3)
)
_ROUND = st.tuples(st.lists(_ACTION, max_size=8), st.booleans(), st.booleans())


_CLOCK_REALTIME_COARSE = 5
"""The clock that Linux stamps files with; Python has no name for it."""


def _next_tick() -> None:
    """Wait until the clock of the file system shows another time: a few milliseconds at most."""
    before = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    while time.clock_gettime_ns(_CLOCK_REALTIME_COARSE) == before:
        pass


def _sharp_clock() -> int:
    """Give the time so that the racy rule leaves no room but that of one tick."""
    return system_clock() + RACY_NS


def _act(domain: Path, actions: list[tuple[Action, bytes, bytes, bytes]]) -> None:
    """Do what can be done; what cannot be done there and then is left out."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(domain)
    try:
        for action, path, other, content in actions:
            with suppress(OSError):
                action(path, other, content)
        if os.path.lexists(b"swapped"):
            os.rename(b"swapped", b"e")
    finally:
        os.fchdir(here)
        os.close(here)


def _check_known(root: int, index: Path, nodes: MemoryNodes, truth: Tree) -> None:
    """Check that a base refreshed at every path that is or was there is the true tree."""
    known = open_known(index, root, nodes)
    assert known is not None
    with known:
        every = [*PATHS, *(path for path, _ in truth.items()), b"e", b"swapped"]
        assert known.refreshed(root, every).tree == truth
        # A few paths only: what is said of them, and of names next to them, is true.
        for path in PATHS[::7]:
            assert known.refreshed(root, [path]).tree.entry(path) == truth.entry(path)


def _same(first: Capture, second: Capture) -> bool:
    links = [{key: sorted(paths) for key, paths in found.hard_links.items()} for found in (first, second)]
    return (first.root_entry, first.files, first.size, links[0]) == (
        second.root_entry,
        second.files,
        second.size,
        links[1],
    )


@settings(max_examples=120)
@given(st.lists(_ROUND, min_size=1, max_size=5))
def test_an_index_never_changes_the_tree(
    rounds: list[tuple[list[tuple[Action, bytes, bytes, bytes]], bool, bool]],
) -> None:
    """Whatever happened in between: edits that keep size and mtime, renames, links, modes, times, kinds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        domain, index = folder / "domain", folder / "x.index"
        domain.mkdir()
        root = os.open(domain, os.O_RDONLY | os.O_DIRECTORY)
        nodes = MemoryNodes()
        try:
            for actions, is_sharp, keeps_nodes in rounds:
                _act(domain, actions)
                truth = capture(root, MemoryNodes(), workers=0)
                plain = MemoryNodes()
                tree = Tree(plain, capture(root, plain, workers=0).root_entry)
                if index.exists():
                    _check_known(root, index, nodes, tree)
                if not keeps_nodes:
                    nodes = MemoryNodes()
                if is_sharp:
                    _next_tick()
                clock = _sharp_clock if is_sharp else system_clock
                found = capture(root, nodes, index=index, workers=0, clock=clock)
                _next_tick()
                assert _same(found, truth)
                assert found.index_problem is None
                assert list(Tree(nodes, found.root_entry).items()) == list(tree.items())
        finally:
            os.close(root)
