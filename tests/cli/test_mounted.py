"""The reading commands on a mounted session, and on what is left when its server was killed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.records import format_time
from catfs.records.schema import validate
from tests.conftest import unmount_below
from tests.support.commands import Result, kill_hard, mounts_below, run_catfs
from tests.support.walk import walk
from tests.support.workspaces import SampleWorkspace

pytestmark = pytest.mark.fuse


class MountedSample(SampleWorkspace):
    """A workspace with one run, whose domain is mounted and changed in the mount.

    Args:
        root: An existing folder.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.add_run()
        result = self.catfs("mount", "domain", "--output", "domain/keep")
        assert result.status == 0, result.stderr
        (self.domain / "keep").write_text("kept\n")
        (self.domain / "left").mkdir()
        (self.domain / "src" / "main.c").write_text("changed\n")

    def catfs(self, *arguments: str) -> Result:
        """Run a command of catfs in the workspace."""
        return run_catfs(arguments, self.root)

    def json(self, schema: str, *arguments: str) -> object:
        """Run a command with `--json`; what it prints fits a schema."""
        record = self.catfs(*arguments, "--json").json()
        validate(record, schema)
        return record

    def server(self) -> int:
        """Give the process that serves the session."""
        [facts] = self.workspace.sessions.glob("*/session.json")
        pid = json.loads(facts.read_bytes())["pid"]
        assert isinstance(pid, int)
        return pid

    def kill_server(self) -> None:
        """Kill the server as a crash would."""
        kill_hard(self.server())


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[MountedSample]:
    """Give a mounted workspace, and take its mount and server away."""
    sample = MountedSample(tmp_path)
    yield sample
    if list(sample.workspace.sessions.glob("*/session.json")):
        pid = sample.server()
        unmount_below(sample.domain)
        kill_hard(pid)


def test_log_and_diff_show_the_session_as_it_is_now(mounted: MountedSample) -> None:
    """Without a word the mounted session is meant, by its domain too; `last` is still the last run."""
    for words in (["log"], ["log", "domain"]):
        text = mounted.catfs(*words, "--op", "create", "--op", "mkdir").stdout.decode()
        assert [line.split()[-1] for line in text.splitlines()] == ["keep", "left"]
    assert mounted.catfs("diff").stdout.decode().splitlines() == [
        f"leftovers in {mounted.domain}: 2",
        "+ left/",
        "~ src/main.c  (29 -> 8 bytes, content)",
        f"declared in {mounted.domain}: 1",
        "+ keep",
    ]
    record = mounted.json("cli-diff.v1", "diff")
    assert isinstance(record, dict)
    assert record["live"] is True
    assert b"out/it.whl" in mounted.catfs("diff", "last").stdout


def test_proof_judges_the_session_as_it_is_now(mounted: MountedSample) -> None:
    """Both verdicts and the roots are given; a path can be proven of runs only."""
    text = mounted.catfs("proof").stdout.decode()
    assert "isolated: yes" in text
    assert "self_restored: no" in text
    assert "the write log leads from base to view" in text
    record = mounted.json("cli-proof.v2", "proof")
    assert isinstance(record, dict)
    assert (record["live"], record["outcome"], record["proof"]) == (True, "dirty", None)
    refused = mounted.catfs("proof", "--path", "keep")
    assert refused.status == 2
    assert "catfs proof last --path P" in refused.stderr
    assert mounted.catfs("proof", "last", "--path", "keep").status == 0


def test_status_tells_how_the_session_stands(mounted: MountedSample) -> None:
    """Records, new bytes and how far the base was read are told; doctor has nothing to say."""
    record = mounted.json("cli-status.v1", "status")
    assert isinstance(record, dict)
    [session] = record["sessions"]
    assert (session["state"], session["kind"], session["status"]["mounted"]) == ("live", "mount", True)
    assert session["status"]["new_bytes"] == len("kept\nchanged\n")
    assert session["started"] > format_time(0)
    assert f"of {mounted.domain}, since" in mounted.catfs("status").stdout.decode()
    assert mounted.catfs("doctor").status == 0


def test_a_run_is_verified_beside_a_mount(mounted: MountedSample) -> None:
    """The domain under the mount is not looked at."""
    result = mounted.catfs("verify", "last")
    assert result.status == 0
    assert b"has a view mounted over it" in result.stdout


def test_after_a_crash_the_dead_mount_is_found_and_taken_away(mounted: MountedSample) -> None:
    """The original is there again, and what was written in the session is still there to go on with."""
    mounted.kill_server()
    found = mounted.catfs("doctor")
    assert found.status == 1
    assert "has no server any more" in found.stdout.decode()
    fixed = mounted.catfs("doctor", "--fix")
    assert fixed.status == 0, fixed.stdout
    assert mounts_below(mounted.domain) == []
    assert b"keep" not in walk(mounted.domain)
    assert b"suspended mount" in mounted.catfs("status").stdout
    assert mounted.catfs("doctor").status == 0


def test_after_a_crash_every_command_says_what_is_the_matter(mounted: MountedSample) -> None:
    """No command hangs or fails oddly at a mount whose server is gone."""
    mounted.kill_server()
    assert mounted.catfs("runs").status == 0
    assert mounted.catfs("verify", "last").status == 0
    assert b"suspended" in mounted.catfs("status", "domain").stdout
    for command in ("diff", "proof"):
        result = mounted.catfs(command, "domain")
        assert result.status == 2
        assert "is suspended: nobody serves it" in result.stderr
    assert mounted.catfs("log", "domain").status == 0


def test_programs_are_told_how_a_session_ends(mounted: MountedSample) -> None:
    """A refused commit, a discard and an end without changes all print one JSON value of one schema."""
    refused = mounted.json("cli-end.v1", "commit")
    assert isinstance(refused, dict)
    assert (refused["exit_status"], refused["run_id"]) == (1, None)
    assert [len(domain["leftovers"]) for domain in refused["difference"]["domains"]] == [2]
    dropped = mounted.json("cli-end.v1", "discard")
    assert isinstance(dropped, dict)
    assert (dropped["exit_status"], dropped["difference"]) == (0, None)
    again = mounted.json("cli-mount.v1", "mount", "domain", "--output", "domain/keep")
    assert isinstance(again, dict)
    assert (again["domain"], again["resumed"]) == (str(mounted.domain), None)
    unchanged = mounted.json("cli-end.v1", "umount")
    assert isinstance(unchanged, dict)
    assert "nothing had been changed" in unchanged["sentence"]
    mounted.catfs("mount", "domain", "--output", "domain/keep")
    (mounted.domain / "keep").write_text("kept\n")
    committed = mounted.json("cli-end.v1", "umount", "--commit")
    assert isinstance(committed, dict)
    assert committed["exit_status"] == 0
    assert mounted.catfs("verify", committed["run_id"]).status == 0
