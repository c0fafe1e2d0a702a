"""Files that carry a proof far from domain and ledger: how they are read, and what `verify` asks of each."""

import os
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import orjson

from catfs.errors import FormatError, printable
from catfs.records import Proof

PROOF_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest file that is read as a proof, in bytes: three proofs of the deepest path take about 10 MiB; the
longest line of a log, escaped once more, comes near."""


class ProofFile(Protocol):
    """A proof of a path or a record, with the run that it speaks of."""

    @property
    def run_id(self) -> str:
        """The run."""

    def check(self) -> None:
        """Check that what it holds leads to the roots that it states.

        Raises:
            FormatError: when it does not.
        """

    def check_against(self, proof: Proof) -> None:
        """Check that the roots are those that the proof of the run states.

        Raises:
            FormatError: when they are not.
        """


_File = TypeVar("_File", bound=ProofFile)


def read_proof_file(path: str, what: str, take: Callable[[object], _File]) -> _File:
    """Read a file that carries a proof.

    Args:
        path: Where it is.
        what: What it should be, for people.
        take: Makes it from its JSON value.

    Raises:
        FormatError: when it is no such proof; the file is named.
        OSError: when it cannot be read.
    """
    name = printable(os.fsencode(path))
    with open(path, "rb") as stream:
        data = stream.read(PROOF_FILE_BYTES_MAX + 1)
    if len(data) > PROOF_FILE_BYTES_MAX:
        raise FormatError(name, f"expected a {what} of at most {PROOF_FILE_BYTES_MAX} bytes")
    try:
        return take(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise FormatError(name, f"expected a {what} in JSON: {error}") from error
    except FormatError as error:
        raise FormatError(name, error.problem) from error


def expect_same(what: str, pairs: tuple[tuple[str, str, str], ...]) -> None:
    """Compare what a proof file states with what it should.

    Args:
        what: Name of the file's kind, for people.
        pairs: Of each compared thing its name, what is expected and what was got.

    Raises:
        FormatError: when two differ.
    """
    for thing, expected, got in pairs:
        if expected != got:
            raise FormatError(what, f"{thing}: expected {expected}, got {got}")
