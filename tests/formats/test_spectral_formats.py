"""Every kept spectrum is still read to the same root, and its page shows what is so."""

import json
from pathlib import Path

import pytest

from catfs.records import Kind, canonical_bytes, parse_canonical
from catfs.records.schema import validate
from catfs.spectral import (
    ROOT_FILE,
    ROOTS_FILE,
    SPECTRUM_FILE,
    STRUCTURE_FILE,
    read_spectrum,
    read_structure,
    write_spectrum,
)

SAMPLES = Path(__file__).parent / "spectral"
PAGE = Path(__file__).parents[2] / "docs" / "formats" / "spectrum.md"
ROOTS = {"kept-1": "ae42fa644e3fb853b102e5d628f844ff7e334778cf848ccd8e2bc781f1fb5969"}
"""Kept spectrum to its root."""

SCHEMA_OF = {
    SPECTRUM_FILE: "spectrum.v1",
    STRUCTURE_FILE: "structure.v1",
    ROOTS_FILE: "spectrum-roots.v1",
}


def test_every_kept_spectrum_is_looked_at() -> None:
    """No sample lies there unread."""
    assert {path.name for path in SAMPLES.iterdir()} == set(ROOTS)
    for folder in SAMPLES.iterdir():
        assert {path.name for path in folder.iterdir()} == {*SCHEMA_OF, ROOT_FILE}


@pytest.mark.parametrize("name", ROOTS)
def test_kept_spectra_are_read_to_their_root(name: str) -> None:
    """And are written again as they were, byte for byte."""
    folder = SAMPLES / name
    spectrum = read_spectrum(folder)
    assert spectrum.root.hex == ROOTS[name]
    assert canonical_bytes(spectrum.to_dict()) == (folder / SPECTRUM_FILE).read_bytes()
    structure = read_structure(folder, spectrum)
    assert structure is not None
    assert canonical_bytes(structure.to_dict()) == (folder / STRUCTURE_FILE).read_bytes()


@pytest.mark.parametrize("name", ROOTS)
@pytest.mark.parametrize("file", SCHEMA_OF)
def test_kept_files_fit_their_schemas(name: str, file: str) -> None:
    """Each file says which schema it has."""
    value = parse_canonical((SAMPLES / name / file).read_bytes(), file)
    validate(value, SCHEMA_OF[file])


def test_the_kept_spectrum_has_every_kind_and_every_table() -> None:
    """With names and targets that are no text."""
    spectrum = read_spectrum(SAMPLES / "kept-1")
    kinds = {entry.kind for entry in spectrum.entries.values()}
    assert kinds == set(Kind)
    record = json.loads((SAMPLES / "kept-1" / SPECTRUM_FILE).read_bytes())
    tables = ("files", "modes", "symlinks", "symlinks_to_bytes", "special")
    assert {f"{table}_base64" for table in tables} <= set(record)


def test_a_kept_spectrum_is_written_as_it_was(tmp_path: Path) -> None:
    """All four files."""
    spectrum = read_spectrum(SAMPLES / "kept-1")
    write_spectrum(tmp_path, spectrum, read_structure(SAMPLES / "kept-1", spectrum))
    for name in (*SCHEMA_OF, ROOT_FILE):
        assert (tmp_path / name).read_bytes() == (SAMPLES / "kept-1" / name).read_bytes()


def test_the_example_of_the_page_is_in_the_kept_spectrum() -> None:
    """Table by table."""
    text = PAGE.read_text("utf-8")
    shown = json.loads(text.split("```json\n")[1].split("```")[0])
    kept = json.loads((SAMPLES / "kept-1" / SPECTRUM_FILE).read_bytes())
    assert shown == kept
    assert all(f"`{key}`" in text for key in kept if not key.endswith("_base64"))
