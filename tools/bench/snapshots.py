"""The proof peers: find out what changed in a directory by looking at all of it before and after."""

import hashlib
import importlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tools.bench.model import RowError, UnavailableError

Facts = tuple[int, int, bytes]
"""Mode, size, and digest of the content or target."""

_ENTRIES_MAX = 10_000_000
_BYTES_MAX = 1 << 40
"""What nono-py may look at, so that its own limits do not end a row."""


def spread_files(root: Path, count: int) -> list[str]:
    """Give the paths of some files of a directory, evenly spread.

    Args:
        root: The directory.
        count: How many files, or all when there are fewer.
    """
    names = sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)
    return names[:: max(1, len(names) // count)][:count]


def touch_files(names: Iterable[str]) -> None:
    """Append a byte to files."""
    for name in names:
        with open(name, "ab") as stream:
            stream.write(b"x")


def take_snapshot(root: Path) -> dict[str, Facts]:
    """Give mode, size and digest of everything below a directory, by path relative to it."""
    found: dict[str, Facts] = {}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                status = entry.stat(follow_symlinks=False)
                found[path] = (status.st_mode, status.st_size, _digest(entry.path, status.st_mode))
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(f"{path}/")
    return found


def _digest(path: str, mode: int) -> bytes:
    if stat.S_ISREG(mode):
        with open(path, "rb", buffering=0) as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    if stat.S_ISLNK(mode):
        return hashlib.sha256(os.fsencode(os.readlink(path))).digest()
    return b""


def two_snapshots(domain: Path, scratch: Path, touch: Callable[[], None]) -> float:
    """Walk and hash a directory before and after it is touched, and compare.

    Args:
        domain: The directory.
        scratch: Not used.
        touch: Changes it.

    Returns:
        Seconds of both walks and the comparison, without the touching.

    Raises:
        RowError: when the comparison finds nothing.
    """
    del scratch
    started = time.monotonic()
    before = take_snapshot(domain)
    seconds = time.monotonic() - started
    touch()
    started = time.monotonic()
    after = take_snapshot(domain)
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    seconds += time.monotonic() - started
    if not changed:
        raise RowError("the two snapshots are equal")
    return seconds


def nono_snapshots(domain: Path, scratch: Path, touch: Callable[[], None]) -> float:
    """Let nono-py's SnapshotManager look at a directory before and after it is touched.

    Args:
        domain: The directory.
        scratch: Where it keeps what it needs.
        touch: Changes the directory.

    Returns:
        Seconds of both snapshots, without the touching.

    Raises:
        UnavailableError: when the package is not installed.
        RowError: when it finds no change.
    """
    nono = import_nono()
    everything = nono.ExclusionConfig(use_gitignore=False, exclude_patterns=[], exclude_globs=[])
    started = time.monotonic()
    manager = nono.SnapshotManager(str(scratch), [str(domain)], everything, _ENTRIES_MAX, _BYTES_MAX)
    manager.create_baseline()
    seconds = time.monotonic() - started
    touch()
    started = time.monotonic()
    _, changes = manager.create_incremental()
    seconds += time.monotonic() - started
    if not changes:
        raise RowError("nono-py found no change")
    return seconds


def import_nono() -> Any:
    """Give the module of nono-py, which has no types.

    Raises:
        UnavailableError: when it is not installed.
    """
    try:
        return importlib.import_module("nono_py")
    except ImportError as error:
        raise UnavailableError("nono-py is not installed; pip install 'catfs[bench]' has it") from error
