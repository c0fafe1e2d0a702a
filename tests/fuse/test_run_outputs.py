"""Declared outputs of every kind come out of the view as they are in it."""

import os
import stat
from pathlib import Path

import pytest

from catfs.records.write_record import WriteRecord
from tests.support.commands import Project, run_catfs

pytestmark = pytest.mark.fuse


def test_single_file_is_committed_with_mode_and_time(project: Project) -> None:
    """Content, permission bits and mtime of an output are those that the command gave it."""
    script = "printf words > output; chmod 640 output; touch -d '2001-02-03 04:05:06.7 UTC' output"
    assert project.run(script, "--output", "output").status == 0
    found = project.seen()[b"output"]
    assert (found.mode, found.size) == (stat.S_IFREG | 0o640, 5)
    assert found.mtime_ns == 981_173_106_700_000_000


def test_tree_is_committed_with_symlinks_and_empty_directories(project: Project) -> None:
    """A directory output brings everything below it, whatever its kind."""
    script = "mkdir -p out/empty out/a/b; ln -s ../nowhere out/link; echo x > out/a/b/file; chmod 711 out/a"
    assert project.run(script, "--output", "out").status == 0
    found = project.seen()
    assert sorted(found) == [b"", b"out", b"out/a", b"out/a/b", b"out/a/b/file", b"out/empty", b"out/link"]
    assert os.readlink(project.path / "out" / "link") == "../nowhere"
    assert stat.S_IMODE(found[b"out/a"].mode) == 0o711


def test_directories_above_an_output_are_made(project: Project) -> None:
    """A deep output needs no flag for the directories that it lies in."""
    assert project.run("mkdir -p a/b; echo x > a/b/output", "--output", "a/b/output").status == 0
    assert (project.path / "a" / "b" / "output").read_text() == "x\n"


def test_part_of_an_output_that_was_deleted_is_deleted(project: Project) -> None:
    """Names removed below an output are removed from the domain."""
    project.write("out/keep", "keep\n")
    project.write("out/folder/old", "old\n")
    assert project.run("rm -r out/folder", "--output", "out").status == 0
    assert sorted(project.seen()) == [b"", b"out", b"out/keep"]


def test_file_becomes_a_directory_and_back(project: Project) -> None:
    """An output may change its kind; the old one is replaced in one step."""
    project.write("output", "file\n")
    assert project.run("rm output; mkdir output; echo in > output/inner", "--output", "output").status == 0
    assert (project.path / "output" / "inner").read_text() == "in\n"
    assert project.run("rm -r output; echo file > output", "--output", "output").status == 0
    assert (project.path / "output").read_text() == "file\n"


def test_unchanged_output_is_left_alone(project: Project) -> None:
    """An existing output that the command did not change keeps inode and times."""
    path = project.write("output", "same\n")
    before, inode = project.seen(), path.stat().st_ino
    assert project.run("cat output", "--output", "output").status == 0
    assert project.run("cp output /tmp/x; cat /tmp/x > output", "--output", "output").status == 0
    assert project.seen() == before
    assert path.stat().st_ino == inode


def test_output_replaces_a_file_and_never_writes_in_place(project: Project) -> None:
    """A hard link outside the domain keeps the old content."""
    path = project.write("output", "old\n")
    outside = project.path.parent / "outside"
    os.link(path, outside)
    assert project.run("echo new > output", "--output", "output").status == 0
    assert (path.read_text(), outside.read_text()) == ("new\n", "old\n")


def test_set_id_bits_are_dropped_and_noted(project: Project) -> None:
    """An output never brings a set-id program into the domain, and the run says so."""
    script = "cp /bin/true output; chmod 6755 output; stat -c %a output"
    result = project.run(script, "--output", "output")
    assert result.status == 0, result.stderr
    assert result.stdout == b"6755\n"
    assert stat.S_IMODE((project.path / "output").stat().st_mode) == 0o755
    assert "output" in result.stderr.split("\n", 1)[1]
    assert project.last_run().outputs().outputs[0].notes


def test_device_node_is_never_committed(project: Project) -> None:
    """A device among the outputs is refused whole: nothing is committed."""
    before = project.seen()
    result = project.run("mkdir out; echo x > out/file; mknod out/null c 1 3", "--output", "out")
    assert result.status != 0
    assert "out/null" in result.stderr
    assert project.seen() == before


def test_hard_links_and_fifo_of_an_output(project: Project) -> None:
    """Hard-linked names all arrive with their content; a FIFO arrives as one."""
    script = "mkdir out; echo x > out/one; ln out/one out/two; mkfifo out/pipe"
    result = project.run(script, "--output", "out")
    assert result.status == 0, result.stderr
    assert (project.path / "out" / "two").read_text() == "x\n"
    assert stat.S_ISFIFO((project.path / "out" / "pipe").stat().st_mode)


def test_output_through_a_symlink_stays_in_the_domain(project: Project) -> None:
    """An output declared below a link that leads out of the domain is refused."""
    (project.path.parent / "elsewhere").mkdir()
    (project.path / "link").symlink_to(project.path.parent / "elsewhere")
    result = project.run("echo x > link/output", "--output", "link/output")
    assert result.status == 2
    assert "lies in no domain" in result.stderr


def test_link_put_in_place_of_an_output_directory_leads_nowhere(project: Project) -> None:
    """A symlink that replaces the directory above an output is dirt, and nothing is written through it."""
    elsewhere = project.path.parent / "elsewhere"
    elsewhere.mkdir()
    project.write("folder/old", "old\n")
    before = project.seen()
    script = f"mv folder away; ln -s {elsewhere} folder; echo x > folder/output"
    options = ("--output", "folder/output", "--leftovers", "discard")
    assert project.run(script, *options, "--allow-write", elsewhere).status != 0
    assert project.seen() == before


def _two(tmp_path: Path) -> tuple[Project, Project]:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    return Project(tmp_path / "first"), Project(tmp_path / "second")


def _run_two(tmp_path: Path, script: str, *options: str) -> tuple[int, str]:
    (tmp_path / ".catfs").mkdir(exist_ok=True)
    domains = ("--domain", "first", "--domain", "second")
    result = run_catfs(["run", *domains, *options, "--", "sh", "-c", script], tmp_path)
    return result.status, result.stderr


def test_two_domains_are_committed_together(tmp_path: Path) -> None:
    """Outputs of both arrive, and one log holds the changes of both in the order in which they happened."""
    first, second = _two(tmp_path)
    script = "echo 1 > first/a; echo 2 > second/b; echo 3 > first/c; mv first/c first/d"
    options = [word for path in ("first/a", "second/b", "first/d") for word in ("--output", path)]
    status, stderr = _run_two(tmp_path, script, *options)
    assert status == 0, stderr
    assert sorted(first.seen()) == [b"", b"a", b"d"]
    assert sorted(second.seen()) == [b"", b"b"]
    log = Project(tmp_path).last_run().log()
    changes = [record for record in log if isinstance(record, WriteRecord)]
    made = [(change.domain, change.path) for change in changes if change.op == "create"]
    assert made == [(0, b"a"), (1, b"b"), (0, b"c")]


def test_dirt_in_one_domain_keeps_the_other_from_being_committed(tmp_path: Path) -> None:
    """Several domains are one job: all of them or none."""
    first, second = _two(tmp_path)
    status, stderr = _run_two(tmp_path, "echo 1 > first/a; echo 2 > second/b", "--output", "first/a")
    assert status == 1
    assert "b" in stderr
    assert list(first.seen()) == list(second.seen()) == [b""]


def test_move_between_domains_is_a_move(tmp_path: Path) -> None:
    """`mv` from one domain to the other works, whether the kernel renames or copies."""
    first, second = _two(tmp_path)
    first.write("file", "text\n")
    status, stderr = _run_two(tmp_path, "mv first/file second/file", "--output", "second/file")
    assert status == 1, stderr
    options = ("--output", "second/file", "--output", "first/file", "--leftovers", "discard")
    status, stderr = _run_two(tmp_path, "cp first/file second/file", *options)
    assert status == 0, stderr
    assert (second.path / "file").read_text() == "text\n"
