"""Many processes in one mount at the same time: nothing is lost, nothing is seen half-written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crowd import APPEND, HOLD, READ, REPLACE, STORM, fill_for_crowd, run_at_once
from tests.support.workbench import STEP_SECONDS, TRANSPORTS, Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(110)]

OPEN_FILES = 10_000
_LOWER_FILES = 2_000


def fill(lower: Path) -> None:
    """Make files for all of them."""
    fill_for_crowd(lower, _LOWER_FILES)


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("many"), fill)


def test_readers_see_whole_files_while_they_are_replaced(bench: Workbench) -> None:
    """Files replaced by rename are read whole, old or new, and never miss from the listing."""
    top = bench.server.mount / "replaced"
    run_at_once([REPLACE, REPLACE, READ, READ, READ], top, 200)
    assert sorted(os.listdir(top)) == [f"shared{index}" for index in range(5)]


def test_appends_of_many_processes_are_all_there(bench: Workbench) -> None:
    """Each line that one of several processes appended is in the file, whole and in its order."""
    top = bench.server.mount / "appended"
    run_at_once([APPEND] * 5, top, 300)
    lines = (top / "log").read_bytes().splitlines()
    for number in range(5):
        own = [line for line in lines if line.startswith(b"%d " % number)]
        assert own == [b"%d %06d" % (number, index) for index in range(300)]
    assert len(lines) == 1500


def test_storm_of_renames_loses_nothing(bench: Workbench) -> None:
    """Files and directories that several processes move about are each there once, with what was in them."""
    top = bench.server.mount / "storm"
    run_at_once([STORM] * 5, top, 40)
    names = sorted(name for folder in "abc" for name in os.listdir(top / folder))
    assert names == sorted([*(f"f{index}" for index in range(12)), *(f"d{index}" for index in range(12))])
    for index in range(12):
        (inside,) = top.glob(f"?/d{index}/inside")
        assert inside.read_bytes() == b"%d" % index
        (file,) = top.glob(f"?/f{index}")
        assert file.read_bytes() == b"%d" % index


def test_ten_thousand_files_are_open_at_once(bench: Workbench) -> None:
    """10,000 files are open, read and written by one process; the server needs few descriptors for that."""
    numbers = (OPEN_FILES, _LOWER_FILES, bench.server.pid)
    words = [str(bench.server.mount / "held"), *map(str, numbers)]
    held = subprocess.run(
        [sys.executable, "-c", HOLD, *words],
        input=b"",
        capture_output=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert held.returncode == 0, held.stderr
    count, descriptors = map(int, held.stdout.split())
    assert count == OPEN_FILES
    assert descriptors < 600
