"""What runs have committed to a domain since it was read whole: a known base must be true there too.

Otherwise the base root of a run would not be the root that the run before it left.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from catfs.errors import FormatError
from catfs.ledger import RunReader, list_runs
from catfs.merkle import RACY_NS
from catfs.records import Outcome

RUNS_SINCE_MAX: Final = 50
"""Most runs whose records are looked through; after more of them a domain is better read again."""

_Committed = Mapping[bytes, frozenset[bytes]]
"""Absolute path of a domain -> the paths of it that a run committed."""


class CommittedPaths:
    """What the runs of a workspace have committed; each record is read once.

    Args:
        runs: The folder of the runs.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._read: dict[tuple[Path, int], _Committed | None] = {}
        """(folder of a run, when it changed last) -> what it committed; None when that cannot be told."""

    def since(self, domain: bytes, since: int) -> set[bytes] | None:
        """Give the paths of a domain that runs have committed since a time.

        Args:
            domain: Absolute path of the domain.
            since: The time, in nanoseconds since 1970.

        Returns:
            The paths, relative to the domain; None when they cannot be told, or not in a short time.

        Raises:
            OSError: when a file cannot be read.
        """
        recent = [run for run in list_runs(self._runs) if run.is_complete and run.changed >= since - RACY_NS]
        if len(recent) > RUNS_SINCE_MAX:
            return None
        found: set[bytes] = set()
        for run in recent:
            key = (run.path, run.changed)
            if key not in self._read:
                self._read[key] = _committed_by(RunReader(run.path))
            committed = self._read[key]
            if committed is None:
                return None
            found |= committed.get(domain, frozenset())
        return found


def _committed_by(run: RunReader) -> _Committed | None:
    """Give what a run has committed; None when its records are damaged.

    Raises:
        OSError: when they cannot be read.
    """
    try:
        if run.status().outcome is not Outcome.RESTORED:
            return {}
        difference = run.restore_diff()
    except FormatError:
        return None
    return {
        changed.path: frozenset(change.path for change in changed.declared) for changed in difference.domains
    }
