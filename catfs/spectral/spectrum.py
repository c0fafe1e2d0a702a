"""The spectrum of a domain: everything that its root seals, with contents named by digest (SPECTRUM.json).

A spectrum and a store that holds the contents are the whole domain. A spectrum that exists is sound: its
paths make a tree, so none is absolute, leads upwards, or lies below something that is no directory.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Final, NamedTuple, Self

from catfs.digest import Digest
from catfs.errors import FormatError, printable
from catfs.merkle import MemoryNodes, PathError, Tree
from catfs.records import Entry, Kind, listed_entry, put_bytes, put_table
from catfs.records.entry import device_digest
from catfs.records.fields import Fields, parse_mode, put_large_number
from catfs.values import dataclass

SPECTRUM_SCHEMA: Final = "spectrum.v1"

USUAL_MODE: Final = 0o644
"""Permission bits of a file that is not listed under `modes`: those of nearly every file."""

TARGET_BYTES_MAX: Final = 4095
"""Longest target of a symlink, in bytes: PATH_MAX of Linux without the NUL."""

_LINK_MODE = 0o777
_DEVICES = frozenset({Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE})
_SPECIAL = _DEVICES | {Kind.FIFO, Kind.SOCKET}


class Device(NamedTuple):
    """A device number.

    Args:
        major: Which driver.
        minor: Which of its devices.
    """

    major: int
    minor: int

    @property
    def number(self) -> int:
        """The number as stat reports it."""
        return os.makedev(self.major, self.minor)


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Everything that the root of a domain seals.

    Args:
        entries: Path to entry, b"" for the domain itself; directories are kept without node digests.
        targets: Path of each symlink to its target.
        devices: Path of each device to its number.

    Raises:
        FormatError: when the paths make no tree, or targets and devices do not fit the entries.
    """

    entries: Mapping[bytes, Entry]
    targets: Mapping[bytes, bytes]
    devices: Mapping[bytes, Device]
    tree: Tree = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        listed = {path: listed_entry(entry) for path, entry in self.entries.items()}
        object.__setattr__(self, "entries", listed)
        self._check_targets()
        self._check_devices()
        try:
            tree = Tree.from_entries(MemoryNodes(), self.entries)
        except PathError as error:
            raise FormatError("spectrum", f"{printable(error.path)}: {error.problem}") from error
        object.__setattr__(self, "tree", tree)

    @property
    def root(self) -> Digest:
        """The domain root."""
        return self.tree.root

    def contents(self) -> dict[Digest, int]:
        """Give every content that a file has, once, with its size in bytes."""
        return {entry.digest: entry.size for entry in self.entries.values() if entry.kind is Kind.FILE}

    def files(self) -> Iterator[tuple[bytes, Entry]]:
        """Give path and entry of every regular file."""
        return (item for item in self.entries.items() if item[1].kind is Kind.FILE)

    def directory_roots(self) -> dict[bytes, Digest]:
        """Give for every directory the root that it would have as a domain of its own; b"" is the domain."""
        return {
            path: Tree(MemoryNodes(), entry).root
            for path, entry in self.tree.items()
            if entry.kind is Kind.DIRECTORY
        }

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/spectrum.md)."""
        kinds: dict[Kind, dict[bytes, Entry]] = {kind: {} for kind in Kind}
        for path, entry in self.entries.items():
            kinds[entry.kind][path] = entry
        files, directories = kinds[Kind.FILE], kinds[Kind.DIRECTORY]
        sizes: dict[str, object] = {}
        for digest, size in self.contents().items():
            put_large_number(sizes, digest.hex, size)
        record: dict[str, object] = {"schema": SPECTRUM_SCHEMA, "root": self.root.hex, "sizes": sizes}
        put_table(record, "files", {path: entry.digest.hex for path, entry in files.items()})
        unusual = {path: entry for path, entry in files.items() if entry.mode != USUAL_MODE}
        put_table(record, "modes", _mode_texts(unusual))
        put_table(record, "directories", _mode_texts(directories))
        _put_targets(record, self.targets)
        special = {path: self._special(path) for kind in _SPECIAL for path in kinds[kind]}
        put_table(record, "special", special)
        return record

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type, a path stands twice, the paths
                make no tree, or the tree has another root than is stated.
        """
        fields = Fields(value, "spectrum")
        fields.schema(SPECTRUM_SCHEMA)
        root = fields.digest("root")
        reading = _Reading()
        reading.take_files(fields)
        reading.take_directories(fields)
        reading.take_targets(fields)
        reading.take_special(fields)
        fields.end()
        spectrum = cls(reading.entries, reading.targets, reading.devices)
        if spectrum.root != root:
            raise FormatError("spectrum", f"expected paths with the root {root}, got {spectrum.root}")
        return spectrum

    def _special(self, path: bytes) -> dict[str, object]:
        entry = self.entries[path]
        record: dict[str, object] = {"kind": entry.kind.value, "mode": f"{entry.mode:04o}"}
        if path in self.devices:
            record.update(self.devices[path]._asdict())
        return record

    def _check_targets(self) -> None:
        links = {path for path, entry in self.entries.items() if entry.kind is Kind.SYMLINK}
        if links != self.targets.keys():
            raise FormatError("spectrum", "expected a target of each symlink and of nothing else")
        for path, target in self.targets.items():
            if not 0 < len(target) <= TARGET_BYTES_MAX or b"\0" in target:
                problem = f"{printable(path)}: expected a target of 1 to {TARGET_BYTES_MAX} bytes without NUL"
                raise FormatError("spectrum", problem)
            if self.entries[path] != link_entry(target):
                raise FormatError("spectrum", f"{printable(path)}: expected the entry of its target")

    def _check_devices(self) -> None:
        found = {path for path, entry in self.entries.items() if entry.kind in _DEVICES}
        if found != self.devices.keys():
            raise FormatError("spectrum", "expected a number of each device and of nothing else")
        for path, device in self.devices.items():
            if self.entries[path].digest != device_digest(device.number):
                raise FormatError("spectrum", f"{printable(path)}: expected the entry of its device number")


