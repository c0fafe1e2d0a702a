"""The records of a write log, as they are read back."""

import base64
import binascii
from collections.abc import Mapping
from typing import Self

from catfs.errors import FormatError
from catfs.values import dataclass

OPERATIONS = frozenset(
    {
        "create",
        "mkdir",
        "mknod",
        "symlink",
        "link",
        "unlink",
        "rmdir",
        "rename",
        "write",
        "truncate",
        "fallocate",
        "setattr",
        "setxattr",
        "removexattr",
        "read",
        "base",
        "content",
        "sync",
        "undo",
    }
)
"""Every operation on a path. The records of processes have the operation `process`."""

OF_THE_SESSION = frozenset({"base", "content", "sync", "undo"})
"""Operations that catfs notes on its own account: no program read or changed anything by them."""

UNCHANGING = OF_THE_SESSION | {"read"}
"""Operations that change nothing by themselves: an `undo` only says which changes count no more."""

_NUMBERS = {
    "offset",
    "length",
    "mode",
    "uid",
    "gid",
    "rdev",
    "atime",
    "mtime",
    "ctime",
    "size",
    "flags",
    "data",
    "ino2",
    "first",
}
_SIGNED = {"atime", "mtime", "ctime"}
_BYTES = {"path2", "name", "value", "digest"}


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One change.

    Args:
        seq: Position in the log, counted from 0.
        t: Time of day, in nanoseconds since 1970.
        op: One of OPERATIONS.
        domain: Index of the domain in the session.
        path: Path relative to the domain.
        ino: Inode number in the view.
        pid: Thread id of the process that did it; 0 for the kernel.
        numbers: The other numbers of the record, by field name.
        texts: The other byte strings of the record, by field name.
        unlinked: Whether the file had no name any more.
    """

    seq: int
    t: int
    op: str
    domain: int
    path: bytes
    ino: int
    pid: int
    numbers: Mapping[str, int]
    texts: Mapping[str, bytes]
    unlinked: bool = False

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Self:
        """Read a record.

        Args:
            fields: The JSON object of one line.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        rest = dict(fields)
        seq = take_number(rest, "seq")
        what = f"record {seq}"
        op = rest.pop("op", None)
        if not isinstance(op, str) or op not in OPERATIONS:
            raise FormatError(what, f"expected an operation of the write log, got {op!r}")
        path = take_bytes(rest, "path", what)
        if path is None:
            raise FormatError(what, "the field path is missing")
        texts = {}
        for key in _BYTES:
            value = take_bytes(rest, key, what)
            if value is not None:
                texts[key] = value
        record = cls(
            seq=seq,
            t=take_number(rest, "t", what),
            op=op,
            domain=take_number(rest, "domain", what, default=0),
            path=path,
            ino=take_number(rest, "ino", what),
            pid=take_number(rest, "pid", what),
            numbers={
                key: take_number(rest, key, what, signed=key in _SIGNED) for key in _NUMBERS & rest.keys()
            },
            texts=texts,
            unlinked=take_flag(rest, "unlinked", what),
        )
        if rest:
            raise FormatError(what, f"unknown fields: {', '.join(sorted(rest))}")
        return record

    def number(self, key: str) -> int:
        """Give a number that the operation must have.

        Raises:
            FormatError: when it is missing.
        """
        try:
            return self.numbers[key]
        except KeyError:
            raise FormatError(f"record {self.seq}", f"{self.op} needs the field {key}") from None

    def text(self, key: str) -> bytes:
        """Give bytes that the operation must have.

        Raises:
            FormatError: when they are missing.
        """
        try:
            return self.texts[key]
        except KeyError:
            raise FormatError(f"record {self.seq}", f"{self.op} needs the field {key}") from None


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process at its first change, or after it became another program.

    Args:
        seq: Position in the log.
        t: Time of day of that change, in nanoseconds since 1970.
        pid: Thread id.
        process: Id of its process.
        parent: Id of the parent process.
        start: Start time, in clock ticks since boot; 0 when the process was gone already.
        exe: Path of the executable; b"" when unknown.
        argv: Its arguments.
        cwd: Its working directory; b"" when unknown.
        uid: Its user id.
    """

    seq: int
    t: int
    pid: int
    process: int
    parent: int
    start: int
    exe: bytes
    argv: tuple[bytes, ...]
    cwd: bytes
    uid: int

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Self:
        """Read a record whose operation is `process`.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        rest = dict(fields)
        seq = take_number(rest, "seq")
        what = f"record {seq}"
        if rest.pop("op", None) != "process":
            raise FormatError(what, "expected the operation process")
        record = cls(
            seq=seq,
            t=take_number(rest, "t", what),
            pid=take_number(rest, "pid", what),
            process=take_number(rest, "process", what),
            parent=take_number(rest, "parent", what),
            start=take_number(rest, "start", what),
            exe=take_bytes(rest, "exe", what) or b"",
            argv=_take_arguments(rest, what),
            cwd=take_bytes(rest, "cwd", what) or b"",
            uid=take_number(rest, "uid", what),
        )
        if rest:
            raise FormatError(what, f"unknown fields: {', '.join(sorted(rest))}")
        return record


