"""`catfs proof` on finished runs, and the proof of a path."""

import json

import pytest

from catfs.digest import Digest
from catfs.records import PROOF_FILE, RESTORE_DIFF_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import UNTIDY, SampleWorkspace


def test_gives_the_verdicts_and_the_leftovers(sample: SampleWorkspace) -> None:
    """Both verdicts stand there with yes or no, and every leftover is named."""
    sample.add_run(changes=UNTIDY, discard=True)
    result = run_catfs(["proof"], sample.root)
    text = result.stdout.decode()
    assert result.status == 0
    assert "isolated: yes" in text
    assert "self_restored: no" in text
    for leftover in ("added build/x.o", "changed src/main.c", "removed old\\xff"):
        assert leftover in text


def test_a_tidy_run_restored_itself(sample: SampleWorkspace) -> None:
    """Without leftovers the second verdict is yes too."""
    sample.add_run()
    assert "self_restored: yes" in run_catfs(["proof", "last"], sample.root).stdout.decode()


def test_json_holds_the_proof_and_every_difference(sample: SampleWorkspace) -> None:
    """`--json` gives the whole proof as the ledger has it, and all leftovers."""
    proof = sample.add_run(changes=UNTIDY, discard=True)
    result = json.loads(run_catfs(["proof", "--json"], sample.root).stdout)
    validate(result, "cli-proof.v2")
    validate(result["proof"], "proof.v2")
    assert result["proof"] == json.loads((sample.run_folder("run-1") / PROOF_FILE).read_bytes())
    assert result["proof"]["digest"] == proof.digest.hex
    assert len(result["domains"][0]["leftovers"]) == 4


def test_a_damaged_difference_is_not_shown(sample: SampleWorkspace) -> None:
    """RESTORE_DIFF.json must be the one that the proof lists."""
    sample.add_run()
    path = sample.run_folder("run-1") / RESTORE_DIFF_FILE
    path.write_bytes(path.read_bytes().replace(b"it.whl", b"IT.whl"))
    for command in ("proof", "diff"):
        result = run_catfs([command], sample.root)
        assert result.status == 2
        assert RESTORE_DIFF_FILE in result.stderr
        assert result.stdout == b""


def test_an_incomplete_run_proves_nothing(sample: SampleWorkspace) -> None:
    """A run without PROOF.json is said to be incomplete."""
    sample.add_incomplete_run("stopped")
    result = run_catfs(["proof", "stopped"], sample.root)
    assert result.status == 2
    assert "incomplete" in result.stderr


def test_proves_what_a_path_was(sample: SampleWorkspace) -> None:
    """The proof of a path says what it was under base, view and post root."""
    sample.add_run(changes=UNTIDY, discard=True)
    result = run_catfs(["proof", "--path", "src/main.c"], sample.root)
    record = json.loads(result.stdout)
    validate(record, "cli-path-proof.v1")
    digests = [statement["entry"]["digest"] for statement in record["statements"]]
    before = Digest.of((sample.domain / "src" / "main.c").read_bytes()).hex
    assert digests == [before, Digest.of(b"int main;").hex, before]
    assert "src/main.c under the view root: file, mode 0644, 9 bytes" in result.stderr


def test_proves_that_a_path_was_not_there(sample: SampleWorkspace) -> None:
    """A path that never was, and one that came with the run, are proven absent where they were."""
    sample.add_run()
    never = json.loads(run_catfs(["proof", "--path", "no/such"], sample.root).stdout)
    assert [statement["entry"] for statement in never["statements"]] == [None, None, None]
    new = json.loads(run_catfs(["proof", "--path", "out/it.whl"], sample.root).stdout)
    assert [statement["entry"] is None for statement in new["statements"]] == [True, False, False]


@pytest.mark.parametrize("path", [".", "", b"old\xff", b"new\nline"])
def test_awkward_paths_are_proven_or_refused(sample: SampleWorkspace, path: str | bytes) -> None:
    """The domain itself and names of any bytes have proofs; an empty text is no path."""
    sample.add_run()
    result = run_catfs(["proof", "--path", path], sample.root)
    assert result.status == (0 if path else 2)
    if path:
        validate(json.loads(result.stdout), "cli-path-proof.v1")


def test_an_absolute_path_is_taken_when_it_lies_in_the_domain(sample: SampleWorkspace) -> None:
    """Absolute paths lose the domain; what lies elsewhere is bad input."""
    sample.add_run()
    inside = run_catfs(["proof", "--path", sample.domain / "out"], sample.root)
    assert json.loads(inside.stdout)["path"] == "out"
    for outside in ("/etc/passwd", "../domain", str(sample.domain) + "-2"):
        result = run_catfs(["proof", "--path", outside], sample.root)
        assert result.status == 2
        assert "domain" in result.stderr
