"""`catfs status` without any mount."""

import json

from catfs.records import JOBSPEC_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import SampleWorkspace


def test_an_empty_workspace_says_so(sample: SampleWorkspace) -> None:
    """Nothing is mounted, nothing ran."""
    result = run_catfs(["status"], sample.root)
    assert result.status == 0
    assert result.stdout.decode().splitlines() == [
        f"workspace {sample.root}",
        "no session: nothing is mounted and no command is running",
        "no run yet",
    ]


def test_dead_and_suspended_sessions_are_told_apart(sample: SampleWorkspace) -> None:
    """A dead mount with its declaration can be resumed; everything else that is dead is waste."""
    sample.add_dead_session("a-run", "run")
    suspended = sample.add_dead_session("b-mount", "mount")
    (suspended / JOBSPEC_FILE).write_bytes(b"{}")
    text = run_catfs(["status"], sample.root).stdout.decode()
    assert f"dead     run a-run of {sample.domain}" in text
    assert f"suspended mount b-mount of {sample.domain}" in text
    record = json.loads(run_catfs(["status", "--json"], sample.root).stdout)
    validate(record, "cli-status.v1")
    assert [session["state"] for session in record["sessions"]] == ["dead", "suspended"]


def test_the_last_run_is_named(sample: SampleWorkspace) -> None:
    """Outcome and time of the newest run stand there."""
    sample.add_run("run-1")
    sample.add_run("run-2", status=7)
    result = run_catfs(["status"], sample.root)
    assert b"last run run-2: failed, exit status 7, 2026-02-02 02:40:00" in result.stdout
    record = json.loads(run_catfs(["status", "--json"], sample.root).stdout)
    validate(record, "cli-status.v1")
    assert record["last_run"]["run_id"] == "run-2"


def test_interrupted_commits_are_named(sample: SampleWorkspace) -> None:
    """A record in the journal is told, with whom to ask about it."""
    (sample.workspace.journal / "run-9.journal").write_bytes(b"damaged")
    result = run_catfs(["status"], sample.root)
    assert b"commit run-9 was interrupted, or is under way: `catfs doctor` says which" in result.stdout


def test_a_domain_limits_the_sessions(sample: SampleWorkspace) -> None:
    """Sessions of other domains are left out; a directory that is not there is bad input."""
    sample.add_dead_session("a-run")
    other = sample.root / "other"
    other.mkdir()
    assert b"a-run" not in run_catfs(["status", "other"], sample.root).stdout
    assert b"a-run" in run_catfs(["status", "domain"], sample.root).stdout
    assert b"a-run" in run_catfs(["status", sample.domain], sample.root.parent).stdout
    assert run_catfs(["status", "nowhere"], sample.root).status == 2
