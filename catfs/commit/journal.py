"""The journal of a commit: the file whose presence means that a commit is decided and must be finished.

Two files of one layout (docs/formats/journal.md) stand in the journal folder under the identity of a commit:

- `ID.staging` is there first. It says where new content may be lying about; the old state holds.
- `ID.journal` is published once every byte of new content is durable. From then on the new state holds,
  and whoever finds the file carries its steps out. It is removed last.

A file is believed only if it is whole: magic, length, SHA-256, and a payload that is exactly what encoding
its own meaning gives.
"""

import hashlib
import json
import os
import re
import struct
from typing import Final, TypeVar

from catfs.commit.plan import Action, Step
from catfs.digest import DIGEST_BYTES
from catfs.errors import FormatError
from catfs.limits import JSON_BYTES_MAX, TIME_NS_MAX, TIME_NS_MIN
from catfs.records import Entry, Kind, put_bytes
from catfs.records.fields import Fields
from catfs.records.names import check_absolute, check_relative
from catfs.values import dataclass

JOURNAL_SUFFIX: Final = b".journal"
STAGING_SUFFIX: Final = b".staging"

_JOURNAL_MAGIC: Final = b"catfs journal 1\n"
_STAGING_MAGIC: Final = b"catfs staging 1\n"
_LENGTH: Final = struct.Struct(">Q")
_HEAD_BYTES: Final = len(_JOURNAL_MAGIC) + _LENGTH.size
_HEADER_BYTES: Final = _HEAD_BYTES + DIGEST_BYTES
_IDENTITY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

