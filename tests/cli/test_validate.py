"""`catfs validate`, and what `catfs verify` says besides: chain, reports, comparison, restoration."""

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from catfs.cli.reports import Case, report_bytes
from catfs.records.schema import load_schema, validate
from catfs.records.validation import Finding
from catfs.records.validation_codes import Code
from tests.support.commands import run_catfs
from tests.support.workspaces import UNTIDY, SampleWorkspace


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """Give the example of the schema, whose paths are in the folder of the test."""
    examples = load_schema("jobspec.v2")["examples"]
    assert isinstance(examples, list)
    example: dict[str, Any] = json.loads(json.dumps(examples[0]))
    for name in ("src", "scratch"):
        (tmp_path / name).mkdir()
    return example


def _validate(folder: Path, job: object) -> tuple[int, dict[str, Any]]:
    (folder / "job.json").write_text(json.dumps(job))
    result = run_catfs(["validate", "jobspec", "job.json", "--json"], folder)
    record = json.loads(result.stdout)
    validate(record, "validation_error.v1")
    return result.status, record


def test_valid_job_is_said_to_be_valid(tmp_path: Path, job: dict[str, Any]) -> None:
    """Exit status 0, for people and for programs."""
    assert _validate(tmp_path, job)[0] == 0
    result = run_catfs(["validate", "jobspec", "job.json"], tmp_path)
    assert (result.status, result.stdout) == (0, b"jobspec job.json: valid\n")


def test_errors_and_warnings_stand_apart_with_code_and_place(tmp_path: Path, job: dict[str, Any]) -> None:
    """Everything is listed, nested findings too; warnings alone leave it valid."""
    job["durable_outputs"] = []
    status, record = _validate(tmp_path, job)
    assert (status, record["errors"]) == (0, [])
    assert [finding["code"] for finding in record["warnings"]] == ["NO_OUTPUTS"]
    del job["steps"][0]["command"]
    job["phase"] = "2"
    status, record = _validate(tmp_path, job)
    assert status == 1
    found = [(finding["code"], finding["path"]) for finding in record["errors"]]
    assert found == [("TYPE_WRONG", "/phase"), ("ALTERNATIVES_UNMET", "/steps/0")]
    nested = [finding["path"] for finding in record["errors"][1]["nested"]]
    assert nested == ["/steps/0/argv", "/steps/0/command"]
    shown = run_catfs(["validate", "jobspec", "job.json"], tmp_path).stdout
    assert b"error TYPE_WRONG at /phase: " in shown
    assert b"    error FIELD_MISSING at /steps/0/argv" in shown


def test_paths_count_from_the_base(tmp_path: Path, job: dict[str, Any]) -> None:
    """A link in the folder of the job is followed, in another folder it is not there."""
    (tmp_path / "src" / "out").symlink_to("/etc")
    job["inputs"] = ["src/out/passwd"]
    assert _validate(tmp_path, job)[0] == 1
    elsewhere = tmp_path / "scratch"
    assert run_catfs(["validate", "jobspec", "job.json", "--base", elsewhere], tmp_path).status == 0


def test_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    """Exit status 2 with the name of the file; the same for a run."""
    result = run_catfs(["validate", "jobspec", "none.json"], tmp_path)
    assert (result.status, "none.json cannot be read" in result.stderr) == (2, True)
    assert run_catfs(["validate", "ledger", "none"], tmp_path).status == 2


def test_ledger_of_a_run_is_validated(sample: SampleWorkspace) -> None:
    """A run that holds is valid; a changed byte gives its code, the same each time."""
    sample.add_run()
    assert run_catfs(["validate", "ledger", "run-1", "--offline"], sample.root).status == 0
    (sample.run_folder("run-1") / "steps/01.stdout").write_bytes(b"other\n")
    records = []
    for _ in range(2):
        result = run_catfs(["validate", "ledger", "run-1", "--json"], sample.root)
        record = json.loads(result.stdout)
        validate(record, "validation_error.v1")
        records.append({**record, "timestamp": None})
    assert records[0] == records[1]
    assert [error["code"] for error in records[0]["errors"]] == ["FILE_EDITED"]
    assert records[0]["errors"][0]["path"] == "steps/01.stdout#"


def test_link_in_a_run_folder_makes_it_unreadable(sample: SampleWorkspace) -> None:
    """Only regular files are read."""
    sample.add_run()
    (sample.run_folder("run-1") / "more").symlink_to("/etc/passwd")
    result = run_catfs(["validate", "ledger", "run-1"], sample.root)
    assert (result.status, b"LEDGER_UNREADABLE" in result.stdout) == (1, True)


