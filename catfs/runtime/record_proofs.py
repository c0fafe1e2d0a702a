"""The proof that one record stands in the log of a run, in a file that can be checked far from the log.

It holds the record as it stands, and the hashes that lead from it to the root that the run's proof states.
"""

from typing import Final, Self

import orjson

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.ledger import RunReader
from catfs.merkle import RecordProof, prove_record
from catfs.merkle.log_tree import leaf_hash
from catfs.records import LogSummary, Proof
from catfs.records.fields import Fields
from catfs.records.names import check_run_id
from catfs.records.write_record import Record, record_from_dict
from catfs.runtime.log_reading import log_of_run
from catfs.runtime.past_log import PastLog
from catfs.runtime.proof_files import expect_same, read_proof_file
from catfs.values import dataclass

RECORD_PROOF_SCHEMA: Final = "cli-record-proof.v1"

_HEAD_BYTES: Final = 200
"""Bytes in which a file says what it is: `schema` is the first key that we write."""


@dataclass(frozen=True, slots=True)
class RecordProofFile:
    """One record of a run, with its place.

    Args:
        run_id: The run.
        run_proof: The digest of its proof.
        log: What that proof says of the log.
        line: The record as it stands in the log, without the newline.
        proof: Leads from the record to the root of the log.
    """

    run_id: str
    run_proof: Digest
    log: LogSummary
    line: bytes
    proof: RecordProof

    def __post_init__(self) -> None:
        check_run_id(self.run_id)

    @property
    def record(self) -> Record:
        """What the line says.

        Raises:
            FormatError: when it is no record.
        """
        try:
            return record_from_dict(orjson.loads(self.line))
        except orjson.JSONDecodeError as error:
            raise FormatError("record proof", f"expected a record of a log, got no JSON: {error}") from error

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (schemas/cli-record-proof.v1.schema.json)."""
        return {
            "schema": RECORD_PROOF_SCHEMA,
            "run_id": self.run_id,
            "run_proof": self.run_proof.hex,
            "log": self.log.to_dict(),
            "line": self.line.decode(),
            "proof": self.proof.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "record proof")
        fields.schema(RECORD_PROOF_SCHEMA)
        try:
            line = fields.text("line").encode()
        except UnicodeEncodeError as error:
            raise FormatError("record proof", f"expected UTF-8 for line: {error.reason}") from error
        file = cls(
            fields.text("run_id"),
            fields.digest("run_proof"),
            LogSummary.take(fields.part("log")),
            line,
            RecordProof.from_dict(fields.value("proof")),
        )
        fields.end()
        return file

    def check(self) -> None:
        """Check that the hashes lead from the record to the root, and that it says the place it has.

        What stays with the caller: that the root is that of a run that it trusts.

        Raises:
            FormatError: when it is not so.
        """
        if self.proof.size != self.log.records:
            problem = f"expected a proof in {self.log.records} records, got one in {self.proof.size}"
            raise FormatError("record proof", problem)
        if self.record.seq != self.proof.index:
            problem = f"expected the record {self.proof.index}, got {self.record.seq}"
            raise FormatError("record proof", problem)
        self.proof.verify(self.line, self.log.root)

    def check_against(self, proof: Proof) -> None:
        """Check that the log is the one that the proof of the run states.

        Raises:
            FormatError: when it is another.
        """
        expect_same(
            "record proof",
            (
                ("the run id", proof.run_id, self.run_id),
                ("the digest of the run's proof", proof.digest.hex, self.run_proof.hex),
                ("the number of records", str(proof.log.records), str(self.log.records)),
                ("the root of the log", proof.log.root.hex, self.log.root.hex),
            ),
        )


def make_record_proof(run: RunReader, seq: int) -> RecordProofFile:
    """Prove that a record stands in the log of a run.

    Args:
        run: The run; it is complete.
        seq: Sequence number of the record; there is such a record.

    Raises:
        FormatError: when the log is damaged, or not the one that the proof states.
        OSError: when it cannot be read.
    """
    proof = run.proof()
    log = PastLog(log_of_run(run, None), proof.log)
    leaves, found = [], b""
    for place, line in enumerate(log.lines()):
        leaves.append(leaf_hash(line))
        if place == seq:
            found = line
    return RecordProofFile(proof.run_id, proof.digest, proof.log, found, prove_record(leaves, seq))


def is_record_proof(path: str) -> bool:
    """Say whether a file calls itself a record proof; only its beginning is looked at.

    Raises:
        OSError: when it cannot be read.
    """
    with open(path, "rb") as stream:
        return RECORD_PROOF_SCHEMA.encode() in stream.read(_HEAD_BYTES)


def read_record_proof(path: str) -> RecordProofFile:
    """Read a record proof from a file.

    Raises:
        FormatError: when it is none.
        OSError: when it cannot be read.
    """
    return read_proof_file(path, "record proof", RecordProofFile.from_dict)
