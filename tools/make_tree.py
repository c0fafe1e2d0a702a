"""Makes a large domain: many small files in many directories, or all in one.

    python tools/make_tree.py FOLDER --files 1000000 --directories 10000
    python tools/make_tree.py FOLDER --files 1000000 --directories 0

Names, sizes and content depend on the arguments alone, so two machines make the same tree.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

DIRECTORIES_EACH = 100
"""Directories in one directory: with 10,000 of them the tree is two levels deep."""


def make_tree(folder: Path, files: int, directories: int, size: int) -> None:
    """Make a tree.

    Args:
        folder: Where; it must not exist.
        files: How many files.
        directories: How many directories hold them; 0 for all files in the folder itself.
        size: Bytes of an average file; sizes go from nothing to twice that.

    Raises:
        FileExistsError: when the folder exists.
    """
    folder.mkdir(parents=True)
    places = [folder]
    if directories:
        places = [folder / f"{at // DIRECTORIES_EACH:03}" / f"{at:06}" for at in range(directories)]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
    for at in range(files):
        seed = hashlib.sha256(b"%d" % at).digest()
        length = int.from_bytes(seed[:4], "little") % (2 * size + 1)
        content = (seed * (length // len(seed) + 1))[:length]
        path = os.fspath(places[at % len(places)]) + f"/file-{at:07}.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and make the tree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--directories", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512, help="bytes of an average file")
    options = parser.parse_args(arguments)
    if options.files < 0 or options.directories < 0 or options.size < 0:
        parser.error("expected numbers of at least 0")
    try:
        make_tree(options.folder, options.files, options.directories, options.size)
    except FileExistsError:
        print(f"{options.folder} exists; name a new folder", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