def link_entry(target: bytes) -> Entry:
    """Give the entry of a symlink with a target."""
    return Entry(Kind.SYMLINK, _LINK_MODE, len(target), Digest.of(target))


class _Reading:
    """Puts together what the tables of a JSON form say, each path once."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.targets: dict[bytes, bytes] = {}
        self.devices: dict[bytes, Device] = {}

    def take_files(self, fields: Fields) -> None:
        """Take the files, their sizes and unusual modes."""
        sizes = fields.part("sizes")
        modes = {path: _mode(value, path) for path, value in fields.table("modes").items()}
        known: dict[str, tuple[Digest, int]] = {}
        for path, text in fields.table("files").items():
            if not isinstance(text, str):
                raise FormatError("spectrum", f"{printable(path)}: expected the text of a digest")
            if text not in known:
                known[text] = Digest.from_hex(text), sizes.large_number(text)
            digest, size = known[text]
            mode = modes.pop(path, None)
            if mode == USUAL_MODE:
                problem = f"{printable(path)}: expected under modes only files of another mode than 0644"
                raise FormatError("spectrum", problem)
            self._add(path, Entry(Kind.FILE, USUAL_MODE if mode is None else mode, size, digest))
        sizes.end()
        if modes:
            raise FormatError("spectrum", f"{printable(min(modes))}: has a mode, but is not among the files")

    def take_directories(self, fields: Fields) -> None:
        """Take the directories."""
        for path, value in fields.table("directories").items():
            self._add(path, Entry(Kind.DIRECTORY, _mode(value, path)))

    def take_targets(self, fields: Fields) -> None:
        """Take the symlinks."""
        for path, value in fields.table("symlinks").items():
            self.targets[path] = Fields({"target": value}, "spectrum, symlinks").data("target")
        for path, value in fields.table("symlinks_to_bytes").items():
            target = Fields({"target_base64": value}, "spectrum, symlinks_to_bytes").data("target")
            if path in self.targets:
                raise FormatError("spectrum", f"{printable(path)} stands twice")
            self.targets[path] = target
        for path, target in self.targets.items():
            self._add(path, link_entry(target))

    def take_special(self, fields: Fields) -> None:
        """Take the files that are neither regular nor a directory nor a symlink."""
        for path, value in fields.table("special").items():
            item = Fields(value, f"spectrum, special, {printable(path)}")
            kind, mode = item.choice("kind", Kind), item.mode("mode")
            if kind not in _SPECIAL:
                raise FormatError(item.what, f"expected a special kind, got {kind.value}")
            if kind in _DEVICES:
                self.devices[path] = _device(item)
                self._add(path, Entry(kind, mode, 0, device_digest(self.devices[path].number)))
            else:
                self._add(path, Entry(kind, mode))
            item.end()

    def _add(self, path: bytes, entry: Entry) -> None:
        if path in self.entries:
            raise FormatError("spectrum", f"{printable(path)} stands twice")
        self.entries[path] = entry


def _put_targets(record: dict[str, object], targets: Mapping[bytes, bytes]) -> None:
    """Put the targets of symlinks: text as text, what is none in base64 in a table of its own."""
    texts: dict[bytes, object] = {}
    encoded: dict[bytes, object] = {}
    for path, target in targets.items():
        item: dict[str, object] = {}
        put_bytes(item, "target", target)
        ((key, value),) = item.items()
        (texts if key == "target" else encoded)[path] = value
    put_table(record, "symlinks", texts)
    put_table(record, "symlinks_to_bytes", encoded)


def _mode_texts(entries: Mapping[bytes, Entry]) -> dict[bytes, object]:
    return {path: f"{entry.mode:04o}" for path, entry in entries.items()}


def _mode(value: object, path: bytes) -> int:
    return parse_mode(value, f"spectrum, {printable(path) or 'the domain'}")


def _device(item: Fields) -> Device:
    """Take a device number, which must be one that Linux can have."""
    device = Device(item.number("major"), item.number("minor"))
    if device.major >= 1 << 12 or device.minor >= 1 << 20:
        raise FormatError(item.what, f"expected a device number of Linux, got {device.major}:{device.minor}")
    return device
