"""`catfs mount` and `catfs umount`: a view for everybody, which ends in a commit or in nothing."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.ledger import find_run
from tests.conftest import unmount_below
from tests.support.commands import (
    CATFS,
    TIMEOUT_SECONDS,
    Project,
    Result,
    Started,
    kill_hard,
    mounts_below,
    run_as_nobody,
    run_catfs,
)

pytestmark = pytest.mark.fuse


class Mount:
    """A domain in a workspace above it, mounted by the real command.

    Args:
        workspace: An existing folder.
    """

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.domain = workspace / "domain"
        self.domain.mkdir()
        (self.domain / "file").write_text("old\n")

    def catfs(self, *arguments: str) -> Result:
        """Run a command of catfs in the workspace."""
        return run_catfs(arguments, self.workspace)

    def mount(self, *options: str) -> Result:
        """Mount the domain, which must succeed."""
        result = self.catfs("mount", "domain", *options)
        assert result.status == 0, result.stderr
        assert str(self.domain) in mounts_below(self.domain)
        return result

    def server(self) -> int:
        """Give the process that serves the only session."""
        [facts] = (self.workspace / ".catfs" / "sessions").glob("*/session.json")
        pid = json.loads(facts.read_bytes())["pid"]
        assert isinstance(pid, int)
        return pid

    def is_mounted(self) -> bool:
        """Say whether something is mounted at the domain."""
        return mounts_below(self.domain) != []


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Give a domain that can be mounted; servers that a failing test leaves are ended."""
    made = Mount(tmp_path)
    yield made
    for facts in (tmp_path / ".catfs" / "sessions").glob("*/session.json"):
        kill_hard(json.loads(facts.read_bytes())["pid"])


def test_mount_is_seen_by_everybody_and_leaves_the_original_alone(mount: Mount) -> None:
    """What one process writes another reads; after --discard the original is there, untouched."""
    before = Project(mount.domain).seen()
    mount.mount()
    (mount.domain / "file").write_text("new\n")
    (mount.domain / "made").mkdir()
    assert subprocess.check_output(["cat", mount.domain / "file"], timeout=10) == b"new\n"
    assert mount.catfs("umount", "domain", "--discard").status == 0
    assert not mount.is_mounted()
    assert Project(mount.domain).seen() == before
    assert list((mount.workspace / ".catfs" / "sessions").iterdir()) == []


def test_umount_commits_declared_outputs(mount: Mount) -> None:
    """With --commit the outputs arrive, and a proof is written."""
    mount.mount("--output", "domain/made")
    (mount.domain / "made").write_text("made\n")
    result = mount.catfs("umount", "domain", "--commit")
    assert result.status == 0, result.stderr
    assert not mount.is_mounted()
    assert (mount.domain / "made").read_text() == "made\n"
    assert (mount.domain / "file").read_text() == "old\n"
    proof = find_run(mount.workspace / ".catfs" / "runs").proof()
    assert (proof.isolated, proof.self_restored) == (True, True)


def test_umount_keeps_a_dirty_mount(mount: Mount) -> None:
    """An undeclared change stops the commit and nothing is lost; `--leftovers discard` drops it."""
    mount.mount("--output", "domain/made")
    (mount.domain / "made").write_text("made\n")
    (mount.domain / "scratch").write_text("scratch\n")
    result = mount.catfs("umount", "domain", "--commit")
    assert result.status == 1
    assert "scratch" in result.stderr
    assert (mount.domain / "scratch").read_text() == "scratch\n"
    assert mount.catfs("umount", "domain", "--commit", "--leftovers", "discard").status == 0
    assert sorted(os.listdir(mount.domain)) == ["file", "made"]


def test_plain_umount_needs_a_choice_when_something_changed(mount: Mount) -> None:
    """Without --commit or --discard only an unchanged session is ended."""
    mount.mount()
    (mount.domain / "scratch").write_text("scratch\n")
    result = mount.catfs("umount", "domain")
    assert result.status == 2
    assert "--commit or --discard" in result.stderr
    (mount.domain / "scratch").unlink()
    assert mount.catfs("umount", "domain").status == 0
    assert not mount.is_mounted()


