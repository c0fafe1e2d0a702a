"""The proof of a run: PROOF.json, written last of all.

It states both verdicts and what they rest on, seals every other file of the run by its SHA-256, and is
itself sealed by `digest`: SHA-256 of the canonical bytes of everything else in it.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records.base import BaseNote
from catfs.records.canonical import canonical_digest
from catfs.records.fields import Fields, put_bytes, put_bytes_list
from catfs.records.job import Confine, Leftovers
from catfs.records.names import check_absolute, check_relative, check_run_id
from catfs.records.roots import DomainRoot
from catfs.records.run import Outcome, check_exit_status
from catfs.records.timestamp import format_time
from catfs.values import dataclass

FIRST_PROOF_SCHEMA: Final = "proof.v1"
"""Of proofs that count the paths of base and view."""

PROOF_SCHEMA: Final = "proof.v2"
"""Of proofs that say how the base is known."""

EXCLUDED_METADATA: Final = ("times", "owner", "xattrs")
"""What the trees say nothing of."""


@dataclass(frozen=True, slots=True)
class BaseConflict:
    """A path of the original that changed while the run was under way.

    Args:
        domain: Absolute path of the domain.
        path: Relative to the domain.
        expected: What the session saw.
        got: What was there at the end.
    """

    domain: bytes
    path: bytes
    expected: str
    got: str

    def __post_init__(self) -> None:
        check_absolute(self.domain)
        check_relative(self.path)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {"expected": self.expected, "got": self.got}
        put_bytes(record, "domain", self.domain)
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a conflict out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.data("domain"), fields.data("path"), fields.text("expected"), fields.text("got"))


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What a proof says of the write log.

    Args:
        records: Number of records.
        size: Bytes of the log before compression.
        root: RFC 6962 root over the records, each a line without its newline.
    """

    records: int
    size: int
    root: Digest

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {"records": self.records, "size": self.size, "root": self.root.hex}

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a log summary out of an object, which has no others.

        Raises:
            FormatError: when one is missing, unknown or of the wrong type.
        """
        log = cls(fields.number("records"), fields.number("size"), fields.digest("root"))
        fields.end()
        return log


@dataclass(frozen=True, slots=True)
class EntryCounts:
    """How many paths a domain had, as proofs of the first version say it.

    Args:
        base: Paths of the lower, counted, the domain itself included.
        view: Paths of the view, counted, the domain itself included.
    """

    base: int
    view: int


@dataclass(frozen=True, slots=True)
class DomainProof:
    """What a proof says of one domain.

    Args:
        roots: Path and roots.
        known: How the base is known; in proofs of the first version the paths, counted.
        declared: Changes at and below declared outputs, counted.
        leftovers: Undeclared changes, counted.
    """

    roots: DomainRoot
    known: BaseNote | EntryCounts
    declared: int
    leftovers: int

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            **self.roots.to_dict(),
            **self._known_fields(),
            "declared": self.declared,
            "leftovers": self.leftovers,
        }

    def _known_fields(self) -> dict[str, object]:
        if isinstance(self.known, BaseNote):
            return {"base": self.known.to_dict()}
        return {"base_entries": self.known.base, "view_entries": self.known.view}

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a domain out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        known: BaseNote | EntryCounts
        if fields.has("base"):
            known = BaseNote.take(fields.part("base"))
        else:
            known = EntryCounts(fields.number("base_entries"), fields.number("view_entries"))
        return cls(DomainRoot.take(fields), known, fields.number("declared"), fields.number("leftovers"))


@dataclass(frozen=True, slots=True)
class OutputProof:
    """What a proof says of one declared output.

    Args:
        domain: Absolute path of the domain.
        path: Relative to the domain.
        present: Whether the view had it at the end.
        committed: Whether it was committed.
    """

    domain: bytes
    path: bytes
    present: bool
    committed: bool

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {"present": self.present, "committed": self.committed}
        put_bytes(record, "domain", self.domain)
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of an output out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            fields.data("domain"), fields.data("path"), fields.flag("present"), fields.flag("committed")
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proven of a run.

    Args:
        run_id: The run.
        created: When the proof was made, in nanoseconds since 1970.
        outcome: How the run ended.
        exit_status: Exit status of `catfs run`.
        command_status: Status of the first step that failed, else 0.
        isolated: The original was never touched; only declared outputs left the overlay.
        self_restored: The program left no undeclared difference in the view.
        domains: The domains, in the order of the job.
        outputs: The declared outputs, in the order of OUTPUTS.json.
        leftovers: What was declared to happen to leftovers.
        rechecked_paths: Paths of the original that were looked at again before the commit, counted.
        conflicts: Those that were not what the session had seen.
        commit_problem: Why the commit was refused or given up; None when it was not.
        log: The write log.
        confine: Whether the command was confined.
        allow_write: Places outside the domains that it could write to.
        transport: Name of what served the kernel's requests.
        files: Name and SHA-256 of every other file of the run folder.
    """

    run_id: str
    created: int
    outcome: Outcome
    exit_status: int
    command_status: int
    isolated: bool
    self_restored: bool
    domains: tuple[DomainProof, ...]
    outputs: tuple[OutputProof, ...]
    leftovers: Leftovers
    rechecked_paths: int
    conflicts: tuple[BaseConflict, ...]
    commit_problem: str | None
    log: LogSummary
    confine: Confine
    allow_write: tuple[bytes, ...]
    transport: str
    files: Mapping[str, Digest] = field(hash=False)

    def __post_init__(self) -> None:
        check_run_id(self.run_id)
        check_exit_status(self.exit_status, "proof")
        check_exit_status(self.command_status, "proof")
        if not self.domains:
            raise FormatError("proof", "expected at least one domain")
        if len({type(domain.known) for domain in self.domains}) != 1:
            raise FormatError("proof", "expected the same to be said of the base of every domain")
        if self.isolated == bool(self.conflicts):
            raise FormatError("proof", "expected isolated exactly when there are no conflicts")
        if self.self_restored == any(domain.leftovers for domain in self.domains):
            raise FormatError("proof", "expected self_restored exactly when there are no leftovers")

    @property
    def schema(self) -> str:
        """The name of its format."""
        is_first = isinstance(self.domains[0].known, EntryCounts)
        return FIRST_PROOF_SCHEMA if is_first else PROOF_SCHEMA

    @property
    def fold_equal(self) -> bool:
        """Whether the write log led to the view in every domain."""
        return all(domain.roots.replay_root == domain.roots.view_root for domain in self.domains)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes of everything else: what stands in the field `digest`."""
        return canonical_digest(self._sealed_fields())

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/proof.md), sealed by its digest."""
        return {**self._sealed_fields(), "digest": self.digest.hex}

    def _sealed_fields(self) -> dict[str, object]:
        confinement: dict[str, object] = {"mode": self.confine.value}
        put_bytes_list(confinement, "allow_write", self.allow_write)
        return {
            "schema": self.schema,
            "run_id": self.run_id,
            "created": format_time(self.created),
            "outcome": self.outcome.value,
            "exit_status": self.exit_status,
            "command_status": self.command_status,
            "verdicts": {"isolated": self.isolated, "self_restored": self.self_restored},
            "domains": [domain.to_dict() for domain in self.domains],
            "outputs": [output.to_dict() for output in self.outputs],
            "policy": {"leftovers": self.leftovers.value},
            "fold": {"checked": True, "equal": self.fold_equal},
            "base_recheck": {
                "paths": self.rechecked_paths,
                "conflicts": [conflict.to_dict() for conflict in self.conflicts],
            },
            "commit_problem": self.commit_problem,
            "log": self.log.to_dict(),
            "excluded": list(EXCLUDED_METADATA),
            "confinement": confinement,
            "transport": self.transport,
            "files": {name: digest.hex for name, digest in self.files.items()},
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type, or the digest is not that
                of the rest.
        """
        fields = Fields(value, "proof")
        digest = fields.digest("digest")
        proof = cls._take(fields)
        fields.end()
        if proof.digest != digest:
            raise FormatError("proof", f"expected the digest {proof.digest} by its content, got {digest}")
        return proof

    @classmethod
    def _take(cls, fields: Fields) -> Self:
        schema = fields.schema_of({FIRST_PROOF_SCHEMA, PROOF_SCHEMA})
        if fields.texts("excluded") != EXCLUDED_METADATA:
            raise FormatError("proof", f"expected {', '.join(EXCLUDED_METADATA)} to be excluded")
        verdicts, policy, recheck, confinement, sealed = map(
            fields.part, ("verdicts", "policy", "base_recheck", "confinement", "files")
        )
        fold = fields.part("fold")
        is_null = fields.is_null("commit_problem")
        proof = cls(
            run_id=fields.run_id(),
            created=fields.time("created"),
            outcome=fields.choice("outcome", Outcome),
            exit_status=fields.number("exit_status"),
            command_status=fields.number("command_status"),
            isolated=verdicts.flag("isolated"),
            self_restored=verdicts.flag("self_restored"),
            domains=fields.parts("domains", DomainProof.take),
            outputs=fields.parts("outputs", OutputProof.take),
            leftovers=policy.choice("leftovers", Leftovers),
            rechecked_paths=recheck.number("paths"),
            conflicts=recheck.parts("conflicts", BaseConflict.take),
            commit_problem=None if is_null else fields.text("commit_problem"),
            log=LogSummary.take(fields.part("log")),
            confine=confinement.choice("mode", Confine),
            allow_write=confinement.data_list("allow_write"),
            transport=fields.text("transport"),
            files=sealed.digests(),
        )
        if not fold.flag("checked") or fold.flag("equal") != proof.fold_equal:
            raise FormatError("proof", f"expected a checked fold, {proof.fold_equal} by its roots")
        if proof.schema != schema:
            raise FormatError("proof", f"expected {proof.schema} by what it says of the base, got {schema}")
        for part in (verdicts, policy, recheck, confinement, fold):
            part.end()
        return proof
