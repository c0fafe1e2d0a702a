"""A short form of fio in a mount: what was written in many ways is read back with the right SHA-256."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.workbench import STEP_SECONDS, TRANSPORTS, Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(110)]

JOBS = {
    "unaligned": ("--ioengine=psync", "--bsrange=1k-64k", "--bs_unaligned=1", "--verify_interval=1k"),
    "mapped": ("--ioengine=mmap", "--bs=4k"),
    "direct": ("--ioengine=libaio", "--iodepth=16", "--direct=1", "--bs=4k"),
    "synced": ("--ioengine=psync", "--bs=16k", "--fsync=8", "--nrfiles=4"),
}
"""Jobs that run at the same time, with what is special about each."""

_COMMON = (
    "--rw=randwrite",
    "--size=4m",
    "--verify=sha256",
    "--do_verify=1",
    "--verify_fatal=1",
    "--verify_state_save=0",
    "--randseed=42",
    "--output-format=json",
    "--fallocate=none",
)


def fill(lower: Path) -> None:
    """Put a file into the lower that one of the jobs overwrites."""
    (lower / "direct.0.0").write_bytes(bytes(4 << 20))


@pytest.fixture(params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workbench]:
    """Give a mount."""
    yield from open_workbench(request.param, tmp_path, fill)


def test_random_writes_are_read_back_whole(bench: Workbench) -> None:
    """Unaligned, mapped, direct and synced random writes have the right digests, over old content and new."""
    words = [word for name, options in JOBS.items() for word in (f"--name={name}", *_COMMON, *options)]
    ended = subprocess.run(
        ["fio", f"--directory={bench.server.mount}", *words],
        capture_output=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    report = json.loads(ended.stdout[ended.stdout.index(b"{") :])
    assert [(job["jobname"], job["error"]) for job in report["jobs"]] == [(name, 0) for name in JOBS]
    assert all(job["read"]["io_bytes"] == job["write"]["io_bytes"] for job in report["jobs"])
