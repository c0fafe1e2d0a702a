"""Users who may not make user namespaces: fusermount3 mounts for them, and takes the mount away again."""

import os
from pathlib import Path

import pytest

from tests.support.commands import Result, run_without_namespaces
from tests.support.walk import walk


@pytest.fixture(name="top")
def _top(tmp_path: Path) -> Path:
    """Give a folder with a workspace and a domain, both of a user without rights."""
    (tmp_path / ".catfs").mkdir()
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "a").write_bytes(b"old\n")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65534, 65534)
    return tmp_path


def _run(top: Path, *arguments: str, environment: dict[str, str] | None = None) -> Result:
    arguments = ("run", "--confine", "off", *arguments)
    return run_without_namespaces(arguments, top / "domain", top / "device", environment)


@pytest.mark.parametrize("transport", ["devfuse", "pyfuse3"])
def test_a_run_commits_its_outputs_and_its_mount_is_gone(top: Path, transport: str) -> None:
    """The command sees the view at the usual path, by way of a mount that ends with it."""
    script = "cat a; echo new >out; echo gone >a; grep fuse.catfs /proc/self/mounts; unshare -U true; true"
    ended = _run(
        top, "--transport", transport, "--output", "out", "--leftovers", "discard", "--", "sh", "-c", script
    )
    mounted = f"catfs {top}/domain fuse.catfs ".encode()
    assert ended.status == 0, ended.stderr
    assert ended.stdout.startswith(b"old\n")
    assert mounted in ended.stdout
    assert "unshare" in ended.stderr  # so there are no user namespaces indeed
    assert "lived on" not in ended.stderr
    assert (top / "domain" / "a").read_bytes() == b"old\n"
    assert (top / "domain" / "out").read_bytes() == b"new\n"


def test_steps_run_in_it_too(top: Path) -> None:
    """A pipeline works like a command: one step sees what another left."""
    ended = _run(top, "--output", "out", "--step", "make::echo new >out", "--step", "look::cat out")
    assert (ended.status, ended.stdout) == (0, b"new\n"), ended.stderr
    assert (top / "domain" / "out").read_bytes() == b"new\n"


def test_the_mount_goes_with_a_killed_server(top: Path) -> None:
    """A killed server leaves neither a dead mount nor a changed domain."""
    before = walk(top / "domain")
    ended = _run(top, "--", "sh", "-c", "echo x >b; kill -KILL $PPID; cat")
    assert ended.status == 256 - 9, ended.stderr
    assert walk(top / "domain") == before


def test_a_workspace_in_the_domain_is_refused(top: Path) -> None:
    """Where the server would hide its own files from itself, it says what to do and touches nothing."""
    (top / ".catfs").rmdir()
    ended = _run(top, "--", "true")
    assert ended.status == 125
    assert "hide the workspace" in ended.stderr
    assert "a folder .catfs above the domain" in ended.stderr
    assert [path.name for path in (top / "domain").iterdir() if path.name != ".catfs"] == ["a"]


def test_several_domains_are_refused(top: Path) -> None:
    """fusermount3 binds nothing, so a session has one domain."""
    (top / "other").mkdir()
    ended = _run(top, "--domain", str(top / "domain"), "--domain", str(top / "other"), "--", "true")
    assert ended.status == 125
    assert "a session has one domain" in ended.stderr


def test_a_missing_fusermount3_is_named(top: Path) -> None:
    """Without the program there is no way to mount, and the message says what to install."""
    ended = _run(top, "--", "true", environment={"PATH": "/nowhere"})
    assert ended.status == 125
    assert "there is no fusermount3" in ended.stderr
    assert "install the package fuse3" in ended.stderr