def test_verify_all_works_on_many_runs_at_once(sample: SampleWorkspace) -> None:
    """Reports stand in the order of the runs, the chain is checked, and the JSON says so."""
    for number in range(5):
        sample.add_run(f"run-{number}")
    (sample.run_folder("run-3") / "steps/01.stdout").write_bytes(b"other\n")
    result = run_catfs(["verify", "--all", "--offline", "--json"], sample.root)
    record = json.loads(result.stdout)
    validate(record, "cli-verify.v2")
    assert result.status == 1
    assert [report["name"] for report in record["reports"]] == [f"run-{number}" for number in range(5)]
    assert [report["ok"] for report in record["reports"]] == [True, True, True, False, True]
    (error,) = [error for step in record["reports"][3]["steps"] for error in step["errors"]]
    assert error["file"] == "steps/01.stdout"
    (check,) = record["checks"]
    validate(check["result"], "validation_error.v1")
    codes = {finding["code"] for finding in check["result"]["warnings"]}
    assert (check["result"]["ok"], codes) == (True, {"RUN_BEFORE_CHAIN"})


def test_runs_that_did_not_restore_are_refused_when_asked(sample: SampleWorkspace) -> None:
    """A dirty run holds, but not with `--restored`; the report has one failure with the code."""
    sample.add_run("tidy")
    sample.add_run("dirty", changes=UNTIDY)
    assert run_catfs(["verify", "--all", "--offline"], sample.root).status == 0
    words = ["verify", "--all", "--offline", "--restored", "--report"]
    for form in ("junit", "sarif"):
        assert run_catfs([*words, form, f"report.{form}"], sample.root).status == 1
    suite = ET.parse(sample.root / "report.junit").getroot()[0]  # noqa: S314  # it is our own
    (failure,) = suite.iter("failure")
    assert (suite.get("failures"), failure.get("type")) == ("1", "RESTORATION_FAILED")
    sarif = json.loads((sample.root / "report.sarif").read_bytes())
    errors = [result for result in sarif["runs"][0]["results"] if result["level"] == "error"]
    assert [result["ruleId"] for result in errors] == ["RESTORATION_FAILED"]
    place = errors[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place == ".catfs/runs/dirty/PROOF.json"
    assert run_catfs([*words, "html", "report"], sample.root).status == 2


def test_reports_hold_whatever_a_name_holds() -> None:
    """Control characters and half of a surrogate pair do not break a report."""
    finding = Finding(Code.FILE_EDITED, "a\x00b#", "bad \x01 \ud800 <&> text")
    case = Case("run \x02", ".catfs/runs/x", [finding])
    ET.fromstring(report_bytes("junit", [case]))  # noqa: S314  # it is our own
    json.loads(report_bytes("sarif", [case]))


def test_compared_runs_must_hold_and_differ_where_they_do(sample: SampleWorkspace) -> None:
    """Two samples of one kind are equal; another outcome is listed; a run that does not hold is refused."""
    sample.add_run("one")
    sample.add_run("two", changes=UNTIDY)
    result = run_catfs(["verify", "--compare", "one", "two", "--json"], sample.root)
    record = json.loads(result.stdout)
    validate(record, "cli-compare.v1")
    assert (result.status, record["equal"]) == (1, False)
    assert ("STATUS.json", "/outcome") in {(item["file"], item["path"]) for item in record["differences"]}
    same = run_catfs(["verify", "--compare", "one", "one"], sample.root)
    assert (same.status, b"are equal but for times and ids" in same.stdout) == (0, True)
    (sample.run_folder("two") / "STATUS.json").write_bytes(b"{}")
    assert run_catfs(["verify", "--compare", "one", "two"], sample.root).status == 1


def test_changed_needs_a_repository(sample: SampleWorkspace) -> None:
    """Outside of git there is nothing to ask; that is said."""
    sample.add_run()
    result = run_catfs(["verify", "--changed"], sample.root)
    assert (result.status, "in a repository of git" in result.stderr) == (2, True)


def test_copy_of_a_run_under_another_name_is_a_swapped_id(sample: SampleWorkspace) -> None:
    """In a workspace a folder has the name of its run."""
    sample.add_run("run-1")
    shutil.copytree(sample.run_folder("run-1"), sample.run_folder("run-2"))
    result = run_catfs(["validate", "ledger", "run-2"], sample.root)
    assert (result.status, b"RUN_ID_SWAPPED" in result.stdout) == (1, True)
