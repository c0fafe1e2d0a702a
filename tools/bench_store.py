"""Puts and gets objects in a store, beside `git hash-object` and `cp`, in one run, and prints a table.

    python -m tools.bench_store FOLDER [--small N] [--large N] [--large-bytes N]

Everything is made in FOLDER, which must be new, and removed at the end. Content is random, so nothing gets
smaller: git is told not to try, and the store finds out by itself.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from catfs.digest import Digest
from catfs.store import LocalStore

_SMALL_BYTES = 4096
_PIECE = 1 << 20


Tell = Callable[[str], None]
"""Told what is done next."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to keep files and to have them back.

    Args:
        name: Its name.
        put: Keeps them.
        get: Reads them all.
    """

    name: str
    put: Callable[[], object]
    get: Callable[[], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to work; it must not exist")
    parser.add_argument("--small", type=int, default=100_000, help="objects of 4 KiB")
    parser.add_argument("--large", type=int, default=4, help="large objects")
    parser.add_argument("--large-bytes", type=int, default=2 << 30, help="bytes of each")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    started = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {what}", file=sys.stderr, flush=True)

    try:
        sizes = (arguments.small, arguments.large, arguments.large_bytes)
        for line in measure(arguments.folder, *sizes, tell):
            print(line, flush=True)
    finally:
        shutil.rmtree(arguments.folder)


def measure(folder: Path, small: int, large: int, large_bytes: int, tell: Tell) -> Iterator[str]:
    """Give the lines of the table: seconds for each way to put, and to get, the same objects.

    What one way keeps is removed before the next one begins, so the disk holds two copies at most.

    Args:
        folder: Where to work.
        small: Number of objects of 4 KiB.
        large: Number of large objects.
        large_bytes: Bytes of each of those.
        tell: Told what is done next.
    """
    yield f"{'objects':<24}{'what':<6}{'store':>9}{'git':>9}{'cp':>9}  seconds"
    for name, count, size in (("small", small, _SMALL_BYTES), ("large", large, large_bytes)):
        if not count:
            continue
        source, work = folder / name, folder / f"{name}-work"
        tell(f"making {count} objects of {size} bytes")
        paths = _make(source, count, size)
        puts, gets = [], []
        for way in _ways(work, source, paths):
            work.mkdir()
            tell(f"{way.name}: put")
            puts.append(_seconds(way.put))
            tell(f"{way.name}: get")
            gets.append(_seconds(way.get))
            shutil.rmtree(work)
        shutil.rmtree(source)
        for what, row in (("put", puts), ("get", gets)):
            cells = "".join(f"{cell:>9.2f}" for cell in row)
            yield f"{count} x {size} bytes".ljust(24) + f"{what:<6}{cells}"


def _make(source: Path, count: int, size: int) -> list[Path]:
    source.mkdir()
    paths = []
    for number in range(count):
        paths.append(source / f"{number:06}")
        with paths[-1].open("wb") as stream:
            for start in range(0, size, _PIECE):
                stream.write(os.urandom(min(_PIECE, size - start)))
    os.sync()
    return paths


def _ways(work: Path, source: Path, paths: list[Path]) -> list[Way]:
    """Give the ways, in the order of the table; each works in a folder that is empty when it begins."""
    digests: list[Digest] = []
    hashes: list[bytes] = []
    settings = ["-c", "core.compression=0", "-c", "core.bigFileThreshold=1m"]
    git = ["git", *settings, "--git-dir", str(work / "git")]
    names = "".join(f"{path}\n" for path in paths).encode()

    def put_git() -> None:
        subprocess.run([*git, "init", "-q", "--bare", str(work / "git")], check=True)
        command = [*git, "hash-object", "-w", "--no-filters", "--stdin-paths"]
        hashes.append(subprocess.run(command, input=names, stdout=subprocess.PIPE, check=True).stdout)

    def get_git() -> None:
        command = [*git, "cat-file", "--batch"]
        subprocess.run(command, input=hashes[0], stdout=subprocess.DEVNULL, check=True)

    return [
        Way(
            "store",
            lambda: digests.extend(_put(work / "store", paths)),
            lambda: _get(work / "store", digests),
        ),
        Way("git", put_git, get_git),
        Way("cp", lambda: shutil.copytree(source, work / "copy"), lambda: _read(work / "copy")),
    ]


def _put(folder: Path, paths: list[Path]) -> list[Digest]:
    with LocalStore(folder).batch() as batch:
        found = []
        for path in paths:
            with path.open("rb") as stream:
                found.append(batch.put_stream(stream.fileno()))
    return found


def _get(folder: Path, digests: list[Digest]) -> None:
    store = LocalStore(folder)
    with open(os.devnull, "wb") as sink:
        for digest in digests:
            store.copy_to(digest, sink.fileno())


def _read(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as stream:
            while stream.read(_PIECE):
                pass


def _seconds(work: Callable[[], object]) -> float:
    """Give the seconds of some work; all of it is on the disk when the clock stops."""
    started = time.monotonic()
    work()
    os.sync()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
