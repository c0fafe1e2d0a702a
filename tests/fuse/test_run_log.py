"""The write log against an independent witness: strace of the same build."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from catfs.records.write_record import ProcessRecord
from tests.support.commands import Project, run_catfs
from tests.support.strace import OPTIONS, Call, read_strace

pytestmark = pytest.mark.fuse

BUILD = """\
set -e
mkdir -p build/objects out
printf 'int number(void) { return 42; }\\n' > build/number.c
gcc -c -o build/objects/number.o build/number.c
gcc -c -o build/objects/main.o src/main.c
gcc -o out/program build/objects/main.o build/objects/number.o
./out/program > out/report
ar rc build/libnumber.a build/objects/number.o
cp src/main.c build/copy.c
mv build/copy.c build/renamed.c
mv build/objects build/moved
ln build/renamed.c build/hard
ln -s renamed.c build/soft
chmod 600 build/renamed.c
echo appended >> src/notes
truncate -s 3 src/notes
rm build/hard build/moved/main.o
mkdir build/empty
rmdir build/empty
"""

MAIN = """\
#include <stdio.h>
int number(void);
int main(void) { return printf("%d", number()) != 2; }
"""

NAMES = {"create", "mkdir", "symlink", "link", "unlink", "rmdir", "rename"}
"""Operations of which log and strace must hold exactly the same."""


class Logged(NamedTuple):
    """One change of the log with the program of its process."""

    op: str
    path: bytes
    path2: bytes
    pid: int
    exe: bytes
    length: int


def logged(project: Project) -> Iterator[Logged]:
    """Give the changes of the last run, each with the program that the process record before it names."""
    programs: dict[int, bytes] = {}
    for record in project.last_run().log():
        if isinstance(record, ProcessRecord):
            programs[record.pid] = record.exe
        elif record.op != "read" and record.op in {*NAMES, "write", "setattr", "truncate"}:
            path2 = record.texts.get("path2", b"")
            length = record.numbers.get("length", 0)
            yield Logged(record.op, record.path, path2, record.pid, programs[record.pid], length)


def with_created(calls: list[Call], names: set[bytes]) -> Iterator[Call]:
    """Tell the opens that made a file from those that found one, which stay `open`.

    Args:
        calls: What strace saw.
        names: What was in the domain before.
    """
    for seen in calls:
        call = seen._replace(op="create") if seen.op == "open" and seen.path not in names else seen
        if call.op in {"create", "mkdir", "symlink"}:
            names.add(call.path)
        elif call.op in {"unlink", "rmdir"}:
            names.discard(call.path)
        elif call.op in {"rename", "link"}:
            moved = {name for name in names if name == call.path or name.startswith(call.path + b"/")}
            names |= {call.path2 + name.removeprefix(call.path) for name in moved}
            names -= moved if call.op == "rename" else set()
        yield call


class Witnessed(NamedTuple):
    """One build as strace saw it, and as the log of its run has it."""

    calls: list[Call]
    changes: list[Logged]
    transport: str


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> Witnessed:
    """Build once under strace inside `catfs run`, and give what strace and what the log saw."""
    assert shutil.which("strace"), "strace is not installed: scripts/setup installs it"
    top = tmp_path_factory.mktemp("witness")
    (top / "domain").mkdir()
    project = Project(top / "domain")
    project.write("src/main.c", MAIN)
    project.write("src/notes", "notes\n")
    project.write("build.sh", BUILD)
    before = set(project.seen())
    words = ("run", "--confine", "off", "--leftovers", "discard", "--output", "out", "--")
    command = ("strace", "-o", top / "strace", *OPTIONS, "sh", "build.sh")
    result = run_catfs([*words, *command], project.path)
    assert result.status == 0, result.stderr
    calls = list(with_created(list(read_strace(top / "strace", project.path)), before))
    return Witnessed(calls, list(logged(project)), project.last_run().proof().transport)


def test_every_change_of_names_is_in_the_log(witnessed: Witnessed) -> None:
    """Create, rename, unlink and the like: log and strace hold the same, with process and program."""
    seen = Counter(call[:5] for call in witnessed.calls if call.op in NAMES)
    assert Counter(change[:5] for change in witnessed.changes if change.op in NAMES) == seen
    assert {op for op, *_ in seen} == NAMES


def test_changes_of_names_are_in_the_order_in_which_they_happened(witnessed: Witnessed) -> None:
    """The order of the log is that of the calls, for every process."""
    for pid in {call.pid for call in witnessed.calls}:
        seen = [call[:3] for call in witnessed.calls if call.op in NAMES and call.pid == pid]
        found = [change[:3] for change in witnessed.changes if change.op in NAMES and change.pid == pid]
        assert found == seen


def test_every_written_byte_is_in_the_log(witnessed: Witnessed) -> None:
    """For each file the log holds as many bytes as strace saw written, under the right process and program.

    pyfuse3 does not tell who writes, so through that transport a write is put down to whoever opened the
    file. Where the writer opened it itself that is the same; a shell opens the file of a redirection for
    the program that it starts.
    """
    writes = [call for call in witnessed.calls if call.op == "write" and call.result]
    found = [change for change in witnessed.changes if change.op == "write"]
    seen_bytes: Counter[bytes] = Counter()
    found_bytes: Counter[bytes] = Counter()
    for call in writes:
        seen_bytes[call.path] += call.result
    for change in found:
        found_bytes[change.path] += change.length
    assert found_bytes == seen_bytes
    assert seen_bytes.keys() >= {b"out/program", b"out/report", b"build/number.c", b"src/notes"}
    allowed = {(call.path, call.pid, call.exe) for call in writes}
    if witnessed.transport == "pyfuse3":
        openers = [call for call in witnessed.calls if call.op in {"create", "open"}]
        allowed |= {(call.path, call.pid, call.exe) for call in openers}
    assert {(change.path, change.pid, change.exe) for change in found} <= allowed


def test_changes_of_mode_and_size_are_in_the_log(witnessed: Witnessed) -> None:
    """chmod, fchmod and truncate that strace saw are in the log, with process and program."""
    found = {(change.op, change.path, change.pid, change.exe) for change in witnessed.changes}
    calls = [call for call in witnessed.calls if call.op in {"setattr", "truncate"}]
    assert {(call.op, call.path, call.pid, call.exe) for call in calls} <= found
    assert b"build/renamed.c" in {call.path for call in calls}
    assert ("truncate", b"src/notes") in {(change.op, change.path) for change in witnessed.changes}


def test_inherited_descriptor_is_in_the_log_under_writer_or_opener(project: Project) -> None:
    """Bytes that a child writes through its parent's descriptor are in the log, under one of the two."""
    script = "exec 3> file; echo $$; /bin/echo child >&3 & echo $!; wait"
    result = project.run(script, "--confine", "off", "--output", "file")
    assert result.status == 0, result.stderr
    writes = [change for change in logged(project) if change.op == "write"]
    assert [(change.path, change.length) for change in writes] == [(b"file", 6)]
    assert writes[0].pid in {int(word) for word in result.stdout.split()}


def test_process_records_say_program_arguments_and_folder(project: Project) -> None:
    """Who changed something: executable, argument vector, working directory, user, parent."""
    result = project.run("mkdir sub; cd sub; touch made ''; touch -- 'two words'", "--confine", "off")
    assert result.status == 1
    touches = [
        record
        for record in project.last_run().log()
        if isinstance(record, ProcessRecord) and record.argv[0] == b"touch"
    ]
    assert [record.argv for record in touches] == [(b"touch", b"made", b""), (b"touch", b"--", b"two words")]
    program = shutil.which("touch")
    assert program is not None
    assert {record.exe for record in touches} == {bytes(Path(program).resolve())}
    assert {record.cwd for record in touches} == {bytes(project.path / "sub")}
    assert len({record.parent for record in touches}) == 1
