"""Rates: what happened in the last seconds, and over all."""

from catfs.forensics import ProcessTable, Rate, RateMeter
from tests.support.log_maker import START, LogMaker


def _meter(log: LogMaker, window_ms: int) -> RateMeter:
    table, meter = ProcessTable(), RateMeter(window_ms * 10**6)
    for record in log.records:
        meter.note(record, table.note(record))
    return meter


def _log() -> LogMaker:
    log = LogMaker()
    log.process(10, argv="cc")
    ino = log.create("a/x", 10)
    log.write("a/x", ino, 0, 100, 10)
    log.process(11, argv="ld")
    log.write("a/x", ino, 0, 7, 11)
    log.add("read", "b/y", 5, 11)
    return log


def test_only_the_last_seconds_are_recent() -> None:
    """Records are a millisecond apart: what is as old as the window is not recent any more."""
    meter = _meter(_log(), 3)
    meter.advance(START + 5 * 10**6)
    assert meter.total() == Rate(changes=3, written=107, recent_changes=1, recent_bytes=7)
    meter.advance(START + 10**9)
    assert meter.total() == Rate(changes=3, written=107)


def test_the_busiest_process_stands_first() -> None:
    """By recent bytes, then by all of them."""
    meter = _meter(_log(), 3)
    meter.advance(START + 5 * 10**6)
    assert [number for number, _ in meter.processes()] == [1, 0]
    meter.advance(START + 10**9)
    assert [number for number, _ in meter.processes()] == [0, 1]


def test_folders_have_the_changes_of_what_is_in_them() -> None:
    """Reads are no changes."""
    meter = _meter(_log(), 1000)
    assert [(folder, rate.changes) for folder, rate in meter.folders()] == [((0, b"a"), 3)]
    assert meter.records == 6
