"""JSON objects field by field: how records are put into run files and taken out again, strictly."""

import base64
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import TypeVar

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.errors import FormatError, counted
from catfs.records.entry import Entry, Kind
from catfs.records.names import check_run_id
from catfs.records.timestamp import parse_time
from catfs.records.write_record import decode_base64, take_number

EXACT_MAX = 2**53 - 1
"""Largest whole number that every JSON reader keeps exactly; RFC 8785 allows no larger one."""

_Choice = TypeVar("_Choice", bound=Enum)
_Item = TypeVar("_Item")

_WITH_SIZE = frozenset({Kind.FILE, Kind.SYMLINK})
_WITH_DIGEST = _WITH_SIZE | {Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE}


def put_bytes(record: dict[str, object], key: str, value: bytes) -> None:
    """Put bytes into an object: as text where they are UTF-8, else in base64 under `KEY_base64`."""
    try:
        record[key] = value.decode()
    except UnicodeDecodeError:
        record[f"{key}_base64"] = base64.b64encode(value).decode()


def put_bytes_list(record: dict[str, object], key: str, values: Iterable[bytes]) -> None:
    """Put byte strings into an object: as texts where all are UTF-8, else all in base64."""
    values = list(values)
    try:
        record[key] = [value.decode() for value in values]
    except UnicodeDecodeError:
        record[f"{key}_base64"] = [base64.b64encode(value).decode() for value in values]


def put_table(record: dict[str, object], key: str, table: Mapping[bytes, object]) -> None:
    """Put a mapping whose keys are bytes into an object: those that are not UTF-8 apart, under `KEY_base64`.

    The second object is there only when it has something.

    Args:
        record: The object.
        key: The field.
        table: Bytes to any JSON value.
    """
    plain: dict[str, object] = {}
    encoded: dict[str, object] = {}
    for name, value in table.items():
        try:
            plain[name.decode()] = value
        except UnicodeDecodeError:
            encoded[base64.b64encode(name).decode()] = value
    record[key] = plain
    if encoded:
        record[f"{key}_base64"] = encoded


def put_large_number(record: dict[str, object], key: str, value: int) -> None:
    """Put a whole number into an object: as decimal text when it is beyond EXACT_MAX."""
    record[key] = value if value <= EXACT_MAX else str(value)


def parse_mode(value: object, what: str, key: str = "mode") -> int:
    """Read permission bits, which stand as four octal digits.

    Args:
        value: The text.
        what: Name of the record, for people.
        key: Name of the field.

    Raises:
        FormatError: when it is anything else.
    """
    if not isinstance(value, str) or len(value) != 4 or value.strip("01234567"):
        raise FormatError(what, f"expected four octal digits for {key}, got {value!r}")
    return int(value, 8)


def entry_fields(entry: Entry) -> dict[str, object]:
    """Give the JSON form of an entry, without the node digest of a directory.

    Whoever reads the run files has no nodes; what a directory holds follows from the paths below it.
    """
    record: dict[str, object] = {"kind": entry.kind.value, "mode": f"{entry.mode:04o}"}
    if entry.kind in _WITH_SIZE:
        put_large_number(record, "size", entry.size)
    if entry.kind in _WITH_DIGEST:
        record["digest"] = entry.digest.hex
    return record


def describe_entry(entry: Entry | None) -> str:
    """Give an entry in words: kind, mode, and size and SHA-256 where its kind has them; None is nothing."""
    if entry is None:
        return "nothing"
    details = [f"mode {entry.mode:04o}"]
    if entry.kind in _WITH_SIZE:
        details.append(counted(entry.size, "byte"))
    if entry.kind in _WITH_DIGEST:
        details.append(f"SHA-256 {entry.digest}")
    return f"{entry.kind.value.replace('_', ' ')}, {', '.join(details)}"


def listed_entry(entry: Entry) -> Entry:
    """Give an entry as run files list it: a directory without its node digest."""
    return Entry(Kind.DIRECTORY, entry.mode) if entry.kind is Kind.DIRECTORY else entry


def read_record(value: object, what: str, schema: str, take: "Callable[[Fields], _Item]") -> _Item:
    """Read the whole of a record: its schema by name, its fields, and nothing besides.

    Args:
        value: What should be the record.
        what: Name of the record, for people.
        schema: The schema that it must name.
        take: Takes all other fields.

    Raises:
        FormatError: when a field is missing, unknown or of the wrong type.
    """
    fields = Fields(value, what)
    fields.schema(schema)
    record = take(fields)
    fields.end()
    return record


