"""Who is in a directory."""

import os
import subprocess
from pathlib import Path

from catfs.runtime.occupants import occupants


def test_a_process_that_works_in_a_directory_is_named(tmp_path: Path) -> None:
    """Its working directory counts, and not that of a neighbour whose name begins alike."""
    inner = tmp_path / "domain" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "domain2").mkdir()
    with (
        subprocess.Popen(["cat"], cwd=inner, stdin=-1) as inside,
        subprocess.Popen(["cat"], cwd=tmp_path / "domain2", stdin=-1),
    ):
        found = occupants(tmp_path / "domain")
    assert [pid for pid, _ in found] == [inside.pid]


def test_an_open_file_counts(tmp_path: Path) -> None:
    """A program that has a file open is in the way as much as a shell."""
    with (tmp_path / "file").open("w"):
        assert [pid for pid, _ in occupants(tmp_path)] == [os.getpid()]
    assert occupants(tmp_path) == []


def test_the_name_is_that_of_the_kernel(tmp_path: Path) -> None:
    """What `ps` calls it is what a person looks for; a process that is gone meanwhile is left out."""
    folder = tmp_path / "proc" / "7"
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_bytes(b"vi\xff\n")
    (folder / "cwd").symlink_to("/w/d")
    (tmp_path / "proc" / "8").mkdir()
    (tmp_path / "proc" / "8" / "cwd").symlink_to("/w/d")
    (tmp_path / "proc" / "self").mkdir()
    assert occupants(Path("/w/d"), tmp_path / "proc") == [(7, b"vi\xff")]
