"""The ledger of a real run: verified from its files alone, and refused once a byte of it is another."""

import shutil
from pathlib import Path

import pytest

from catfs.ledger import RunReader
from catfs.proof.verify import verify_run
from tests.support.commands import Project, run_catfs

pytestmark = pytest.mark.fuse

FILES = (
    "DOMAIN_ROOTS.json",
    "JOBSPEC.json",
    "LEDGER.json",
    "OUTPUTS.json",
    "POST_MANIFEST.json",
    "PRE_MANIFEST.json",
    "PROOF.json",
    "RESTORE_DIFF.json",
    "RUN_INFO.json",
    "STATUS.json",
    "WRITE_LOG.jsonl.zst",
    "steps/01.json",
    "steps/01.stderr",
    "steps/01.stdout",
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the run folder of a run with outputs, leftovers and prints, in no workspace any more."""
    domain = tmp_path_factory.mktemp("ledger") / "domain"
    domain.mkdir()
    project = Project(domain)
    project.write("input", "input\n")
    script = "echo out; echo err >&2; mkdir out; cp input out/copy; echo scratch > scratch"
    result = project.run(script, "--output", "out", "--leftovers", "discard", "--intent", "to copy")
    assert result.status == 0, result.stderr
    run = project.last_run()
    away = tmp_path_factory.mktemp("archive") / run.run_id
    shutil.copytree(run.folder, away)
    return away


def test_run_folder_holds_exactly_the_files_of_the_format(ledger: Path) -> None:
    """Every file is there, and nothing else."""
    assert tuple(sorted(RunReader(ledger).files)) == FILES


def test_untouched_ledger_is_verified_without_the_domain(ledger: Path) -> None:
    """A copied run folder verifies, by the library and by the command, from anywhere."""
    assert [step.ok for step in verify_run(RunReader(ledger).files)] == [True] * 7
    result = run_catfs(["verify", "--offline", ledger], Path("/"))
    assert result.status == 0, result.stderr


@pytest.mark.parametrize("name", FILES)
def test_every_changed_byte_is_found_and_its_file_named(ledger: Path, name: str) -> None:
    """One bit flipped at the start, in the middle or at the end of any file is refused, by its name."""
    files = dict(RunReader(ledger).files)
    whole = files[name]
    assert whole
    for at in {0, len(whole) // 2, len(whole) - 1}:
        damaged = bytearray(whole)
        damaged[at] ^= 1
        errors = [error for step in verify_run({**files, name: bytes(damaged)}) for error in step.errors]
        assert errors
        assert name in str(errors[0])


@pytest.mark.parametrize("name", FILES)
def test_removed_file_is_missed(ledger: Path, name: str) -> None:
    """A run folder that lacks a file is refused, and the file is named."""
    files = dict(RunReader(ledger).files)
    del files[name]
    errors = [error for step in verify_run(files) for error in step.errors]
    assert errors
    assert name in str(errors[0])


def test_added_file_is_found(ledger: Path) -> None:
    """A file that the proof does not list is refused."""
    files = {**RunReader(ledger).files, "steps/02.stdout": b"made up\n"}
    errors = [error for step in verify_run(files) for error in step.errors]
    assert "steps/02.stdout" in str(errors[0])


@pytest.mark.parametrize("name", ["PROOF.json", "WRITE_LOG.jsonl.zst", "PRE_MANIFEST.json"])
def test_command_refuses_a_tampered_ledger(ledger: Path, tmp_path: Path, name: str) -> None:
    """`catfs verify` exits 1 and names the file."""
    copy = tmp_path / ledger.name
    shutil.copytree(ledger, copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    result = run_catfs(["verify", "--offline", copy], tmp_path)
    assert result.status == 1
    assert name in result.stdout.decode() + result.stderr
