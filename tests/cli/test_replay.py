"""`catfs replay`, and one record with its proof: `catfs log --record`, `catfs verify`."""

import shutil
from pathlib import Path

import orjson
import pytest

from catfs.records import WRITE_LOG_FILE
from catfs.records.log_lines import log_lines
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.history import HistorySession
from tests.support.workspaces import SampleWorkspace


def test_a_run_is_replayed(tmp_path: Path) -> None:
    """Both roots are shown, and the JSON fits its schema."""
    run = HistorySession(tmp_path).conclude()
    shown = run_catfs(["replay"], tmp_path)
    assert shown.status == 0, shown.stderr
    root = run.proof().domains[0].roots.view_root.hex
    assert shown.stdout.decode().splitlines()[3:5] == [f"    view   {root}", f"    replay {root}"]
    found = run_catfs(["replay", "s-1", "--json"], tmp_path).json()
    validate(found, "cli-replay.v1")
    assert isinstance(found, dict)
    assert (found["ok"], found["divergence"]) == (True, None)


def test_a_log_that_leads_elsewhere_is_told(tmp_path: Path) -> None:
    """Exit status 1, the path that differs and the records that touched it."""
    run = HistorySession(tmp_path).conclude()
    log = run.folder / WRITE_LOG_FILE
    with log.open("rb") as stream:
        records = [orjson.loads(line) for line in log_lines(stream, log.name)]
    left = [record for record in records if (record["op"], record.get("path")) != ("unlink", "new")]
    log.write_bytes(b"".join(orjson.dumps({**r, "seq": seq}) + b"\n" for seq, r in enumerate(left)))
    result = run_catfs(["replay"], tmp_path)
    assert result.status == 1
    assert b"the log does NOT lead to the view" in result.stdout
    assert b"    + new\n" in result.stdout
    assert b": create new\n" in result.stdout
    found = run_catfs(["replay", "--json"], tmp_path).json()
    validate(found, "cli-replay.v1")


def test_one_record_is_shown(sample: SampleWorkspace) -> None:
    """As a line, as JSON, and a process too."""
    sample.add_run()
    assert b"create      out/tmp" in run_catfs(["log", "run-1", "--record", "5"], sample.root).stdout
    line = run_catfs(["log", "run-1", "--record", "5", "--json"], sample.root)
    assert orjson.loads(line.stdout)["seq"] == 5
    assert b"make all" in run_catfs(["log", "run-1", "--record", "0"], sample.root).stdout


def test_a_record_proof_holds_far_from_its_run(
    sample: SampleWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The file alone is enough for the hashes; beside the run its root is compared too."""
    sample.add_run()
    made = run_catfs(["log", "run-1", "--record", "5", "--proof"], sample.root)
    validate(made.json(), "cli-record-proof.v1")
    near, far = sample.root / "proof", tmp_path_factory.mktemp("far") / "proof"
    near.write_bytes(made.stdout)
    shutil.copy(near, far)
    here = run_catfs(["verify", "proof"], sample.root)
    assert here.status == 0
    assert b"record proof proof: holds" in here.stdout
    assert b"3 ok " in here.stdout
    there = run_catfs(["verify", "--offline", "proof"], far.parent)
    assert there.status == 0
    assert b"3 not done" in there.stdout
    assert "compare the root" in there.stderr
    found = run_catfs(["verify", "--json", "proof"], sample.root).json()
    validate(found, "cli-verify.v1")


def test_a_changed_record_is_refused(sample: SampleWorkspace) -> None:
    """One other digit in the record, and nothing is proven any more."""
    sample.add_run()
    made = run_catfs(["log", "run-1", "--record", "6", "--proof"], sample.root).stdout
    (sample.root / "proof").write_bytes(made.replace(b"4096", b"4097"))
    result = run_catfs(["verify", "proof"], sample.root)
    assert result.status == 1
    assert b"root over record 6 of 9" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--record", "99"], "there is no record 99: the log has 9 records"),
        (["--record", "99", "--proof"], "there is no record 99: the log has 9 records"),
        (["--record", "x"], "expected the number of a record"),
        (["--record", "05"], "without leading zeros"),
        (["--proof"], "one record is proven at a time"),
    ],
)
def test_records_that_are_not_there_are_refused(sample: SampleWorkspace, words: list[str], said: str) -> None:
    """Exit status 2, and no output."""
    sample.add_run()
    result = run_catfs(["log", "run-1", *words], sample.root)
    assert (result.status, result.stdout) == (2, b"")
    assert said in result.stderr
