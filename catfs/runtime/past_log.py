"""A write log that is followed, not just shown: checked whole first, then read up to any moment."""

from collections.abc import Iterator
from typing import NamedTuple

from catfs.errors import FormatError, counted
from catfs.merkle import LogTree
from catfs.overlay import UNDO_MARK, Undone
from catfs.records import LogSummary
from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import Record
from catfs.runtime.log_reading import LogSource


class _Scan(NamedTuple):
    """What one pass over a log found: its records, those that take others back, and where time steps back."""

    size: int
    undone: Undone
    backward: int | None


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
        self._found = self._scan()
        self.size = self._found.size
        """Number of its records, those that were taken back included."""
        self.undone = self._found.undone
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

    def _scan(self) -> _Scan:
        """Look through the log once; of one that is being written the last line may be on its way."""
        size, backward, last = 0, None, 0
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
                    size = record.seq + 1
                    if record.t < last and backward is None:
                        backward = record.seq
                    last = record.t
            except LogDamageError as error:
                if not (self.source.live and error.cut_off):
                    raise
        return _Scan(size, Undone.of_lines(undone), backward)

    def check(self, stated: LogSummary) -> None:
        """Hold the log against what the proof states of it.

        Args:
            stated: What that is.

        Raises:
            FormatError: when it is another one; the first bad record is named as far as it can be told.
        """
        name, scan = self.source.name, self._found
        if scan.size < stated.records:
            missing = counted(stated.records, "record")
            raise FormatError(name, f"record {scan.size} is missing: the proof states {missing}")
        if scan.size > stated.records:
            problem = f"record {stated.records} is one too many: the proof states {stated.records}"
            raise FormatError(name, problem)
        if self._tree.root != stated.root:
            where = ""
            if scan.backward is not None:
                where = f"; record {scan.backward} is the first that is older than the one before it"
            problem = f"expected records with the root {stated.root}, got {self._tree.root}{where}"
            raise FormatError(name, problem)
