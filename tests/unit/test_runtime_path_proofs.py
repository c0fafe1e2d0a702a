"""The proof of what one path was: made, written, read, checked, damaged."""

import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.ledger import RunReader
from catfs.records import Entry, Kind, Proof, describe_entry
from catfs.records.schema import validate
from catfs.runtime.path_proofs import (
    PathProofFile,
    make_path_proof,
    read_path_proof,
)
from catfs.runtime.proof_files import PROOF_FILE_BYTES_MAX
from catfs.runtime.runs import DomainTrees, domain_trees
from tests.support.workspaces import UNTIDY, SampleWorkspace

_PATHS = (b"", b"src/main.c", b"old\xff", b"new\nline", b"no/such", b"out/it.whl/below")

_OTHERS = (b"", b"[]", b"null", b"\xff", b'{"schema":"other"}', b'{"schema":"cli-path-proof.v1"}')


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Proof, DomainTrees]:
    """Give the proof and the trees of a run."""
    sample = SampleWorkspace(tmp_path_factory.mktemp("workspace"))
    proof = sample.add_run(changes=UNTIDY, discard=True)
    return proof, domain_trees(RunReader(sample.run_folder("run-1")), proof)[0]


@pytest.mark.parametrize(
    "path", [b"", b"src/main.c", b"old\xff", b"new\nline", b"no/such", b"out/it.whl/below"]
)
def test_what_is_written_is_read_and_holds(
    run: tuple[Proof, DomainTrees], path: bytes, tmp_path: Path
) -> None:
    """A path proof survives its file, fits its schema, and holds against its run."""
    proof, trees = run
    made = make_path_proof(proof, trees, path)
    validate(made.to_dict(), "cli-path-proof.v1")
    file = tmp_path / "proof"
    file.write_bytes(orjson.dumps(made.to_dict()))
    read = read_path_proof(str(file))
    assert read == made
    read.check()
    read.check_against(proof)


def test_damage_anywhere_is_refused(run: tuple[Proof, DomainTrees], tmp_path: Path) -> None:
    """Whichever byte of the file is changed, it no longer holds beside its run, and says why."""
    proof, trees = run
    data = orjson.dumps(make_path_proof(proof, trees, b"src/main.c").to_dict())
    file = tmp_path / "proof"
    for place in range(0, len(data), 13):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(FormatError) as refused:
            _check(str(file), proof)
        assert refused.value.problem, f"byte {place} of {data!r}"


def _check(file: str, proof: Proof) -> None:
    read = read_path_proof(file)
    read.check()
    read.check_against(proof)


def test_a_statement_about_another_path_is_refused(run: tuple[Proof, DomainTrees]) -> None:
    """All statements are about the path of the file."""
    proof, trees = run
    made, other = make_path_proof(proof, trees, b"src"), make_path_proof(proof, trees, b"out")
    with pytest.raises(FormatError, match="the same path"):
        PathProofFile(made.run_id, made.run_proof, made.domain, made.path, other.statements)
    with pytest.raises(FormatError, match="one statement each"):
        replace(made, statements=made.statements[:2])


def test_roots_of_another_run_are_refused(run: tuple[Proof, DomainTrees], tmp_path: Path) -> None:
    """A sound proof under other roots does not hold against this run."""
    proof, trees = run
    made = make_path_proof(proof, trees, b"src")
    other = SampleWorkspace(tmp_path).add_run()
    with pytest.raises(FormatError, match="the digest of the run's proof"):
        made.check_against(other)
    renamed = replace(made, run_id="run-2")
    with pytest.raises(FormatError, match="the run id: expected run-1, got run-2"):
        renamed.check_against(proof)
    moved = replace(made, run_proof=other.digest)
    with pytest.raises(FormatError, match="expected a domain of the run"):
        moved.check_against(other)
    swapped = replace(made.statements[0], root=trees.view.root, proof=made.statements[1].proof)
    with pytest.raises(FormatError, match="the base root"):
        replace(made, statements=(swapped, *made.statements[1:])).check_against(proof)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """The size is limited before anything is parsed."""
    file = tmp_path / "proof"
    with file.open("wb") as stream:
        stream.truncate(PROOF_FILE_BYTES_MAX + 2)
    with pytest.raises(FormatError, match="at most"):
        read_path_proof(str(file))


@pytest.mark.parametrize("data", _OTHERS)
def test_other_files_are_refused_by_name(data: bytes, tmp_path: Path) -> None:
    """The error names the file."""
    file = tmp_path / "proof"
    file.write_bytes(data)
    with pytest.raises(FormatError, match=r"proof: expected|is missing|schema"):
        read_path_proof(str(file))


def test_entries_are_described_in_words() -> None:
    """Kind, mode, and where there is one, size and digest."""
    assert describe_entry(None) == "nothing"
    assert describe_entry(Entry(Kind.DIRECTORY, 0o755)) == "directory, mode 0755"
    file = Entry(Kind.FILE, 0o644, 1, Digest.of(b"x"))
    assert describe_entry(file) == f"file, mode 0644, 1 byte, SHA-256 {Digest.of(b'x')}"
    assert json.dumps(describe_entry(Entry(Kind.BLOCK_DEVICE, 0o600))).startswith('"block device, mode 0600')
