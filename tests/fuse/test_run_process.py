"""The command as a process: where it is, what it reads and prints, and how it is ended."""

import hashlib
import os
import signal
import subprocess

import pytest

from catfs.records import Outcome
from tests.support.commands import (
    CATFS,
    TIMEOUT_SECONDS,
    Project,
    Started,
    mounts_below,
    processes_with,
    run_as_nobody,
    run_catfs,
)

pytestmark = pytest.mark.fuse

LARGE_BYTES = 100_000_000

_READY_AND_WAITING = "echo ready; exec sleep 1000"
"""A command that waits. A shell that starts a program just when SIGINT comes can lose it, outside too."""


def test_outside_sees_the_original_while_the_command_runs(project: Project) -> None:
    """What the command writes is seen by it alone until the commit."""
    project.write("file", "old\n")
    before = project.seen()
    script = "echo new > file; mkdir made; cat file; read line; cat file; rmdir made; echo old > file"
    with project.start(script) as started:
        assert started.read_line() == b"new"
        assert project.seen() == before
        assert mounts_below(project.path) == []
        started.say()
        assert started.read_line() == b"new"
        assert started.end().status == 0
    assert project.seen() == before


@pytest.mark.parametrize("confine", ["on", "off"])
def test_paths_inside_are_the_usual_ones(project: Project, confine: str) -> None:
    """`pwd` and absolute paths are those of the domain, and writing by an absolute path is traced."""
    script = f"pwd; readlink -f .; echo absolute > {project.path}/made; cat made"
    result = project.run(script, "--confine", confine, "--output", "made")
    assert result.status == 0, result.stderr
    assert result.stdout.decode().split() == [str(project.path), str(project.path), "absolute"]


def test_standard_input_is_passed_through(project: Project) -> None:
    """The command reads what `catfs run` is given, to the last byte."""
    data = os.urandom(3_000_000)
    result = project.run("cat", stdin=data)
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()


def test_output_and_errors_are_kept_in_the_ledger(project: Project) -> None:
    """Both streams arrive apart, and in steps/ of the run folder."""
    result = project.run("echo out; echo err >&2")
    assert result.stdout == b"out\n"
    assert "err\n" in result.stderr
    folder = project.last_run().folder / "steps"
    assert (folder / "01.stdout").read_bytes() == b"out\n"
    assert (folder / "01.stderr").read_bytes() == b"err\n"


def test_json_is_alone_on_standard_output(project: Project) -> None:
    """With --json standard output holds the proof only; what the command prints goes to stderr."""
    result = project.run("echo words", "--json")
    proof = result.json()
    assert isinstance(proof, dict)
    assert proof["verdicts"] == {"isolated": True, "self_restored": True}
    assert "words" in result.stderr


def test_large_output_does_not_block(project: Project) -> None:
    """A hundred megabytes on standard output, and some on standard error, come through whole."""
    script = f"head -c {LARGE_BYTES} /dev/zero; head -c 1000000 /dev/zero | tr '\\0' e >&2"
    result = project.run(script)
    assert result.status == 0
    assert len(result.stdout) == LARGE_BYTES
    assert result.stderr.count("e") >= 1_000_000


@pytest.mark.parametrize("steps", [False, True])
def test_reader_that_goes_away_ends_the_command_as_outside(project: Project, steps: bool) -> None:
    """`catfs run -- yes | head -1` ends: the command gets SIGPIPE, and what failed commits nothing."""
    command = "--step 'print::yes'" if steps else "-- yes"
    line = f"'{CATFS}' run --output output {command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", line], cwd=project.path, capture_output=True, timeout=TIMEOUT_SECONDS, check=True
    )
    assert ended.stdout == b"y\n141\n"
    assert project.last_run().proof().outcome is Outcome.FAILED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("confine", ["on", "off"])
def test_signal_ends_the_command(project: Project, number: signal.Signals, confine: str) -> None:
    """A signal to `catfs run` ends the command; its status says which, and nothing is committed."""
    script = f"echo made > output; {_READY_AND_WAITING}"
    with project.start(script, "--output", "output", "--confine", confine) as started:
        assert started.read_line() == b"ready"
        started.signal(number)
        assert started.end().status == 128 + number
    assert not (project.path / "output").exists()
    assert project.last_run().proof().outcome is Outcome.FAILED
    assert project.sessions() == []


def test_signal_from_the_terminal_ends_the_command(project: Project) -> None:
    """Ctrl-C reaches the helpers of `catfs run` too; the run still ends as interrupted, with its record."""
    with (project.path / "large").open("wb") as stream:
        stream.truncate(300 << 20)  # its reading is under way when the signal comes
    with project.start(_READY_AND_WAITING) as started:
        assert started.read_line() == b"ready"
        os.killpg(started.pid, signal.SIGINT)
        assert started.end().status == 130
    assert project.last_run().proof().outcome is Outcome.FAILED