class Fields:
    """The fields of a JSON object, taken out one by one, so that what is left over is unknown.

    Args:
        value: What should be an object.
        what: Name of the record, for people.

    Raises:
        FormatError: when it is no object. Every method raises it when its field is missing or of the
            wrong type.
    """

    __slots__ = ("_rest", "what")

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise FormatError(what, f"expected a JSON object, got {type(value).__name__}")
        self._rest: dict[str, object] = dict(value)
        self.what = what

    def end(self) -> None:
        """Check that no field is left.

        Raises:
            FormatError: when there are fields that nobody knows.
        """
        if self._rest:
            raise FormatError(self.what, f"unknown fields: {', '.join(sorted(map(str, self._rest)))}")

    def schema(self, name: str) -> None:
        """Take the name of the schema, which must be this one."""
        got = self._rest.pop("schema", None)
        if got != name:
            raise FormatError(self.what, f"expected the schema {name}, got {got!r}")

    def schema_of(self, names: Collection[str]) -> str:
        """Take the name of the schema, which must be one of these, and give it."""
        got = self._rest.pop("schema", None)
        if not isinstance(got, str) or got not in names:
            raise FormatError(self.what, f"expected {' or '.join(sorted(names))} as schema, got {got!r}")
        return got

    def has(self, key: str) -> bool:
        """Say whether a field is there."""
        return key in self._rest

    def value(self, key: str) -> object:
        """Take a value of any type."""
        try:
            return self._rest.pop(key)
        except KeyError:
            raise FormatError(self.what, f"the field {key} is missing") from None

    def is_null(self, key: str) -> bool:
        """Say whether a field is there and null; then it is taken."""
        if key in self._rest and self._rest[key] is None:
            del self._rest[key]
            return True
        return False

    def text(self, key: str) -> str:
        """Take a text."""
        value = self.value(key)
        if not isinstance(value, str):
            raise FormatError(self.what, f"expected a text for {key}, got {value!r}")
        return value

    def run_id(self) -> str:
        """Take the run id."""
        run_id = self.text("run_id")
        check_run_id(run_id)
        return run_id

    def number(self, key: str) -> int:
        """Take a whole number of at least 0."""
        return take_number(self._rest, key, self.what)

    def signed_number(self, key: str) -> int:
        """Take a whole number that may be negative."""
        return take_number(self._rest, key, self.what, signed=True)

    def large_number(self, key: str) -> int:
        """Take a whole number of at least 0 that may be beyond EXACT_MAX, and is a decimal text then."""
        text = self._rest.get(key)
        if not isinstance(text, str):
            return self.number(key)
        del self._rest[key]
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and str(int(text)) == text):
            raise FormatError(self.what, f"expected a decimal number for {key}, got {text!r}")
        if int(text) <= EXACT_MAX:
            raise FormatError(self.what, f"expected the plain number {text} for {key}, got a text")
        return int(text)

    def flag(self, key: str) -> bool:
        """Take a truth value."""
        value = self.value(key)
        if not isinstance(value, bool):
            raise FormatError(self.what, f"expected true or false for {key}, got {value!r}")
        return value

    def data(self, key: str) -> bytes:
        """Take bytes, which stand as text, or in base64 under `KEY_base64` when they are not UTF-8."""
        encoded_key = f"{key}_base64"
        if encoded_key not in self._rest:
            return self._encode(self.text(key), key)
        if key in self._rest:
            raise FormatError(self.what, f"expected {key} or {encoded_key}, got both")
        value = self._decode(self.text(encoded_key), encoded_key)
        if _is_text(value):
            raise FormatError(self.what, f"expected {key} for what is text, got {encoded_key}")
        return value

    def data_list(self, key: str) -> tuple[bytes, ...]:
        """Take byte strings, which stand as texts, or all in base64 when one is not UTF-8."""
        encoded_key = f"{key}_base64"
        if encoded_key not in self._rest:
            return tuple(self._encode(text, key) for text in self._texts(key))
        if key in self._rest:
            raise FormatError(self.what, f"expected {key} or {encoded_key}, got both")
        values = tuple(self._decode(text, encoded_key) for text in self._texts(encoded_key))
        if all(map(_is_text, values)):
            raise FormatError(self.what, f"expected {key} for what is text, got {encoded_key}")
        return values

    def table(self, key: str) -> dict[bytes, object]:
        """Take an object whose keys are bytes; those that are not UTF-8 stand apart, under `KEY_base64`."""
        found = {self._encode(name, key): value for name, value in self._object(key).items()}
        encoded_key = f"{key}_base64"
        if encoded_key not in self._rest:
            return found
        encoded = self._object(encoded_key)
        if not encoded:
            raise FormatError(self.what, f"expected {encoded_key} only where a key is not text")
        for name, value in encoded.items():
            raw = self._decode(name, encoded_key)
            if _is_text(raw):
                raise FormatError(self.what, f"expected {key} for what is text, got {encoded_key}")
            found[raw] = value
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts."""
        return tuple(self._texts(key))

    def blobs(self, key: str) -> tuple[bytes, ...]:
        """Take a list of byte strings that stand in base64, whatever they are."""
        return tuple(self._decode(text, key) for text in self._texts(key))

    def digest(self, key: str) -> Digest:
        """Take a digest."""
        value = self.value(key)
        try:
            return Digest.from_hex(value)
        except FormatError as error:
            raise FormatError(self.what, f"{key}: {error.problem}") from error

    def digests(self) -> dict[str, Digest]:
        """Take every field that is left; each is a digest."""
        return {key: self.digest(key) for key in list(self._rest)}

    def time(self, key: str) -> int:
        """Take a time and give nanoseconds since 1970."""
        value = self.value(key)
        try:
            return parse_time(value)
        except FormatError as error:
            raise FormatError(self.what, f"{key}: {error.problem}") from error

    def choice(self, key: str, choices: type[_Choice]) -> _Choice:
        """Take the value of an enumeration."""
        value = self.value(key)
        for choice in choices:
            if choice.value == value:
                return choice
        allowed = ", ".join(str(choice.value) for choice in choices)
        raise FormatError(self.what, f"expected one of {allowed} for {key}, got {value!r}")

    def part(self, key: str) -> "Fields":
        """Take an object."""
        return Fields(self.value(key), f"{self.what}, {key}")

    def parts(self, key: str, read: "Callable[[Fields], _Item]", *, at_least: int = 0) -> tuple[_Item, ...]:
        """Take a list of objects.

        Args:
            key: The field.
            read: Reads one of them, but for its end.
            at_least: Fewest objects.
        """
        value = self.value(key)
        if not isinstance(value, list):
            raise FormatError(self.what, f"expected a list for {key}, got {type(value).__name__}")
        if len(value) < at_least:
            raise FormatError(self.what, f"expected at least {at_least} {key}, got {len(value)}")
        items = []
        for index, item in enumerate(value):
            fields = Fields(item, f"{self.what}, {key} {index}")
            items.append(read(fields))
            fields.end()
        return tuple(items)

    def mode(self, key: str) -> int:
        """Take permission bits, which stand as four octal digits."""
        return parse_mode(self.text(key), self.what, key)

    def entry(self) -> Entry:
        """Take the fields of an entry out of this object."""
        kind = self.choice("kind", Kind)
        mode = self.mode("mode")
        size = self.large_number("size") if kind in _WITH_SIZE else 0
        digest = self.digest("digest") if kind in _WITH_DIGEST else EMPTY_DIGEST
        return Entry(kind, mode, size, digest)

    def optional_entry(self, key: str) -> Entry | None:
        """Take an entry that stands as an object of its own; null is None."""
        if self.is_null(key):
            return None
        fields = self.part(key)
        entry = fields.entry()
        fields.end()
        return entry

    def _object(self, key: str) -> dict[str, object]:
        value = self.value(key)
        if not isinstance(value, dict):
            raise FormatError(self.what, f"expected an object for {key}, got {type(value).__name__}")
        return value

    def _texts(self, key: str) -> list[str]:
        value = self.value(key)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise FormatError(self.what, f"expected a list of texts for {key}")
        return value

    def _encode(self, text: str, key: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            raise FormatError(self.what, f"{key} is not text") from None

    def _decode(self, text: str, key: str) -> bytes:
        value = decode_base64(text, key, self.what)
        if base64.b64encode(value).decode() != text:
            raise FormatError(self.what, f"expected the usual base64 for {key}")
        return value


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
