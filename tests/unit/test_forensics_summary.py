"""Sums over a log: what each group wrote, and what of it is left."""

from catfs.forensics import Grouping, ProcessTable, Sum, Summary
from tests.support.log_maker import LogMaker


def _summed(log: LogMaker, by: Grouping, without: tuple[int, ...] = ()) -> dict[bytes, Sum]:
    table, summary = ProcessTable(), Summary(by)
    for record in log.records:
        summary.note(record, table.note(record), wanted=record.seq not in without)
    return {group.key: group.sum for group in summary.groups(table.processes.__getitem__)}


def test_what_is_written_over_is_not_left() -> None:
    """Bytes count for the folder whose write was last, through links and renames."""
    log = LogMaker()
    ino = log.create("a/file")
    log.write("a/file", ino, 0, 10)
    log.add("rename", "a/file", ino, path2="b/file", flags=0)
    log.write("b/file", ino, 4, 10)
    found = _summed(log, Grouping.DIRECTORY)
    assert (found[b"a"].written, found[b"a"].left) == (10, 4)
    assert (found[b"b"].written, found[b"b"].left) == (10, 10)
    assert found[b"a"].amplification == 2.5


def test_nothing_is_left_of_a_file_without_a_name() -> None:
    """Deleted, and truncated."""
    log = LogMaker()
    gone, cut = log.create("gone"), log.create("cut")
    log.write("gone", gone, 0, 10)
    log.write("cut", cut, 0, 10)
    log.add("unlink", "gone", gone)
    log.add("truncate", "cut", cut, length=3)
    found = _summed(log, Grouping.KIND)
    assert (found[b"write"].written, found[b"write"].left) == (20, 3)
    assert found[b"unlink"].amplification is None


def test_what_is_not_counted_still_writes_over_what_is() -> None:
    """Conditions choose what is summed, not what happened."""
    log = LogMaker()
    ino = log.create("f")
    log.write("f", ino, 0, 10)
    later = log.write("f", ino, 0, 6)
    found = _summed(log, Grouping.KIND, without=(later,))
    assert (found[b"write"].written, found[b"write"].left) == (10, 4)


def test_reads_are_counted_apart() -> None:
    """Reading an original is no change."""
    log = LogMaker()
    log.add("read", "a", 5)
    assert _summed(log, Grouping.DIRECTORY)[b""] == Sum(reads=1)
