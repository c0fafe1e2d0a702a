"""Spectra for tests: a domain that was read, and what is decoded from it."""

import os
from pathlib import Path

from catfs.digest import Digest
from catfs.merkle import MemoryNodes, Tree
from catfs.proof import capture
from catfs.spectral import Spectrum, encode_domain
from catfs.store import CatalyticStore


def tree_of(place: Path) -> Tree:
    """Read a directory, as a run reads its domain."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return read_tree(folder)
    finally:
        os.close(folder)


def read_tree(folder: int) -> Tree:
    """Read the directory of a descriptor."""
    nodes = MemoryNodes()
    return Tree(nodes, capture(folder, nodes, workers=0).root_entry)


def root_of(folder: int) -> Digest:
    """Give the domain root of the directory of a descriptor."""
    return read_tree(folder).root


def encoded(place: Path, store: CatalyticStore) -> Spectrum:
    """Encode a directory."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return encode_domain(folder, read_tree(folder), store)
    finally:
        os.close(folder)
