"""`catfs shell`: a real shell in a terminal of its own."""

import json
from pathlib import Path

import pytest

from tests.support.commands import CATFS, Project, run_catfs
from tests.support.typist import Typist

pytestmark = pytest.mark.fuse

BASH = {
    "SHELL": "/bin/bash",
    "PROMPT_COMMAND": "echo at-$((0 + 1))",
    "HOME": "/nonexistent",
    "INPUTRC": "/dev/null",
}


@pytest.mark.parametrize("confine", ["on", "off"])
def test_a_shell_has_a_terminal_with_job_control(project: Project, confine: str) -> None:
    """Interrupting, stopping and continuing work as in any terminal, behind the wall and without it."""
    words: list[str | Path] = [CATFS, "shell", "--confine", confine, "--leftovers", "discard"]
    with Typist(words, project.path, BASH) as typist:
        typist.type("echo begun-$((1 + 1))\n")
        shown = typist.wait_for("begun-2")
        assert "no job control" not in shown
        # What answers runs: a key that comes while the shell is still starting it can be lost.
        typist.type("sed -u s/a/first-/\n")
        typist.type("a4\n")
        typist.wait_for("first-4")
        typist.type("\x03")
        typist.wait_for("at-1")  # what is typed before that is dropped by the interruption
        typist.type("sed -u s/a/second-/\n")
        typist.type("a6\n")
        typist.wait_for("second-6")
        typist.type("\x1a")
        typist.wait_for("Stopped")
        typist.wait_for("at-1")
        typist.type("kill -9 %1; wait; echo done > file; echo ended-$((4 + 4))\n")
        typist.wait_for("ended-8")
        typist.type("exit 0\n")
        status, shown = typist.end()
    assert status == 0, shown
    assert "1 undeclared change dropped" in shown
    assert not (project.path / "file").exists()


def test_what_the_terminal_showed_is_kept_and_outputs_are_committed(project: Project) -> None:
    """A shell is a run: with a ledger, a proof, and the declared output in the domain."""
    with Typist([CATFS, "shell", "--output", "kept"], project.path, BASH) as typist:
        typist.type("echo word > kept; echo shown-$((3 + 3)); exit 0\n")
        typist.wait_for("shown-6")
        status, shown = typist.end()
    assert status == 0, shown
    assert (project.path / "kept").read_bytes() == b"word\n"
    assert b"shown-6" in (project.last_run().folder / "steps" / "01.stdout").read_bytes()


def test_the_size_of_the_terminal_is_passed_on(project: Project) -> None:
    """At the start, and when it changes."""
    with Typist([CATFS, "shell", "--leftovers", "discard"], project.path, BASH) as typist:
        typist.type("stty size\n")
        typist.wait_for("24 100")
        typist.resize(30, 90)
        typist.say_resized()
        typist.type('until [ "$(stty size)" = "30 90" ]; do :; done; echo seen-$((4 + 4))\n')
        typist.wait_for("seen-8")
        typist.type("exit 0\n")
        assert typist.end()[0] == 0


def test_without_a_terminal_commands_are_read_from_stdin(project: Project) -> None:
    """In the domain, wherever it is called from, and with the proof as JSON."""
    words: list[str | bytes | Path] = ["shell", project.path, "--json", "--leftovers", "discard"]
    result = run_catfs(
        words, project.path.parent, stdin=b"pwd > place; cat place\n", environment={"SHELL": "/bin/sh"}
    )
    assert result.status == 0, result.stderr
    assert str(project.path) in result.stderr
    assert json.loads(result.stdout)["outcome"] == "restored"


def test_the_status_of_the_shell_counts(project: Project) -> None:
    """A shell that ends with a failure commits nothing."""
    result = run_catfs(
        ["shell", "--output", "kept"],
        project.path,
        stdin=b"echo 1 > kept; exit 3\n",
        environment={"SHELL": "/bin/sh"},
    )
    assert result.status == 3
    assert not (project.path / "kept").exists()
