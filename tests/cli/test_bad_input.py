"""Bad input of every sort gives an exit status and a sentence, never a traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from catfs.cli.main import main
from tests.support.commands import run_catfs
from tests.support.workspaces import UNTIDY, SampleWorkspace, log_bytes

READING = ("log", "proof", "verify", "runs", "diff", "status", "doctor")

_HOSTILE = (
    "",
    "\n",
    "\0",
    "a\0b",
    "x" * 5000,
    "\udcff",
    "..",
    ".",
    "/",
    "last",
    "run",
    "run-1",
    "-",
    "--",
    "*",
)
_OPTIONS = (
    "--json",
    "--path",
    "--pid",
    "--op",
    "--offline",
    "--all",
    "--path=",
    "--pid=-1",
    "--op=write",
    "--x",
)

_words = strategies.one_of(
    strategies.sampled_from(_HOSTILE),
    strategies.sampled_from(_OPTIONS),
    strategies.binary(max_size=30).map(os.fsdecode),
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleWorkspace]:
    """Give a workspace with a run, in which the test stands."""
    sample = SampleWorkspace(tmp_path_factory.mktemp("workspace"))
    sample.add_run(changes=UNTIDY, discard=True)
    with chdir(sample.root):
        yield sample


@pytest.mark.parametrize("command", READING)
@hypothesis.given(words=strategies.lists(_words, max_size=4))
@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_arguments_give_a_sentence(
    command: str, words: list[str], workspace: SampleWorkspace, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever the arguments are, the exit status is 0, 1 or 2, and 2 says why."""
    del workspace
    try:
        status: object = main([command, *words])
    except SystemExit as ended:
        status = ended.code
    output = capfd.readouterr()
    assert status in {0, 1, 2}, (words, output.err)
    assert "Traceback" not in output.err
    if status == 2:
        assert output.err.strip()


@pytest.mark.parametrize(
    "words",
    [
        ["log", ""],
        ["log", "x" * 100_000],
        ["log", "no\nsuch\nrun"],
        ["log", b"\xff\xfe"],
        ["log", "--path", ""],
        ["log", "--path", "/absolute"],
        ["log", "--path", "[a-"],
        ["log", "--path", "*" * 20_000],
        ["log", "--pid", "-1"],
        ["log", "--pid", "9" * 5000],
        ["log", "--op", "fly"],
        ["proof", "--path", ""],
        ["proof", "--path", "x" * 5000],
        ["verify", ""],
        ["verify", "x" * 100_000],
        ["status", "x" * 100_000],
        ["diff", b"\xff"],
        ["runs", "more"],
        ["doctor", "--fix", "more"],
        ["no-such-command"],
    ],
)
def test_hostile_arguments_are_bad_input(words: list[str | bytes], tmp_path: Path) -> None:
    """The real command says one sentence and exits with 2."""
    sample = SampleWorkspace(tmp_path)
    sample.add_run()
    result = run_catfs(words, sample.root)
    assert result.status == 2
    assert result.stdout == b""
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith(("catfs: ", "catfs "))]
    assert len(sentence) > len("catfs: ")


@pytest.mark.parametrize("command", ["log", "proof", "runs", "diff", "status"])
def test_without_a_workspace_there_is_nothing_to_read(command: str, tmp_path: Path) -> None:
    """Every reading command says that there is no workspace, and how one comes about."""
    result = run_catfs([command], tmp_path)
    assert result.status == 2
    assert "there is no workspace" in result.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`catfs log | head -1` ends quietly, as if by SIGPIPE: what was not told cannot count as a success."""
    sample = SampleWorkspace(tmp_path)
    unlink = {"op": "unlink", "path": "a" * 200, "ino": 23, "pid": 70}
    sample.add_run(log=log_bytes([unlink] * 5000))
    process = subprocess.Popen(
        [sys.executable, "-m", "catfs", "log"],
        cwd=sample.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert b"unlink" in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


def test_a_terminal_that_knows_little_gets_escapes(tmp_path: Path) -> None:
    """What the encoding of stdout cannot say is escaped."""
    sample = SampleWorkspace(tmp_path)
    sample.add_run(changes={b"out/it.whl": b"1", "ünïcode".encode(): b"2"})
    result = run_catfs(["diff"], sample.root, environment={"PYTHONIOENCODING": "ascii"})
    assert result.status == 0
    assert b"+ \\xfcn\\xefcode" in result.stdout
