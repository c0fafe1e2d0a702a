"""What the domains were at one moment: PRE_MANIFEST.json and POST_MANIFEST.json, in one of two forms.

As trees: the root of each domain, and those nodes of its tree that are needed to verify the run; the whole
tree is in the store of the workspace. So a manifest costs what was changed. Flat: every path of each domain,
as rows in the order of a walk: a directory before everything below it, names of one directory ascending. That
root and nodes or rows belong together is checked where trees are known (proof).
"""

import base64
from enum import Enum
from itertools import pairwise
from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError, printable
from catfs.records.entry import Entry, Kind
from catfs.records.fields import Fields, entry_fields, listed_entry, put_bytes
from catfs.records.names import check_absolute, check_relative
from catfs.values import dataclass

FLAT_MANIFEST_SCHEMA: Final = "manifest.v1"
"""Of a manifest with every path."""

MANIFEST_SCHEMA: Final = "manifest.v2"
"""Of a manifest with roots of trees."""


class Moment(Enum):
    """When a manifest was taken."""

    PRE = "pre"
    """Before the run."""
    POST = "post"
    """After the commit, or after a run that committed nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One path of a domain.

    Args:
        path: Relative to the domain; b"" for the domain itself.
        entry: What is there; a directory without its node digest.
    """

    path: bytes
    entry: Entry

    def __post_init__(self) -> None:
        check_relative(self.path)
        object.__setattr__(self, "entry", listed_entry(self.entry))

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record = entry_fields(self.entry)
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a row out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.data("path"), fields.entry())


@dataclass(frozen=True, slots=True)
class DomainManifest:
    """Every path of one domain.

    Args:
        path: Absolute path of the domain.
        root: Merkle root over the rows.
        rows: All paths in the order of a walk, the domain itself first.
    """

    path: bytes
    root: Digest
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        check_absolute(self.path)
        if not self.rows or self.rows[0].path or self.rows[0].entry.kind is not Kind.DIRECTORY:
            raise FormatError("manifest", "expected a first row with the directory of the domain itself")
        for before, after in pairwise(self.rows):
            if walk_key(before.path) >= walk_key(after.path):
                problem = f"{printable(after.path)} stands twice or in the wrong place"
                raise FormatError("manifest", f"expected the order of a walk, but {problem}")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {"root": self.root.hex, "rows": [row.to_dict() for row in self.rows]}
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a domain out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.data("path"), fields.digest("root"), fields.parts("rows", Row.take))


@dataclass(frozen=True, slots=True)
class DomainTree:
    """One domain by the root of its tree.

    Args:
        path: Absolute path of the domain.
        root: Merkle root of its tree.
        nodes: Nodes of the tree, with their tag bytes, ascending by their digests without repeats: those that
            are read when the run is verified. All of them are in the store.
    """

    path: bytes
    root: Digest
    nodes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_absolute(self.path)
        digests = list(map(Digest.of, self.nodes))
        if any(before >= after for before, after in pairwise(digests)):
            raise FormatError("manifest", "expected nodes that ascend by their digests, each once")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        nodes = [base64.b64encode(node).decode() for node in self.nodes]
        record: dict[str, object] = {"root": self.root.hex, "nodes": nodes}
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a domain out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.data("path"), fields.digest("root"), fields.blobs("nodes"))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What every domain of a run was.

    Args:
        run_id: The run.
        moment: When it was taken.
        domains: The domains, in the order of the job, all in the same form.
    """

    run_id: str
    moment: Moment
    domains: tuple[DomainManifest | DomainTree, ...]

    def __post_init__(self) -> None:
        if len({type(domain) for domain in self.domains}) != 1:
            raise FormatError("manifest", "expected one form for all domains, of which there is at least one")

    @property
    def is_flat(self) -> bool:
        """Whether it lists every path."""
        return isinstance(self.domains[0], DomainManifest)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        return {
            "schema": FLAT_MANIFEST_SCHEMA if self.is_flat else MANIFEST_SCHEMA,
            "run_id": self.run_id,
            "moment": self.moment.value,
            "domains": [domain.to_dict() for domain in self.domains],
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type, or rows or nodes are out of
                order.
        """
        fields = Fields(value, "manifest")
        schema = fields.schema_of({FLAT_MANIFEST_SCHEMA, MANIFEST_SCHEMA})
        run_id, moment = fields.run_id(), fields.choice("moment", Moment)
        domains: tuple[DomainManifest | DomainTree, ...]
        if schema == FLAT_MANIFEST_SCHEMA:
            domains = fields.parts("domains", DomainManifest.take, at_least=1)
        else:
            domains = fields.parts("domains", DomainTree.take, at_least=1)
        fields.end()
        return cls(run_id, moment, domains)


def walk_key(path: bytes) -> list[bytes]:
    """Give the sort key of the order of a walk: `a`, `a/b`, `a-b`."""
    return path.split(b"/") if path else []