assert len(_JOURNAL_MAGIC) == len(_STAGING_MAGIC) == 16

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DomainPlace:
    """A domain of a commit and where its new content is staged.

    Args:
        path: Absolute path of the domain.
        staged_inside: True when the stage is the folder `.catfs-stage.ID` of the domain, because the
            workspace is on another file system; False when it is `stage/ID` of the workspace.
        mtime_ns: Time of the last change of the domain's own directory before the commit, in nanoseconds
            since 1970: put back if the commit is given up.
    """

    path: bytes
    staged_inside: bool
    mtime_ns: int

    def __post_init__(self) -> None:
        check_absolute(self.path)
        _check_time(self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory as it must be when all steps are done.

    Args:
        domain: Index of the domain.
        path: Path relative to the domain.
        mode: Permission bits.
        mtime_ns: Time of its last change, in nanoseconds since 1970.
    """

    domain: int
    path: bytes
    mode: int
    mtime_ns: int

    def __post_init__(self) -> None:
        check_relative(self.path)
        _check_time(self.mtime_ns)
        if not 0 <= self.mode <= 0o7777:
            raise FormatError("commit folder", f"expected a mode from 0 to 0o7777, got {self.mode:#o}")


@dataclass(frozen=True, slots=True)
class Staging:
    """The record `ID.staging`: new content may be lying in these places, and the old state holds.

    Args:
        commit_id: Identity of the commit.
        domains: Its domains.
    """

    commit_id: str
    domains: tuple[DomainPlace, ...]

    def __post_init__(self) -> None:
        check_commit_id(self.commit_id)


@dataclass(frozen=True, slots=True)
class Journal:
    """The record `ID.journal`: a decided commit.

    Args:
        commit_id: Identity of the commit.
        domains: Its domains.
        steps: What to do, in order. New content of step N is staged under the decimal name N.
        folders: Directories to give their final mode and time after all steps, deepest first.
    """

    commit_id: str
    domains: tuple[DomainPlace, ...]
    steps: tuple[Step, ...]
    folders: tuple[Folder, ...]

    def __post_init__(self) -> None:
        check_commit_id(self.commit_id)
        items: tuple[Step | Folder, ...] = (*self.steps, *self.folders)
        for item in items:
            if not 0 <= item.domain < len(self.domains):
                raise FormatError(
                    "journal", f"expected a domain below {len(self.domains)}, got {item.domain}"
                )


def check_commit_id(commit_id: str) -> None:
    """Check that an identity is 1 to 128 letters, digits, `.`, `_` or `-` and starts with a letter or digit.

    Raises:
        FormatError: when it is not.
    """
    if not _IDENTITY.fullmatch(commit_id):
        raise FormatError(
            "commit identity", f"expected 1 to 128 letters, digits, '.', '_', '-', got {commit_id!r}"
        )


def encode_journal(journal: Journal) -> bytes:
    """Give the bytes of `ID.journal`."""
    return _encode(_JOURNAL_MAGIC, _journal_to_dict(journal))


def encode_staging(staging: Staging) -> bytes:
    """Give the bytes of `ID.staging`."""
    return _encode(_STAGING_MAGIC, _staging_to_dict(staging))


def decode_journal(data: bytes) -> Journal:
    """Read the bytes of `ID.journal`.

    Raises:
        FormatError: when they are not exactly what encode_journal gives.
    """
    fields = Fields(_decode("journal", _JOURNAL_MAGIC, data), "journal")
    journal = Journal(
        fields.text("commit_id"),
        fields.parts("domains", _take_place),
        fields.parts("steps", _take_step),
        fields.parts("folders", _take_folder),
    )
    fields.end()
    _check_canonical("journal", data, encode_journal(journal))
    return journal


def decode_staging(data: bytes) -> Staging:
    """Read the bytes of `ID.staging`.

    Raises:
        FormatError: when they are not exactly what encode_staging gives.
    """
    fields = Fields(_decode("staging record", _STAGING_MAGIC, data), "staging record")
    staging = Staging(fields.text("commit_id"), fields.parts("domains", _take_place))
    fields.end()
    _check_canonical("staging record", data, encode_staging(staging))
    return staging


def read_journal(folder: int, commit_id: str) -> Journal:
    """Read a journal from the journal folder.

    Args:
        folder: Descriptor of the journal folder.
        commit_id: Identity of the commit: the file name without its ending.

    Raises:
        OSError: when it cannot be read.
        FormatError: when it is damaged, or the journal of another commit.
    """
    journal = decode_journal(_read(folder, commit_id.encode() + JOURNAL_SUFFIX))
    return _named(journal, journal.commit_id, commit_id)


def read_staging(folder: int, commit_id: str) -> Staging:
    """Read a staging record from the journal folder.

    Args:
        folder: Descriptor of the journal folder.
        commit_id: Identity of the commit: the file name without its ending.

    Raises:
        OSError: when it cannot be read.
        FormatError: when it is damaged, or the record of another commit.
    """
    staging = decode_staging(_read(folder, commit_id.encode() + STAGING_SUFFIX))
    return _named(staging, staging.commit_id, commit_id)


def _journal_to_dict(journal: Journal) -> dict[str, object]:
    """Give the JSON object of a journal."""
    return {
        "commit_id": journal.commit_id,
        "domains": [_place_to_dict(place) for place in journal.domains],
        "steps": [
            {
                "domain": step.domain,
                "action": step.action.value,
                **_path_to_dict(step.path),
                "before": _entry_to_dict(step.before),
                "after": _entry_to_dict(step.after),
            }
            for step in journal.steps
        ],
        "folders": [
            {"domain": f.domain, **_path_to_dict(f.path), "mode": f.mode, "mtime_ns": f.mtime_ns}
            for f in journal.folders
        ],
    }


def _staging_to_dict(staging: Staging) -> dict[str, object]:
    """Give the JSON object of a staging record."""
    return {
        "commit_id": staging.commit_id,
        "domains": [_place_to_dict(place) for place in staging.domains],
    }


def _place_to_dict(place: DomainPlace) -> dict[str, object]:
    """Give the JSON object of a domain."""
    return {**_path_to_dict(place.path), "staged_inside": place.staged_inside, "mtime_ns": place.mtime_ns}


def _take_place(fields: Fields) -> DomainPlace:
    """Take the fields of a domain out of an object."""
    return DomainPlace(fields.data("path"), fields.flag("staged_inside"), fields.signed_number("mtime_ns"))


def _take_step(fields: Fields) -> Step:
    """Take the fields of a step out of an object."""
    return Step(
        fields.number("domain"),
        fields.choice("action", Action),
        fields.data("path"),
        _take_entry(fields, "before"),
        _take_entry(fields, "after"),
    )


def _take_folder(fields: Fields) -> Folder:
    """Take the fields of a folder out of an object."""
    return Folder(
        fields.number("domain"),
        fields.data("path"),
        fields.number("mode"),
        fields.signed_number("mtime_ns"),
    )


def _take_entry(fields: Fields, key: str) -> Entry | None:
    """Take an entry with its digest, whatever its kind; null is None."""
    if fields.is_null(key):
        return None
    part = fields.part(key)
    entry = Entry(part.choice("kind", Kind), part.number("mode"), part.number("size"), part.digest("digest"))
    part.end()
    return entry


def _entry_to_dict(entry: Entry | None) -> dict[str, object] | None:
    """Give the JSON object of an entry."""
    if entry is None:
        return None
    return {"kind": entry.kind.value, "mode": entry.mode, "size": entry.size, "digest": entry.digest.hex}


def _path_to_dict(path: bytes) -> dict[str, object]:
    """Give the field that a path stands in."""
    record: dict[str, object] = {}
    put_bytes(record, "path", path)
    return record


def _encode(magic: bytes, value: dict[str, object]) -> bytes:
    """Give header and payload of a record."""
    payload = json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
    head = magic + _LENGTH.pack(len(payload))
    return head + hashlib.sha256(head + payload).digest() + payload


def _decode(what: str, magic: bytes, data: bytes) -> object:
    """Give the JSON value of a record whose header vouches for it."""
    if data[: len(magic)] != magic:
        raise FormatError(what, f"expected the magic {magic!r}, got {data[: len(magic)]!r}")
    if len(data) < _HEADER_BYTES:
        raise FormatError(what, f"expected a header of {_HEADER_BYTES} bytes, got {len(data)}")
    (length,) = _LENGTH.unpack_from(data, len(magic))
    payload = data[_HEADER_BYTES:]
    if length != len(payload):
        raise FormatError(what, f"expected a payload of {length} bytes, got {len(payload)}")
    digest = hashlib.sha256(data[:_HEAD_BYTES] + payload).digest()
    if digest != data[_HEAD_BYTES:_HEADER_BYTES]:
        raise FormatError(
            what, f"expected SHA-256 {data[_HEAD_BYTES:_HEADER_BYTES].hex()}, got {digest.hex()}"
        )
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise FormatError(what, f"the payload is not JSON: {error}") from None


def _check_canonical(what: str, got: bytes, expected: bytes) -> None:
    """Refuse a record that says the same as another one in different bytes, or says more than it means."""
    if got != expected:
        raise FormatError(what, "expected the one canonical form of its content, got another")


def _check_time(time_ns: int) -> None:
    """Check that a time fits into 64 bits."""
    if not TIME_NS_MIN <= time_ns <= TIME_NS_MAX:
        raise FormatError("time", f"expected nanoseconds in 64 bits, got {time_ns}")


def _named(record: _T, got: str, expected: str) -> _T:
    """Give the record back if it carries the identity of its file name."""
    if got != expected:
        raise FormatError(f"record of commit {expected}", f"expected this identity in it, got {got!r}")
    return record


def _read(folder: int, name: bytes) -> bytes:
    """Read a whole file of a folder; one that shrinks meanwhile is caught by its length field."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        size = os.fstat(descriptor).st_size
        if size > JSON_BYTES_MAX:
            raise FormatError(f"record {name!r}", f"expected at most {JSON_BYTES_MAX} bytes, got {size}")
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)
