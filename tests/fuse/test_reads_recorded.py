"""The inputs of a run are in its log: which files of the original were read, and by whom first."""

import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from catfs.records.write_record import ProcessRecord
from catfs.runtime.transports import TRANSPORTS
from tests.support.commands import Project, run_catfs
from tests.support.strace import READ_OPTIONS, read_first_readers

pytestmark = pytest.mark.fuse

BUILD = """\
set -e
mkdir -p build
gcc -Iinclude -c -o build/main.o src/main.c
gcc -Iinclude -c -o build/part.o src/part.c
gcc -o build/program build/main.o build/part.o
cp data/table build/table
cat data/table data/notes > build/joined
sed -n 2p data/notes > build/line
wc -c < data/counted > build/count
./tool
cat build/joined > build/again
stat data/only-looked-at > build/looked
echo more >> data/appended
"""


class Inputs(NamedTuple):
    """Who read which file of the original first: as strace saw it, and as the log has it."""

    seen: dict[bytes, tuple[int, bytes]]
    recorded: dict[bytes, tuple[int, bytes]]
    before: set[bytes]


def _recorded(project: Project) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    programs: dict[int, bytes] = {}
    for record in project.last_run().log():
        if isinstance(record, ProcessRecord):
            programs[record.pid] = record.exe
        elif record.op == "read":
            yield record.path, (record.pid, programs[record.pid])


@pytest.fixture(scope="module", params=[name for name in TRANSPORTS if name != "auto"])
def inputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Build once under strace inside `catfs run`, and give what strace and what the log saw."""
    top = tmp_path_factory.mktemp("inputs")
    (top / "domain").mkdir()
    project = Project(top / "domain")
    project.write("include/part.h", "int part(void);\n")
    project.write("include/never.h", "int never(void);\n")
    project.write("src/main.c", '#include "part.h"\nint main(void) { return part(); }\n')
    project.write("src/part.c", '#include "part.h"\nint part(void) { return 0; }\n')
    project.write("data/table", "1,2,3\n" * 5000)
    for name in ("notes", "counted", "only-looked-at", "appended"):
        project.write(f"data/{name}", f"first line of {name}\nsecond line\n")
    project.write("tool", "#!/bin/sh\nread line < data/counted\n", 0o755)
    project.write("build.sh", BUILD)
    before = {path for path, found in project.seen().items() if found.size}
    words = ("run", "--confine", "off", "--leftovers", "discard", "--transport", request.param, "--")
    command = ("strace", "-o", top / "strace", *READ_OPTIONS, "sh", "build.sh")
    result = run_catfs([*words, *command], project.path)
    assert result.status == 0, result.stderr
    scripts = {
        os.fsencode(project.path / "tool"): os.path.realpath(b"/bin/sh")
    }  # strace names no interpreter
    readers = read_first_readers(top / "strace", project.path)
    seen = {path: (pid, scripts.get(exe, exe)) for path, (pid, exe) in readers.items()}
    return Inputs(seen, dict(_recorded(project)), before)


def test_every_file_that_was_read_is_recorded_with_its_first_reader(inputs: Inputs) -> None:
    """What strace saw read of the original is in the log, under the process and program that read first."""
    expected = {path: reader for path, reader in inputs.seen.items() if path in inputs.before}
    assert {path: inputs.recorded.get(path) for path in expected} == expected
    names = {b"src/main.c", b"src/part.c", b"include/part.h", b"data/table", b"data/notes", b"data/counted"}
    assert expected.keys() >= names


def test_only_what_was_read_is_recorded(inputs: Inputs) -> None:
    """Files that were looked at, appended to, made in the run or left alone are no inputs."""
    executed = {b"tool", b"build.sh"}
    assert inputs.recorded.keys() - executed == inputs.seen.keys() & inputs.before - executed
    assert b"tool" in inputs.recorded
    assert not {b"data/only-looked-at", b"data/appended", b"include/never.h"} & inputs.recorded.keys()
