"""`catfs verify`: runs and path proofs, near and far from their workspace."""

import json
import shutil
from pathlib import Path

import pytest

from catfs.records import PROOF_FILE, RESTORE_DIFF_FILE, WRITE_LOG_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import UNTIDY, SampleWorkspace


@pytest.fixture
def path_proof(sample: SampleWorkspace) -> Path:
    """Give the file of a path proof of a run."""
    sample.add_run(changes=UNTIDY, discard=True)
    file = sample.root / "main.c.proof"
    file.write_bytes(run_catfs(["proof", "--path", "src/main.c"], sample.root).stdout)
    return file


def test_a_run_that_holds_shows_its_seven_steps(sample: SampleWorkspace) -> None:
    """Every step is numbered and ok, and the domain is what the run left."""
    sample.add_run()
    result = run_catfs(["verify", "run"], sample.root)
    lines = result.stdout.decode().splitlines()
    assert result.status == 0
    assert lines[0] == "run run-1: holds"
    assert [line.split()[:2] for line in lines[1:8]] == [[str(number), "ok"] for number in range(1, 8)]
    assert lines[8].endswith("is what the run left")


def test_a_run_folder_anywhere_holds_without_workspace_and_domain(
    sample: SampleWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A copy of a run folder is verified where nothing else is."""
    sample.add_run()
    place = tmp_path_factory.mktemp("far")
    shutil.copytree(sample.run_folder("run-1"), place / "copy")
    shutil.rmtree(sample.root / "domain")
    result = run_catfs(["verify", "copy"], place)
    assert result.status == 0
    assert b"is not here, so it was not compared" in result.stdout


@pytest.mark.parametrize("name", [PROOF_FILE, RESTORE_DIFF_FILE, WRITE_LOG_FILE, "steps/01.stdout"])
def test_a_changed_file_is_refused_and_named(sample: SampleWorkspace, name: str) -> None:
    """One changed byte in any file is found; the file, what, expected and got are told."""
    sample.add_run()
    path = sample.run_folder("run-1") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = run_catfs(["verify", "run-1", "--json"], sample.root)
    record = json.loads(result.stdout)
    validate(record, "cli-verify.v1")
    (error,) = [error for step in record["reports"][0]["steps"] for error in step["errors"]]
    assert (result.status, record["ok"], error["file"]) == (1, False, name)
    assert all(error[key] for key in ("what", "expected", "got"))
    assert name in run_catfs(["verify", "run-1"], sample.root).stdout.decode()


def test_a_run_that_took_the_place_of_another_is_refused(sample: SampleWorkspace) -> None:
    """In a workspace the folder must have the name of its run."""
    sample.add_run("run-1")
    sample.add_run("run-2")
    shutil.rmtree(sample.run_folder("run-2"))
    shutil.copytree(sample.run_folder("run-1"), sample.run_folder("run-2"))
    result = run_catfs(["verify", "run-2"], sample.root)
    assert result.status == 1
    assert b"PROOF.json: the run id: expected run-2, got run-1" in result.stdout


def test_a_link_in_a_run_folder_is_refused(sample: SampleWorkspace) -> None:
    """Only regular files are read from a run folder."""
    sample.add_run()
    (sample.run_folder("run-1") / "more").symlink_to("/etc/passwd")
    result = run_catfs(["verify", "run-1"], sample.root)
    assert result.status == 1
    assert b"REFUSED" in result.stdout


def test_all_runs_are_verified_and_one_that_is_refused_counts(sample: SampleWorkspace) -> None:
    """`--all` takes every complete run; one that is refused makes the exit status 1."""
    sample.add_run("run-1")
    sample.add_run("run-2")
    sample.add_incomplete_run("stopped")
    assert run_catfs(["verify", "--all", "--offline"], sample.root).status == 0
    (sample.run_folder("run-1") / "steps/01.stdout").write_bytes(b"other\n")
    result = run_catfs(["verify", "--all"], sample.root)
    assert result.status == 1
    assert b"run run-1: REFUSED" in result.stdout
    assert b"run run-2: holds" in result.stdout
    assert b"stopped" not in result.stdout


def test_an_incomplete_run_is_refused(sample: SampleWorkspace) -> None:
    """A run without a proof does not hold."""
    sample.add_incomplete_run("stopped")
    result = run_catfs(["verify", "stopped"], sample.root)
    assert result.status == 1
    assert b"incomplete" in result.stdout


def test_a_domain_that_changed_since_is_told_and_no_fault(sample: SampleWorkspace) -> None:
    """What differs is listed, the exit status stays 0; offline the domain is not looked at."""
    sample.add_run()
    (sample.domain / "src" / "main.c").write_bytes(b"other")
    (sample.domain / "more").mkdir()
    result = run_catfs(["verify", "run-1"], sample.root)
    assert result.status == 0
    assert b"was changed since: 2 paths differ" in result.stdout
    assert b"~ src/main.c  (29 -> 5 bytes, content)" in result.stdout
    assert b"+ more/" in result.stdout
    assert b"domain" not in run_catfs(["verify", "run-1", "--offline"], sample.root).stdout


def test_drift_is_in_the_json_too(sample: SampleWorkspace) -> None:
    """`--json` lists the changes with their entries."""
    sample.add_run()
    (sample.domain / "new\nline").unlink()
    record = json.loads(run_catfs(["verify", "run-1", "--json"], sample.root).stdout)
    validate(record, "cli-verify.v1")
    (drift,) = record["reports"][0]["drift"]
    assert (record["ok"], drift["drift"], drift["count"]) == (True, "changed", 1)
    assert drift["changes"][0]["change"] == "removed"


def test_the_workspace_in_a_domain_is_no_drift(sample: SampleWorkspace) -> None:
    """`.catfs` in a domain is no part of it."""
    sample.add_run()
    sample.workspace.folder.rename(sample.domain / ".catfs")
    result = run_catfs(["verify", "last"], sample.domain)
    assert result.status == 0
    assert b"is what the run left" in result.stdout


def test_a_path_proof_holds_with_and_without_its_run(
    path_proof: Path, sample: SampleWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Beside the run its roots are compared; elsewhere the reader is told to do so."""
    near = run_catfs(["verify", path_proof], sample.root)
    assert near.status == 0
    assert b"  3 ok       its roots are those of the run's proof" in near.stdout
    far = run_catfs(["verify", path_proof], tmp_path_factory.mktemp("far"))
    assert far.status == 0
    assert b"  3 not done" in far.stdout
    assert "compare the roots" in far.stderr


def test_a_path_proof_is_checked_with_a_run_at_once(path_proof: Path, sample: SampleWorkspace) -> None:
    """Runs and files may be mixed; the JSON has one report for each."""
    result = run_catfs(["verify", "last", path_proof, "--json"], sample.root)
    record = json.loads(result.stdout)
    validate(record, "cli-verify.v1")
    assert [report["kind"] for report in record["reports"]] == ["run", "path_proof"]
    assert result.status == 0


@pytest.mark.parametrize(
    "old", [b'"size":9', b'"under":"post"', b'"root":"', b'"run_proof":"', b'"path":"src']
)
def test_a_changed_path_proof_is_refused(path_proof: Path, sample: SampleWorkspace, old: bytes) -> None:
    """An edited statement, root, path or seal does not hold beside its run."""
    data = path_proof.read_bytes()
    assert old in data
    at = data.index(old) + len(old)
    changed = data[: at - 1] + (b"8" if data[at - 1 : at] == b"9" else b"x") + data[at:]
    if old.endswith(b'":"'):
        changed = data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :]
    path_proof.write_bytes(changed)
    result = run_catfs(["verify", path_proof], sample.root)
    assert result.status == 1
    assert b"REFUSED" in result.stdout


def test_a_file_that_is_no_path_proof_is_refused(sample: SampleWorkspace) -> None:
    """Any other file is refused by name."""
    other = sample.root / "other"
    other.write_bytes(b"\xff\x00{}")
    result = run_catfs(["verify", "other"], sample.root)
    assert result.status == 1
    assert b"path proof other: REFUSED" in result.stdout


def test_nothing_to_verify_is_bad_input(sample: SampleWorkspace) -> None:
    """Without a run, a file or `--all` there is nothing to do; an unknown name is no run."""
    assert run_catfs(["verify"], sample.root).status == 2
    sample.add_run()
    result = run_catfs(["verify", "nothing"], sample.root)
    assert result.status == 2
    assert "there is no run 'nothing'" in result.stderr
