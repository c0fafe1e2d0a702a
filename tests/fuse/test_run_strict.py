"""A strict run: anything undeclared that is left behind makes it dirty, and then nothing is committed."""

import os
import signal
from pathlib import Path

import pytest

from catfs.records import Outcome
from tests.support.commands import Project

pytestmark = pytest.mark.fuse

DIRTY = {
    "a new file": ("touch new", [b"new"]),
    "an empty directory": ("mkdir -p empty", [b"empty"]),
    "chmod": ("chmod 600 file", [b"file"]),
    "set-id bit": ("chmod u+s file", [b"file"]),
    "mode of the domain itself": ("chmod 700 .", [b""]),
    "changed symlink": ("ln -sfn elsewhere link", [b"link"]),
    "rename": ("mv file renamed", [b"file", b"renamed"]),
    "rename that only changes case": ("mv file FILE", [b"FILE", b"file"]),
    "rename of a directory": ("mv folder moved", [b"folder", b"folder/inner", b"moved", b"moved/inner"]),
    "deleted file": ("rm folder/inner", [b"folder/inner"]),
    "file that became a directory": ("rm file && mkdir file", [b"file"]),
    "same size and time, other content": (
        "touch -r file /tmp/time && printf 'TEXT\\n' > file && touch -r /tmp/time file",
        [b"file"],
    ),
    "appended byte": ("printf x >> file", [b"file"]),
    "fifo": ("mkfifo pipe", [b"pipe"]),
}

CLEAN = {
    "mtime of a file": "touch -d '2001-01-01' file",
    "mtime of a directory": "touch -d '2001-01-01' folder .",
    "identical bytes written again": "cp file copy && cat copy > file && rm copy",
    "replaced by an equal file": "cp -p file other && mv other file",
    "renamed there and back": "mv folder x && mv x folder",
    "mode changed there and back": "chmod 600 file && chmod 644 file",
    "made and removed": "mkdir -p a/b && touch a/b/c && rm -r a",
    "read": "cat file folder/inner && ls -laR",
}


@pytest.fixture
def small(project: Project) -> Project:
    """Give a domain with one of each common kind."""
    project.write("file", "text\n")
    project.write("folder/inner", "inner\n")
    (project.path / "link").symlink_to("file")
    return project


@pytest.mark.parametrize("name", DIRTY)
def test_undeclared_difference_makes_the_run_dirty(small: Project, name: str) -> None:
    """Exit 1, the path in RESTORE_DIFF.json and on stderr, and nothing committed, no output either."""
    script, paths = DIRTY[name]
    before = small.seen()
    result = small.run(f"{script}; echo made > output", "--output", "output")
    assert result.status == 1, result.stderr
    assert small.leftovers() == paths
    assert all((os.fsdecode(path) or " .") in result.stderr for path in paths)
    assert small.seen() == before
    assert small.last_run().proof().outcome is Outcome.DIRTY


@pytest.mark.parametrize("name", CLEAN)
def test_what_leaves_the_content_as_it_was_is_clean(small: Project, name: str) -> None:
    """Times alone, and equal bytes under the same name, are no difference."""
    before = small.seen()
    result = small.run(CLEAN[name])
    assert result.status == 0, result.stderr
    assert small.last_run().proof().self_restored
    assert small.seen() == before


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 7", 7), ("exit 1", 1), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_failing_command_gives_its_own_status(small: Project, script: str, status: int) -> None:
    """A command that fails, or is ended by a signal, commits nothing whatever it declared."""
    before = small.seen()
    result = small.run(f"echo made > output; {script}", "--output", "output")
    assert result.status == status
    assert small.seen() == before
    assert small.last_run().proof().outcome is Outcome.FAILED


@pytest.mark.parametrize("confine", ["on", "off"])
def test_killed_command_itself_gives_128_and_the_signal(small: Project, confine: str) -> None:
    """The status is the same with and without the wall around the command."""
    result = small.run("kill -SEGV $$", "--confine", confine)
    assert result.status == 128 + signal.SIGSEGV


def test_missing_declared_output_is_named(small: Project) -> None:
    """A declared output that is not there is a failure, and the other output is not committed."""
    before = small.seen()
    result = small.run("echo made > there", "--output", "there", "--output", "not/here")
    assert result.status == 1
    assert "not/here" in result.stderr
    assert small.seen() == before
    assert small.last_run().proof().outcome is Outcome.MISSING_OUTPUT


@pytest.mark.parametrize("confine", ["on", "off"])
def test_command_that_is_not_there_gives_127(small: Project, confine: str) -> None:
    """A command that cannot be found is told from one that fails."""
    result = small.catfs("run", "--confine", confine, "--", "no-such-command")
    assert result.status == 127
    assert "no-such-command" in result.stderr


@pytest.mark.parametrize("confine", ["on", "off"])
def test_command_that_is_not_executable_gives_126(small: Project, confine: str) -> None:
    """A file without the right to execute it is told from one that is missing."""
    result = small.catfs("run", "--confine", confine, "--", "./file")
    assert result.status == 126


def test_leftovers_are_listed_up_to_a_limit_and_then_counted(small: Project) -> None:
    """Hundreds of leftovers do not flood the terminal; all of them are in the ledger."""
    result = small.run("for i in $(seq 300); do : > left-$i; done")
    assert result.status == 1
    assert len(result.stderr.splitlines()) < 30
    assert "more in" in result.stderr
    assert len(small.leftovers()) == 300


def test_names_on_stderr_cannot_reach_the_terminal(small: Project) -> None:
    """Control characters in a leftover's name are shown as escapes."""
    result = small.run(r"touch \"$(printf '\033[31mred\nline')\"".replace('\\"', '"'))
    assert result.status == 1
    assert "\x1b" not in result.stderr
    assert r"\x1b[31mred\nline" in result.stderr


def test_run_in_a_directory_below_the_domain_counts_outputs_from_there(small: Project) -> None:
    """The command starts in the working directory, and relative outputs count from it."""
    script = "pwd; echo made > output"
    words = ("run", "--domain", "..", "--output", "output", "--", "sh", "-c", script)
    folder = Project(small.path / "folder")
    small.catfs("run", "--", "true")
    result = folder.catfs(*words)
    assert result.status == 0, result.stderr
    assert result.stdout.decode().strip() == str(folder.path)
    assert Path(folder.path, "output").read_text() == "made\n"
