"""One path at which two trees differ."""

from enum import Enum

from catfs.errors import FormatError
from catfs.records.entry import Entry
from catfs.values import dataclass


class ChangeKind(Enum):
    """How a path differs between an earlier and a later tree."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """A path at which two trees differ.

    Args:
        path: Path relative to the domain, `/` between names, b"" for the domain itself.
        before: Its entry in the earlier tree; None when it is not there.
        after: Its entry in the later tree; None when it is not there.
    """

    path: bytes
    before: Entry | None
    after: Entry | None

    def __post_init__(self) -> None:
        if self.before == self.after:
            raise FormatError("change", "before and after are the same, so nothing changed")

    @property
    def kind(self) -> ChangeKind:
        """Whether the path was added, removed or changed."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED
