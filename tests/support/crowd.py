"""Programs that work in one mount at the same time, and fail when they see what they must not see.

Each is a text for `python -c` with the arguments folder, number of the process, and rounds.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.workbench import STEP_SECONDS

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

# Its arguments: folder, number of files, how many of them are of the lower, process id of the server. It
# says how many it and the server have open, and holds its own until its input ends.
HOLD = """\
import os, resource, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
top, many, lower = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
folder = os.open(top, os.O_RDONLY)
held = [os.open(f"old{index}", os.O_RDWR, dir_fd=folder) for index in range(lower)]
flags, new = os.O_RDWR | os.O_CREAT, f"new{os.getpid()}"
held += [os.open(f"{new}-{index}", flags, dir_fd=folder) for index in range(many - lower)]
for index in range(0, many, 7):
    os.pwrite(held[index], b"%d" % index, 4)
for index in range(0, many, 7):
    assert os.pread(held[index], 100, 4) == b"%d" % index, index
for index in range(0, lower, 11):
    os.unlink(f"old{index}", dir_fd=folder)
    assert os.pread(held[index], 3, 0) == b"old", index
print(len(held), len(os.listdir(f"/proc/{sys.argv[4]}/fd")), flush=True)
sys.stdin.read()
"""


def fill_for_crowd(lower: Path, held: int) -> None:
    """Make files that are replaced, moved about and held open.

    Args:
        lower: An empty directory.
        held: Number of files to be held open.
    """
    for name in ("replaced", "appended", "storm/a", "storm/b", "storm/c", "held"):
        (lower / name).mkdir(parents=True)
    for index in range(5):
        (lower / f"replaced/shared{index}").write_bytes(b"0" * _BLOCK)
    for index in range(12):
        (lower / f"storm/a/f{index}").write_bytes(b"%d" % index)
        (lower / f"storm/b/d{index}").mkdir()
        (lower / f"storm/b/d{index}/inside").write_bytes(b"%d" % index)
    for index in range(held):
        (lower / f"held/old{index}").write_bytes(b"old")


def run_at_once(programs: Sequence[str], top: Path, rounds: int, seconds: float = STEP_SECONDS) -> None:
    """Run programs in one folder at the same time.

    Args:
        programs: Their texts.
        top: The folder.
        rounds: How often each does its work.
        seconds: How long they may take.

    Raises:
        AssertionError: when one fails.
        subprocess.TimeoutExpired: when one takes too long.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, top, str(number), str(rounds)], stderr=subprocess.PIPE
        )
        for number, program in enumerate(programs)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=seconds)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in running:
            process.kill()
            process.communicate()
