"""`catfs doctor` on what crashes leave in a workspace."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from catfs.records import JOBSPEC_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.walk import walk
from tests.support.workspaces import SampleWorkspace


def _troubles(sample: SampleWorkspace, *options: str) -> list[str]:
    result = run_catfs(["doctor", "--json", *options], sample.root)
    record = json.loads(result.stdout)
    validate(record, "cli-doctor.v1")
    assert result.status == (0 if record["in_order"] else 1)
    return [finding["trouble"] for finding in record["findings"]]


def test_a_clean_workspace_is_in_order(sample: SampleWorkspace) -> None:
    """Nothing found: exit status 0, and the machine is looked at."""
    sample.add_run()
    result = run_catfs(["doctor"], sample.root)
    assert result.status == 0
    for name in ("/dev/fuse", "bubblewrap", "kernel", "disk"):
        assert f"ok       {name}: " in result.stdout.decode()
    assert b"nothing was left behind" in result.stdout


def test_finds_everything_and_changes_nothing(sample: SampleWorkspace) -> None:
    """Without `--fix` all is reported, exit status 1, and every file stays as it is."""
    sample.add_dead_session("a-run", "run")
    sample.add_dead_session("b-mount", "mount")
    sample.add_incomplete_run("stopped")
    (sample.workspace.folder / "stage" / "run-8").mkdir()
    before = walk(sample.root)
    assert _troubles(sample) == ["left_stage", "dead_session", "dead_session", "incomplete_run"]
    assert walk(sample.root) == before


def test_fix_cleans_and_says_what_it_did(sample: SampleWorkspace) -> None:
    """With `--fix` all of it is gone, exit status 0, and the next look finds nothing."""
    sample.add_run("run-1")
    domain = walk(sample.domain)
    sample.add_dead_session("a-run", "run")
    sample.add_dead_session("b-mount", "mount")
    sample.add_incomplete_run("stopped")
    (sample.workspace.folder / "stage" / "run-8").mkdir()
    result = run_catfs(["doctor", "--fix"], sample.root)
    text = result.stdout.decode()
    assert result.status == 0
    assert text.count("cleaned  ") == 4
    assert "lost: 11 bytes of new content and the write log of 9 records, which nobody committed" in text
    assert _troubles(sample) == []
    assert walk(sample.domain) == domain
    assert [run.name for run in sample.workspace.runs.iterdir()] == ["run-1"]


def test_a_suspended_session_is_kept(sample: SampleWorkspace) -> None:
    """A mount that can be resumed is data: it is told, not cleaned."""
    folder = sample.add_dead_session("b-mount", "mount")
    (folder / JOBSPEC_FILE).write_bytes(b"{}")
    result = run_catfs(["doctor", "--fix"], sample.root)
    assert result.status == 0
    assert f"the mount of {sample.domain} is suspended" in result.stdout.decode()
    assert (folder / "data").read_bytes() == b"new content"


def test_a_live_session_and_its_run_are_left_alone(sample: SampleWorkspace) -> None:
    """What somebody holds the lock of is alive, and so is the run of the same id."""
    folder = sample.add_dead_session("stopped", "run")
    sample.add_incomplete_run("stopped")
    with (folder / "lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert _troubles(sample, "--fix") == []
    assert folder.is_dir()
    assert _troubles(sample) == ["dead_session", "incomplete_run"]


def test_what_is_just_coming_up_is_left_alone(sample: SampleWorkspace) -> None:
    """A session without facts, and a run without a session, may be a moment old; later they are waste."""
    session = sample.workspace.sessions / "young"
    session.mkdir()
    run = sample.run_folder("young")
    run.mkdir()
    assert _troubles(sample, "--fix") == []
    for folder in (session, run):
        os.utime(folder, (1, 1))
    assert _troubles(sample, "--fix") == ["dead_session", "incomplete_run"]
    assert not session.exists()
    assert not run.exists()


@pytest.mark.parametrize(
    "facts", [b"", b"[]", b'{"kind": 1}', b'{"kind":"run","pid":"x","started":1,"domains":[]}']
)
def test_a_session_with_damaged_facts_is_found_and_cleaned(sample: SampleWorkspace, facts: bytes) -> None:
    """Damage in `session.json` stops neither doctor nor the other commands."""
    folder = sample.add_dead_session("broken")
    (folder / "session.json").write_bytes(facts)
    assert run_catfs(["status"], sample.root).status == 0
    assert _troubles(sample) == ["damaged_session"]
    assert _troubles(sample, "--fix") == ["damaged_session"]
    assert not folder.exists()


def test_a_damaged_journal_is_reported_and_kept(sample: SampleWorkspace) -> None:
    """A record that is not to be believed stays, with exit status 1 even after `--fix`."""
    journal = sample.workspace.journal / "run-9.journal"
    journal.write_bytes(b"not a journal")
    result = run_catfs(["doctor", "--fix"], sample.root)
    assert result.status == 1
    assert "LEFT     the commit run-9 was interrupted" in result.stdout.decode()
    assert "damaged" in result.stdout.decode()
    assert journal.exists()


def test_a_commit_under_way_is_not_interrupted(sample: SampleWorkspace) -> None:
    """While somebody holds the lock of the journal, its records are not left behind."""
    (sample.workspace.journal / "run-9.journal").write_bytes(b"")
    descriptor = os.open(sample.workspace.journal, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert _troubles(sample) == []
    finally:
        os.close(descriptor)
    assert _troubles(sample) == ["interrupted_commit"]


def test_a_damaged_configuration_is_found_before_a_run_is_refused(sample: SampleWorkspace) -> None:
    """The doctor names the file and what is wrong, and does not offer to clean it."""
    (sample.workspace.folder / "config.toml").write_text("redact = [")
    for words in (["doctor"], ["doctor", "--fix"]):
        result = run_catfs(words, sample.root)
        assert result.status == 1
        assert "config.toml is not TOML" in result.stdout.decode()
        assert "--fix" not in result.stderr
    assert _troubles(sample) == ["damaged_configuration"]
    (sample.workspace.folder / "config.toml").write_text("redact = []")
    assert _troubles(sample) == []


def test_what_cannot_be_removed_is_left_and_told(sample: SampleWorkspace) -> None:
    """One session that cannot be removed stops no other from being cleaned."""
    stuck = sample.add_dead_session("a-stuck")
    (stuck / "mount" / "more").mkdir()
    gone = sample.add_dead_session("b-gone")
    result = run_catfs(["doctor", "--fix"], sample.root)
    assert result.status == 1
    assert b"it cannot be removed: Directory not empty" in result.stdout
    assert not gone.exists()


def test_without_a_workspace_only_the_machine_is_looked_at(tmp_path: Path) -> None:
    """Doctor works anywhere."""
    result = run_catfs(["doctor"], tmp_path)
    assert result.status == 0
    assert "there is no workspace here" in result.stderr
