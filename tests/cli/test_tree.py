"""`catfs tree`: the processes of a run, and what each read and wrote."""

from typing import Any

from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.log_maker import LogMaker
from tests.support.workspaces import SampleWorkspace


def _build() -> LogMaker:
    log = LogMaker()
    log.process(10, argv="make all")
    log.add("read", "Makefile", 5, 10)
    log.process(11, parent=10, argv="sh -c cc")
    log.process(12, parent=11, argv="cc a.c")
    log.add("read", "a.c", 6, 12)
    for number in range(5):
        ino = log.create(f"{number}.o", 12)
        log.write(f"{number}.o", ino, 0, 1024, 12)
    log.process(11, parent=10, argv="ld it")
    made = log.create("it", 11)
    log.write("it", made, 0, 1, 11)
    log.process(13, parent=10, start=200, argv="rm x")
    log.add("unlink", "x", 8, 13)
    log.add("fallocate", "it", made, 0, offset=0, length=1, mode=0)
    return log


def test_the_tree_shows_who_started_whom(sample: SampleWorkspace) -> None:
    """Children below their parent, each with its programs, what it read and what it wrote."""
    sample.add_run(log=_build().data)
    result = run_catfs(["tree"], sample.root)
    assert result.stdout.decode().splitlines() == [
        "10 make all",
        "│   reads Makefile",
        "├─11 sh -c cc",
        "│ │ then ld it",
        "│ │   writes it, 1 bytes",
        "│ └─12 cc a.c",
        "│       reads a.c",
        "│       writes 0.o, 1.o, 2.o and 2 more, 5.0 KiB",
        "└─13 rm x",
        "      writes x",
        "the kernel, or unknown",
        "    writes it",
    ]


def test_all_paths_are_listed_when_asked_for(sample: SampleWorkspace) -> None:
    """One on a line, behind their number."""
    sample.add_run(log=_build().data)
    lines = run_catfs(["tree", "--paths"], sample.root).stdout.decode().splitlines()
    place = lines.index("│       writes 5 paths, 5.0 KiB")
    assert lines[place + 1 : place + 6] == [f"│         {number}.o" for number in range(5)]


def test_json_has_sums_of_each_process_and_of_all_below(sample: SampleWorkspace) -> None:
    """What a process did itself, and together with everything that came from it."""
    sample.add_run(log=_build().data)
    value: Any = run_catfs(["tree", "--json"], sample.root).json()
    validate(value, "cli-tree.v1")
    make, shell, compiler, remover, kernel = value["processes"]
    assert (make["own"]["written"], make["together"]["written"], make["together"]["changes"]) == (0, 5121, 13)
    assert [program["argv"][0] for program in shell["programs"]] == ["sh", "ld"]
    assert [place["path"] for place in compiler["reads"]] == ["a.c"]
    assert (compiler["parent"], compiler["parent_pid"]) == (shell["process"], 11)
    assert remover["own"]["changes"] == 1
    assert kernel["process"] is None


def test_a_log_without_any_process_is_said_to_have_none(sample: SampleWorkspace) -> None:
    """Nothing on stdout, a sentence on stderr."""
    sample.add_run(log=b"")
    result = run_catfs(["tree"], sample.root)
    assert (result.status, result.stdout) == (0, b"")
    assert "there is no process in" in result.stderr


def test_what_was_undone_is_no_deed(sample: SampleWorkspace) -> None:
    """Its paths and bytes are gone from the tree, and a process that did nothing else with them."""
    log = _build()
    first = log.write("0.o", (1 << 40) + 1, 0, 4096, 12)
    log.process(14, parent=10, start=300, argv="touch y")
    log.create("y", 14)
    log.add("undo", "", 1, 15, first=first)
    sample.add_run(log=log.data)
    lines = run_catfs(["tree", "--paths"], sample.root).stdout.decode().splitlines()
    assert "│       writes 5 paths, 5.0 KiB" in lines
    assert not any("touch" in line for line in lines)
    value: Any = run_catfs(["tree", "--json"], sample.root).json()
    assert [found["pid"] for found in value["processes"][:-1]] == [10, 11, 12, 13]
    assert value["processes"][0]["together"]["changes"] == 13
