"""`catfs export` on finished and stopped runs."""

import json
import sqlite3
from pathlib import Path

import pytest

from catfs.records import WRITE_LOG_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import SampleWorkspace, log_bytes

FORMATS = ("perfetto", "parquet", "sqlite", "csv", "in-toto")


def _names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()} - {".catfs", "domain"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_made_and_told_of(sample: SampleWorkspace, form: str) -> None:
    """The result names place and counts, and `--json` fits its schema."""
    sample.add_run()
    result = run_catfs(["export", "last", "--format", form, "-o", "made", "--json"], sample.root)
    record = json.loads(result.stdout)
    validate(record, "cli-export.v1")
    counts = [record[key] for key in ("records", "processes", "files", "sealed", "cut_off")]
    assert counts == [9, 2, 4, True, False]
    assert record["path"] == str(sample.root / "made")
    assert _names(sample.root) == {"made"}
    made = sample.root / "made"
    size = sum(path.stat().st_size for path in ([made] if made.is_file() else made.iterdir()))
    assert record["size"] == size


def test_people_read_what_was_made(sample: SampleWorkspace) -> None:
    """Without `--json` one line says it."""
    sample.add_run()
    result = run_catfs(["export", "--format", "sqlite", "-o", "made.db"], sample.root)
    assert result.stdout.startswith(b"made.db: 9 records, 2 processes, 4 files, ")
    assert result.stderr == ""


def test_a_file_takes_the_place_of_an_older_one(sample: SampleWorkspace) -> None:
    """The same name may be exported to again; a folder may not, nor a file in the place of a folder."""
    sample.add_run()
    for _ in range(2):
        assert run_catfs(["export", "--format", "sqlite", "-o", "db"], sample.root).status == 0
    database = sqlite3.connect(sample.root / "db")
    assert database.execute("SELECT count(*) FROM records").fetchone() == (9,)
    database.close()
    assert run_catfs(["export", "--format", "csv", "-o", "csv"], sample.root).status == 0
    for form in ("csv", "sqlite"):
        result = run_catfs(["export", "--format", form, "-o", "csv"], sample.root)
        assert result.status == 2
        assert "csv is " in result.stderr


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("damage", ["short", "order"])
def test_a_wrong_log_is_refused_and_nothing_is_written(
    sample: SampleWorkspace, form: str, damage: str
) -> None:
    """A truncated and a reordered log name their first wrong record, exit status 2."""
    sample.add_run()
    lines = log_bytes().splitlines(keepends=True)
    wrong = {"short": lines[:-2], "order": [*lines[:4], lines[5], lines[4], *lines[6:]]}[damage]
    (sample.run_folder("run-1") / WRITE_LOG_FILE).write_bytes(b"".join(wrong))
    result = run_catfs(["export", "--format", form, "-o", "made"], sample.root)
    assert result.status == 2
    expected = {"short": "record 7 is missing", "order": "expected sequence number 4, got 5, after 4 whole"}
    assert expected[damage] in result.stderr
    assert result.stdout == b""
    assert _names(sample.root) == set()


def test_the_log_of_a_killed_run_is_exported_and_said_to_end_early(sample: SampleWorkspace) -> None:
    """No proof seals it, and that its last record is half there is told."""
    sample.add_incomplete_run("stopped")
    session = sample.add_dead_session("stopped")
    (session / "log.jsonl").write_bytes(log_bytes()[:-10])
    result = run_catfs(["export", "stopped", "--format", "csv", "-o", "made", "--json"], sample.root)
    record = json.loads(result.stdout)
    assert (record["records"], record["sealed"], record["cut_off"]) == (8, False, True)
    assert "ends in the middle of a record" in result.stderr
    result = run_catfs(["export", "stopped", "--format", "in-toto", "-o", "other"], sample.root)
    assert result.status == 2
    assert "about a finished run" in result.stderr
    assert _names(sample.root) == {"made"}


def test_a_statement_on_a_run_without_outputs_is_about_its_proof(sample: SampleWorkspace) -> None:
    """There is always something with a digest that a statement is about."""
    sample.add_run(status=1)
    assert run_catfs(["export", "--format", "in-toto", "-o", "made"], sample.root).status == 0
    statement = json.loads((sample.root / "made").read_bytes())
    assert [subject["name"] for subject in statement["subject"]] == ["PROOF.json"]


def test_a_place_that_is_none_is_refused(sample: SampleWorkspace) -> None:
    """A missing folder, and a name that stands for a folder, are bad arguments."""
    sample.add_run()
    for place in ("no/where", "..", "domain"):
        result = run_catfs(["export", "--format", "sqlite", "-o", place], sample.root)
        assert result.status == 2, place
