"""The proof that one record stands in a log: made, written, read, checked, damaged."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.ledger import RunReader
from catfs.records import Proof
from catfs.records.schema import validate
from catfs.runtime.proof_files import PROOF_FILE_BYTES_MAX
from catfs.runtime.record_proofs import (
    RecordProofFile,
    is_record_proof,
    make_record_proof,
    read_record_proof,
)
from tests.support.workspaces import LOG, SampleWorkspace


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunReader:
    """Give a run."""
    sample = SampleWorkspace(tmp_path_factory.mktemp("workspace"))
    sample.add_run()
    return RunReader(sample.run_folder("run-1"))


@pytest.mark.parametrize("seq", range(len(LOG)))
def test_what_is_written_is_read_and_holds(run: RunReader, seq: int, tmp_path: Path) -> None:
    """A record proof survives its file, fits its schema, and holds against its run."""
    made = make_record_proof(run, seq)
    validate(made.to_dict(), "cli-record-proof.v1")
    file = tmp_path / "proof"
    file.write_bytes(orjson.dumps(made.to_dict()))
    assert is_record_proof(str(file))
    read = read_record_proof(str(file))
    assert read == made
    assert read.record.seq == seq
    read.check()
    read.check_against(run.proof())


@given(st.data())
def test_damage_anywhere_is_refused(run: RunReader, data: st.DataObject) -> None:
    """Whichever byte of the file is changed, it no longer holds beside its run, and says why."""
    text = bytearray(orjson.dumps(make_record_proof(run, 4).to_dict()))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((FormatError, orjson.JSONDecodeError), match=r"\w"):
        _check(bytes(text), run.proof())


def _check(text: bytes, proof: Proof) -> None:
    file = RecordProofFile.from_dict(orjson.loads(text))
    file.check()
    file.check_against(proof)


def test_a_record_is_not_passed_off_as_another(run: RunReader) -> None:
    """Neither with the place of another one nor with another size of the log."""
    made = make_record_proof(run, 4)
    other = make_record_proof(run, 5)
    with pytest.raises(FormatError, match="expected the record 5, got 4"):
        replace(made, proof=other.proof).check()
    with pytest.raises(FormatError, match="expected a proof in 100 records, got one in 9"):
        replace(made, log=replace(made.log, records=100)).check()
    with pytest.raises(FormatError, match="record proof: root over record 4 of 9"):
        replace(made, line=made.line.replace(b'"length":1', b'"length":2')).check()
    with pytest.raises(FormatError, match="expected a record of a log, got no JSON"):
        replace(made, line=b"{").check()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run_id": "other"}, "the run id"),
        ({"run_proof": Digest.of(b"")}, "the digest of the run's proof"),
    ],
)
def test_another_run_is_told(run: RunReader, change: dict[str, object], said: str) -> None:
    """What it says of its run is compared with the proof of the run."""
    file = replace(make_record_proof(run, 0), **change)  # type: ignore[arg-type]  # fields by name
    with pytest.raises(FormatError, match=said):
        file.check_against(run.proof())


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"schema":"cli-record-proof.v1"}'])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    """What is no record proof is told with the name of the file."""
    file = tmp_path / "proof"
    file.write_bytes(data)
    with pytest.raises(FormatError, match=f"^{file}: "):
        read_record_proof(str(file))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """Nobody's memory is filled by it."""
    file = tmp_path / "proof"
    with file.open("wb") as stream:
        stream.truncate(PROOF_FILE_BYTES_MAX + 1)
    with pytest.raises(FormatError, match="expected a record proof of at most"):
        read_record_proof(str(file))
    assert not is_record_proof(str(file))
