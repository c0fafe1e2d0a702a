"""The real command killed or refused at its disk changing system calls, and many of them at the same time.

A short form: a few points of each kind. `tools/torture.py` strikes at every one.
"""

from pathlib import Path

import pytest

from tests.support.struck_end import EndSweep
from tests.support.torture import FAULTS, Sweep, crowd

pytestmark = [pytest.mark.fuse, pytest.mark.slow]

STRIKES = {"SIGKILL": 5, "EIO": 2, "ENOSPC": 2, "EDQUOT": 1}
"""How many points of each fault are tried here."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Give a run that can be struck."""
    return Sweep(tmp_path_factory.mktemp("sweep"))


@pytest.mark.parametrize("fault", FAULTS)
def test_run_struck_anywhere_leaves_old_or_new(sweep: Sweep, fault: str) -> None:
    """Old or new, the next command works, what is complete verifies, and nothing is left over."""
    # A run writes mostly output and ledger; what changes names decides over old and new.
    points = [point for point in sweep.points() if point.call != "write"]
    chosen = points[:: max(1, len(points) // STRIKES[fault])]
    violations = [violation for point in chosen for violation in sweep.strike(point, fault)]
    assert violations == []


@pytest.mark.parametrize("is_live", [False, True], ids=["command", "server"])
def test_commit_of_a_mount_struck_anywhere_is_done_in_the_end(tmp_path: Path, *, is_live: bool) -> None:
    """Old or new, and new after the next command, since all was synced; recorded once, nothing left over."""
    sweep = EndSweep(tmp_path, is_live=is_live)
    points = {point.call: point for point in sweep.points()}
    # By the one call the journal of a commit is published, by the other the folder of its session removed.
    chosen = [(points["renameat2" if is_live else "unlink"], "SIGKILL"), (points["fsync"], "EIO")]
    assert [violation for point, fault in chosen for violation in sweep.strike(point, fault)] == []


def test_crowd_of_runs_loses_no_update(tmp_path: Path) -> None:
    """Each run with an output of its own commits; those that collide give way with exit 3 or count one up."""
    assert crowd(tmp_path, disjoint=10, colliding=6) == []
