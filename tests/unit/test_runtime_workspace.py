"""Finding and making workspaces."""

import os
import subprocess
from pathlib import Path

import pytest

from catfs.errors import UsageError
from catfs.runtime.workspace import Workspace


def test_nearest_workspace_above_is_found(tmp_path: Path) -> None:
    """Like a version control system, catfs looks upward from where it is called."""
    Workspace.find_or_create(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = Workspace.find(below)
    assert found is not None
    assert found.root == tmp_path


def test_workspace_in_a_shared_folder_above_is_passed_over(tmp_path: Path) -> None:
    """What lies in a folder that everybody may write says nothing about what is below it."""
    shared, below = tmp_path / "shared", tmp_path / "shared" / "mine"
    below.mkdir(parents=True)
    Workspace.find_or_create(shared)
    shared.chmod(0o1777)
    assert Workspace.find(below) is None
    assert Workspace.find(shared) is not None


def test_workspace_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that another user made is neither used nor taken over."""
    (tmp_path / ".catfs").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert Workspace.find(tmp_path) is None
    with pytest.raises(UsageError, match="belongs to somebody else"):
        Workspace.find_or_create(tmp_path)


def test_making_a_workspace_leaves_the_time_of_its_folder(tmp_path: Path) -> None:
    """The folder may be a domain, of which nothing may change."""
    os.utime(tmp_path, ns=(10**18, 10**18))
    Workspace.find_or_create(tmp_path)
    assert tmp_path.stat().st_mtime_ns == 10**18


def test_git_sees_nothing_of_a_workspace(tmp_path: Path) -> None:
    """A workspace in a repository is neither untracked nor added, nor taken away by `git clean -d`."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    Workspace.find_or_create(tmp_path)
    found = subprocess.run(["git", "-C", tmp_path, "status", "--porcelain"], check=True, capture_output=True)
    assert found.stdout == b""


def test_a_file_where_the_workspace_should_be_is_named(tmp_path: Path) -> None:
    """It is not taken for the workspace of somebody else."""
    (tmp_path / ".catfs").touch()
    with pytest.raises(UsageError, match=r"expected the directory of a workspace at .*, got something else"):
        Workspace.find_or_create(tmp_path)


def test_a_workspace_that_another_run_makes_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that start at once in a new folder share one workspace; it is not somebody else's."""
    find, searches = Workspace.find, 0

    def late(start: Path) -> Workspace | None:
        nonlocal searches
        searches += 1
        found = find(start)
        if searches == 1:
            Workspace.find_or_create(start)
        return found

    monkeypatch.setattr(Workspace, "find", late)
    assert Workspace.find_or_create(tmp_path).folder == tmp_path / ".catfs"
