"""`catfs cat` and `catfs diff A..B`: any moment of a run or a mounted session with history."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from catfs.records.log_lines import log_lines
from catfs.records.schema import validate
from tests.conftest import unmount_below
from tests.support.commands import TIMEOUT_SECONDS, Project, Result

pytestmark = pytest.mark.fuse

SCRIPT = """
echo 1 > out/f; echo 2 > out/f; printf X | dd of=out/kept bs=1 seek=1 conv=notrunc status=none
rm out/old; ln out/kept out/more; mkdir out/d; mv out/f out/d/g
"""


def log_of(project: Project, *words: str) -> list[dict[str, object]]:
    """Give the records of a log."""
    return [orjson.loads(line) for line in project.catfs("log", *words, "--json").stdout.splitlines()]


class Story:
    """A project with a run, and the places of its records.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        project.write("out/kept", "was\n")
        project.write("out/old", "old content\n")
        result = project.run(SCRIPT, "--history", "--output", "out")
        assert result.status == 0, result.stderr

        self.records = log_of(project)

    def seq(self, op: str, path: str, number: int = 0) -> int:
        """Give the place of one of the records of an operation on a path."""
        found = [record for record in self.records if (record["op"], record.get("path")) == (op, path)]
        seq = found[number]["seq"]
        assert isinstance(seq, int)
        return seq

    def cat(self, word: str) -> bytes:
        """Give what a file held at a moment."""
        result = self.project.catfs("cat", word)
        assert result.status == 0, result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Give a project with one run that rewrites, deletes, links and moves; tests only look at it."""
    return Story(Project(tmp_path_factory.mktemp("story")))


def test_every_version_of_a_file_can_be_had(story: Story) -> None:
    """Overwritten bytes, bytes of the original that were changed in the middle, and what was deleted."""
    assert story.cat(f"out/f@{story.seq('write', 'out/f', 0)}") == b"1\n"
    assert story.cat(f"out/f@{story.seq('truncate', 'out/f', 0)}") == b""
    assert story.cat(f"out/f@{story.seq('write', 'out/f', 1)}") == b"2\n"
    assert story.cat("out/d/g") == b"2\n"
    assert story.cat("out/kept@base") == b"was\n"
    assert story.cat("out/kept@end") == b"wXs\n"
    assert story.cat(f"out/old@{story.seq('unlink', 'out/old') - 1}") == b"old content\n"
    assert story.cat(f"{story.project.path}/out/old@base") == b"old content\n"


def test_the_facts_of_a_version_are_told(story: Story) -> None:
    """With --json: kind, mode, size and digest."""
    facts = story.project.catfs("cat", "out/kept@base", "--json").json()
    validate(facts, "cli-cat.v1")
    assert isinstance(facts, dict)
    assert (facts["kind"], facts["size"], facts["path"], facts["records"]) == ("file", 4, "out/kept", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["out/old@end"], "there is no out/old at that moment of run"),
        (["out@end"], "expected a file, got the directory out"),
        (["out/f@99999"], "there is no record 99999: the log has"),
        (["out/f@x"], "expected the number of a record, base or end, got 'x'"),
        (["@3"], "expected a path before the @"),
        (["/etc/passwd@3"], "lies in no domain"),
        (["out/kept@base", "nobody"], "there is no run 'nobody'"),
    ],
)
def test_what_cannot_be_shown_is_refused(story: Story, words: list[str], said: str) -> None:
    """Bad words give exit status 2, a sentence and no output."""
    result = story.project.catfs("cat", *words)
    assert (result.status, result.stdout) == (2, b"")
    assert said in result.stderr


def test_two_moments_are_compared(story: Story) -> None:
    """The difference of the whole run is that of its proof; a part of it has only what happened there."""
    whole = story.project.catfs("diff", "..end")
    assert whole.stdout.decode().splitlines() == [
        "+ out/d/",
        "+ out/d/g",
        "~ out/kept  (content)",
        "+ out/more",
        "- out/old",
    ]
    first, last = story.seq("unlink", "out/old") - 1, story.seq("link", "out/kept")
    part = story.project.catfs("diff", f"{first}..{last}", "--json").json()
    validate(part, "cli-diff-moments.v1")
    assert isinstance(part, dict)
    changes = part["domains"][0]["changes"]
    assert [(change["change"], change["path"]) for change in changes] == [
        ("added", "out/more"),
        ("removed", "out/old"),
    ]
    assert story.project.catfs("diff", "3..3").stdout == b""


def test_a_run_without_history_says_what_it_lacks(project: Project) -> None:
    """Not even a part of its past is made up."""
    assert project.run("echo x > f; rm f").status == 0
    for words in (["cat", "f@1"], ["diff", "1..2"]):
        result = project.catfs(*words)
        assert result.status == 2
        assert "kept no history (begin it with --history, and every version can be had)" in result.stderr


def test_a_removed_history_is_missed(story: Story, tmp_path: Path) -> None:
    """The record of the history says that there was one."""
    run = shutil.copytree(story.project.last_run().folder, tmp_path / "run")
    (run / "HISTORY.data").unlink()
    result = story.project.catfs("cat", "out/kept@base", run)
    assert result.status == 2
    assert "was removed: HISTORY.data is not there" in result.stderr


def test_content_that_is_gone_is_not_made_up(project: Project) -> None:
    """A file of the original that somebody changed after the run is refused, not shown as it is now."""
    project.write("untouched", "then\n")
    project.write("touched", "then\n")
    assert project.run("printf T | dd of=touched conv=notrunc", "--history").status == 1
    assert project.catfs("cat", "touched@end").stdout == b"Then\n"
    for name in ("touched", "untouched"):
        project.write(name, "now!\n")
        result = project.catfs("cat", f"{name}@end")
        assert (result.status, result.stdout) == (125, b"")
        assert f"what the original held there is gone: it was changed after the run ({name})" in result.stderr


@pytest.fixture
def mounted(project: Project) -> Iterator[Project]:
    """Give a workspace whose domain `d` is mounted with history and changed in the mount."""
    project.write("d/kept", "was\n")
    assert project.catfs("mount", "d", "--history").status == 0
    (project.path / "d" / "new").write_text("1\n")
    (project.path / "d" / "new").write_text("2\n")
    (project.path / "d" / "kept").unlink()
    yield project
    project.catfs("discard", "d")
    unmount_below(project.path)


def test_a_mounted_session_has_a_past(mounted: Project) -> None:
    """While it is mounted and when it is suspended, and the mount goes on undisturbed."""
    first, second = (record["seq"] for record in log_of(mounted, "d") if record["op"] == "write")
    assert mounted.catfs("cat", f"new@{first}", "d").stdout == b"1\n"
    assert mounted.catfs("cat", f"new@{second}", "d").stdout == b"2\n"
    assert mounted.catfs("cat", "kept@base", "d").stdout == b"was\n"
    assert (mounted.path / "d" / "new").read_text() == "2\n"
    subprocess.run(["umount", mounted.path / "d"], check=True, timeout=TIMEOUT_SECONDS)
    assert mounted.catfs("diff", "base..end", "d").stdout == b"- kept\n+ new\n"


def test_a_changed_original_is_a_conflict(mounted: Project) -> None:
    """What a suspended session saw and is not there any more is not made up."""
    subprocess.run(["umount", mounted.path / "d"], check=True, timeout=TIMEOUT_SECONDS)
    (mounted.path / "d" / "kept").write_text("other\n")
    result: Result = mounted.catfs("cat", "new@end", "d")
    assert result.status == 3
    assert "kept changed underneath the session" in result.stderr


def test_a_log_that_is_not_the_proven_one_is_refused(story: Story, tmp_path: Path) -> None:
    """Changed, shortened or reordered: the first bad record is named."""
    run = shutil.copytree(story.project.last_run().folder, tmp_path / "run")
    log = run / "WRITE_LOG.jsonl.zst"
    with log.open("rb") as stream:
        lines = [line + b"\n" for line in log_lines(stream, log.name)]
    swapped = [*lines[:3], lines[4], lines[3], *lines[5:]]
    numbered = [
        line.replace(b'{"seq":%d,' % orjson.loads(line)["seq"], b'{"seq":%d,' % place, 1)
        for place, line in enumerate(swapped)
    ]
    cases = [
        (lines[:-1], f"record {len(lines) - 1} is missing: the proof states {len(lines)} records"),
        ([*lines, lines[-1]], f"expected sequence number {len(lines)}, got {len(lines) - 1}"),
        (swapped, "expected sequence number 3, got 4"),
        (numbered, "record 4 is the first that is older than the one before it"),
        ([lines[0].replace(b"sh", b"SH"), *lines[1:]], "expected records with the root"),
        ([*lines[:5], lines[5][:-9] + b"\n", *lines[6:]], "line 6 is no"),
    ]
    for changed, said in cases:
        log.write_bytes(b"".join(changed))
        result = story.project.catfs("cat", "out/kept@base", run)
        assert (result.status, result.stdout) == (2, b""), said
        assert said in result.stderr
