"""An undo that is killed leaves the session as it was before or as it is afterwards, at whatever point."""

import itertools
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support.history import HistorySession


def _killed_at(point: int, work: Callable[[], None]) -> bool:
    """Do some work in a process that is killed at one of its writes or syncs, after half of what it writes.

    Args:
        point: Number of the call, counted from 0.
        work: The work.

    Returns:
        Whether it was killed; otherwise it came to its end.
    """
    pid = os.fork()
    if pid == 0:
        calls = itertools.count()
        write, fdatasync, fsync, rename = os.write, os.fdatasync, os.fsync, os.rename

        def die_now() -> bool:
            return next(calls) == point

        def dying_write(descriptor: int, data: bytes) -> int:
            if die_now():
                write(descriptor, bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(descriptor, data)

        def dying(call: Callable[..., None]) -> Callable[..., None]:
            def die_or_call(*arguments: object, **keywords: object) -> None:
                if die_now():
                    os.kill(os.getpid(), signal.SIGKILL)
                call(*arguments, **keywords)

            return die_or_call

        os.write = dying_write  # type: ignore[assignment]  # this process ends before anybody else sees it
        os.fdatasync, os.fsync, os.rename = dying(fdatasync), dying(fsync), dying(rename)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


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
    for point in range(100):
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
        killed = _killed_at(point, undo)
        found = history.root()
        assert found in {old, new}, point
        met.add(found)
        if not killed:
            assert found == new
            break
    assert not killed
    assert met == {old, new}
    assert point > 3
