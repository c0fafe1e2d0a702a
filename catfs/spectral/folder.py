"""The files of a spectrum in a folder (docs/formats/spectrum.md).

DOMAIN_ROOT.txt is written last: a folder without it is not finished, and is not read.
"""

from pathlib import Path
from typing import Final

from catfs.digest import Digest
from catfs.durable import publish
from catfs.errors import FormatError, UsageError, printable
from catfs.limits import JSON_BYTES_MAX
from catfs.records import canonical_bytes, parse_canonical, put_table
from catfs.records.fields import Fields
from catfs.spectral.spectrum import Spectrum
from catfs.spectral.structure import Structure

SPECTRUM_FILE: Final = "SPECTRUM.json"
STRUCTURE_FILE: Final = "STRUCTURE.json"
ROOTS_FILE: Final = "DOMAIN_ROOTS.json"
ROOT_FILE: Final = "DOMAIN_ROOT.txt"

ROOTS_SCHEMA: Final = "spectrum-roots.v1"


def write_spectrum(folder: Path, spectrum: Spectrum, structure: Structure | None) -> dict[str, int]:
    """Write the files of a spectrum into a folder, which is made where there is none, durably.

    Args:
        folder: Where; files of another spectrum are replaced, the one that says that it is whole first.
        spectrum: The spectrum.
        structure: What its sources say; None where that was not asked for.

    Returns:
        Name of each file to its size in bytes.

    Raises:
        FormatError: when the structure belongs to another spectrum.
        OSError: when a step fails; then the folder is not finished.
    """
    files = {
        SPECTRUM_FILE: canonical_bytes(spectrum.to_dict()),
        ROOTS_FILE: canonical_bytes(roots_record(spectrum)),
    }
    if structure is not None:
        _check_root(STRUCTURE_FILE, spectrum, structure.root)
        files[STRUCTURE_FILE] = canonical_bytes(structure.to_dict())
    folder.mkdir(parents=True, exist_ok=True)
    for name in (ROOT_FILE, STRUCTURE_FILE):
        (folder / name).unlink(missing_ok=True)
    files[ROOT_FILE] = f"{spectrum.root.hex}\n".encode()
    for name, data in files.items():
        publish(folder, name.encode(), data)
    return {name: len(data) for name, data in files.items()}


def read_spectrum(folder: Path) -> Spectrum:
    """Read a spectrum from its folder; all its files must speak of the same root.

    Raises:
        UsageError: when the folder holds no finished spectrum.
        FormatError: when a file is damaged or belongs to another spectrum.
        OSError: when one cannot be read.
    """
    spectrum = Spectrum.from_dict(parse_canonical(_read(folder, SPECTRUM_FILE), SPECTRUM_FILE))
    stated = _read(folder, ROOT_FILE)
    if stated != f"{spectrum.root.hex}\n".encode():
        problem = f"expected the line {spectrum.root.hex}, got {printable(stated[:80])}"
        raise FormatError(ROOT_FILE, problem)
    roots = parse_canonical(_read(folder, ROOTS_FILE), ROOTS_FILE)
    if roots != roots_record(spectrum):
        _explain_roots(roots, spectrum)
    return spectrum


def read_structure(folder: Path, spectrum: Spectrum) -> Structure | None:
    """Read what the sources of a spectrum say, from its folder; None when that was not written.

    Raises:
        FormatError: when the file is damaged or belongs to another spectrum.
        OSError: when it cannot be read.
    """
    if not (folder / STRUCTURE_FILE).exists():
        return None
    structure = Structure.from_dict(parse_canonical(_read(folder, STRUCTURE_FILE), STRUCTURE_FILE))
    _check_root(STRUCTURE_FILE, spectrum, structure.root)
    for path in structure.files:
        if path not in spectrum.entries:
            raise FormatError(STRUCTURE_FILE, f"{printable(path)} is no path of the spectrum")
    return structure


def is_finished(folder: Path) -> bool:
    """Say whether a folder holds a finished spectrum."""
    return (folder / ROOT_FILE).is_file()


def roots_record(spectrum: Spectrum) -> dict[str, object]:
    """Give DOMAIN_ROOTS.json: for every directory the root that it would have as a domain of its own."""
    record: dict[str, object] = {"schema": ROOTS_SCHEMA}
    put_table(record, "roots", {path: root.hex for path, root in spectrum.directory_roots().items()})
    return record


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        size = path.stat().st_size
        if size > JSON_BYTES_MAX:
            raise FormatError(name, f"expected at most {JSON_BYTES_MAX} bytes, got {size}")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        hint = "`catfs spectrum encode` makes one"
        raise UsageError(f"{folder} holds no finished spectrum: {name} is not there", hint=hint) from None


def _check_root(name: str, spectrum: Spectrum, got: Digest) -> None:
    if got != spectrum.root:
        raise FormatError(name, f"expected the root {spectrum.root}, got {got}")


def _explain_roots(value: object, spectrum: Spectrum) -> None:
    """Raise the error that says where the roots of directories are not those of a spectrum."""
    fields = Fields(value, ROOTS_FILE)
    fields.schema(ROOTS_SCHEMA)
    stated = fields.table("roots")
    fields.end()
    expected = spectrum.directory_roots()
    for path in sorted(expected | stated):
        right = expected[path].hex if path in expected else "no directory"
        got = stated.get(path, "nothing")
        if got != right:
            raise FormatError(ROOTS_FILE, f"{printable(path) or 'the domain'}: expected {right}, got {got}")
