"""A real build under strace: what blame, tree and temporary files say, against an independent witness."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Project, run_catfs
from tests.support.strace_bytes import OPTIONS, Witness

pytestmark = pytest.mark.fuse

SOURCES = Path(__file__).parents[1] / "fixtures" / "c_project"

BUILD = "./configure && make -s -j2 all && make -s check && make -s install"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Give a C project that was configured, made, checked and installed once under strace in a run."""
    top = tmp_path_factory.mktemp("build")
    shutil.copytree(SOURCES, top / "domain")
    words = ("run", "--confine", "off", "--transport", "devfuse", "--leftovers", "discard")
    command = ("strace", "-o", top / "strace", *OPTIONS, "sh", "-c", BUILD)
    result = run_catfs([*words, "--", *command], top / "domain")
    assert result.status == 0, result.stderr
    return Project(top / "domain")


@pytest.fixture(scope="module")
def witness(project: Project) -> Witness:
    """Give what strace saw of it."""
    existed = {bytes(path.relative_to(SOURCES)) for path in SOURCES.rglob("*")}
    return Witness(project.path.parent / "strace", project.path).read(existed)


def _ask(project: Project, *words: str | bytes) -> Any:
    result = project.catfs(*words, "--json")
    assert result.status == 0, result.stderr
    return result.json()


def test_blame_agrees_with_strace_byte_by_byte(project: Project, witness: Witness) -> None:
    """For ten files chosen at random: each byte has the process that strace saw writing it last."""
    left = sorted(file.path for file in witness.files if file.names and file.written)
    chosen = random.Random(8).sample(left, 10)  # noqa: S311 - chosen once, the same every time
    for path in chosen:
        names = witness_names(witness, path)
        blame = _ask(project, "blame", names[0])
        owners: list[int | None] = []
        for part in blame["ranges"]:
            owners += [None] * (part["offset"] - len(owners))
            pid = None if part["writer"] is None else blame["writers"][part["writer"]]["pid"]
            owners += [pid] * part["length"]
        seen = witness.at(names[0]).owners
        assert len(owners) == len(seen), path
        assert {place for place, pid in enumerate(seen) if pid is not None and owners[place] != pid} == set()


def witness_names(witness: Witness, path: bytes) -> list[bytes]:
    """Give the names at the end of a file that was first seen under a path, relative to the domain."""
    for file in witness.files:
        if file.path == path and file.names:
            return sorted(name.removeprefix(witness.top) for name in file.names)
    raise AssertionError(path)


def test_blame_names_the_programs_that_led_to_a_byte(project: Project, witness: Witness) -> None:
    """The chain from the linker up is the one that strace saw, argument by argument."""
    blame = _ask(project, "blame", "src/sum.o")
    (writer,) = blame["writers"]
    seen = []
    pid = writer["pid"]
    while pid in witness.processes:
        seen.append((pid, [word.decode() for word in witness.processes[pid].argv]))
        pid = witness.processes[pid].parent
    found = [(step["pid"], step["argv"]) for step in writer["chain"]]
    assert found[: len(seen)] == seen
    assert [argv[0].rpartition("/")[2] for _, argv in seen[:2]] == ["as", "cc"]


def test_the_process_tree_agrees_with_strace(project: Project, witness: Witness) -> None:
    """Everybody who wrote is in the tree, with the parent and the arguments that strace saw."""
    processes = {found["pid"]: found for found in _ask(project, "tree")["processes"] if found["programs"]}
    writers = {pid for file in witness.files for pid in file.owners if pid is not None}
    assert writers <= processes.keys()
    parents = {pid: processes[pid]["parent_pid"] for pid in processes if pid in witness.processes}
    assert parents == {pid: witness.processes[pid].parent or processes[pid]["parent_pid"] for pid in parents}
    assert len(parents) > 50
    for pid in writers:
        argv = [word.decode() for word in witness.processes[pid].argv]
        # The kernel puts the interpreter of a script in front of its arguments.
        assert argv in [program["argv"][-len(argv) :] for program in processes[pid]["programs"]]


def test_temporary_files_are_all_there(project: Project, witness: Witness) -> None:
    """Each file that strace saw being made and removed is listed, with the bytes written to it."""
    listed = sorted(
        (file["path"], file["written"])
        for file in _ask(project, "log", "--temporary")["files"]
        if file["kind"] == "file"
    )
    assert listed == sorted((file.path.decode(), file.written) for file in witness.temporary())
    assert len(listed) >= 10
