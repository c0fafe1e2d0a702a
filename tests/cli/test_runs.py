"""`catfs runs`: the list of runs."""

import json

from catfs.records import RUN_INFO_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import UNTIDY, SampleWorkspace


def test_lists_runs_the_oldest_first(sample: SampleWorkspace) -> None:
    """A line has id, time, outcome, duration, number of committed outputs, domain and command."""
    sample.add_run("run-1")
    sample.add_run("run-2", UNTIDY)
    sample.add_run("run-3", status=3)
    result = run_catfs(["runs"], sample.root)
    head, *rows = result.stdout.decode().splitlines()
    assert result.status == 0
    assert head.split()[0] == "RUN"
    assert [row.split()[0] for row in rows] == ["run-1", "run-2", "run-3"]
    assert [row.split()[3] for row in rows] == ["restored", "dirty", "failed"]
    assert [row.split()[6] for row in rows] == ["1", "0", "0"]
    assert "1.50 s" in rows[0]
    assert f"{sample.domain}" in rows[0]
    assert rows[0].endswith("make 'all it'\"'\"'s'")


def test_json_holds_what_was_committed(sample: SampleWorkspace) -> None:
    """`--json` gives the same in full."""
    sample.add_run("run-1")
    record = json.loads(run_catfs(["runs", "--json"], sample.root).stdout)
    validate(record, "cli-runs.v1")
    (run,) = record["runs"]
    assert run["committed"] == [f"{sample.domain}/out"]
    assert run["command"] == ["make", "all it's"]
    assert (run["exit_status"], run["duration_ns"]) == (0, 1_500_000_000)


def test_a_run_without_a_proof_is_shown_as_incomplete(sample: SampleWorkspace) -> None:
    """Also one that was stopped before it wrote anything."""
    sample.add_incomplete_run("stopped")
    sample.run_folder("empty").mkdir()
    record = json.loads(run_catfs(["runs", "--json"], sample.root).stdout)
    validate(record, "cli-runs.v1")
    assert {run["run_id"]: run["outcome"] for run in record["runs"]} == {
        "stopped": "incomplete",
        "empty": "incomplete",
    }


def test_a_damaged_run_does_not_hide_the_others(sample: SampleWorkspace) -> None:
    """It is listed as damaged and what is wrong is told."""
    sample.add_run("run-1")
    sample.add_run("run-2")
    (sample.run_folder("run-1") / RUN_INFO_FILE).write_bytes(b"{}")
    result = run_catfs(["runs"], sample.root)
    assert result.status == 0
    assert b"damaged" in result.stdout
    assert b"run-2" in result.stdout
    assert RUN_INFO_FILE in result.stderr


def test_a_folder_with_a_name_that_is_no_text_is_listed(sample: SampleWorkspace) -> None:
    """Names of any bytes can be printed and can stand in JSON."""
    (sample.workspace.runs / "odd\udcff\n").mkdir()
    record = json.loads(run_catfs(["runs", "--json"], sample.root).stdout)
    validate(record, "cli-runs.v1")
    assert record["runs"][0]["run_id"] == "odd\\xff\\n"


def test_no_runs_is_no_error(sample: SampleWorkspace) -> None:
    """An empty workspace has an empty list."""
    result = run_catfs(["runs"], sample.root)
    assert (result.status, result.stdout) == (0, b"")
    assert "there are no runs yet" in result.stderr
