"""What a run keeps of its history: HISTORY.json, which the proof seals.

The bytes themselves are in HISTORY.data beside it: everything that was ever written in the session, and
behind that the originals that the commit replaced. That file may be removed; the record then still says
what it held.
"""

from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records.fields import Fields, put_bytes, put_bytes_list
from catfs.records.names import check_absolute, check_relative
from catfs.values import dataclass

HISTORY_SCHEMA: Final = "history.v1"


@dataclass(frozen=True, slots=True)
class KeptOriginal:
    """Content of the original that the commit of the run replaced or removed.

    Args:
        path: Relative to the domain: a file, whose content it is, or a symlink, whose target it is.
        digest: SHA-256 of it.
        offset: Where it is in the data, in bytes.
        size: Its length, in bytes.
    """

    path: bytes
    digest: Digest
    offset: int
    size: int

    def __post_init__(self) -> None:
        check_relative(self.path)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {"digest": self.digest.hex, "offset": self.offset, "size": self.size}
        put_bytes(record, "path", self.path)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a kept original out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            fields.data("path"), fields.digest("digest"), fields.number("offset"), fields.number("size")
        )


@dataclass(frozen=True, slots=True)
class HardLinkGroup:
    """One file of the original with several names.

    Args:
        paths: Its names, at least two, relative to the domain.
    """

    paths: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.paths) < 2:
            raise FormatError("hard links", f"expected at least two names, got {len(self.paths)}")
        for path in self.paths:
            check_relative(path)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {}
        put_bytes_list(record, "paths", self.paths)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the names out of an object.

        Raises:
            FormatError: when they are missing or of the wrong type.
        """
        return cls(fields.data_list("paths"))


@dataclass(frozen=True, slots=True)
class DomainHistory:
    """What is kept of one domain besides what was written in its view.

    Args:
        path: Absolute path of the domain.
        hard_links: Its files with several names, which its tree does not tell.
        originals: What the commit replaced or removed.
    """

    path: bytes
    hard_links: tuple[HardLinkGroup, ...]
    originals: tuple[KeptOriginal, ...]

    def __post_init__(self) -> None:
        check_absolute(self.path)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {
            "hard_links": [group.to_dict() for group in self.hard_links],
            "originals": [original.to_dict() for original in self.originals],
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
            fields.parts("hard_links", HardLinkGroup.take),
            fields.parts("originals", KeptOriginal.take),
        )


@dataclass(frozen=True, slots=True)
class History:
    """The history of a run.

    Args:
        run_id: The run.
        size: Bytes of HISTORY.data.
        digest: SHA-256 of it.
        domains: The domains, in the order of the job.
    """

    run_id: str
    size: int
    digest: Digest
    domains: tuple[DomainHistory, ...]

    def __post_init__(self) -> None:
        for domain in self.domains:
            for original in domain.originals:
                if original.offset + original.size > self.size:
                    end = original.offset + original.size
                    raise FormatError("history", f"expected originals within {self.size} bytes, got {end}")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/history.md)."""
        return {
            "schema": HISTORY_SCHEMA,
            "run_id": self.run_id,
            "size": self.size,
            "digest": self.digest.hex,
            "domains": [domain.to_dict() for domain in self.domains],
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "history")
        fields.schema(HISTORY_SCHEMA)
        history = cls(
            fields.run_id(),
            fields.number("size"),
            fields.digest("digest"),
            fields.parts("domains", DomainHistory.take, at_least=1),
        )
        fields.end()
        return history
