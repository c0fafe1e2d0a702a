"""Which store a command means, and what the store of a workspace must keep."""

from collections.abc import Iterator
from pathlib import Path

from catfs.digest import Digest
from catfs.errors import CatfsError, ExitStatus, FormatError, UsageError, printable
from catfs.ledger import RunReader, list_runs
from catfs.merkle import IndexReader, LayeredNodes, MemoryNodes, MissingNodeError, NodeStore
from catfs.merkle.nodes import encode_domain_root
from catfs.proof.capture_nodes import StoredNodes, reachable
from catfs.runtime.base import read_roots
from catfs.runtime.sessions import session_folders
from catfs.runtime.subject import require_workspace
from catfs.runtime.workspace import Workspace
from catfs.spectral import is_finished, read_spectrum
from catfs.store import LocalStore, is_store


class UnfollowedRootError(CatfsError):
    """What a store must keep cannot be told, so nothing may be removed from it.

    Args:
        owner: What refers to the store, for people.
        problem: Why it cannot be followed.
    """

    exit_status = ExitStatus.DIRTY

    def __init__(self, owner: str, problem: str) -> None:
        super().__init__(
            f"{owner} cannot be followed: {problem}; nothing was removed",
            hint="`catfs cas verify` says what is damaged; remove what you do not need any more",
        )
        self.owner = owner
        self.problem = problem


def open_store(folder: Path | None, cwd: Path, *, make: bool) -> LocalStore:
    """Give the store that a command means.

    Args:
        folder: Its folder; None for the store of the workspace.
        cwd: The working directory.
        make: Whether it is made where there is none.

    Raises:
        UsageError: when there is none, or no workspace.
        FormatError: when the folder holds another version of a store.
        OSError: when it cannot be read or made.
    """
    place = require_workspace(cwd).store if folder is None else folder
    if not is_store(place):
        if not make:
            raise UsageError(f"there is no store at {place}", hint="`catfs cas put` makes one")
        if place.is_dir() and any(place.iterdir()):
            raise UsageError(f"{place} holds something else than a store", hint="name a new folder")
    return LocalStore(place)


def reachable_objects(workspace: Workspace, store: LocalStore) -> Iterator[Digest]:
    """Give every digest that a workspace needs: of trees, their nodes, and contents.

    These are the trees of complete runs as far as the store has them, those that sessions began with, live or
    suspended, those of indexes, which the next session begins with, and the contents of spectra. What a
    session is still putting into the store is younger than what a collection removes.

    Args:
        workspace: The workspace.
        store: Its store.

    Raises:
        UnfollowedRootError: when something cannot be followed to its end.
        OSError: when a file cannot be read.
    """
    nodes = LayeredNodes(MemoryNodes(), StoredNodes(store))
    owner = ""

    def roots() -> Iterator[Digest]:
        nonlocal owner
        for name, root in _run_roots(workspace, store):
            owner = name
            yield root
        for name, root in _session_roots(workspace, nodes):
            owner = name
            yield root

    try:
        yield from reachable(nodes, roots())
    except (MissingNodeError, FormatError) as error:
        raise UnfollowedRootError(owner, error.message) from error
    yield from _index_objects(workspace, nodes)
    yield from _spectrum_objects(workspace)


def _run_roots(workspace: Workspace, store: LocalStore) -> Iterator[tuple[str, Digest]]:
    """Give the roots of complete runs that the store has; those of a flat manifest need no store."""
    for folder in list_runs(workspace.runs):
        if not folder.is_complete:
            continue
        owner = f"run {printable(folder.run_id.encode('utf-8', 'surrogateescape'))}"
        try:
            proof = RunReader(folder.path).proof()
        except FormatError as error:
            raise UnfollowedRootError(owner, error.message) from error
        for domain in proof.domains:
            roots = domain.roots
            for root in dict.fromkeys((roots.base_root, roots.view_root, roots.post_root)):
                if store.has(root):
                    yield owner, root


def _session_roots(workspace: Workspace, nodes: NodeStore) -> Iterator[tuple[str, Digest]]:
    """Give the roots that sessions began with, each put into nodes that hold no domain root otherwise."""
    for folder in session_folders(workspace):
        owner = f"session {folder.name}"
        try:
            entries = read_roots(folder)
        except FormatError as error:
            raise UnfollowedRootError(owner, error.message) from error
        for entry in entries:
            yield owner, nodes.put(encode_domain_root(entry))


def _index_objects(workspace: Workspace, nodes: NodeStore) -> Iterator[Digest]:
    """Give what the indexes rest on. One that cannot be followed is made anew by its next user."""
    if not workspace.indexes.is_dir():
        return
    for path in sorted(workspace.indexes.iterdir()):
        try:
            with IndexReader(path) as index:
                root = nodes.put(encode_domain_root(index.facts.root_entry))
            yield from list(reachable(nodes, [root]))
        except (MissingNodeError, FormatError):
            continue


def _spectrum_objects(workspace: Workspace) -> Iterator[Digest]:
    if not workspace.spectra.is_dir():
        return
    for folder in sorted(workspace.spectra.iterdir()):
        if not is_finished(folder):
            continue
        try:
            yield from read_spectrum(folder).contents()
        except (UsageError, FormatError) as error:
            raise UnfollowedRootError(f"the spectrum {folder.name}", error.message) from error