def test_mount_in_use_is_not_ended(mount: Mount) -> None:
    """While a program is in the mount it stays, whole and in use; the program is named."""
    mount.mount()
    with (mount.domain / "file").open():
        result = mount.catfs("umount", "domain", "--discard")
    assert result.status == 125
    assert f" (process {os.getpid()})" in result.stderr
    assert result.stderr.count("(process ") == 1, "its server is not in the way"
    assert (mount.domain / "file").read_text() == "old\n"
    assert mount.catfs("umount", "domain", "--discard").status == 0


def test_copy_of_the_mount_in_another_namespace_does_not_keep_it(mount: Mount) -> None:
    """A container that was started meanwhile has a copy of the mount; the session ends all the same."""
    mount.mount("--output", "domain/made")
    (mount.domain / "made").write_text("made\n")
    words = ["unshare", "-m", "sh", "-c", "echo ready; read line; cat domain/file || echo gone"]
    other = subprocess.Popen(words, cwd=mount.workspace, stdin=-1, stdout=-1, stderr=subprocess.STDOUT)
    with Started(other) as container:
        assert container.read_line() == b"ready"
        assert mount.catfs("umount", "domain", "--commit").status == 0
        container.say()
        assert container.end().stdout.endswith(b"gone\n")
    assert (mount.domain / "made").read_text() == "made\n"


_GIVES_UP_SOON = """
import catfs.runtime.mounted as m, sys
from catfs.cli.main import main
m.ENDING_SECONDS_MAX = 0.1
sys.exit(main())
"""


