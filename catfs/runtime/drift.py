"""Whether a domain is still what a run left: information, no verdict, for a domain may change afterwards."""

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

from catfs.errors import FormatError
from catfs.ledger import RunReader
from catfs.merkle import MemoryNodes, MissingNodeError, Tree, diff
from catfs.proof import CaptureError, capture
from catfs.records import Change, Manifest, listed_change
from catfs.runtime.manifests import manifest_trees
from catfs.runtime.mounts import is_mount_point
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

CHANGES_KEPT: Final = 20
"""Most changes of one domain that are kept to be shown; the rest is counted."""


class Drift(Enum):
    """How a domain stands to what a run left."""

    SAME = "same"
    """It is what the run left."""
    CHANGED = "changed"
    """It was changed since."""
    MISSING = "missing"
    """It is not here."""
    MOUNTED = "mounted"
    """A view is mounted over it, so it was not looked at."""
    UNREADABLE = "unreadable"
    """It cannot be read whole."""


@dataclass(frozen=True, slots=True)
class DomainDrift:
    """One domain compared with what a run left.

    Args:
        path: Absolute path of the domain.
        drift: How it stands.
        count: Paths that differ.
        changes: The first of them, from what the run left to what is there.
        problem: Why it cannot be read, or compared path by path; empty otherwise.
    """

    path: bytes
    drift: Drift
    count: int = 0
    changes: tuple[Change, ...] = ()
    problem: str = ""


def find_drift(run: RunReader, show: Callable[[int, int], None]) -> list[DomainDrift]:
    """Compare every domain of a verified run with what is there now.

    Args:
        run: The run; its records hold.
        show: Told how many files and bytes have been read.

    Raises:
        FormatError: when the manifest cannot be read.
    """
    found = []
    after = run.post_manifest()
    for index, manifest in enumerate(after.domains):
        place = Path(os.fsdecode(manifest.path))
        if is_mount_point(place):
            found.append(DomainDrift(manifest.path, Drift.MOUNTED))
        elif not os.path.isdir(place):
            found.append(DomainDrift(manifest.path, Drift.MISSING))
        else:
            found.append(_compare(place, run, after, index, show))
    return found


def _compare(
    place: Path, run: RunReader, after: Manifest, index: int, show: Callable[[int, int], None]
) -> DomainDrift:
    path = os.fsencode(place)
    try:
        root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            nodes = MemoryNodes()
            now = Tree(nodes, capture(root, nodes, _hidden(place, run), show).root_entry)
        finally:
            os.close(root)
    except CaptureError as error:
        return DomainDrift(path, Drift.UNREADABLE, problem=str(error))
    except OSError as error:
        return DomainDrift(path, Drift.UNREADABLE, problem=error.strerror or str(error))
    if now.root == after.domains[index].root:
        return DomainDrift(path, Drift.SAME)
    try:
        changes = list(diff(manifest_trees(run, after)[index], now))
    except (FormatError, MissingNodeError) as error:
        return DomainDrift(path, Drift.CHANGED, problem=f"where cannot be told: {error}")
    kept = tuple(map(listed_change, changes[:CHANGES_KEPT]))
    return DomainDrift(path, Drift.CHANGED, len(changes), kept)


def _hidden(place: Path, run: RunReader) -> list[tuple[int, int]]:
    """Give the workspaces that may lie in a domain; they are no part of it."""
    starts = (place, run.folder.resolve())
    return [workspace.identity for workspace in map(Workspace.find, starts) if workspace is not None]
