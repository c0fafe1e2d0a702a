"""The Merkle roots of the domains of a run: DOMAIN_ROOTS.json."""

from typing import Final, Self

from catfs.digest import Digest
from catfs.records.fields import Fields, put_bytes, read_record
from catfs.records.names import check_absolute
from catfs.values import dataclass

DOMAIN_ROOTS_SCHEMA: Final = "domain-roots.v1"

_ROOTS = ("base_root", "view_root", "replay_root", "post_root")


@dataclass(frozen=True, slots=True)
class DomainRoot:
    """The four roots of one domain.

    Args:
        path: Absolute path of the domain.
        base_root: Of the lower, before the run.
        view_root: Of the view, at the end.
        replay_root: Of what the write log leads to from the lower; equal to `view_root` in a sound run.
        post_root: Of what the domain holds after the commit, or after a run that committed nothing.
    """

    path: bytes
    base_root: Digest
    view_root: Digest
    replay_root: Digest
    post_root: Digest

    def __post_init__(self) -> None:
        check_absolute(self.path)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {key: getattr(self, key).hex for key in _ROOTS}
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a domain out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.data("path"), *(fields.digest(key) for key in _ROOTS))


@dataclass(frozen=True, slots=True)
class DomainRoots:
    """The roots of a run.

    Args:
        run_id: The run.
        domains: The domains, in the order of the job.
    """

    run_id: str
    domains: tuple[DomainRoot, ...]

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        return {
            "schema": DOMAIN_ROOTS_SCHEMA,
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
            "domain roots",
            DOMAIN_ROOTS_SCHEMA,
            lambda fields: cls(fields.run_id(), fields.parts("domains", DomainRoot.take, at_least=1)),
        )