Record = WriteRecord | ProcessRecord


def record_from_dict(fields: object) -> Record:
    """Read any record of a write log.

    Raises:
        FormatError: when it is none.
    """
    if not isinstance(fields, dict):
        raise FormatError("record", f"expected a JSON object, got {type(fields).__name__}")
    if fields.get("op") == "process":
        return ProcessRecord.from_dict(fields)
    return WriteRecord.from_dict(fields)


def take_number(
    fields: dict[str, object],
    key: str,
    what: str = "record",
    *,
    signed: bool = False,
    default: int | None = None,
) -> int:
    """Remove a whole number of at most 64 bits, sign included, from a JSON object and give it.

    Args:
        signed: Whether it may be negative.
        default: What a missing field means; None when it may not be missing.

    Raises:
        FormatError: when it is missing or something else.
    """
    value = fields.pop(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or (value < 0 and not signed):
        raise FormatError(what, f"expected a whole number for {key}, got {value!r}")
    if not -(1 << 63) <= value < 1 << 63:
        raise FormatError(what, f"expected a number of 64 bits for {key}, got {value}")
    return value


def take_flag(fields: dict[str, object], key: str, what: str) -> bool:
    """Remove a truth value from a JSON object and give it; a missing one is false.

    Raises:
        FormatError: when it is something else.
    """
    value = fields.pop(key, False)
    if not isinstance(value, bool):
        raise FormatError(what, f"expected true or false for {key}, got {value!r}")
    return value


def take_bytes(fields: dict[str, object], key: str, what: str) -> bytes | None:
    """Remove bytes, given as text or in base64 under `KEY_base64`, from a JSON object.

    Raises:
        FormatError: when both or something else is there.
    """
    plain, encoded = fields.pop(key, None), fields.pop(f"{key}_base64", None)
    if plain is None and encoded is None:
        return None
    if plain is not None and encoded is None and isinstance(plain, str):
        try:
            return plain.encode()
        except UnicodeEncodeError:
            raise FormatError(what, f"{key} is not text") from None
    if plain is None and isinstance(encoded, str):
        return decode_base64(encoded, f"{key}_base64", what)
    raise FormatError(what, f"expected text for {key} or base64 for {key}_base64")


def decode_base64(text: str, key: str, what: str) -> bytes:
    """Decode base64.

    Raises:
        FormatError: when it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(what, f"expected base64 for {key}") from None


def _take_arguments(fields: dict[str, object], what: str) -> tuple[bytes, ...]:
    plain, encoded = fields.pop("argv", None), fields.pop("argv_base64", None)
    values = encoded if plain is None else plain
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise FormatError(what, "expected a list of texts for argv")
    if plain is None:
        return tuple(decode_base64(value, "argv_base64", what) for value in values)
    return tuple(value.encode("utf-8", "surrogatepass") for value in values)
