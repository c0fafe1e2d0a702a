"""Who is in a directory."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from catfs.runtime.occupants import holders, occupants, process_names


def make_processes(folder: Path, namespaces: Mapping[str, str]) -> None:
    """Make a folder like /proc.

    Args:
        folder: Where.
        namespaces: The mount namespace of each process.
    """
    for name, namespace in namespaces.items():
        (folder / name / "ns").mkdir(parents=True)
        (folder / name / "ns" / "mnt").symlink_to(namespace)


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
    make_processes(tmp_path, {"self": "mnt:1", "7": "mnt:1", "8": "mnt:1", "9": "mnt:2"})
    for name in ("self", "7", "8", "9"):
        (tmp_path / name / "cwd").symlink_to("/w/d")
    for name in ("7", "9"):
        (tmp_path / name / "fd").mkdir()
        (tmp_path / name / "comm").write_bytes(b"vi\xff\n")
    assert occupants(Path("/w/d"), tmp_path) == [(7, b"vi\xff")]


def test_who_has_a_copy_of_a_mount_is_named(tmp_path: Path) -> None:
    """Every process of another namespace in which the view is mounted; none of our own, or of other views."""
    make_processes(tmp_path, {"self": "mnt:1", "7": "mnt:1", "8": "mnt:2", "9": "mnt:2", "10": "mnt:3"})
    for name, workspace in {"7": "/w", "8": "/w", "10": "/other"}.items():
        (tmp_path / name / "mounts").write_text(f"catfs:{workspace} /w/d fuse.catfs rw 0 0\n")
    for name in ("7", "8", "9", "10"):
        (tmp_path / name / "comm").write_bytes(b"sh\n")
    (tmp_path / "9" / "mounts").symlink_to("../8/mounts")
    assert holders(Path("/w/d"), Path("/w"), tmp_path) == [(8, b"sh"), (9, b"sh")]
    assert holders(Path("/w/e"), Path("/w"), tmp_path) == []


def test_of_many_processes_the_first_are_named() -> None:
    """A sentence stays readable, and says how many more there are; names are shown as text."""
    assert process_names([(7, b"vi\xff")]) == "vi\\xff (process 7)"
    found = process_names([(pid, b"sh") for pid in range(1, 10)])
    assert found.startswith("sh (process 1), sh (process 2)")
    assert found.endswith("sh (process 5), 4 more")
