"""Long forms of what tests/fuse tries shortly: hours of random programs, all stressors, 100,000 open files.

    .venv/bin/python -m tools.hammer                            # every part once, over both transports
    .venv/bin/python -m tools.hammer random --times 50 --transport devfuse
    .venv/bin/python -m tools.hammer open --files 100000

After each part a full walk of the mount, the view and the replay of its log must have one root, and the
lower must be what it was. Needs root and stress-ng. The folder of a part that failed is kept, and its
name printed.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis

from tests.support.crowd import APPEND, HOLD, READ, REPLACE, STORM, fill_for_crowd, run_at_once
from tests.support.mount_machine import COPIES_SPARE, fill_with_samples, run_random_programs
from tests.support.workbench import TRANSPORTS, Workbench, open_workbench

PROGRAMS, STEPS = 300, 100
"""Random programs at a time, and most steps of each."""

STRESSORS = (
    *("access", "chdir", "chmod", "chown", "dentry", "dir", "dirdeep", "dirmany", "dup", "fallocate"),
    *("fcntl", "fiemap", "file-ioctl", "filename", "flock", "fpunch", "fsize", "fstat", "getdent", "hdd"),
    *("inode-flags", "io", "iomix", "lease", "link", "locka", "lockf", "lockofd", "mknod", "open"),
    *("rename", "seek", "symlink", "sync-file", "touch", "utime", "xattr", "aiol", "mmap", "mmapfork"),
    *("mremap", "readahead", "sendfile", "splice", "tee"),
)
"""The stressors that touch files."""

_STRESS_OPTIONS = {
    "hdd": ("--hdd-bytes=8m",),
    "fallocate": ("--fallocate-bytes=32m",),
    "iomix": ("--iomix-bytes=16m",),
    "readahead": ("--readahead-bytes=16m",),
    "seek": ("--seek-size=16m",),
    "sync-file": ("--sync-file-bytes=16m",),
    "mmap": ("--mmap-bytes=8m", "--mmap-file"),
    "sendfile": ("--sendfile-size=4m",),
}
_STRESS_SECONDS = 3
_NOT_ON_THIS_MACHINE = {3, 4}
"""Exit statuses of stress-ng that say that it could not even begin."""

_SERVER_SECONDS = 6 * 3600
_CROWD_ROUNDS = 2000
_CROWD_SECONDS = 1800.0


def hammer_random(transport: str, folder: Path, files: int) -> str:
    """Run random programs in the mount and in a plain directory."""
    del files
    count = PROGRAMS + COPIES_SPARE
    for bench in open_workbench(
        transport, folder, lambda lower: fill_with_samples(lower, count), _SERVER_SECONDS
    ):
        run_random_programs(bench.server, bench.plain, PROGRAMS, STEPS)
    return f"{PROGRAMS} programs"


def hammer_stress(transport: str, folder: Path, files: int) -> str:
    """Run every stressor with two processes, one stressor after the other.

    Raises:
        AssertionError: when one finds a wrong result.
    """
    del files
    passed, skipped = 0, []
    for bench in open_workbench(transport, folder, _fill_nothing, _SERVER_SECONDS):
        for name in STRESSORS:
            if _stress(bench, name):
                passed += 1
            else:
                skipped.append(name)
    return (
        f"{passed} of {len(STRESSORS)} stressors passed, not on this machine: {' '.join(skipped) or 'none'}"
    )


def _fill_nothing(lower: Path) -> None:
    """Leave the lower empty."""


def _stress(bench: Workbench, name: str) -> bool:
    program = shutil.which("stress-ng")
    assert program is not None, "stress-ng is not installed: scripts/setup --tools installs it"
    place = bench.server.mount / name
    place.mkdir()
    place.chmod(0o1777)
    words = [f"--{name}=2", *_STRESS_OPTIONS.get(name, ()), f"--timeout={_STRESS_SECONDS}s", "--verify"]
    ended = subprocess.run(
        [program, *words, "--oomable", "--temp-path", str(place)],
        cwd=place,
        capture_output=True,
        timeout=600,
        check=False,
    )
    said = (ended.stdout + ended.stderr).decode(errors="replace")
    assert ended.returncode in {0, *_NOT_ON_THIS_MACHINE}, f"{name} ended with {ended.returncode}: {said}"
    shutil.rmtree(place)
    return ended.returncode == 0 and "skipped: 2" not in said


def hammer_crowd(transport: str, folder: Path, files: int) -> str:
    """Let many processes replace, read, append and rename at once."""
    del files
    for bench in open_workbench(transport, folder, lambda lower: fill_for_crowd(lower, 0), _SERVER_SECONDS):
        mount = bench.server.mount
        run_at_once([REPLACE] * 4 + [READ] * 8, mount / "replaced", _CROWD_ROUNDS, _CROWD_SECONDS)
        run_at_once([APPEND] * 16, mount / "appended", _CROWD_ROUNDS, _CROWD_SECONDS)
        run_at_once([STORM] * 16, mount / "storm", _CROWD_ROUNDS // 10, _CROWD_SECONDS)
        assert len(list(mount.glob("storm/*/f*"))) == 12
        assert len((mount / "appended/log").read_bytes().splitlines()) == 16 * _CROWD_ROUNDS
    return f"{_CROWD_ROUNDS} rounds"


def hammer_open(transport: str, folder: Path, files: int) -> str:
    """Hold many files open at once, in as many processes as their limits ask for.

    Raises:
        AssertionError: when that fails.
    """
    each = min(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100)
    shares = [each] * (files // each) + [files % each] * (files % each > 0)
    lower = each // 5
    said = "nothing"
    for bench in open_workbench(
        transport, folder, lambda place: fill_for_crowd(place, lower), _SERVER_SECONDS
    ):
        holders = [_hold(bench, share, lower if index == 0 else 0) for index, share in enumerate(shares)]
        try:
            counts = [_read_counts(holder) for holder in holders]
            assert sum(count for count, _ in counts) == files
            said = (
                f"{files} files open in {len(holders)} processes, {counts[-1][1]} descriptors in the server"
            )
        finally:
            for holder in holders:
                holder.communicate(timeout=_CROWD_SECONDS)
    return said


def _hold(bench: Workbench, files: int, lower: int) -> subprocess.Popen[bytes]:
    numbers = map(str, (files, lower, bench.server.pid))
    command = [sys.executable, "-c", HOLD, str(bench.server.mount / "held"), *numbers]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _read_counts(holder: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Give how many files a holder has open, and how many descriptors the server has."""
    assert holder.stdout is not None
    words = holder.stdout.readline().split()
    assert len(words) == 2, "a process could not open its files; its message is above"
    return int(words[0]), int(words[1])