def test_mount_that_waits_in_vain_says_for_whom(mount: Mount) -> None:
    """Nothing is changed then; what else can be done about it is said too."""
    mount.mount()
    words = ["unshare", "-m", "sh", "-c", "echo ready; read line"]
    other = subprocess.Popen(words, cwd=mount.workspace, stdin=-1, stdout=-1, stderr=subprocess.STDOUT)
    with Started(other) as container:
        assert container.read_line() == b"ready"
        subprocess.run(["umount", mount.domain], check=True, timeout=TIMEOUT_SECONDS)
        words = [sys.executable, "-c", _GIVES_UP_SOON, "mount", "domain"]
        tried = subprocess.run(
            words, cwd=mount.workspace, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
        assert tried.returncode == 2
        said = tried.stderr.decode()
        assert "is unmounted here, and still mounted in the mount namespace of " in said
        assert "(unmount it there, or `catfs umount --commit` or `--discard` here)" in said
        container.say()
        container.end()
    assert mount.catfs("umount", "domain", "--discard").status == 0


def test_who_keeps_a_mount_is_named_while_it_is_waited_for(mount: Mount) -> None:
    """After a plain umount the server serves on for a copy of the mount; without that the session goes on."""
    mount.mount()
    (mount.domain / "made").write_text("made\n")
    words = ["unshare", "-m", "sh", "-c", "echo ready; read line"]
    other = subprocess.Popen(words, cwd=mount.workspace, stdin=-1, stdout=-1, stderr=subprocess.STDOUT)
    with Started(other) as container:
        assert container.read_line() == b"ready"
        subprocess.run(["umount", mount.domain], check=True, timeout=TIMEOUT_SECONDS)
        command = [str(CATFS), "mount", "domain"]
        waiting = subprocess.Popen(command, cwd=mount.workspace, stdout=-1, stderr=subprocess.STDOUT)
        with Started(waiting) as again:
            said = again.read_line().decode()
            assert (
                f"is unmounted here, and still mounted in the mount namespace of sh (process {other.pid}"
                in said
            )
            container.say()
            container.end()
            assert b"goes on, with" in again.end().stdout
    assert (mount.domain / "made").read_text() == "made\n"
    assert mount.catfs("umount", "domain", "--discard").status == 0


def test_two_mounts_end_in_any_order(mount: Mount, tmp_path: Path) -> None:
    """The server of a later mount does not hold the earlier one."""
    (tmp_path / "second").mkdir()
    mount.mount()
    assert mount.catfs("mount", "second").status == 0
    assert mount.catfs("umount", "domain").status == 0
    assert not mount.is_mounted()
    assert mount.catfs("umount", "second").status == 0


def test_conflict_keeps_the_mount(mount: Mount) -> None:
    """When the original changed underneath, exit 3, nothing committed."""
    mount.mount("--output", "domain/file")
    (mount.domain / "file").write_text("mine\n")
    script = f"umount {mount.domain} && echo outsider > {mount.domain}/file"
    subprocess.run(["unshare", "-m", "sh", "-c", script], check=True, timeout=TIMEOUT_SECONDS)
    result = mount.catfs("umount", "domain", "--commit")
    assert result.status == 3, result.stderr
    assert mount.catfs("umount", "domain", "--discard").status == 0
    assert (mount.domain / "file").read_text() == "outsider\n"


def test_second_mount_of_a_domain_is_refused(mount: Mount) -> None:
    """A domain is mounted once; the message says how to end that."""
    mount.mount()
    result = mount.catfs("mount", "domain")
    assert result.status == 2
    assert "mounted already" in result.stderr
    assert "umount" in result.stderr
    assert mount.catfs("umount", "domain").status == 0


def test_mount_from_within_the_domain_can_be_ended_from_there(mount: Mount) -> None:
    """The workspace of `cd repo; catfs mount .` is not hidden by the mount itself."""
    assert run_catfs(["mount", "."], mount.domain).status == 0
    (mount.domain / "made").write_text("made\n")
    assert sorted(os.listdir(mount.domain)) == ["file", "made"]
    assert run_catfs(["diff"], mount.domain).status == 0
    elsewhere = run_catfs(["umount", mount.domain, "--discard"], Path("/"))
    assert elsewhere.status == 0, elsewhere.stderr
    assert not mount.is_mounted()


def test_a_symlink_to_the_domain_stands_for_it(mount: Mount, tmp_path: Path) -> None:
    """A domain is mounted once and ended, by whatever name."""
    (tmp_path / "link").symlink_to("domain")
    assert mount.catfs("mount", "link").status == 0
    refused = mount.catfs("mount", "link")
    assert (refused.status, len(mounts_below(mount.domain))) == (2, 1)
    assert "mounted already" in refused.stderr
    (mount.domain / "made").touch()
    assert mount.catfs("umount", "link", "--discard").status == 0
    assert not mount.is_mounted()


def test_a_mount_leads_to_its_workspace_from_everywhere(mount: Mount, tmp_path: Path) -> None:
    """Neither another workspace nor none at all is in the way, nor the view itself."""
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
    assert run_catfs(["run", "--", "true"], tmp_path / "other").status == 0
    assert run_catfs(["mount", mount.domain], tmp_path / "mine").status == 0
    (mount.domain / "made").touch()
    assert not (tmp_path / ".catfs").exists()
    for place in (Path("/"), tmp_path / "other"):
        for command in ("status", "diff", "log", "proof"):
            result = run_catfs([command, mount.domain], place)
            assert result.status == 0, result.stderr
    assert b"+ made" in run_catfs(["diff"], mount.domain).stdout
    assert f"of {mount.domain}, since" in run_catfs(["status"], mount.domain).stdout.decode()
    ended = run_catfs(["umount", mount.domain, "--discard"], tmp_path / "other")
    assert ended.status == 0, ended.stderr
    assert not mount.is_mounted()


def test_workspace_that_was_in_the_domain_before_is_hidden(mount: Mount) -> None:
    """`.catfs` of earlier runs is no part of a mount whose workspace lies above."""
    assert run_catfs(["run", "--", "true"], mount.domain).status == 0
    mount.mount()
    assert os.listdir(mount.domain) == ["file"]
    with pytest.raises(PermissionError, match="not permitted"):
        (mount.domain / ".catfs").mkdir()
    assert mount.catfs("umount", "domain").status == 0
    assert len(list((mount.domain / ".catfs" / "runs").iterdir())) == 1


def test_killed_server_leaves_the_original_and_a_dead_mount(mount: Mount) -> None:
    """After kill -9 the mount answers ENOTCONN, the original below is untouched, and work can go on."""
    before = Project(mount.domain).seen()
    mount.mount()
    (mount.domain / "made").write_text("made\n")
    kill_hard(mount.server())
    with pytest.raises(OSError, match="not connected") as caught:
        os.listdir(mount.domain)
    assert caught.value.errno == errno.ENOTCONN
    assert unmount_below(mount.domain) == [str(mount.domain)]
    assert Project(mount.domain).seen() == before


def test_doctor_takes_a_dead_mount_away(mount: Mount) -> None:
    """`catfs doctor` reports the dead mount, and with --fix it is gone."""
    mount.mount()
    kill_hard(mount.server())
    report = mount.catfs("doctor")
    assert report.status == 1
    assert str(mount.domain) in report.stdout.decode() + report.stderr
    assert mount.is_mounted()
    assert mount.catfs("doctor", "--fix").status == 0
    assert not mount.is_mounted()
    assert (mount.domain / "file").read_text() == "old\n"


def test_mounting_again_resumes_what_a_killed_server_left(mount: Mount) -> None:
    """The next `catfs mount` clears the dead mount and goes on with the session."""
    mount.mount("--output", "domain/made")
    (mount.domain / "made").write_text("made\n")
    kill_hard(mount.server())
    mount.mount()
    assert (mount.domain / "made").read_text() == "made\n"
    assert mount.catfs("umount", "domain", "--commit").status == 0
    assert (mount.domain / "made").read_text() == "made\n"


@pytest.mark.parametrize("ending", [("umount", "domain", "--commit"), ("commit", "domain")])
def test_what_a_killed_server_left_is_committed_under_its_dead_mount(
    mount: Mount, ending: tuple[str, ...]
) -> None:
    """What was synced is there, what the kernel still remembers of the view is not taken for the original."""
    mount.mount("--output", "domain/out")
    (mount.domain / "out").mkdir()
    (mount.domain / "out" / "made").write_text("made\n")
    descriptor = os.open(mount.domain, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    assert os.listdir(mount.domain / "out") == ["made"]
    kill_hard(mount.server())
    assert mount.is_mounted()
    result = mount.catfs(*ending)
    assert result.status == 0, result.stderr
    assert not mount.is_mounted()
    assert (mount.domain / "out" / "made").read_text() == "made\n"


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_server_killed_while_a_program_writes(mount: Mount, delay: int) -> None:
    """Wherever the server is, the original stays byte-identical and the next command works."""
    before = Project(mount.domain).seen()
    mount.mount("--output", "domain/out")
    script = "mkdir -p out; i=0; while :; do i=$((i+1)); echo $i > out/$i && echo $i || exit 1; done"
    writer = subprocess.Popen(
        ["sh", "-c", script], cwd=mount.domain, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert writer.stdout is not None
    for _ in range(1 + 40 * delay):
        writer.stdout.readline()
    kill_hard(mount.server())
    writer.communicate(timeout=TIMEOUT_SECONDS)
    assert mount.catfs("umount", "domain", "--discard").status == 0
    assert not mount.is_mounted()
    assert Project(mount.domain).seen() == before
    assert mount.catfs("run", "--domain", "domain", "--", "true").status == 0


def test_server_ignores_a_hangup(mount: Mount) -> None:
    """The mount outlives the terminal that it was started from."""
    mount.mount()
    os.kill(mount.server(), signal.SIGHUP)
    assert (mount.domain / "file").read_text() == "old\n"
    assert mount.catfs("umount", "domain").status == 0


def test_run_on_a_mounted_domain_works_on_the_mount_or_says_no(mount: Mount) -> None:
    """A run over a mount neither hangs nor touches the original."""
    before = Project(mount.domain).seen()
    mount.mount()
    result = mount.catfs("run", "--domain", "domain", "--output", "domain/made", "--", "touch", "domain/made")
    assert result.status in {0, 2, 125}, result.stderr
    assert mount.catfs("umount", "domain", "--discard").status == 0
    assert Project(mount.domain).seen() == before


def test_only_root_mounts_for_everybody(tmp_path: Path) -> None:
    """Another user is told what to use instead."""
    ended = run_as_nobody(["mount", "."], tmp_path)
    assert ended.status == 125
    assert "needs root" in ended.stderr
