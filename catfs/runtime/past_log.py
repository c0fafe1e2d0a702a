"""A write log that is followed, not just shown: checked whole first, then read up to any moment."""

from collections.abc import Iterator

from catfs.merkle import LogTree
from catfs.overlay import UNDO_MARK, Undone
from catfs.records import LogSummary
from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import Record
from catfs.runtime.log_reading import LogSource
from catfs.runtime.log_seal import LogTimes, check_seal


class PastLog:
    """The log of a session or a run.

    Args:
        source: Where it is.
        stated: What the proof of the run says of it; None where there is no proof.

    Raises:
        LogDamageError: when a record is damaged, missing or out of place.
        FormatError: when it is not the log that the proof states.
        OSError: when it cannot be read.
    """

    def __init__(self, source: LogSource, stated: LogSummary | None = None) -> None:
        self.source = source
        self._tree = LogTree()
        self._times = LogTimes()
        self.undone = self._scan()
        self.size = self._tree.size
        """Number of its records, those that were taken back included."""
        if stated is not None:
            self.check(stated)

    def records(self, end: int | None = None) -> Iterator[Record]:
        """Give the records that count at a moment, in order.

        Args:
            end: Number of records that there are at that moment; None for all.
        """
        return self.undone.counting(self.all_records(end), end)

    def all_records(self, end: int | None = None) -> Iterator[Record]:
        """Give every record before a moment, taken back or not.

        Args:
            end: Number of records that there are at that moment; None for all.
        """
        stop = self.size if end is None else min(end, self.size)
        with self.source.path.open("rb") as stream:
            records = log_records(log_lines(stream, self.source.name), self.source.name)
            for _, record in zip(range(stop), records, strict=False):
                yield record

    def lines(self) -> Iterator[bytes]:
        """Give the bytes of every record."""
        with self.source.path.open("rb") as stream:
            for _, line in zip(range(self.size), log_lines(stream, self.source.name), strict=False):
                yield line

    def _scan(self) -> Undone:
        """Look through the log once, and give what it took back.

        Of a log that is being written the last line may be on its way.
        """
        undone: list[bytes] = []

        def noted(lines: Iterator[bytes]) -> Iterator[bytes]:
            for line in lines:
                self._tree.append(line)
                if UNDO_MARK in line:
                    undone.append(line)
                yield line

        with self.source.path.open("rb") as stream:
            try:
                for record in log_records(noted(log_lines(stream, self.source.name)), self.source.name):
                    self._times.note(record.seq, record.t)
            except LogDamageError as error:
                if not (self.source.live and error.cut_off):
                    raise
        return Undone.of_lines(undone)

    def check(self, stated: LogSummary) -> None:
        """Hold the log against what the proof states of it.

        Args:
            stated: What that is.

        Raises:
            FormatError: when it is another one; the first bad record is named as far as it can be told.
        """
        check_seal(self.source.name, self._tree, self._times, stated)
