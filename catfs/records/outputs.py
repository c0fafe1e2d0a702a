"""What became of the declared outputs: OUTPUTS.json."""

from typing import Final, Self

from catfs.errors import FormatError
from catfs.records.fields import Fields, put_bytes, read_record
from catfs.records.manifest import Row
from catfs.records.names import check_absolute, check_relative
from catfs.values import dataclass

OUTPUTS_SCHEMA: Final = "outputs.v1"


@dataclass(frozen=True, slots=True)
class OutputNote:
    """One thing in which what is committed differs from the view, or that was created beside it.

    Args:
        kind: A word such as set_id_dropped, parent_created, xattr_dropped, owner_dropped.
        path: Relative to the domain.
        detail: What was left out; empty when there is no more to say.
    """

    kind: str
    path: bytes
    detail: str = ""

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {"kind": self.kind, "detail": self.detail}
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a note out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.text("kind"), fields.data("path"), fields.text("detail"))


@dataclass(frozen=True, slots=True)
class Output:
    """One declared output.

    Args:
        domain: Absolute path of the domain.
        path: Relative to the domain; b"" when the whole domain was declared.
        present: Whether the view had it at the end.
        committed: Whether it is in the domain now as listed.
        entries: It and everything below it, as a commit brings it into the domain, in the order of a walk;
            paths relative to the domain.
        notes: Where that differs from what the view had.
    """

    domain: bytes
    path: bytes
    present: bool
    committed: bool
    entries: tuple[Row, ...]
    notes: tuple[OutputNote, ...] = ()

    def __post_init__(self) -> None:
        check_absolute(self.domain)
        check_relative(self.path)
        if self.committed > self.present or bool(self.entries) != self.present:
            raise FormatError("output", "expected entries exactly when it is present, and then only a commit")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {
            "present": self.present,
            "committed": self.committed,
            "entries": [row.to_dict() for row in self.entries],
            "notes": [note.to_dict() for note in self.notes],
        }
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
            domain=fields.data("domain"),
            path=fields.data("path"),
            present=fields.flag("present"),
            committed=fields.flag("committed"),
            entries=fields.parts("entries", Row.take),
            notes=fields.parts("notes", OutputNote.take),
        )


@dataclass(frozen=True, slots=True)
class Outputs:
    """The declared outputs of a run.

    Args:
        run_id: The run.
        outputs: By domain in the order of the job, and in it in the order of declaration.
    """

    run_id: str
    outputs: tuple[Output, ...]

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        return {
            "schema": OUTPUTS_SCHEMA,
            "run_id": self.run_id,
            "outputs": [output.to_dict() for output in self.outputs],
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        return read_record(
            value,
            "outputs",
            OUTPUTS_SCHEMA,
            lambda fields: cls(fields.run_id(), fields.parts("outputs", Output.take)),
        )