PARTS: dict[str, Callable[[str, Path, int], str]] = {
    "random": hammer_random,
    "stress": hammer_stress,
    "crowd": hammer_crowd,
    "open": hammer_open,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and give the exit status: 1 when one failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.hammer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--transport", action="append", choices=TRANSPORTS, help="repeatable (default: all)")
    parser.add_argument("--times", type=int, default=1, help="how often (default: 1)")
    parser.add_argument("--files", type=int, default=100_000, help="files held open (default: 100000)")
    given = parser.parse_args(arguments)
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    hypothesis.settings.register_profile("hammer", database=None, deadline=None, print_blob=True)
    hypothesis.settings.load_profile("hammer")
    is_good = True
    for _ in range(given.times):
        for transport in given.transport or TRANSPORTS:
            for part in given.parts or PARTS:
                is_good &= _run_part(part, transport, given.files)
    return 0 if is_good else 1


def _run_part(part: str, transport: str, files: int) -> bool:
    folder = Path(tempfile.mkdtemp(prefix="catfs-hammer."))
    started = time.monotonic()
    try:
        said = PARTS[part](transport, folder, files)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"{part} {transport}: FAILED, its folder is {folder}: {error}", flush=True)
        return False
    print(f"{part} {transport}: {said}, {time.monotonic() - started:.0f} s", flush=True)
    shutil.rmtree(folder)
    return True


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
