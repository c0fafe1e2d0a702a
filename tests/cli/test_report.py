"""`catfs report` on finished and stopped runs: what is written, and what is refused."""

import base64
import json
import os
import stat
import subprocess
import zlib
from pathlib import Path

import pytest

from catfs.records import WRITE_LOG_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import SampleWorkspace, log_bytes


def test_the_page_is_written_and_told_of(sample: SampleWorkspace) -> None:
    """One line for people, and `--json` fits its schema; a page takes the place of an older one."""
    sample.add_run()
    result = run_catfs(["report", "-o", "page.html"], sample.root)
    assert result.stdout.startswith(b"page.html: run run-1, ")
    record = json.loads(run_catfs(["report", "last", "-o", "page.html", "--json"], sample.root).stdout)
    validate(record, "cli-report.v1")
    page = sample.root / "page.html"
    assert record["path"] == str(page)
    assert record["size"] == page.stat().st_size


def test_a_wrong_log_makes_no_page(sample: SampleWorkspace) -> None:
    """A log that is not the one of the proof is refused with its first wrong record."""
    sample.add_run()
    lines = log_bytes().splitlines(keepends=True)
    (sample.run_folder("run-1") / WRITE_LOG_FILE).write_bytes(b"".join(lines[:3]))
    result = run_catfs(["report", "-o", "page.html"], sample.root)
    assert result.status == 2
    assert "record 3 is missing: the proof states 9 records" in result.stderr
    assert not (sample.root / "page.html").exists()


def test_a_place_that_is_none_is_refused(sample: SampleWorkspace) -> None:
    """A folder, and a name in a folder that is not there, are bad arguments."""
    sample.add_run()
    for place in ("domain", "no/where", "."):
        result = run_catfs(["report", "-o", place], sample.root)
        assert result.status == 2, place
        assert "cannot be a file" in result.stderr


@pytest.mark.parametrize("kind", ["fifo", "symlink", "character_device"])
def test_what_is_no_file_stays(sample: SampleWorkspace, kind: str) -> None:
    """A page takes the place of a page, and never of a device, a pipe or a link."""
    sample.add_run()
    page = sample.root / "page.html"
    if kind == "fifo":
        os.mkfifo(page)
    elif kind == "symlink":
        page.symlink_to("elsewhere")
    else:
        os.mknod(page, stat.S_IFCHR | 0o600, os.makedev(1, 7))
    before = page.lstat()
    for command in (["report", "-o", "page.html"], ["export", "--format", "sqlite", "-o", "page.html"]):
        result = run_catfs(command, sample.root)
        assert result.status == 2
        assert f"expected a file or a free name, got the {kind.replace('_', ' ')} page.html" in result.stderr
    assert page.lstat() == before


def test_standard_output_is_not_named_by_a_dash(sample: SampleWorkspace) -> None:
    """Nobody finds a file of that name afterwards."""
    sample.add_run()
    result = run_catfs(["report", "-o", "-"], sample.root)
    assert result.status == 2
    assert "expected a file: what is made is not written to standard output" in result.stderr
    assert not (sample.root / "-").exists()


def test_what_a_changed_output_was_is_taken_from_git(sample: SampleWorkspace) -> None:
    """The text before is that of the last commit, when it is the one that the run saw."""
    old = sample.domain / "out" / "it.whl"
    old.parent.mkdir()
    old.write_bytes(b"the old wheel\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        identity = ["-c", "user.name=ann", "-c", "user.email=ann@localhost"]
        subprocess.run(["git", *identity, *words], cwd=sample.domain, check=True)
    sample.add_run(changes={b"out/it.whl": b"the new wheel\n"})
    assert run_catfs(["report", "-o", "with.html"], sample.root).status == 0
    assert _diffs(sample.root / "with.html") == [["@@ -1 +1 @@", "-the old wheel", "+the new wheel"]]


def test_what_a_changed_output_was_may_be_gone(sample: SampleWorkspace) -> None:
    """Without git, and once the domain went on, the page says that nobody has the text any more."""
    old = sample.domain / "out" / "it.whl"
    old.parent.mkdir()
    old.write_bytes(b"the old wheel\n")
    sample.add_run(changes={b"out/it.whl": b"the new wheel\n"})
    assert run_catfs(["report", "-o", "page.html"], sample.root).status == 0
    assert _diffs(sample.root / "page.html") == [[]]


def _diffs(page: Path) -> list[list[str]]:
    """Give the lines of each comparison in the data of a page."""
    text = page.read_text("utf-8").partition('id="data">')[2].partition("<")[0]
    raw = zlib.decompress(base64.b64decode(text))
    head = json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])
    return [diff["lines"] for diff in head["diffs"]]