def test_run_under_nohup_survives_a_hangup(project: Project) -> None:
    """A signal that the caller made ignored stays ignored."""
    line = f"nohup '{CATFS}' run -- sh -c 'echo ready; read line; echo done'"
    process = subprocess.Popen(
        ["sh", "-c", f"exec {line}"], cwd=project.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with Started(process) as started:
        assert started.read_line() == b"ready"
        started.signal(signal.SIGHUP)
        started.say()
        assert started.end().status == 0


def test_command_that_takes_a_signal_for_success_is_not_committed(project: Project) -> None:
    """Whoever interrupts a run wants no commit, even when the command then exits 0."""
    script = "trap 'exit 0' TERM; echo made > output; echo ready; while :; do sleep 0.1; done"
    with project.start(script, "--output", "output", "--confine", "off") as started:
        assert started.read_line() == b"ready"
        started.signal(signal.SIGTERM)
        assert started.end().status == 143
    assert not (project.path / "output").exists()


def test_second_signal_is_without_mercy(project: Project) -> None:
    """A command that ignores the first signal is killed by the second."""
    script = "trap '' INT TERM; echo ready; while :; do sleep 0.1 || :; done"
    with project.start(script, "--confine", "off") as started:
        assert started.read_line() == b"ready"
        started.signal(signal.SIGINT)
        started.signal(signal.SIGTERM)
        assert started.end().status == 137


def test_background_process_does_not_outlive_the_run(project: Project) -> None:
    """What the command leaves running is ended with it, and cannot write to the domain afterwards."""
    word = f"CATFS_TEST={project.path}"
    name, value = word.split("=")
    script = "setsid sh -c 'exec >/dev/null 2>&1; sleep 1000; echo late > late' & exit 0"
    result = project.run(script, environment={name: value})
    assert result.status == 0
    assert processes_with(word) == []
    assert not (project.path / "late").exists()


def test_unconfined_background_process_is_cut_off(project: Project) -> None:
    """Without the wall it lives on, but it lost the view, and the run says so."""
    script = "echo old > file; (exec >/dev/null 2>&1; sleep 1000) & echo $! > pid"
    result = project.run(script, "--confine", "off", "--output", "pid", "--output", "file")
    pid = int((project.path / "pid").read_text())
    try:
        assert result.status == 0
        assert "cut off" in result.stderr
    finally:
        os.kill(pid, signal.SIGKILL)


def test_two_runs_with_different_outputs_both_commit(project: Project) -> None:
    """Runs on one domain at once do not disturb each other when their outputs differ."""
    project.write("input", "input\n")
    script = "cat input > {0}; echo ready; read line; echo {0} >> {0}"
    with (
        project.start(script.format("one"), "--output", "one") as first,
        project.start(script.format("two"), "--output", "two") as second,
    ):
        assert (first.read_line(), second.read_line()) == (b"ready", b"ready")
        first.say()
        assert first.end().status == 0
        second.say()
        assert second.end().status == 0
    assert (project.path / "one").read_text() == "input\none\n"
    assert (project.path / "two").read_text() == "input\ntwo\n"


def test_run_inside_a_run_on_the_same_domain_is_refused(project: Project) -> None:
    """A nested run says what is the matter and does not hang."""
    checkout = str(CATFS.parents[2])  # the private /tmp would hide one that lies below /tmp
    result = project.run(f"'{CATFS}' run -- true", "--allow-write", checkout)
    assert result.status == 125
    assert ".catfs" in result.stderr
    assert "inside a mount of catfs no workspace can be made" in result.stderr


def test_run_without_the_right_to_mount_says_so(project: Project) -> None:
    """A user who may not open /dev/fuse gets one sentence, and the domain stays as it was."""
    os.chown(project.path, 65534, 65534)
    before = project.seen()
    ended = run_as_nobody(["run", "--", "true"], project.path)
    assert ended.status == 125, ended.stderr
    assert "/dev/fuse" in ended.stderr
    assert project.seen() == before


def test_workspace_above_the_domain_is_used(project: Project) -> None:
    """A workspace is found upward; then no folder is made in the domain."""
    above = project.path.parent
    (above / ".catfs").mkdir()
    result = run_catfs(["run", "--output", "made", "--", "touch", "made"], project.path)
    assert result.status == 0, result.stderr
    assert sorted(path.name for path in project.path.iterdir()) == ["made"]
    assert len(list((above / ".catfs" / "runs").iterdir())) == 1
