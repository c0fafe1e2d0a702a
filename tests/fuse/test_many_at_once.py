"""Many processes in one mount at the same time: nothing is lost, nothing is seen half-written."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.workbench import STEP_SECONDS, TRANSPORTS, Workbench, open_workbench

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(110)]

OPEN_FILES = 10_000
_LOWER_FILES = 2_000
_BLOCK = 20_000

REPLACE = """\
import os, sys
top, number, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
for index in range(rounds):
    letter = bytes([97 + index % 26])
    with open(f"{top}/new{number}", "wb", 0) as file:
        for part in range(4):
            file.write(letter * 5000)
    os.rename(f"{top}/new{number}", f"{top}/shared{index % 5}")
"""

READ = """\
import os, sys
top, rounds = sys.argv[1], int(sys.argv[3])
for index in range(rounds):
    with open(f"{top}/shared{index % 5}", "rb", 0) as file:
        content = file.read(30000)
        assert len(content) == 20000 and len(set(content)) == 1, (index, len(content), set(content))
        assert os.fstat(file.fileno()).st_size == 20000
    names = os.listdir(top)
    assert {f"shared{n}" for n in range(5)} <= set(names), names
"""

APPEND = """\
import os, sys
top, number, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
descriptor = os.open(f"{top}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for index in range(rounds):
    os.write(descriptor, b"%s %06d\\n" % (number.encode(), index))
"""

STORM = """\
import os, random, sys
top, number, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
choose = random.Random(number)
for index in range(rounds):
    folder = choose.choice("abc")
    for name in os.listdir(f"{top}/{folder}"):
        try:
            if index % 10 == 3 and name.startswith("d"):
                os.mkdir(f"{top}/{folder}/{name}/{number}-{index}")
            os.rename(f"{top}/{folder}/{name}", f"{top}/{choose.choice('abc')}/{name}")
        except FileNotFoundError:
            continue
"""

HOLD = """\
import os, resource, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
top, many, lower = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
folder = os.open(top, os.O_RDONLY)
held = [os.open(f"old{index}", os.O_RDWR, dir_fd=folder) for index in range(lower)]
held += [os.open(f"new{index}", os.O_RDWR | os.O_CREAT, dir_fd=folder) for index in range(many - lower)]
for index in range(0, many, 7):
    os.pwrite(held[index], b"%d" % index, 4)
for index in range(0, many, 7):
    assert os.pread(held[index], 100, 4) == b"%d" % index, index
for index in range(0, lower, 11):
    os.unlink(f"old{index}", dir_fd=folder)
    assert os.pread(held[index], 3, 0) == b"old", index
print(len(held), len(os.listdir(f"/proc/{sys.argv[4]}/fd")))
"""


def fill(lower: Path) -> None:
    """Make files that are replaced, moved about and held open."""
    for name in ("replaced", "appended", "storm/a", "storm/b", "storm/c", "held"):
        (lower / name).mkdir(parents=True)
    for index in range(5):
        (lower / f"replaced/shared{index}").write_bytes(b"0" * _BLOCK)
    for index in range(12):
        (lower / f"storm/a/f{index}").write_bytes(b"%d" % index)
        (lower / f"storm/b/d{index}").mkdir()
        (lower / f"storm/b/d{index}/inside").write_bytes(b"%d" % index)
    for index in range(_LOWER_FILES):
        (lower / f"held/old{index}").write_bytes(b"old")


@pytest.fixture(scope="module", params=TRANSPORTS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Give a mount."""
    yield from open_workbench(request.param, tmp_path_factory.mktemp("many"), fill)


def _run_at_once(programs: Sequence[str], top: Path, rounds: int) -> None:
    """Run programs in one folder at the same time; none may fail or take too long."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, top, str(number), str(rounds)], stderr=subprocess.PIPE
        )
        for number, program in enumerate(programs)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=STEP_SECONDS)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_readers_see_whole_files_while_they_are_replaced(bench: Workbench) -> None:
    """Files replaced by rename are read whole, old or new, and never miss from the listing."""
    top = bench.server.mount / "replaced"
    _run_at_once([REPLACE, REPLACE, READ, READ, READ], top, 200)
    assert sorted(os.listdir(top)) == [f"shared{index}" for index in range(5)]


def test_appends_of_many_processes_are_all_there(bench: Workbench) -> None:
    """Each line that one of several processes appended is in the file, whole and in its order."""
    top = bench.server.mount / "appended"
    _run_at_once([APPEND] * 5, top, 300)
    lines = (top / "log").read_bytes().splitlines()
    for number in range(5):
        own = [line for line in lines if line.startswith(b"%d " % number)]
        assert own == [b"%d %06d" % (number, index) for index in range(300)]
    assert len(lines) == 1500


def test_storm_of_renames_loses_nothing(bench: Workbench) -> None:
    """Files and directories that several processes move about are each there once, with what was in them."""
    top = bench.server.mount / "storm"
    _run_at_once([STORM] * 5, top, 40)
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
        [sys.executable, "-c", HOLD, *words], capture_output=True, timeout=STEP_SECONDS, check=False
    )
    assert held.returncode == 0, held.stderr
    count, descriptors = map(int, held.stdout.split())
    assert count == OPEN_FILES
    assert descriptors < 600
