"""`catfs mount --at` and `catfs bisect`: moments of a run, mounted and tried."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from catfs.records.schema import validate
from tests.conftest import unmount_below
from tests.support.commands import TIMEOUT_SECONDS, Project, mounts_below

pytestmark = pytest.mark.fuse

WORK = """
i=0
while [ $i -lt 60 ]; do
    echo $i > f$((i % 5))
    [ $i -ne 41 ] || sed -i 's/value = 1/value = 2/' conf
    i=$((i + 1))
done
rm f1
"""


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Give a project in which a program broke `conf` in the middle of its work; tests only look at it."""
    project = Project(tmp_path_factory.mktemp("worked"))
    project.write("conf", "value = 1\n")
    project.write("keep/me", "x")
    result = project.run(WORK, "--history", "--leftovers", "discard")
    assert result.status == 0, result.stderr
    yield project
    unmount_below(project.path)


def culprit(project: Project) -> int:
    """Give the record that breaks `conf`, read from the log."""
    records = [orjson.loads(line) for line in project.catfs("log", "--json").stdout.splitlines()]
    [seq] = [record["seq"] for record in records if record.get("path2") == "conf"]
    assert isinstance(seq, int)
    return seq


def test_a_moment_is_mounted_read_only(worked: Project, tmp_path: Path) -> None:
    """Everything is as it was then, nothing can be changed, and nothing is left when it is unmounted."""
    seq = culprit(worked)
    place = tmp_path / "then"
    place.mkdir()
    for moment, value in ((seq - 1, "value = 1\n"), (seq, "value = 2\n")):
        result = worked.catfs("mount", "--at", str(moment), "last", place, "--json")
        assert result.status == 0, result.stderr
        validate(result.json(), "cli-mount-at.v1")
        assert (place / "conf").read_text() == value
        assert (place / "keep" / "me").read_text() == "x"
        assert {"conf", "keep", "f0", "f1", "f2", "f3", "f4"} <= set(os.listdir(place))
        with pytest.raises(OSError, match="Read-only file system"):
            (place / "conf").write_text("x")
        assert worked.catfs("umount", place).status == 0
        assert not mounts_below(place)
    assert (worked.path / "conf").read_text() == "value = 1\n"


def test_the_last_run_is_meant_when_none_is_named(worked: Project, tmp_path: Path) -> None:
    """With one word the word is the place."""
    (tmp_path / "end").mkdir()
    assert worked.catfs("mount", "--at", "end", tmp_path / "end").status == 0
    assert not (tmp_path / "end" / "f1").exists()
    assert (tmp_path / "end" / "f2").read_text() == "57\n"
    subprocess.run(["umount", tmp_path / "end"], check=True, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "99999", "last", "there"], "there is no record 99999"),
        (["--at", "3", "last", "nowhere"], "expected a directory to mount at"),
        (["--at", "3", "--history", "last", "there"], "a moment is read-only"),
        (["keep", "there"], "a domain is mounted at its own path"),
    ],
)
def test_what_cannot_be_mounted_is_refused(
    worked: Project, tmp_path: Path, words: list[str], said: str
) -> None:
    """Exit status 2, a sentence, and no mount."""
    (tmp_path / "there").mkdir()
    places = [str(tmp_path / word) if word in {"there", "nowhere"} else word for word in words]
    result = worked.catfs("mount", *places)
    assert result.status == 2
    assert said in result.stderr
    assert not mounts_below(tmp_path)


def test_bisect_finds_the_planted_change(worked: Project) -> None:
    """The record, its process and its command; the test itself may write, and nothing of it stays."""
    test = ["sh", "-c", "echo tried > log; cat log; grep -q 'value = 1' conf"]
    result = worked.catfs("bisect", "--", *test)
    assert result.status == 0, result.stderr
    first, *rest = result.stdout.decode().splitlines()
    assert first.startswith(f"record {culprit(worked)}: rename sed")
    assert first.endswith(" -> conf")
    assert any("/sed): sed -i 's/value = 1/value = 2/' conf" in line for line in rest)
    assert "by 9 tries" in result.stderr or "by 10 tries" in result.stderr
    assert not (worked.path / "log").exists()
    assert not mounts_below(worked.path)


def test_bisect_prints_what_the_test_prints_only_when_asked(worked: Project) -> None:
    """On standard error, so that the result stays clean."""
    words = ["bisect", "--from", str(culprit(worked) - 1), "--to", str(culprit(worked)), "--json"]
    test = ["--", "sh", "-c", "echo loud; grep -q 'value = 1' conf"]
    quiet, loud = worked.catfs(*words, *test), worked.catfs(*words, "--show", *test)
    assert ("loud" in quiet.stderr, "loud" in loud.stderr) == (False, True)
    found = loud.json()
    validate(found, "cli-bisect.v1")
    assert isinstance(found, dict)
    assert (found["seq"], found["candidates"], found["tried"]) == (culprit(worked), 1, 2)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--", "false"], 1, "the test fails in the first moment already"),
        (["--", "true"], 1, "the test passes in the last moment"),
        (["--"], 2, "there is no test to run"),
        (["make"], 2, "there is no test to run"),
        (["a", "b", "--", "true"], 2, "expected one DOMAIN or RUN before the --"),
        (
            ["--from", "9", "--to", "3", "--", "true"],
            2,
            "expected a last moment after the first, got 9 and 3",
        ),
        (["--", "no-such-program"], 2, "the test cannot be executed"),
    ],
)
def test_a_search_without_a_find_says_why(worked: Project, words: list[str], status: int, said: str) -> None:
    """Nothing is printed as a result then."""
    result = worked.catfs("bisect", *words)
    assert (result.status, result.stdout) == (status, b"")
    assert said in result.stderr
