"""Puts and gets objects in a store, beside `git hash-object` and `cp`, in one run, and prints a table.

    python -m tools.bench_store FOLDER [--small N] [--large N] [--large-bytes N]

Everything is made in FOLDER, which must be new, and removed at the end. Content is random, so nothing gets
smaller: git is told not to try, and the store finds out by itself.
"""

import argparse
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from catfs.digest import Digest
from catfs.store import LocalStore

_SMALL_BYTES = 4096
_PIECE = 1 << 20


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
    try:
        for line in measure(arguments.folder, arguments.small, arguments.large, arguments.large_bytes):
            print(line, flush=True)
    finally:
        shutil.rmtree(arguments.folder)


def measure(folder: Path, small: int, large: int, large_bytes: int) -> list[str]:
    """Give the lines of the table: seconds for each way to put, and to get, the same objects.

    Args:
        folder: Where to work.
        small: Number of objects of 4 KiB.
        large: Number of large objects.
        large_bytes: Bytes of each of those.
    """
    lines = [f"{'objects':<24}{'what':<6}{'store':>9}{'git':>9}{'cp':>9}  seconds"]
    for name, count, size in (("small", small, _SMALL_BYTES), ("large", large, large_bytes)):
        if count:
            source = folder / name
            paths = _make(source, count, size)
            seconds = _measure_one(folder / f"{name}-work", source, paths)
            for what, row in seconds.items():
                cells = "".join(f"{cell:>9.2f}" for cell in row)
                lines.append(f"{count} x {size} bytes".ljust(24) + f"{what:<6}{cells}")
            shutil.rmtree(source)
            shutil.rmtree(folder / f"{name}-work")
    return lines


def _make(source: Path, count: int, size: int) -> list[Path]:
    source.mkdir()
    paths = []
    for number in range(count):
        paths.append(source / f"{number:06}")
        with paths[-1].open("wb") as stream:
            for start in range(0, size, _PIECE):
                stream.write(os.urandom(min(_PIECE, size - start)))
    return paths


def _measure_one(work: Path, source: Path, paths: list[Path]) -> dict[str, tuple[float, float, float]]:
    """Put and get the same files in each way; all of it is on the disk when the clock stops."""
    work.mkdir()
    digests: list[Digest] = []
    names = "".join(f"{path}\n" for path in paths).encode()
    git = [
        "git",
        "-c",
        "core.compression=0",
        "-c",
        "core.bigFileThreshold=1m",
        "--git-dir",
        str(work / "git"),
    ]
    subprocess.run([*git, "init", "-q", "--bare", str(work / "git")], check=True)
    hashes: list[bytes] = []

    def put_git() -> None:
        command = [*git, "hash-object", "-w", "--no-filters", "--stdin-paths"]
        hashes.append(subprocess.run(command, input=names, stdout=subprocess.PIPE, check=True).stdout)

    def get_git() -> None:
        command = [*git, "cat-file", "--batch"]
        subprocess.run(command, input=hashes[0], stdout=subprocess.DEVNULL, check=True)

    put = (
        _seconds(lambda: digests.extend(_put(work / "store", paths))),
        _seconds(put_git),
        _seconds(lambda: shutil.copytree(source, work / "copy")),
    )
    get = (
        _seconds(lambda: _get(work / "store", digests)),
        _seconds(get_git),
        _seconds(lambda: _read(work / "copy")),
    )
    return {"put": put, "get": get}


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
    started = time.monotonic()
    work()
    os.sync()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
