"""What runs have committed to a domain since it was read whole: a known base must be true there too.

Otherwise the base root of a run would not be the root that the run before it left.
"""

from pathlib import Path
from typing import Final

from catfs.errors import FormatError
from catfs.ledger import RunReader, list_runs
from catfs.merkle import RACY_NS
from catfs.records import Outcome

RUNS_SINCE_MAX: Final = 50
"""Most runs whose records are looked through; after more of them a domain is better read again."""


def committed_since(runs: Path, domain: bytes, since: int) -> set[bytes] | None:
    """Give the paths of a domain that runs of a workspace have committed since a time.

    Args:
        runs: The folder of the runs.
        domain: Absolute path of the domain.
        since: The time, in nanoseconds since 1970.

    Returns:
        The paths, relative to the domain; None when they cannot be told, or not in a short time.

    Raises:
        OSError: when a file cannot be read.
    """
    recent = [run for run in list_runs(runs) if run.is_complete and run.changed >= since - RACY_NS]
    if len(recent) > RUNS_SINCE_MAX:
        return None
    found: set[bytes] = set()
    try:
        for reader in (RunReader(run.path) for run in recent):
            if reader.status().outcome is not Outcome.RESTORED:
                continue
            for changed in reader.restore_diff().domains:
                if changed.path == domain:
                    found |= {change.path for change in changed.declared}
    except FormatError:
        return None
    return found
