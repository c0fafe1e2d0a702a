"""`catfs undo` on a real mount: it goes back, and the mount is there again."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from catfs.records.schema import validate
from tests.conftest import unmount_below
from tests.support.commands import TIMEOUT_SECONDS, Project, mounts_below
from tests.support.walk import walk

pytestmark = pytest.mark.fuse


@pytest.fixture
def mounted(project: Project) -> Iterator[Project]:
    """Give a workspace whose domain `d` is mounted with history."""
    project.write("d/kept", "was\n")
    project.write("d/sub/file", "x\n")
    assert project.catfs("mount", "d", "--history").status == 0
    yield project
    project.catfs("discard", "d")
    unmount_below(project.path)


def log_size(project: Project) -> int:
    """Give the number of records of the session's log."""
    return len(project.catfs("log", "d", "--json").stdout.splitlines())


def view_root(project: Project) -> str:
    """Give the root of the mounted view."""
    result = project.catfs("proof", "d", "--json")
    fields = result.json()
    assert isinstance(fields, dict), result.stderr
    root = fields["roots"][0]["view"]
    assert isinstance(root, str)
    return root


def test_undo_restores_the_exact_earlier_state(mounted: Project) -> None:
    """Root and everything that programs see are those of that moment; work goes on in the mount."""
    domain = mounted.path / "d"
    (domain / "new").write_text("first\n")
    seen, root, first = walk(domain), view_root(mounted), log_size(mounted)
    (domain / "new").write_text("second, and longer\n")
    (domain / "kept").unlink()
    os.rename(domain / "sub", domain / "moved")
    assert view_root(mounted) != root
    result = mounted.catfs("undo", f"{first}..", "d", "--json")
    assert result.status == 0, result.stderr
    validate(result.json(), "cli-undo.v1")
    assert mounts_below(domain)
    assert view_root(mounted) == root
    assert walk(domain) == seen
    (domain / "new").write_text("third\n")
    assert mounted.catfs("diff", "base..end", "d").stdout == b"+ new\n"


def test_a_suspended_session_is_undone_where_it_is(mounted: Project) -> None:
    """Nothing is mounted for it; what the next mount shows is the earlier state."""
    first = log_size(mounted)
    (mounted.path / "d" / "new").write_text("x")
    subprocess.run(["umount", mounted.path / "d"], check=True, timeout=TIMEOUT_SECONDS)
    result = mounted.catfs("undo", f"{first}..", "d")
    assert result.status == 0
    assert "and suspended, as before" in result.stderr
    assert not mounts_below(mounted.path)
    assert mounted.catfs("mount", "d").status == 0
    assert sorted(os.listdir(mounted.path / "d")) == ["kept", "sub"]


def test_a_mount_in_use_is_not_undone(mounted: Project) -> None:
    """Whoever is in it is named, and nothing changes."""
    first = log_size(mounted)
    (mounted.path / "d" / "new").write_text("x")
    with (mounted.path / "d" / "new").open("rb"):
        result = mounted.catfs("undo", f"{first}..", "d")
    assert result.status == 125
    assert "is in use" in result.stderr
    assert (mounted.path / "d" / "new").read_text() == "x"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("3", "expected the first record to undo as SEQ.., got '3'"),
        ("..3", "expected the first record to undo"),
        ("99999..", "there is no record 99999"),
    ],
)
def test_bad_words_are_refused(mounted: Project, word: str, said: str) -> None:
    """The mount stays as it is."""
    result = mounted.catfs("undo", word, "d")
    assert result.status == 2
    assert said in result.stderr
    assert mounts_below(mounted.path)


def test_a_session_without_history_says_what_it_lacks(project: Project) -> None:
    """It is not even unmounted."""
    project.write("d/kept", "was\n")
    assert project.catfs("mount", "d").status == 0
    result = project.catfs("undo", "0..", "d")
    assert result.status == 2
    assert "keeps no history, so it cannot go back (begin it with --history)" in result.stderr
    assert mounts_below(project.path)
    assert project.catfs("discard", "d").status == 0
