"""A domain that changes underneath a run is a conflict: exit 3, nothing committed, nobody's change lost."""

import os
from collections.abc import Callable

import pytest

from catfs.records import Outcome
from tests.support.commands import Project

pytestmark = pytest.mark.fuse


def _rewrite(project: Project) -> None:
    project.write("input", "outsider\n")


def _replace(project: Project) -> None:
    os.replace(project.write("fresh", "input\n"), project.path / "input")


def _remove(project: Project) -> None:
    (project.path / "input").unlink()


def _chmod(project: Project) -> None:
    (project.path / "input").chmod(0o600)


@pytest.mark.parametrize("change", [_rewrite, _replace, _remove, _chmod])
def test_file_that_the_run_read_is_changed_by_an_outsider(
    project: Project, change: Callable[[Project], None]
) -> None:
    """An output made from an input that is no longer there as it was must not be committed."""
    project.write("input", "input\n")
    with project.start("cat input > output; echo ready; read line", "--output", "output") as started:
        assert started.read_line() == b"ready"
        change(project)
        outside = project.seen()
        started.say()
        result = started.end()
    assert result.status == 3, result.stderr
    assert "input" in result.stderr
    assert project.seen() == outside
    proof = project.last_run().proof()
    assert (proof.outcome, proof.isolated) == (Outcome.CONFLICT, False)


def test_file_that_the_run_did_not_use_may_change(project: Project) -> None:
    """An outsider's change elsewhere is no conflict, and stays."""
    project.write("input", "input\n")
    project.write("other", "other\n")
    with project.start("cat input > output; echo ready; read line", "--output", "output") as started:
        assert started.read_line() == b"ready"
        project.write("other", "outsider\n")
        started.say()
        result = started.end()
    assert result.status == 0, result.stderr
    assert (project.path / "other").read_text() == "outsider\n"
    assert (project.path / "output").read_text() == "input\n"


def _make_target(project: Project) -> None:
    project.write("output", "outsider\n")


def _make_target_directory(project: Project) -> None:
    project.write("output/inner", "outsider\n")


@pytest.mark.parametrize("change", [_make_target, _make_target_directory])
def test_output_that_somebody_made_meanwhile_is_not_overwritten(
    project: Project, change: Callable[[Project], None]
) -> None:
    """A target that was absent and is there now is a conflict."""
    script = "ls; echo ready; read line; echo mine > output"
    with project.start(script, "--output", "output") as started:
        assert started.read_line() == b"ready"
        change(project)
        outside = project.seen()
        started.say()
        result = started.end()
    assert result.status == 3, result.stderr
    assert "output" in result.stderr
    assert project.seen() == outside


def test_output_that_somebody_changed_meanwhile_is_not_overwritten(project: Project) -> None:
    """A target that the run overwrote without reading it, changed underneath, is a conflict."""
    project.write("output", "old\n")
    with project.start("echo mine > output; echo ready; read line", "--output", "output") as started:
        assert started.read_line() == b"ready"
        project.write("output", "outsider\n")
        outside = project.seen()
        started.say()
        result = started.end()
    assert result.status == 3, result.stderr
    assert project.seen() == outside


def test_output_above_which_somebody_made_a_directory_is_not_committed(project: Project) -> None:
    """A directory that the run had to make, and that is there now, is a conflict too."""
    script = "mkdir -p a/b; echo mine > a/b/output; echo ready; read line"
    with project.start(script, "--output", "a/b/output") as started:
        assert started.read_line() == b"ready"
        project.write("a/theirs", "outsider\n")
        outside = project.seen()
        started.say()
        result = started.end()
    assert result.status == 3, result.stderr
    assert project.seen() == outside


def test_partly_written_input_that_is_gone_is_a_conflict(project: Project) -> None:
    """A view that rests on content which is there no more cannot be read to its end: exit 3, not 125."""
    project.write("input", "x" * 100_000)
    project.write("folder/inner", "y" * 100_000)
    script = "printf z >> input; printf z >> folder/inner; echo ready; read line"
    with project.start(script, "--output", "input", "--output", "folder") as started:
        assert started.read_line() == b"ready"
        os.replace(project.write("fresh", "other\n"), project.path / "input")
        (project.path / "folder" / "inner").unlink()
        outside = project.seen()
        started.say()
        result = started.end()
    assert result.status == 3, result.stderr
    assert project.seen() == outside
    assert project.sessions() == []


def test_two_runs_with_the_same_output_commit_once(project: Project) -> None:
    """The second to commit meets the first one's output and gives way."""
    script = "echo {0} > output; echo ready; read line"
    with (
        project.start(script.format("one"), "--output", "output") as first,
        project.start(script.format("two"), "--output", "output") as second,
    ):
        assert (first.read_line(), second.read_line()) == (b"ready", b"ready")
        first.say()
        assert first.end().status == 0
        second.say()
        assert second.end().status == 3
    assert (project.path / "output").read_text() == "one\n"


def test_file_that_changes_while_the_domain_is_read_is_named(project: Project) -> None:
    """A domain that does not hold still cannot be vouched for: the run fails and names the file."""
    with (project.path / "restless").open("wb", buffering=0) as stream:
        stream.truncate(300 << 20)
        stream.seek(0, os.SEEK_END)
        with project.start("true") as started:
            while started.process.poll() is None:
                stream.write(b"x")
            result = started.end()
    assert result.status in {3, 125}
    assert "restless" in result.stderr
    assert project.sessions() == []


def test_domain_that_is_renamed_during_the_run_stays_as_it_is(project: Project) -> None:
    """When another directory stands at the domain's path, nothing is written into it."""
    project.write("input", "input\n")
    moved = Project(project.path.parent / "moved")
    with project.start("cat input > output; echo ready; read line", "--output", "output") as started:
        assert started.read_line() == b"ready"
        project.path.rename(moved.path)
        project.path.mkdir()
        started.say()
        result = started.end()
    assert result.status in {3, 125}, result.stderr
    assert list(project.path.iterdir()) == []
    assert not (moved.path / "output").exists()
