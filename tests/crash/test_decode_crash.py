"""A decode that is killed at any call leaves the whole directory under its name, or nothing there."""

import os
from pathlib import Path

import pytest

from catfs.records import Entry, Kind
from catfs.spectral import Spectrum, decode_domain, read_spectrum, write_spectrum
from catfs.spectral import decode as decode_module
from catfs.spectral.decode import TEMPORARY_PREFIX
from catfs.spectral.spectrum import link_entry
from catfs.store import MemoryStore
from tests.support.killed import run_until
from tests.support.spectra import tree_of

CALLS = ["open", "mkdir", "symlink", "mkfifo", "write", "fchmod", "chmod", "fsync", "rename", "unlink"]


def _sample(store: MemoryStore) -> Spectrum:
    file = Entry(Kind.FILE, 0o640, 7, store.put(b"content"))
    entries = {
        b"": Entry(Kind.DIRECTORY, 0o755),
        b"d": Entry(Kind.DIRECTORY, 0o500),
        b"d/file": file,
        b"link": link_entry(b"d"),
        b"pipe": Entry(Kind.FIFO, 0o600),
    }
    return Spectrum(entries, {b"link": b"d"}, {})


def test_a_killed_decode_leaves_all_or_nothing_under_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had written so far lies beside it under a name that nobody takes for anything."""
    monkeypatch.setattr(decode_module, "syncfs", os.fsync)
    store = MemoryStore()
    spectrum = _sample(store)
    seen = set()
    for number in range(1, 200):
        place = tmp_path / str(number)
        place.mkdir()
        is_done = run_until(
            number,
            CALLS,
            lambda place=place: _decode(spectrum, store, place / "copy"),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
        names = os.listdir(os.fsencode(place))
        if b"copy" in names:
            assert tree_of(place / "copy").root == spectrum.root
        assert all(name == b"copy" or name.startswith(TEMPORARY_PREFIX) for name in names)
        seen.add(b"copy" in names)
        if is_done:
            break
    assert is_done
    assert seen == {False, True}


def _decode(spectrum: Spectrum, store: MemoryStore, target: Path) -> None:
    decode_domain(spectrum, store, target)


def test_a_killed_writer_of_a_spectrum_leaves_it_unfinished_or_whole(tmp_path: Path) -> None:
    """A folder that counts as finished is read to the new spectrum, or still to the old one."""
    store = MemoryStore()
    old, new = Spectrum({b"": Entry(Kind.DIRECTORY, 0o755)}, {}, {}), _sample(store)
    roots = set()
    for number in range(1, 200):
        folder = tmp_path / str(number)
        write_spectrum(folder, old, None)
        is_done = run_until(
            number,
            CALLS,
            lambda folder=folder: _write(folder, new),  # type: ignore[misc]  # as above
        )
        if (folder / "DOMAIN_ROOT.txt").exists():
            roots.add(read_spectrum(folder).root)
        if is_done:
            break
    assert roots == {old.root, new.root}


def _write(folder: Path, spectrum: Spectrum) -> None:
    write_spectrum(folder, spectrum, None)
