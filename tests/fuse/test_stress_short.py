"""A short form of stress-ng in a mount: stressors that check their own results, all at once."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.workbench import STEP_SECONDS, TRANSPORTS, Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(110)]

STRESSORS = (
    *("access", "chmod", "chown", "dentry", "dir", "fallocate", "filename", "fstat", "getdent", "hdd"),
    *("lockf", "mmap", "open", "rename", "seek", "utime", "xattr"),
)
"""Those that end soon after they are asked to."""

_SECONDS = 2
"""How long they work, in seconds: what they write must be read again afterwards."""

_SIZES = (
    "--dentries=200",
    "--fallocate-bytes=4m",
    "--hdd-bytes=2m",
    "--mmap-bytes=1m",
    "--mmap-file",
    "--seek-size=2m",
)


def fill(lower: Path) -> None:
    """Make the folder that stress-ng works in."""
    (lower / "stress").mkdir()
    (lower / "stress").chmod(0o1777)


@pytest.fixture(params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workbench]:
    """Give a mount."""
    yield from open_workbench(request.param, tmp_path, fill)


def test_stressors_find_no_wrong_result(bench: Workbench) -> None:
    """No stressor finds a result that it did not expect, and none is skipped."""
    words = [f"--{name}=1" for name in STRESSORS]
    place = bench.server.mount / "stress"
    command = ["stress-ng", *words, *_SIZES, f"--timeout={_SECONDS}s", "--verify", "--temp-path", str(place)]
    with subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as stress:
        try:
            said = stress.communicate(timeout=STEP_SECONDS)[0].decode()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(stress.pid, signal.SIGKILL)
    assert stress.returncode == 0, said
    assert "skipped" not in said
    assert "fail" not in said
    assert list(place.iterdir()) == []
