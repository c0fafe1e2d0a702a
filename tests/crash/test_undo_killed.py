"""An undo that is killed leaves the session as it was before or as it is afterwards, at whatever point."""

import shutil
from pathlib import Path

from tests.support.history import HistorySession
from tests.support.killed import run_until


def test_a_killed_undo_leaves_the_old_or_the_new_state(tmp_path: Path) -> None:
    """Every write and sync of an undo is a point at which it is killed; both states are met."""
    history = HistorySession(tmp_path)
    moments = sorted(history.roots)
    first = moments[2]
    old, new = history.root(), history.roots[first]
    assert old != new
    folder, saved = history.facts.folder, tmp_path / "saved"
    shutil.copytree(folder, saved)

    def undo() -> None:
        with history.open() as session:
            session.suspend()
            session.undo(first)

    met = set()
    for point in range(1, 100):
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
        killed = not run_until(point, ("write", "fdatasync", "fsync", "rename"), undo, half=True)
        found = history.root()
        assert found in {old, new}, point
        met.add(found)
        if not killed:
            assert found == new
            break
    assert not killed
    assert met == {old, new}
    assert point > 3
