"""Encoding, decoding and comparing domains as commands ask for it: readings, stores and folders joined."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catfs.digest import Digest
from catfs.errors import UsageError
from catfs.merkle import LayeredNodes, MemoryNodes, Tree, index_name
from catfs.proof.capture import Progress, capture
from catfs.proof.capture_nodes import BatchNodes, StoredNodes
from catfs.runtime.workspace import Workspace, hidden_folders
from catfs.spectral import (
    Decoded,
    Permitted,
    Spectrum,
    decode_domain,
    encode_domain,
    is_finished,
    write_spectrum,
)
from catfs.spectral.sources import SourceProgress, describe_sources
from catfs.store import LocalStore
from catfs.values import dataclass

_HEX_MIN = 4
"""Fewest digits by which a spectrum of the workspace is named: fewer are more likely the name of a folder."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A domain that was encoded.

    Args:
        spectrum: What it holds.
        written: Name of each of its files to the size in bytes.
        folders: Every folder that has them.
        unread: Each language whose files were not described to why.
    """

    spectrum: Spectrum
    written: dict[str, int]
    folders: tuple[Path, ...]
    unread: dict[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """Whom a command tells how far it is.

    Args:
        read: Files and bytes that were read.
        sources: Sources that were described, and of how many.
    """

    read: Progress | None = None
    sources: SourceProgress | None = None


def encode_place(
    place: Path,
    store: LocalStore,
    workspace: Workspace | None,
    into: Path | None,
    *,
    structure: bool,
    told: Told,
) -> Encoded:
    """Put what a directory holds into a store and write its spectrum down.

    Args:
        place: The directory.
        store: Takes the contents.
        workspace: Whose store that is; it keeps the spectrum, and with it the contents. None for a store
            elsewhere, whose contents nobody removes.
        into: One more folder for the files of the spectrum; None for none.
        structure: Whether sources are described.
        told: Whom to tell how far it is.

    Raises:
        UsageError: when there is no directory.
        CaptureError: when something cannot be read.
        ChangedPathError: when the directory changes meanwhile.
        OSError: when store or folder cannot be written.
    """
    with _opened(place) as folder:
        tree = _read(place, folder, store, workspace, told)
        spectrum = encode_domain(folder, tree, store, told.read)
    described = describe_sources(spectrum, store, progress=told.sources) if structure else None
    folders = [] if into is None else [into]
    if workspace is not None:
        # Written first: from here on nobody removes the contents.
        workspace.spectra.mkdir(mode=0o700, exist_ok=True)
        folders.insert(0, workspace.spectra / spectrum.root.hex)
    sizes: dict[str, int] = {}
    for target in folders:
        sizes = write_spectrum(target, spectrum, described)
    notes = {} if described is None else described.languages
    problems = {name: note.problem for name, note in notes.items() if note.problem}
    return Encoded(spectrum, sizes, tuple(folders), problems)


def decode_place(
    spectrum: Spectrum, store: LocalStore, target: Path, permitted: Permitted, progress: Progress
) -> Decoded:
    """Make a directory of a spectrum, and read it again before it gets its name.

    Args:
        spectrum: What it is to hold.
        store: Holds the contents.
        target: The new directory.
        permitted: Which rights it may give.
        progress: Told how far it is.

    Raises:
        CatfsError: when it cannot be done; then nothing is left. As of `decode_domain`.
        OSError: when a step fails; then nothing is left.
    """

    def root_of(folder: int) -> Digest:
        nodes = MemoryNodes()
        return Tree(nodes, capture(folder, nodes).root_entry).root

    return decode_domain(spectrum, store, target, permitted=permitted, check=root_of, progress=progress)


def read_place(place: Path, workspace: Workspace | None, progress: Progress | None) -> Tree:
    """Read a whole directory, believing no index.

    Args:
        place: The directory.
        workspace: Its folder is no part of the directory; None for none.
        progress: Told how far it is; None for nobody.

    Raises:
        UsageError: when there is no directory.
        CaptureError: when something cannot be read.
    """
    with _opened(place) as folder:
        nodes = MemoryNodes()
        return Tree(nodes, capture(folder, nodes, hidden_folders(workspace, [place]), progress).root_entry)


def find_spectrum(word: str, workspace: Workspace | None) -> Path:
    """Give the folder of the spectrum that a word stands for: a folder, or the beginning of a root.

    Args:
        word: The word.
        workspace: Keeps spectra by their roots; None for none.

    Raises:
        UsageError: when it stands for none, or for several.
    """
    place = Path(word)
    if word and "\0" not in word and place.is_dir():
        return place
    kept = [] if workspace is None or not workspace.spectra.is_dir() else sorted(workspace.spectra.iterdir())
    found = [folder for folder in kept if folder.name.startswith(word) and is_finished(folder)]
    if len(word) >= _HEX_MIN and len(found) == 1:
        return found[0]
    problem = "several spectra" if len(word) >= _HEX_MIN and found else "no spectrum"
    shown = word.encode("utf-8", "backslashreplace").decode()
    raise UsageError(
        f"{shown!r} names {problem}",
        hint=f"name the folder of one, or the root of one of the workspace by {_HEX_MIN} digits or more",
    )


def _read(place: Path, folder: int, store: LocalStore, workspace: Workspace | None, told: Told) -> Tree:
    """Read a directory; with the index of its workspace only what changed since the last time."""
    if workspace is None:
        nodes = MemoryNodes()
        return Tree(nodes, capture(folder, nodes, hidden_folders(None, [place]), told.read).root_entry)
    index = workspace.indexes / index_name(os.fsencode(os.path.realpath(place)))
    with store.batch() as batch:
        found = capture(folder, BatchNodes(batch), hidden_folders(workspace, [place]), told.read, index=index)
    return Tree(LayeredNodes(MemoryNodes(), StoredNodes(store)), found.root_entry)


@contextmanager
def _opened(place: Path) -> Iterator[int]:
    """Open a directory.

    Raises:
        UsageError: when there is none.
    """
    try:
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no directory {place}") from None
    try:
        yield folder
    finally:
        os.close(folder)
