"""Verification as one question, for tests: the proof of a run, or the first thing that is wrong."""

from collections.abc import Mapping

from catfs.proof.run_record import decode_proof
from catfs.proof.verify import verify_run
from catfs.records import Proof


def require_verified(files: Mapping[str, bytes]) -> Proof:
    """Verify a run and give its proof.

    Raises:
        VerificationError: the first thing that is wrong.
    """
    for step in verify_run(files):
        if step.errors:
            raise step.errors[0]
    return decode_proof(files)
