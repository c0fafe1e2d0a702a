"""What the kernel's table of mounts says of views."""

from pathlib import Path

from catfs.runtime.mounts import catfs_mounts, view_source, workspace_of_view


def _table(tmp_path: Path, *lines: str) -> Path:
    table = tmp_path / "mounts"
    table.write_text("".join(f"{line} rw 0 0\n" for line in lines))
    return table


def test_a_view_says_which_workspace_has_mounted_it(tmp_path: Path) -> None:
    """The last mount at a path is the one that is seen; the kernel's escapes are undone."""
    table = _table(
        tmp_path,
        "catfs:/old /w/d fuse.catfs",
        "catfs:/a\\040b /w/d fuse.catfs",
        "catfs:/c /w/other fuse.sshfs",
        "catfs /w/run fuse.catfs",
    )
    assert workspace_of_view(Path("/w/d"), table) == Path("/a b")
    assert workspace_of_view(Path("/w/other"), table) is None
    assert workspace_of_view(Path("/w/run"), table) is None
    assert workspace_of_view(Path("/w"), table) is None
    assert list(catfs_mounts(table)) == [b"/w/d", b"/w/d", b"/w/run"]


def test_a_source_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """What is mounted for a workspace leads back to it."""
    table = _table(tmp_path, f"{view_source(Path('/w')).decode()} /w/d fuse.catfs")
    assert workspace_of_view(Path("/w/d"), table) == Path("/w")
