"""`catfs log --follow` beside a run and a mount that go on."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import CATFS, Project, Started

pytestmark = pytest.mark.fuse


@contextmanager
def _following(folder: Path, *words: str) -> Iterator[Started]:
    process = subprocess.Popen(
        [CATFS, "log", "--follow", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with Started(process) as started:
        yield started


def test_changes_of_a_run_are_told_while_it_goes_on(project: Project) -> None:
    """What is there already and what comes is told in order, and the end of the run is the end."""
    script = "echo 1 > first; echo ready; read line; echo 2 > second; echo ready; read line; rm first second"
    with project.start(script) as run:
        assert run.read_line() == b"ready"
        with _following(project.path, "--json", "--op", "create", "--op", "unlink") as follower:
            assert json.loads(follower.read_line())["op"] == "process"
            assert json.loads(follower.read_line())["path"] == "first"
            run.say()
            assert json.loads(follower.read_line())["path"] == "second"
            run.say()
            ended = follower.end()
        assert run.end().status == 0
    assert ended.status == 0
    removed = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [record["path"] for record in removed if record["op"] == "unlink"] == ["first", "second"]


def test_following_something_that_has_ended_is_refused(project: Project) -> None:
    """Nothing will be added to the log of a finished run."""
    assert project.run("true").status == 0
    result = project.catfs("log", "--follow")
    assert result.status == 2
    assert "nothing goes on here" in result.stderr
