"""The proof of what one path of a domain was, in a file that can be checked far from domain and ledger.

It holds one statement for each moment (base, view, post): the root, what the path was under it, and
the nodes that lead from the one to the other.
"""

from enum import Enum
from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError, printable
from catfs.merkle import PathProof, Tree, prove_path
from catfs.records import Entry, Proof, describe_entry, listed_entry, put_bytes
from catfs.records.fields import Fields, entry_fields
from catfs.records.names import check_absolute, check_run_id
from catfs.runtime.proof_files import expect_same, read_proof_file
from catfs.runtime.runs import DomainTrees
from catfs.values import dataclass

PATH_PROOF_SCHEMA: Final = "cli-path-proof.v1"


class Under(Enum):
    """The tree that a statement is about."""

    BASE = "base"
    """The domain before the run."""
    VIEW = "view"
    """What the program left in its view."""
    POST = "post"
    """The domain after the run."""


@dataclass(frozen=True, slots=True)
class PathStatement:
    """What a path was at one moment.

    Args:
        under: The moment.
        root: Root of the domain at that moment.
        entry: What was there, a directory without its node digest; None for nothing.
        proof: Leads from the root to the entry or its absence.
    """

    under: Under
    root: Digest
    entry: Entry | None
    proof: PathProof

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "under": self.under.value,
            "root": self.root.hex,
            "entry": None if self.entry is None else entry_fields(self.entry),
            "proof": self.proof.to_dict(),
        }

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a statement out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            fields.choice("under", Under),
            fields.digest("root"),
            fields.optional_entry("entry"),
            PathProof.from_dict(fields.value("proof")),
        )

    def check(self) -> None:
        """Check that the proof leads from the root to the stated entry.

        Raises:
            FormatError: when it does not.
        """
        got = self.proof.verify(self.root)
        if (None if got is None else listed_entry(got)) != self.entry:
            stated, proven = describe_entry(self.entry), describe_entry(got)
            what = f"the statement under {self.under.value}"
            raise FormatError(what, f"expected {proven}, which the nodes prove, got {stated}")


@dataclass(frozen=True, slots=True)
class PathProofFile:
    """What one path of a domain was before, in and after a run.

    Args:
        run_id: The run.
        run_proof: The digest of its proof.
        domain: Absolute path of the domain.
        path: Relative to the domain; b"" for the domain itself.
        statements: Base, view and post, in this order.
    """

    run_id: str
    run_proof: Digest
    domain: bytes
    path: bytes
    statements: tuple[PathStatement, ...]

    def __post_init__(self) -> None:
        check_run_id(self.run_id)
        check_absolute(self.domain)
        if [statement.under for statement in self.statements] != list(Under):
            raise FormatError("path proof", "expected one statement each for base, view and post")
        if any(statement.proof.path != self.path for statement in self.statements):
            raise FormatError("path proof", "expected every statement to be about the same path")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (schemas/cli-path-proof.v1.schema.json)."""
        record: dict[str, object] = {
            "schema": PATH_PROOF_SCHEMA,
            "run_id": self.run_id,
            "run_proof": self.run_proof.hex,
            "statements": [statement.to_dict() for statement in self.statements],
        }
        put_bytes(record, "domain", self.domain)
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "path proof")
        fields.schema(PATH_PROOF_SCHEMA)
        file = cls(
            fields.text("run_id"),
            fields.digest("run_proof"),
            fields.data("domain"),
            fields.data("path"),
            fields.parts("statements", PathStatement.take),
        )
        fields.end()
        return file

    def check(self) -> None:
        """Check every statement.

        What stays with the caller: that the roots are those of a run that it trusts.

        Raises:
            FormatError: when one does not hold.
        """
        for statement in self.statements:
            statement.check()

    def check_against(self, proof: Proof) -> None:
        """Check that the roots are those that the proof of the run states.

        Raises:
            FormatError: when they are not.
        """
        states = [
            ("the run id", proof.run_id, self.run_id),
            ("the digest of the run's proof", proof.digest.hex, self.run_proof.hex),
        ]
        domain = next((domain.roots for domain in proof.domains if domain.roots.path == self.domain), None)
        if domain is not None:
            roots = (domain.base_root, domain.view_root, domain.post_root)
            for statement, root in zip(self.statements, roots, strict=True):
                states.append((f"the {statement.under.value} root", root.hex, statement.root.hex))
        expect_same("path proof", tuple(states))
        if domain is None:
            raise FormatError("path proof", f"expected a domain of the run, got {printable(self.domain)}")


def make_path_proof(proof: Proof, trees: DomainTrees, path: bytes) -> PathProofFile:
    """Prove what a path was before, in and after a run.

    Args:
        proof: The proof of the run.
        trees: The trees of the domain.
        path: Relative to the domain.

    Raises:
        PathError: when it cannot be a path.
    """
    moments: list[tuple[Under, Tree]] = [
        (Under.BASE, trees.base),
        (Under.VIEW, trees.view),
        (Under.POST, trees.post),
    ]
    statements = []
    for under, tree in moments:
        found = tree.entry(path)
        entry = None if found is None else listed_entry(found)
        statements.append(PathStatement(under, tree.root, entry, prove_path(tree, path)))
    return PathProofFile(proof.run_id, proof.digest, trees.path, path, tuple(statements))


def read_path_proof(path: str) -> PathProofFile:
    """Read a path proof from a file.

    Raises:
        FormatError: when it is none.
        OSError: when it cannot be read.
    """
    return read_proof_file(path, "path proof", PathProofFile.from_dict)
