"""`kill -9` at any moment: the domain holds the old state or the whole new one, and work goes on."""

import os
import select
import signal
import time
from pathlib import Path

import pytest

from tests.support.commands import TIMEOUT_SECONDS, Project, Started, mounts_below, processes_with
from tests.support.walk import Found

pytestmark = pytest.mark.fuse

FILES = 60
SCRIPT = f"""\
echo ready
for i in $(seq {FILES}); do echo new > out/old-$i; echo new > out/new-$i; done
rm out/gone; mv out/moved out/away; mv moved out/moved; echo scratch > scratch; chmod 700 out
"""
OPTIONS = ("--output", "out", "--leftovers", "discard")
MOMENTS = 6
"""Into how many parts the time of a run is cut; it is killed once in each."""


def fill(project: Project) -> None:
    """Make the domain that SCRIPT changes."""
    for number in range(1, FILES + 1):
        project.write(f"out/old-{number}", "old\n")
    project.write("out/gone", "gone\n")
    project.write("out/moved/inner", "inner\n")
    project.write("moved", "moved\n")
    project.write("other/file", "other\n")


def wait_for_the_end(word: str) -> None:
    """Wait until no process has a word in its environment any more; they have been killed already."""
    for pid in processes_with(word):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ready, _, _ = select.select([descriptor], [], [], 10)
        os.close(descriptor)
        assert ready, f"process {pid} of the killed run lives on"
    assert processes_with(word) == []


def content(seen: dict[bytes, Found]) -> dict[bytes, tuple[int, str]]:
    """Give what is in a domain without times: two runs do not write in the same nanosecond."""
    return {path: (found.mode, found.digest) for path, found in seen.items()}


def start(project: Project, word: str, *options: str) -> Started:
    """Start SCRIPT with a mark in the environment of all its processes."""
    name, value = word.split("=", 1)
    return project.start(f"{SCRIPT}{' '.join(options)}", *OPTIONS, environment={name: value})


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[bytes, tuple[int, str]], float]:
    """Give the content that a whole run leaves, and how many seconds it takes."""
    domain = tmp_path_factory.mktemp("whole") / "domain"
    domain.mkdir()
    project = Project(domain)
    fill(project)
    began = time.monotonic()
    result = project.run(SCRIPT, *OPTIONS)
    assert result.status == 0, result.stderr
    return content(project.seen()), time.monotonic() - began


@pytest.mark.parametrize("part", range(MOMENTS))
def test_killed_run_leaves_the_old_state_or_the_new_one(
    project: Project, states: tuple[dict[bytes, tuple[int, str]], float], part: int
) -> None:
    """Wherever the run is when it is killed; what a commit had begun, the next command finishes or undoes."""
    new, seconds = states
    fill(project)
    before = project.seen()
    word = f"CATFS_TEST={project.path}"
    with start(project, word) as started:
        select.select([], [], [], seconds * (part + 0.5) / MOMENTS)
        started.signal(signal.SIGKILL)
        started.process.wait(timeout=TIMEOUT_SECONDS)
    wait_for_the_end(word)
    assert mounts_below(project.path.parent) == []
    result = project.run("true")
    assert result.status == 0, result.stderr
    after = project.seen()
    assert after == before or content(after) == new


def test_run_killed_in_its_commit_is_finished_or_undone(
    project: Project, states: tuple[dict[bytes, tuple[int, str]], float]
) -> None:
    """Killed as soon as a journal is there, again and again: never a mixture after the next command."""
    new, _ = states
    journal = project.path / ".catfs" / "journal"
    fill(project)
    project.run("true")
    before = project.seen()
    word = f"CATFS_TEST={project.path}"
    with start(project, word) as started:
        end = time.monotonic() + TIMEOUT_SECONDS
        while not any(journal.iterdir()):
            assert started.process.poll() is None, "the run ended before anybody saw its journal"
            assert time.monotonic() < end
        started.signal(signal.SIGKILL)
        started.process.wait(timeout=TIMEOUT_SECONDS)
    wait_for_the_end(word)
    assert project.run("true").status == 0
    after = project.seen()
    assert after == before or content(after) == new
    assert list(journal.iterdir()) == []


def test_doctor_reports_and_cleans_what_a_killed_run_left(project: Project) -> None:
    """`catfs doctor` names the dead session and exits 1; with --fix it is gone, and all is well."""
    word = f"CATFS_TEST={project.path}"
    with start(project, word, "; sleep 1000") as started:
        assert started.read_line() == b"ready"
        started.signal(signal.SIGKILL)
        started.process.wait(timeout=TIMEOUT_SECONDS)
    wait_for_the_end(word)
    sessions = project.sessions()
    assert len(sessions) == 1
    report = project.catfs("doctor")
    assert report.status == 1
    assert sessions[0].name in report.stdout.decode() + report.stderr
    assert project.sessions() == sessions
    assert project.catfs("doctor", "--fix").status == 0
    assert project.sessions() == []
    assert project.catfs("doctor").status == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_that_is_stopped_while_it_proves_cleans_up(project: Project, number: signal.Signals) -> None:
    """A signal after the command has ended stops the run in good order: its session folder is removed."""
    large = project.path / "large"
    with large.open("wb") as stream:
        stream.truncate(2 << 30)  # reading it keeps the run busy for seconds
    with project.start("echo ready") as started:
        assert started.read_line() == b"ready"
        select.select([], [], [], 0.5)
        started.signal(number)
        result = started.end()
    assert result.status == 128 + number, result.stderr
    assert project.sessions() == []


def test_command_that_kills_the_server_hurts_nobody(project: Project, tmp_path: Path) -> None:
    """Without the wall the command can kill its own server; the domain is still as it was."""
    fill(project)
    before = project.seen()
    with project.start("echo new > out/old-1; kill -9 $PPID; cat out/old-1", "--confine", "off") as started:
        started.process.wait(timeout=TIMEOUT_SECONDS)
        assert started.process.returncode == -signal.SIGKILL
    assert project.seen() == before
    assert mounts_below(tmp_path) == []
    assert project.run("true").status == 0
