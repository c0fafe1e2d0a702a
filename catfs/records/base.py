"""How the base of a run is known: whether all of a domain was looked at, and when."""

from enum import Enum
from typing import Self

from catfs.records.fields import Fields
from catfs.records.timestamp import format_time
from catfs.values import dataclass


class BaseKind(Enum):
    """How much of a domain was looked at during a run."""

    FULL = "full"
    """Every name: the base root is that of the whole domain."""
    KNOWN = "known"
    """What the run used; the rest is what the last full reading said."""


@dataclass(frozen=True, slots=True)
class BaseNote:
    """How the base of one domain is known.

    Args:
        kind: How much of it was looked at.
        read: When the full reading that it rests on began, in nanoseconds since 1970.
        names: Names whose attributes were looked at during the run, counted.
    """

    kind: BaseKind
    read: int
    names: int

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {"kind": self.kind.value, "read": format_time(self.read), "names": self.names}

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a note out of an object, which has no others.

        Raises:
            FormatError: when one is missing, unknown or of the wrong type.
        """
        note = cls(fields.choice("kind", BaseKind), fields.time("read"), fields.number("names"))
        fields.end()
        return note
