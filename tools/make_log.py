"""Writes a run folder with a large write log, made up like that of a long build: for measuring exports.

    python tools/make_log.py 10000000 big
    catfs export ./big --format parquet -o log

The run has a declaration and a log, and no proof: it says of itself that it was stopped.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import orjson
import zstandard

from catfs.records import JOBSPEC_FILE, WRITE_LOG_FILE, Confine, JobSpec, JobStep, Leftovers, file_bytes

START = 1_770_000_000_000_000_000
WRITES_PER_FILE = 43
"""So that a compiled file has 50 records, and ten million records speak of 400,000 paths."""

FILES_PER_FOLDER = 50


def compiled(number: int) -> Iterator[dict[str, object]]:
    """Give the records of one compiler: a temporary file, the object, its new name.

    Args:
        number: Which file of the build, from 0.
    """
    pid = 1000 + number % 30_000
    above = f"src/part{number // FILES_PER_FOLDER:05}/lib"
    temporary, target = f"tmp/cc{number:07}.s", f"{above}/module{number % FILES_PER_FOLDER:02}.o"
    exe = {"exe": "/usr/libexec/gcc/cc1", "cwd": "/home/dev/tree", "argv": ["cc1", "-O2", target]}
    yield {
        "op": "process",
        "pid": pid,
        "process": pid,
        "parent": 999,
        "start": 10 * number + 1,
        "uid": 1000,
        **exe,
    }
    yield {
        "op": "create",
        "path": temporary,
        "mode": 0o100600,
        "uid": 1000,
        "gid": 1000,
        "ino": 2 * number + 20,
        "pid": pid,
    }
    yield {
        "op": "create",
        "path": f"{target}.part",
        "mode": 0o100644,
        "uid": 1000,
        "gid": 1000,
        "ino": 2 * number + 21,
        "pid": pid,
    }
    for place in range(WRITES_PER_FILE):
        own, path = (20, temporary) if place % 3 else (21, f"{target}.part")
        where = {"offset": 4096 * place, "length": 1 + (place * 977 + number) % 4096, "data": 4096 * place}
        yield {"op": "write", "path": path, "ino": 2 * number + own, "pid": pid, **where}
    yield {"op": "setattr", "path": f"{target}.part", "mode": 0o100755, "ino": 2 * number + 21, "pid": pid}
    yield {
        "op": "rename",
        "path": f"{target}.part",
        "path2": target,
        "flags": 0,
        "ino": 2 * number + 21,
        "pid": pid,
    }
    yield {"op": "unlink", "path": temporary, "ino": 2 * number + 20, "pid": pid}
    yield {"op": "read", "path": f"{above}/module.h", "ino": 2 * number + 22, "pid": pid}


def lines(records: int) -> Iterator[bytes]:
    """Give the lines of a log.

    Args:
        records: How many.
    """
    made = (record for number in count() for record in compiled(number))
    for seq, record in enumerate(islice(made, records)):
        yield orjson.dumps({"seq": seq, "t": START + seq * 20_000, **record}) + b"\n"


def declaration(name: str) -> JobSpec:
    """Give the declaration of the run.

    Args:
        name: Its id.
    """
    return JobSpec(
        run_id=name,
        intent="a made-up build",
        domains=(b"/home/dev/tree",),
        outputs=(),
        allowed_roots=(),
        steps=(JobStep(1, "", (b"make",)),),
        leftovers=Leftovers.DISCARD,
        confine=Confine.ON,
        allow_write=(),
        transport="devfuse",
    )


def main() -> int:
    """Write the folder and say how large it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("records", type=int, help="how many records")
    parser.add_argument("folder", type=Path, help="the run folder to make")
    arguments = parser.parse_args()
    arguments.folder.mkdir()
    (arguments.folder / JOBSPEC_FILE).write_bytes(file_bytes(declaration(arguments.folder.name)))
    path = arguments.folder / WRITE_LOG_FILE
    plain = 0
    with path.open("wb") as file, zstandard.ZstdCompressor(write_checksum=True).stream_writer(file) as stream:
        for line in lines(arguments.records):
            stream.write(line)
            plain += len(line)
    print(f"{arguments.records} records, {plain} bytes, {os.path.getsize(path)} compressed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
