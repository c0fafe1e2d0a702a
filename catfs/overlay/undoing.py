"""Undoing: which records of a log count, when some of them take others back.

A session goes back to an earlier moment by one more record, so that its log only ever grows: nothing
that happened is forgotten, and what was undone can be had again by undoing that.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import orjson

from catfs.errors import FormatError
from catfs.records.write_record import Record, WriteRecord, record_from_dict

_ALL = 1 << 63
"""More records than any log has."""

UNDO_MARK = b'"op":"undo"'
"""In the line of every record that takes others back, and in no other: quotes in texts are escaped."""


class Undo(NamedTuple):
    """One record that takes others back.

    Args:
        seq: Its own place in the log.
        first: The first record that it takes back; it takes back all from there to itself.
    """

    seq: int
    first: int


class Undone:
    """What the undo records of one log say.

    Args:
        undos: All of them, in the order of the log.

    Raises:
        FormatError: when one takes back what comes after it.
    """

    def __init__(self, undos: Sequence[Undo] = ()) -> None:
        for undo in undos:
            if undo.first > undo.seq:
                problem = f"expected to take back records up to itself, got {undo.first} as the first"
                raise FormatError(f"record {undo.seq}", problem)
        self._undos = tuple(undos)

    @classmethod
    def of_lines(cls, lines: Iterable[bytes]) -> "Undone":
        """Find them in the lines of a log. A line that is no record is left to whoever reads the log.

        Raises:
            FormatError: when one takes back what comes after it.
        """
        found = []
        for line in lines:
            if UNDO_MARK in line:
                with suppress(orjson.JSONDecodeError, FormatError):
                    record = record_from_dict(orjson.loads(line))
                    if isinstance(record, WriteRecord):
                        found.append(Undo(record.seq, record.number("first")))
        return cls(found)

    def ranges(self, end: int) -> list[range]:
        """Give the records that count at a moment, as runs in the order of the log.

        Args:
            end: Number of records that there are at that moment.
        """
        found = []
        for undo in reversed(self._undos):
            if undo.seq < end:
                found.append(range(undo.seq + 1, end))
                end = undo.first
        found.append(range(end))
        return [run for run in reversed(found) if run]

    def counting(self, records: Iterable[Record], end: int | None = None) -> Iterator[Record]:
        """Give the records of a log that count at a moment; those behind it are not even read.

        Args:
            records: The records, from the first.
            end: Number of records that there are at that moment; None for all.
        """
        runs = iter(self.ranges(_ALL if end is None else end))
        run = next(runs, None)
        for record in records:
            while run is not None and record.seq >= run.stop:
                run = next(runs, None)
            if run is None:
                return
            if record.seq in run:
                yield record
