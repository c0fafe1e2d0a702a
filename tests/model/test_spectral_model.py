"""Spectra of any tree come back, on paper and on the disk; damaged ones are refused or say what they said."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.digest import Digest
from catfs.errors import CatfsError, FormatError
from catfs.records import Entry, Kind, canonical_bytes, parse_canonical
from catfs.spectral import Spectrum, decode_domain, read_spectrum, write_spectrum
from catfs.spectral.folder import ROOT_FILE, ROOTS_FILE, SPECTRUM_FILE
from catfs.spectral.spectrum import link_entry
from catfs.store import MemoryStore
from tests.support.spectra import encoded, root_of, tree_of

NAMES = st.sampled_from([b"a", b"B", b"\xff", b"\xc3\xa4", b"n\nl", b"a-", b" "])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
CONTENTS = st.binary(max_size=12)
MODES = st.sampled_from([0o644, 0o755, 0o600, 0o444, 0o1777])
FILES = st.tuples(st.just(Kind.FILE), MODES, CONTENTS)
LINKS = st.tuples(st.just(Kind.SYMLINK), st.just(0o777), st.binary(min_size=1, max_size=9))
OTHERS = st.tuples(st.sampled_from([Kind.FIFO, Kind.DIRECTORY, Kind.SOCKET]), MODES, st.just(b""))
ITEMS = st.dictionaries(PATHS, FILES | LINKS | OTHERS, max_size=9)

DIRECTORY = Entry(Kind.DIRECTORY, 0o755)

Item = tuple[Kind, int, bytes]


def spectrum_of(items: dict[bytes, Item], store: MemoryStore) -> Spectrum:
    """Give the spectrum of what is wanted; what lies below no directory is left out."""
    entries = {b"": DIRECTORY}
    targets = {}
    for path in sorted(items, key=lambda path: path.split(b"/")):
        kind, mode, content = items[path]
        above = [path[:at] for at, byte in enumerate(path) if byte == ord("/")]
        if any(entries.get(folder, DIRECTORY).kind is not Kind.DIRECTORY for folder in above):
            continue
        entries.update({folder: DIRECTORY for folder in above if folder not in entries})
        if kind is Kind.SYMLINK:
            targets[path] = content.replace(b"\0", b"0")
            entries[path] = link_entry(targets[path])
        elif kind is Kind.FILE:
            entries[path] = Entry(kind, mode, len(content), store.put(content))
        else:
            entries[path] = Entry(kind, mode)
    return Spectrum(entries, targets, {})


@given(items=ITEMS)
def test_the_json_form_of_any_spectrum_leads_back(items: dict[bytes, Item]) -> None:
    """Through canonical bytes, whatever the names are."""
    spectrum = spectrum_of(items, MemoryStore())
    data = canonical_bytes(spectrum.to_dict())
    again = Spectrum.from_dict(parse_canonical(data, SPECTRUM_FILE))
    assert again == spectrum
    assert again.root == spectrum.root
    assert canonical_bytes(again.to_dict()) == data


@settings(max_examples=40)
@given(items=ITEMS)
def test_any_spectrum_becomes_a_directory_that_encodes_to_it(items: dict[bytes, Item]) -> None:
    """Decoded, read and encoded again it is the same spectrum."""
    store = MemoryStore()
    spectrum = spectrum_of(items, store)
    with tempfile.TemporaryDirectory() as place:
        target = Path(place, "decoded")
        decode_domain(spectrum, store, target, check=root_of)
        assert tree_of(target).root == spectrum.root
        assert encoded(target, MemoryStore()) == spectrum
        assert os.listdir(place) == ["decoded"]


@settings(max_examples=60)
@given(
    items=ITEMS,
    name=st.sampled_from([SPECTRUM_FILE, ROOTS_FILE, ROOT_FILE]),
    at=st.floats(0, 1, exclude_max=True),
    damage=st.sampled_from(["flip", "cut", "insert", "drop"]),
    byte=st.integers(0, 255),
)
def test_a_damaged_file_is_refused(
    items: dict[bytes, Item], name: str, at: float, damage: str, byte: int
) -> None:
    """Any change of any byte of any file of a spectrum is found when it is read."""
    spectrum = spectrum_of(items, MemoryStore())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_spectrum(folder, spectrum, None)
        assert read_spectrum(folder) == spectrum
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(_damaged(data, int(at * len(data)), damage, byte))
        if (folder / name).read_bytes() == data:
            return
        with pytest.raises(CatfsError) as refused:
            read_spectrum(folder)
        assert refused.value.exit_status == 2


def _damaged(data: bytes, place: int, damage: str, byte: int) -> bytes:
    match damage:
        case "flip":
            return data[:place] + bytes([data[place] ^ (byte or 1)]) + data[place + 1 :]
        case "cut":
            return data[:place]
        case "insert":
            return data[:place] + bytes([byte]) + data[place:]
        case _:
            return data[:place] + data[place + 1 :]


@given(data=st.binary(max_size=200) | st.from_regex(rb'\{"schema":"spectrum\.v1".{0,60}\}', fullmatch=True))
def test_bytes_that_are_no_spectrum_are_refused(data: bytes) -> None:
    """Only by errors that say what is wrong."""
    with pytest.raises(CatfsError) as refused:
        Spectrum.from_dict(parse_canonical(data, SPECTRUM_FILE))
    assert refused.value.exit_status == 2


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "0644", Digest.of(b"").hex]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["", "a", "a/b"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    items=ITEMS,
    table=st.sampled_from(["files", "modes", "directories", "symlinks", "special", "sizes", "root"]),
    value=_VALUES,
)
def test_a_table_of_another_shape_never_breaks_the_reader(
    items: dict[bytes, Item], table: str, value: object
) -> None:
    """It is refused, or it was what it should be."""
    record = {**spectrum_of(items, MemoryStore()).to_dict(), table: value}
    try:
        again = Spectrum.from_dict(record)
    except FormatError:
        return
    assert again.to_dict() == record
