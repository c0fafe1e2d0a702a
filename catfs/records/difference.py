"""What the program changed: RESTORE_DIFF.json, split into declared changes and leftovers."""

from collections.abc import Iterable
from typing import Final, Self

from catfs.errors import FormatError
from catfs.records.change import Change, ChangeKind
from catfs.records.fields import Fields, entry_fields, listed_entry, put_bytes, read_record
from catfs.records.manifest import walk_key
from catfs.records.names import check_absolute, check_relative
from catfs.values import dataclass

RESTORE_DIFF_SCHEMA: Final = "restore-diff.v1"


def listed_change(change: Change) -> Change:
    """Give a change as run files list it: directories without their node digests.

    Raises:
        FormatError: when only a node digest changed, which is no change of the path itself.
    """
    before = None if change.before is None else listed_entry(change.before)
    after = None if change.after is None else listed_entry(change.after)
    return Change(change.path, before, after)


def change_fields(change: Change) -> dict[str, object]:
    """Give the JSON form of a listed change."""
    record: dict[str, object] = {
        "change": change.kind.value,
        "before": None if change.before is None else entry_fields(change.before),
        "after": None if change.after is None else entry_fields(change.after),
    }
    put_bytes(record, "path", change.path)
    return record


def take_change(fields: Fields) -> Change:
    """Take the fields of a change out of an object.

    Raises:
        FormatError: when one is missing or of the wrong type, or they contradict each other.
    """
    kind = fields.choice("change", ChangeKind)
    path = fields.data("path")
    check_relative(path)
    change = Change(path, fields.optional_entry("before"), fields.optional_entry("after"))
    if change.kind is not kind:
        raise FormatError(fields.what, f"expected {change.kind.value} by its entries, got {kind.value}")
    return change


@dataclass(frozen=True, slots=True)
class DomainDifference:
    """How the view of one domain differs from its lower. Directories have no node digests.

    Args:
        path: Absolute path of the domain.
        leftovers: Undeclared changes, in the order of a walk.
        declared: Changes at and below declared outputs, in the order of a walk.
    """

    path: bytes
    leftovers: tuple[Change, ...]
    declared: tuple[Change, ...]

    def __post_init__(self) -> None:
        check_absolute(self.path)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes, in the order of a walk."""
        return tuple(sorted((*self.leftovers, *self.declared), key=lambda change: walk_key(change.path)))

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {
            "leftovers": _list(self.leftovers),
            "declared": _list(self.declared),
        }
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a domain out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            fields.data("path"),
            fields.parts("leftovers", take_change),
            fields.parts("declared", take_change),
        )


@dataclass(frozen=True, slots=True)
class RestoreDiff:
    """How the views of a run differ from their lowers.

    Args:
        run_id: The run.
        domains: The domains, in the order of the job.
    """

    run_id: str
    domains: tuple[DomainDifference, ...]

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        return {
            "schema": RESTORE_DIFF_SCHEMA,
            "run_id": self.run_id,
            "domains": [domain.to_dict() for domain in self.domains],
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        return read_record(
            value,
            "restore difference",
            RESTORE_DIFF_SCHEMA,
            lambda fields: cls(fields.run_id(), fields.parts("domains", DomainDifference.take, at_least=1)),
        )


def _list(changes: Iterable[Change]) -> list[dict[str, object]]:
    return [change_fields(change) for change in changes]
