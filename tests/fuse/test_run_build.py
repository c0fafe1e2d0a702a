"""The main job: a C project is built in a view, its output kept, everything else returned as it was."""

import pytest

from catfs.records import Outcome
from catfs.runtime.manifests import manifest_trees
from tests.support.commands import Project

pytestmark = pytest.mark.fuse

MAKEFILE = """\
OBJECTS = build/main.o build/sum.o build/text.o
out/program: $(OBJECTS) | out
\tgcc -o $@ $(OBJECTS)
build/%.o: src/%.c src/parts.h | build
\tgcc -O1 -Wall -c -o $@ $<
build out:
\tmkdir -p $@
clean:
\trm -rf build
"""
SOURCES = {
    "src/parts.h": "int sum(int, int);\nconst char *text(void);\n",
    "src/main.c": '#include <stdio.h>\n#include "parts.h"\n'
    'int main(void) { printf("%s %d\\n", text(), sum(40, 2)); return 0; }\n',
    "src/sum.c": '#include "parts.h"\nint sum(int a, int b) { return a + b; }\n',
    "src/text.c": '#include "parts.h"\nconst char *text(void) { return "the answer is"; }\n',
}


@pytest.fixture
def c_project(project: Project) -> Project:
    """Give a C project of several files."""
    project.write("Makefile", MAKEFILE)
    project.write("README", "words\n")
    for name, text in SOURCES.items():
        project.write(name, text)
    return project


def test_build_commits_its_output_and_nothing_else(c_project: Project) -> None:
    """`make -j2` with `--leftovers discard` commits out/; all else keeps content, mode and times."""
    before = c_project.seen()
    result = c_project.catfs("run", "--output", "out", "--leftovers", "discard", "--", "make", "-j2")
    assert result.status == 0, result.stderr
    after = c_project.seen()
    assert sorted(after.keys() - before.keys()) == [b"out", b"out/program"]
    assert {path: after[path] for path in before} == before
    assert c_project.run("./out/program").stdout == b"the answer is 42\n"


def test_build_proof_says_isolated_but_not_self_restored(c_project: Project) -> None:
    """Dropped leftovers are listed, and the proof keeps the two verdicts apart."""
    c_project.catfs("run", "--output", "out", "--leftovers", "discard", "--", "make", "-j2")
    proof = c_project.last_run().proof()
    assert (proof.outcome, proof.isolated, proof.self_restored) == (Outcome.RESTORED, True, False)
    assert proof.fold_equal
    assert c_project.leftovers() == [b"build", b"build/main.o", b"build/sum.o", b"build/text.o"]


def test_build_that_cleans_up_restores_itself(c_project: Project) -> None:
    """A command that removes what it made needs no flag, and is called self-restored."""
    result = c_project.run("make -j2 && make clean", "--output", "out")
    assert result.status == 0, result.stderr
    proof = c_project.last_run().proof()
    assert (proof.isolated, proof.self_restored) == (True, True)
    assert c_project.leftovers() == []
    assert (c_project.path / "out" / "program").is_file()


def test_making_the_workspace_leaves_no_trace_in_the_domain(c_project: Project) -> None:
    """`.catfs` in the domain is no part of it: not in the tree, and the directory keeps its times."""
    before = c_project.seen()
    result = c_project.run("ls -A; test ! -e .catfs; find . -name .catfs")
    assert result.status == 0
    assert sorted(result.stdout.split()) == [b"Makefile", b"README", b"src"]
    assert c_project.seen() == before
    run = c_project.last_run()
    (tree,) = manifest_trees(run, run.pre_manifest())
    assert not [path for path, _ in tree.items() if b".catfs" in path]
    assert (c_project.path / ".catfs").is_dir()
