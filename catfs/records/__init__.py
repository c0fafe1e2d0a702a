"""What is written down: frozen records that check themselves, canonical bytes, schema validation."""

from catfs.records.change import Change, ChangeKind
from catfs.records.entry import Entry, Kind, kind_of_mode

__all__ = ["Change", "ChangeKind", "Entry", "Kind", "kind_of_mode"]
