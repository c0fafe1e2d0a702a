"""Awkward names and sizes go through a view, into the ledger and out again."""

import base64
import json
import os
from pathlib import Path

import pytest

from tests.support.commands import Project, run_catfs

pytestmark = pytest.mark.fuse

NAMES = {
    "bytes that are no UTF-8": b"caf\xe9\xff",
    "newline": b"two\nlines",
    "255 bytes": b"n" * 255,
    "255 bytes in many characters": "é".encode() * 127 + b"x",
    "backslash and quotes": b"a\\b\"c'd",
    "only a space": b" ",
    "leading dash": b"-rf",
    "control characters": bytes(range(1, 32)),
    "looks like a whiteout": b".wh.file",
    "base64 key": b"path_base64",
}
GIGABYTES_3 = 3 << 30


@pytest.mark.parametrize("what", NAMES)
def test_name_is_kept(project: Project, what: str) -> None:
    """A file with an awkward name is read, its twin committed and logged, byte by byte the same name."""
    name = NAMES[what]
    base = os.fsencode(project.path)
    os.mkdir(base + b"/in")
    os.mkdir(base + b"/out")
    with open(base + b"/in/" + name, "wb") as stream:
        stream.write(b"content\n")
    result = project.run("cp -- in/* out/ 2>/dev/null || cp -- in/.[!.]* out/", "--output", "out")
    assert result.status == 0, result.stderr
    assert os.listdir(base + b"/out") == [name]
    run = project.last_run()
    assert [change.path for change in run.restore_diff().domains[0].declared] == [b"out/" + name]
    assert b"out/" + name in {getattr(record, "path", None) for record in run.log()}


def test_output_whose_name_is_no_text_can_be_declared(project: Project) -> None:
    """A name that is not UTF-8 is given on the command line as it is."""
    name = b"caf\xe9"
    result = project.run(b"echo x > " + name, "--output", name)
    assert result.status == 0, result.stderr
    assert os.listdir(os.fsencode(project.path)) != []
    assert project.seen().keys() == {b"", name}


def test_name_that_is_too_long_is_refused_as_on_a_disk(project: Project) -> None:
    """256 bytes give ENAMETOOLONG."""
    result = project.run(f"touch {'n' * 256}; ls -A")
    assert "File name too long" in result.stderr
    assert result.stdout == b""


def test_path_of_four_thousand_bytes(project: Project) -> None:
    """A tree deeper than PATH_MAX from the root is read, copied and committed."""
    names = [b"d" * 199] * 20
    here = os.open(project.path, os.O_RDONLY | os.O_DIRECTORY)
    for name in [b"in", *names]:
        os.mkdir(name, dir_fd=here)
        there = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = there
    with open(os.open(b"leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as stream:
        stream.write(b"deep\n")
    os.close(here)
    result = project.run("cp -r in out && rm -r in && cp -r out in", "--output", "out")
    assert result.status == 0, result.stderr
    leaf = b"/".join([*names, b"leaf"])
    seen = project.seen()
    assert len(leaf) > 4_000
    assert seen[b"in/" + leaf].digest == seen[b"out/" + leaf].digest


def test_empty_file_and_empty_domain(project: Project) -> None:
    """Nothing at all is a content like any other."""
    assert project.run("true").status == 0
    assert project.run(": > empty", "--output", "empty").status == 0
    assert (project.path / "empty").read_bytes() == b""


def test_sparse_output_of_three_gibibytes_stays_sparse(project: Project) -> None:
    """Holes are not written out: not in the session, not in the committed file."""
    script = (
        f"truncate -s {GIGABYTES_3} output; printf middle | dd of=output bs=1 seek=2000000000 conv=notrunc; "
        "printf end >> output"
    )
    result = project.run(script, "--output", "output")
    assert result.status == 0, result.stderr
    path = project.path / "output"
    assert path.stat().st_size == GIGABYTES_3 + 3
    assert path.stat().st_blocks * 512 < 10_000_000
    with path.open("rb") as stream:
        stream.seek(2_000_000_000)
        assert stream.read(6) == b"middle"
        stream.seek(-3, os.SEEK_END)
        assert stream.read() == b"end"


def test_large_sparse_file_is_changed_in_one_place(project: Project) -> None:
    """A few bytes into a large file that was there make it dirty; written back, it is clean."""
    path = project.path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
        stream.seek(50_000_000)
        stream.write(b"marker")
    write = "printf {} | dd of=large bs=1 seek=50000000 conv=notrunc 2>/dev/null"
    assert project.run(write.format("MARKER")).status == 1
    result = project.run(f"{write.format('MARKER')}; {write.format('marker')}")
    assert result.status == 0, result.stderr
    assert path.stat().st_blocks * 512 < 10_000_000


def test_hard_links_of_the_domain_change_together(project: Project) -> None:
    """A write through one name is seen through the other, and both are listed."""
    os.link(project.write("one", "text\n"), project.path / "two")
    result = project.run("echo more >> one; cat two")
    assert result.stdout == b"text\nmore\n"
    assert result.status == 1
    assert project.leftovers() == [b"one", b"two"]


def test_fifo_of_the_domain_passes(project: Project) -> None:
    """A FIFO of the domain is there, usable, and unchanged."""
    os.mkfifo(project.path / "pipe")
    before = project.seen()
    result = project.run("(echo through > pipe) & cat pipe; test -p pipe")
    assert (result.status, result.stdout) == (0, b"through\n")
    assert project.seen() == before


def test_domain_whose_own_path_is_no_text(tmp_path: Path) -> None:
    """It is run in, its session and its run are told of, and its record holds."""
    domain = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    domain.mkdir()
    project = Project(domain)
    result = project.run("echo x > made", "--output", "made")
    assert result.status == 0, result.stderr
    assert (domain / "made").read_text() == "x\n"
    assert project.last_run().job().domains == (os.fsencode(domain),)
    assert project.catfs("verify", "last").status == 0


def test_mounted_domain_whose_own_path_is_no_text(tmp_path: Path) -> None:
    """It is mounted, asked about and discarded like every other."""
    name = b"caf\xe9"
    os.mkdir(os.fsencode(tmp_path) + b"/" + name)
    mounted = run_catfs(("mount", name, "--json"), tmp_path)
    assert mounted.status == 0, mounted.stderr
    assert base64.b64decode(json.loads(mounted.stdout)["domain_base64"]).endswith(name)
    (tmp_path / os.fsdecode(name) / "new").write_text("new")
    assert b"+ new" in run_catfs(("diff", name), tmp_path).stdout
    assert run_catfs(("log", name), tmp_path).stdout.count(b"create      new") == 1
    assert b"live     mount" in run_catfs(("status",), tmp_path).stdout
    ended = run_catfs(("umount", name, "--discard"), tmp_path)
    assert ended.status == 0, ended.stderr
    assert os.listdir(os.fsencode(tmp_path) + b"/" + name) == []
