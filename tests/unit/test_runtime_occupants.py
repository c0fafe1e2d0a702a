"""Who is in a directory."""

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
    with (tmp_path / "file").open("w") as file, subprocess.Popen(["cat"], stdin=-1, stdout=file) as inside:
        assert [pid for pid, _ in occupants(tmp_path)] == [inside.pid]
    assert occupants(tmp_path) == []


def test_the_name_is_that_of_the_kernel(tmp_path: Path) -> None:
    """What `ps` calls it is what a person looks for; one that is gone, or elsewhere mounted, is left out."""
    for name, namespace in {"self": "mnt:1", "7": "mnt:1", "8": "mnt:1", "9": "mnt:2"}.items():
        (tmp_path / name / "ns").mkdir(parents=True)
        (tmp_path / name / "ns" / "mnt").symlink_to(namespace)
        (tmp_path / name / "cwd").symlink_to("/w/d")
    for name in ("7", "9"):
        (tmp_path / name / "fd").mkdir()
        (tmp_path / name / "comm").write_bytes(b"vi\xff\n")
    assert occupants(Path("/w/d"), tmp_path) == [(7, b"vi\xff")]
