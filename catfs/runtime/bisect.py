"""Finding the first record after which a test fails, by trying moments: in O(log n) of them."""

from collections.abc import Callable, Iterable

from catfs.errors import CatfsError, ExitStatus
from catfs.forensics import ProcessTable
from catfs.records.write_record import UNCHANGING, ProcessRecord, Record, WriteRecord
from catfs.runtime.past_log import PastLog
from catfs.values import dataclass


class NothingToFindError(CatfsError):
    """The test ends alike in the first and in the last moment, so no record makes the difference."""

    exit_status = ExitStatus.DIRTY


@dataclass(frozen=True, slots=True)
class Culprit:
    """The record after which a test fails for the first time.

    Args:
        record: The record.
        programs: The program behind it, the one that started that, and so on; empty when nobody knows.
        tried: Number of moments that were tried.
        candidates: Number of records among which it was found.
    """

    record: WriteRecord
    programs: tuple[ProcessRecord, ...]
    tried: int
    candidates: int


def find_culprit(
    log: PastLog, first: int, last: int, passes: Callable[[int], bool], on_try: Callable[[int, int], None]
) -> Culprit:
    """Find the first record after which a test fails.

    The test must pass in the first moment and fail in the last; where it changes more than once between,
    one of the changes from passing to failing is found.

    Args:
        log: The log.
        first: Number of records at the first moment.
        last: Number of records at the last moment.
        passes: Says whether the test passes in the moment with so many records.
        on_try: Told before each try how many tries are left at most, and the moment.

    Raises:
        NothingToFindError: when the test fails in the first moment or passes in the last.
    """
    candidates = [
        record.seq
        for record in log.records(last)
        if record.seq >= first and isinstance(record, WriteRecord) and record.op not in UNCHANGING
    ]
    search = _Search(passes, on_try)
    if not search.try_moment(first, len(candidates)):
        raise NothingToFindError(
            "the test fails in the first moment already", hint="name a later one with --from"
        )
    if search.try_moment(last, len(candidates)):
        raise NothingToFindError(
            "the test passes in the last moment", hint="it must fail there to be searched"
        )
    if not candidates:
        raise NothingToFindError("nothing changes between the moments, and yet the test ends differently")
    low, high = 0, len(candidates) - 1  # the first failing candidate lies between the two
    while low < high:
        middle = (low + high) // 2
        if search.try_moment(candidates[middle] + 1, high - low):
            low = middle + 1
        else:
            high = middle
    record, programs = describe_record(log.all_records(), candidates[low])
    return Culprit(record, programs, search.tried, len(candidates))


class _Search:
    """Tries moments, and counts them."""

    def __init__(self, passes: Callable[[int], bool], on_try: Callable[[int, int], None]) -> None:
        self._passes = passes
        self._on_try = on_try
        self.tried = 0

    def try_moment(self, end: int, left: int) -> bool:
        """Say whether the test passes in a moment; `left` records may still be the one."""
        self.tried += 1
        self._on_try(left, end)
        return self._passes(end)


def describe_record(records: Iterable[Record], seq: int) -> tuple[WriteRecord, tuple[ProcessRecord, ...]]:
    """Give a record with the programs that led to it, from the one behind it up.

    Args:
        records: The records of the log, in order.
        seq: Its sequence number; it is a change.
    """
    table = ProcessTable()
    for record in records:
        process = table.note(record)
        if record.seq == seq and isinstance(record, WriteRecord):
            programs = () if process is None else tuple(table.chain(process, seq))
            return record, programs
    raise AssertionError(f"record {seq} was there before")
