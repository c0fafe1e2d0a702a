"""Whether what a workspace keeps of its domains is sound: the indexes, and the store of bytes.

An index is a cache: a damaged one is removed, and the next session reads its domain again. Of the store every
object is read. A node of a domain that is damaged or gone is made again by the next session that reads the
domain; what else was in it is lost, and named.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from catfs.errors import FormatError, counted, printable
from catfs.merkle import IndexReader
from catfs.runtime.findings import Finding, NotCleanedError, Trouble
from catfs.runtime.workspace import Workspace
from catfs.store import (
    LocalStore,
    StoreBusyError,
    StoreProblem,
    check_store,
    clear_temporaries,
    is_store,
    left_temporaries,
)


def examine_indexes(workspace: Workspace) -> Iterator[Finding]:
    """Give the indexes of a workspace that are damaged.

    Args:
        workspace: The workspace.

    Raises:
        OSError: when their folder cannot be read.
    """
    if not workspace.indexes.is_dir():
        return
    for path in sorted(workspace.indexes.glob("*.index")):
        problem = _index_problem(path)
        if problem is not None:
            name = printable(os.fsencode(path.name))
            sentence = f"the index {name} is damaged: {problem}; sessions read its domain anew"
            yield Finding(Trouble.DAMAGED_INDEX, name, sentence, "", partial(_remove_index, path))


def examine_store(workspace: Workspace) -> Iterator[Finding]:
    """Give what is wrong with the store of a workspace; every object in it is read.

    Args:
        workspace: The workspace.

    Raises:
        OSError: when a folder of the store cannot be read.
    """
    if not is_store(workspace.store):
        return
    try:
        store = LocalStore(workspace.store)
    except FormatError as error:
        sentence = f"the store cannot be used: {error}"
        yield Finding(Trouble.DAMAGED_STORE, "store", sentence, "", None)
        return
    for problem in check_store(store).problems:
        yield _damage(store, problem)
    left = left_temporaries(store)
    if left:
        sentence = f"{counted(left, 'temporary file')} in the store belong to writers that are gone"
        yield Finding(Trouble.LEFT_TEMPORARIES, "store/tmp", sentence, "", partial(_clear_temporaries, store))


def _index_problem(path: Path) -> str | None:
    """Say what is wrong with an index; None when nothing is."""
    try:
        with IndexReader(path) as index:
            for place in range(len(index)):
                index.at(place)
            damaged, whole = index.damaged_blocks, len(index)
    except FileNotFoundError:  # replaced or removed meanwhile
        return None
    except FormatError as error:
        return error.problem
    return f"{damaged} of {whole} directories have another checksum" if damaged else None


def _remove_index(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "it is removed; the next session makes it anew"


def _damage(store: LocalStore, problem: StoreProblem) -> Finding:
    place = printable(problem.place.encode("utf-8", "surrogateescape"))
    lost = "what only that file held"
    if problem.digest is not None:
        lost = f"the object {problem.digest.hex}, unless it is a node of a domain, which is made again"
    sentence = f"{place} in the store is damaged: {problem.problem}"
    return Finding(Trouble.DAMAGED_STORE, place, sentence, lost, partial(_remove_damaged, store, problem))


def _remove_damaged(store: LocalStore, problem: StoreProblem) -> str:
    """Take the damaged object, or a file that cannot be told apart, out of the store."""
    if problem.digest is None:
        (store.root / problem.place).unlink(missing_ok=True)
        return "the file is removed"
    store.delete(problem.digest)
    return f"the object {problem.digest.hex} is removed"


def _clear_temporaries(store: LocalStore) -> str:
    try:
        clear_temporaries(store)
    except StoreBusyError as error:
        raise NotCleanedError(str(error)) from error
    return "they are removed"
