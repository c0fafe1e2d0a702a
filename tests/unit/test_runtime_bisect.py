"""Bisecting a log: the record is found, in few tries, and only when there is one to be found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from catfs.runtime.bisect import NothingToFindError, find_culprit
from catfs.runtime.log_reading import LogSource
from catfs.runtime.past_log import PastLog
from tests.support.workspaces import LOG, log_bytes

CHANGES = 10_000
"""Number of changes in the long log."""

PROCESSES = (LOG[0], LOG[2])


def make_log(path: Path, count: int) -> PastLog:
    """Give a log with two processes and some changes, of which every tenth record is none."""
    write = {"op": "write", "path": "f", "offset": 0, "length": 1, "data": 0, "ino": 9, "pid": 72}
    read = {"op": "read", "path": "f", "ino": 9, "pid": 70}
    records = [read if number % 10 == 9 else write for number in range(count)]
    path.write_bytes(log_bytes([*PROCESSES, *records]))
    return PastLog(LogSource(path, "log", False, (b"/d",)))


def tell_nobody(left: int, end: int) -> None:
    """Show no progress."""
    del left, end


def never(end: int) -> bool:
    """Fail in every moment."""
    del end
    return False


def always(end: int) -> bool:
    """Pass in every moment."""
    del end
    return True


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> PastLog:
    """Give a log of more than 10,000 records."""
    return make_log(tmp_path_factory.mktemp("log") / "log.jsonl", CHANGES * 10 // 9 + 2)


def test_a_planted_change_among_ten_thousand_is_found_in_few_tries(log: PastLog) -> None:
    """The tries are the two ends and the logarithm of the changes; record, process and command are named."""
    tries: list[int] = []

    def passes(end: int) -> bool:
        tries.append(end)
        return end <= 7313

    culprit = find_culprit(log, 0, log.size, passes, tell_nobody)
    assert culprit.record.seq == 7313
    assert culprit.tried == len(tries) <= 2 + 14
    assert [program.argv for program in culprit.programs] == [(b"cc1", b"-O2"), (b"make", b"all")]
    assert culprit.candidates >= CHANGES


def test_every_change_is_found(tmp_path: Path) -> None:
    """Wherever it is planted: what is named is the first change at or behind it."""
    small = make_log(tmp_path / "log.jsonl", 41)
    for planted in range(2, 42):
        culprit = find_culprit(small, 0, small.size, _passes_until(planted), tell_nobody)
        assert culprit.record.seq == (planted if planted % 10 != 1 else planted + 1)


def _passes_until(planted: int) -> Callable[[int], bool]:
    return lambda end: end <= planted


def test_a_test_that_never_changes_finds_nothing(log: PastLog) -> None:
    """One that fails at first or passes in the end is told of, with exit status 1."""
    with pytest.raises(NothingToFindError, match="fails in the first moment already"):
        find_culprit(log, 0, log.size, never, tell_nobody)
    with pytest.raises(NothingToFindError, match="passes in the last moment") as caught:
        find_culprit(log, 0, log.size, always, tell_nobody)
    assert caught.value.exit_status == 1
    with pytest.raises(NothingToFindError, match="nothing changes between the moments"):
        find_culprit(log, 0, 2, lambda end: end < 2, tell_nobody)
