"""The ledger of a run in one record: LEDGER.json, which names the other files and tells what was decided.

Everything in it that follows from other files is made again when the run is verified; it believes nothing.
"""

from collections.abc import Mapping
from enum import Enum
from itertools import pairwise
from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records.fields import Fields
from catfs.records.timestamp import format_time
from catfs.values import dataclass

LEDGER_SCHEMA: Final = "ledger.v1"

REFERENCED_FILES: Final[Mapping[str, str]] = {
    "jobspec": "JOBSPEC.json",
    "pre_manifest": "PRE_MANIFEST.json",
    "post_manifest": "POST_MANIFEST.json",
    "restore_diff": "RESTORE_DIFF.json",
    "outputs": "OUTPUTS.json",
    "write_log": "WRITE_LOG.jsonl.zst",
}
"""Field of the ledger to the file that it refers to."""


class RunPhase(Enum):
    """The phases of a run, in their order."""

    VALIDATE = "validate"
    SNAPSHOT = "snapshot"
    EXECUTE = "execute"
    POST_SNAPSHOT = "post-snapshot"
    VERIFY = "verify"
    RECORD = "record"


_ORDER = {phase: number for number, phase in enumerate(RunPhase)}


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the decision log.

    Args:
        time: When, in nanoseconds since 1970.
        phase: In which phase.
        decision: What was decided, in a few words.
        detail: On what grounds; may be empty.
    """

    time: int
    phase: RunPhase
    decision: str
    detail: str = ""

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "time": format_time(self.time),
            "phase": self.phase.value,
            "decision": self.decision,
            "detail": self.detail,
        }

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a decision out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            fields.time("time"),
            fields.choice("phase", RunPhase),
            fields.text("decision"),
            fields.text("detail"),
        )


@dataclass(frozen=True, slots=True)
class StepNote:
    """What the ledger says of a step besides its result.

    Args:
        index: Its place, counted from 1.
        timeout: Longest time that it might take, in nanoseconds; None for no limit.
        timed_out: Whether it was ended because of that.
        view_roots: Merkle root of each domain's view after it; empty when it was not taken.
    """

    index: int
    timeout: int | None = None
    timed_out: bool = False
    view_roots: tuple[Digest, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "index": self.index,
            "timeout_ns": self.timeout,
            "timed_out": self.timed_out,
            "view_roots": [root.hex for root in self.view_roots],
        }

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a step out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            fields.number("index"),
            None if fields.is_null("timeout_ns") else fields.number("timeout_ns"),
            fields.flag("timed_out"),
            tuple(Digest.from_hex(root) for root in fields.texts("view_roots")),
        )


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """The ledger of a run.

    Args:
        run_id: The run.
        references: Field of REFERENCED_FILES to the SHA-256 of that file.
        keep_going: Whether steps go on after one that failed.
        steps: What is said of each step that ran, in order.
        decisions: The decision log, in the order of time and phases.
        restoration_verified: Whether the domains are proven to be as they were but for declared outputs,
            and these are committed.
        declared: The job specification as it was given (jobspec.v2), or None for a command line.
    """

    run_id: str
    references: Mapping[str, Digest]
    keep_going: bool
    steps: tuple[StepNote, ...]
    decisions: tuple[Decision, ...]
    restoration_verified: bool
    declared: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if self.references.keys() != REFERENCED_FILES.keys():
            raise FormatError("ledger", f"expected references to {', '.join(REFERENCED_FILES)}")
        for before, after in pairwise(self.decisions):
            if after.time < before.time or _ORDER[after.phase] < _ORDER[before.phase]:
                raise FormatError("ledger", f"the decision {after.decision!r} stands before its time")
        if [step.index for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise FormatError("ledger", "expected steps that are counted from 1")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        record: dict[str, object] = {
            key: {"file": file, "digest": self.references[key].hex} for key, file in REFERENCED_FILES.items()
        }
        record |= {
            "schema": LEDGER_SCHEMA,
            "run_id": self.run_id,
            "keep_going": self.keep_going,
            "steps": [step.to_dict() for step in self.steps],
            "decision_log": [decision.to_dict() for decision in self.decisions],
            "restoration_verified": self.restoration_verified,
            "declared": None if self.declared is None else dict(self.declared),
        }
        return record

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form. What was declared is taken as it is: its own validator judges it.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "ledger")
        fields.schema(LEDGER_SCHEMA)
        ledger = cls(
            run_id=fields.run_id(),
            references={key: _reference(fields.part(key), file) for key, file in REFERENCED_FILES.items()},
            keep_going=fields.flag("keep_going"),
            steps=fields.parts("steps", StepNote.take),
            decisions=fields.parts("decision_log", Decision.take),
            restoration_verified=fields.flag("restoration_verified"),
            declared=None if fields.is_null("declared") else _declared(fields.value("declared")),
        )
        fields.end()
        return ledger


def _reference(fields: Fields, file: str) -> Digest:
    if (got := fields.text("file")) != file:
        raise FormatError(fields.what, f"expected the file {file}, got {got!r}")
    digest = fields.digest("digest")
    fields.end()
    return digest


def _declared(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise FormatError("ledger", f"expected an object for declared, got {type(value).__name__}")
    return value
