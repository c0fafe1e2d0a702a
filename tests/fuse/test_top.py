"""`catfs top` beside a run that goes on."""

from typing import Any

import pytest

from catfs.records.schema import validate
from tests.support.commands import CATFS, Project
from tests.support.typist import Typist

pytestmark = pytest.mark.fuse

WORK = "mkdir out; dd if=/dev/zero of=out/data bs=4096 count=3 2>/dev/null; echo ready; read line; rm -r out"


def test_who_writes_where_is_told_once_as_plain_lines(project: Project) -> None:
    """Sums of each process and each folder, the busiest first."""
    with project.start(WORK) as run:
        assert run.read_line() == b"ready"
        result = project.catfs("top", "--once", "--seconds", "3600")
        value: Any = project.catfs("top", "--json").json()
        run.say()
        assert run.end().status == 0
    assert result.status == 0, result.stderr
    lines = result.stdout.decode().splitlines()
    assert "12.0 KiB written" in lines[1]
    assert "dd if=/dev/zero of=out/data" in lines[4]
    assert lines[lines.index("", 4) + 2].endswith("  out")
    validate(value, "cli-top.v1")
    assert value["processes"][0]["written"] == 12288
    assert value["directories"][0]["path"] == "out"


def test_the_screen_is_renewed_until_a_key_ends_it(project: Project) -> None:
    """In a terminal it shows the session, takes `q`, and leaves the terminal as it was."""
    with project.start(WORK) as run:
        assert run.read_line() == b"ready"
        with Typist([CATFS, "top"], project.path) as typist:
            typist.wait_for("\x1b[?1049h")
            typist.wait_for("folder")
            typist.wait_for("\x1b[H")  # the second picture
            typist.type("q")
            typist.wait_for("\x1b[?1049l")
            status, shown = typist.end()
        run.say()
        assert run.end().status == 0
    assert status == 0
    assert "12.0 KiB written" in shown


def test_the_end_of_the_session_ends_it(project: Project) -> None:
    """Nobody has to press a key."""
    with project.start(WORK) as run:
        assert run.read_line() == b"ready"
        with Typist([CATFS, "top"], project.path) as typist:
            typist.wait_for("folder")
            run.say()
            assert typist.end()[0] == 0
        assert run.end().status == 0


def test_nothing_to_watch_is_said(project: Project) -> None:
    """Without a session that goes on there is nothing to show."""
    assert project.run("true").status == 0
    result = project.catfs("top")
    assert result.status == 2
    assert "nothing goes on here" in result.stderr
