"""The spectrum of a domain: what it holds, its JSON form, and what it refuses."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import MemoryNodes, Tree
from catfs.records import Entry, Kind, canonical_bytes, parse_canonical
from catfs.records.entry import device_digest
from catfs.records.schema import validate
from catfs.spectral import Device, Spectrum
from catfs.spectral.spectrum import link_entry

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
DEVICE = Device(8, 1)

ENTRIES: Mapping[bytes, Entry] = {
    b"": Entry(Kind.DIRECTORY, 0o755),
    b"a": Entry(Kind.FILE, 0o644, 3, ONE),
    b"d": Entry(Kind.DIRECTORY, 0o2775),
    b"d/empty": Entry(Kind.DIRECTORY, 0o700),
    b"d/same": Entry(Kind.FILE, 0o600, 3, ONE),
    b"d/\xff": Entry(Kind.FILE, 0o4755, 3, TWO),
    b"link": link_entry(b"a"),
    b"odd": link_entry(b"\xfe"),
    b"\xfe": link_entry(b"../\xe4"),
    b"\xfd": link_entry(b"a"),
    b"\xfc": Entry(Kind.DIRECTORY, 0o755),
    b"pipe": Entry(Kind.FIFO, 0o622),
    b"socket\xff": Entry(Kind.SOCKET, 0o777),
    b"disk": Entry(Kind.BLOCK_DEVICE, 0o660, 0, device_digest(DEVICE.number)),
    b"none": Entry(Kind.CHARACTER_DEVICE, 0o600),
}
TARGETS = {b"link": b"a", b"odd": b"\xfe", b"\xfe": b"../\xe4", b"\xfd": b"a"}
DEVICES = {b"disk": DEVICE, b"none": Device(0, 0)}


def sample() -> Spectrum:
    """Give a spectrum with an entry of every kind, and names and targets that are no text."""
    return Spectrum(ENTRIES, TARGETS, DEVICES)


def changed(**tables: object) -> dict[str, Any]:
    """Give the JSON form of the sample with more files and directories, and other tables replaced."""
    record: dict[str, Any] = sample().to_dict()
    for key, table in tables.items():
        is_added_to = key in {"files", "directories"} and isinstance(table, dict)
        record[key] = dict(record[key], **cast("dict[str, object]", table)) if is_added_to else table
    return record


def test_the_root_is_that_of_the_tree() -> None:
    """The same Merkle root as everywhere."""
    assert sample().root == Tree.from_entries(MemoryNodes(), ENTRIES).root


def test_the_json_form_leads_back_and_fits_its_schema() -> None:
    """Every kind, every odd name, through canonical bytes."""
    data = canonical_bytes(sample().to_dict())
    value = parse_canonical(data, "SPECTRUM.json")
    validate(value, "spectrum.v1")
    assert Spectrum.from_dict(value) == sample()


def test_files_are_a_plain_mapping_of_path_to_hash() -> None:
    """Whoever wants nothing else reads one table; sizes stand once for each content."""
    record = sample().to_dict()
    assert record["files"] == {"a": ONE.hex, "d/same": ONE.hex}
    assert record["files_base64"] == {"ZC//": TWO.hex}
    assert record["sizes"] == {ONE.hex: 3, TWO.hex: 3}
    assert record["modes"] == {"d/same": "0600"}


def test_a_size_that_no_double_holds_is_kept_exactly() -> None:
    """Beyond 2**53 it stands as decimal text."""
    size = 2**53 + 1
    entries = {b"": ENTRIES[b""], b"large": Entry(Kind.FILE, 0o644, size, ONE)}
    spectrum = Spectrum(entries, {}, {})
    record = spectrum.to_dict()
    validate(record, "spectrum.v1")
    assert record["sizes"] == {ONE.hex: str(size)}
    assert Spectrum.from_dict(record).entries[b"large"].size == size


def test_each_directory_has_the_root_it_would_have_alone() -> None:
    """What a proof of that directory as a domain would state."""
    below = {
        path.removeprefix(b"d/") if path != b"d" else b"": entry
        for path, entry in ENTRIES.items()
        if path == b"d" or path.startswith(b"d/")
    }
    roots = sample().directory_roots()
    assert set(roots) == {b"", b"d", b"d/empty", b"\xfc"}
    assert roots[b""] == sample().root
    assert roots[b"d"] == Tree.from_entries(MemoryNodes(), below).root


HOSTILE: list[tuple[Mapping[str, object], str]] = [
    ({"files": {"../escape": ONE.hex}}, r"\.\./escape: `\.\.` is not among the directories"),
    ({"files": {"/etc/passwd": ONE.hex}}, "/etc"),
    ({"files": {"d/../../x": ONE.hex}}, "is not among the directories"),
    ({"directories": {"..": "0755"}}, r"no file can have the name `\.\.`"),
    ({"directories": {"d/.": "0755"}}, r"no file can have the name `\.`"),
    ({"directories": [], "files": {}}, "expected an object for directories"),
    ({"files": {"link/below": ONE.hex}}, "`link` is not among the directories"),
    ({"files": {"link": ONE.hex}}, "link stands twice"),
    ({"files": {"": ONE.hex}}, "stands twice"),
    ({"files": {"d//x": ONE.hex}}, "is not among the directories"),
    ({"files": {"d/": ONE.hex}}, "no file can have the name"),
    ({"files": {"nul\0": ONE.hex}}, "no file can have the name"),
    ({"files": {"n" * 256: ONE.hex}}, "name"),
    ({"files": {"a": ONE.hex[1:]}}, "64 lower-case"),
    ({"files": {"a": 5}}, "a: expected the text of a digest"),
    ({"sizes": {ONE.hex: 3}}, f"expected a whole number for {TWO.hex}"),
    ({"sizes": {ONE.hex: 3, TWO.hex: 3, "0" * 64: 1}}, "unknown fields"),
    ({"sizes": {ONE.hex: -3, TWO.hex: 3}}, "whole number"),
    ({"sizes": {ONE.hex: 4, TWO.hex: 3}}, "expected paths with the root"),
    ({"modes": {"d/same": "0644"}}, "only files of another mode than 0644"),
    ({"modes": {"d/same": "644"}}, "four octal digits"),
    ({"modes": {"d/same": "0600", "link": "0600"}}, "link: has a mode, but is not among the files"),
    ({"symlinks": {"link": ""}}, "link: expected a target of 1 to 4095 bytes"),
    ({"symlinks": {"link": "x" * 4096}}, "link: expected a target of 1 to 4095 bytes"),
    ({"symlinks": {"link": "a\0b"}}, "without NUL"),
    ({"symlinks": {"link": "a", "odd": "b"}}, "odd stands twice"),
    ({"symlinks_to_bytes": {"odd": "YQ=="}}, "expected target for what is text"),
    ({"special": {"pipe": {"kind": "file", "mode": "0644"}}}, "expected a special kind"),
    ({"special": {"pipe": {"kind": "fifo", "mode": "0622", "major": 1}}}, "unknown fields: major"),
    ({"special": {"disk": {"kind": "block_device", "mode": "0660"}}}, "major"),
    (
        {"special": {"disk": {"kind": "block_device", "mode": "0660", "major": 4096, "minor": 0}}},
        "expected a device number of Linux, got 4096:0",
    ),
    ({"files_base64": {}}, "only where a key is not text"),
    ({"files_base64": {"YQ==": ONE.hex}}, "expected files for what is text"),
    ({"files_base64": {"/x==": ONE.hex}}, "usual base64"),
    ({"files": [ONE.hex]}, "expected an object for files, got list"),
    ({"extra": 1}, "unknown fields: extra"),
    ({"schema": "spectrum.v2"}, "expected the schema spectrum.v1"),
    ({"root": TWO.hex}, f"expected paths with the root {TWO.hex}"),
]


@pytest.mark.parametrize(("tables", "problem"), HOSTILE, ids=[problem for _, problem in HOSTILE])
def test_what_is_no_tree_is_refused(tables: Mapping[str, object], problem: str) -> None:
    """Nobody can make up a spectrum that leads out of its folder, or that says two things of one path."""
    with pytest.raises(FormatError, match=problem):
        Spectrum.from_dict(changed(**tables))


_WRONG: list[tuple[Callable[[], Spectrum], str]] = [
    (lambda: Spectrum(ENTRIES, {}, DEVICES), "a target of each symlink"),
    (
        lambda: Spectrum(ENTRIES, {**TARGETS, b"link": b"b"}, DEVICES),
        "link: expected the entry of its target",
    ),
    (lambda: Spectrum(ENTRIES, TARGETS, {}), "a number of each device"),
    (lambda: Spectrum(ENTRIES, TARGETS, {**DEVICES, b"disk": Device(8, 2)}), "disk: expected the entry"),
    (lambda: Spectrum({b"x": ENTRIES[b"a"]}, {}, {}), "the domain itself"),
]


@pytest.mark.parametrize(("make", "problem"), _WRONG, ids=[problem for _, problem in _WRONG])
def test_what_does_not_fit_together_is_refused(make: Callable[[], Spectrum], problem: str) -> None:
    """Targets and device numbers are those whose digests the entries have."""
    with pytest.raises(FormatError, match=problem):
        make()
