"""How much is written right now, by whom and where: sums over the last seconds and over all of a log."""

import os
from collections import deque

from catfs.forensics.processes import Process
from catfs.records.write_record import UNCHANGING, Record, WriteRecord
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """Changes of one process, of one folder, or of all.

    Args:
        changes: All of them.
        written: Bytes of all of them.
        recent_changes: Those of the last seconds.
        recent_bytes: Bytes of these.
    """

    changes: int = 0
    written: int = 0
    recent_changes: int = 0
    recent_bytes: int = 0


@dataclass(slots=True)
class _Count:
    changes: int = 0
    written: int = 0
    recent_changes: int = 0
    recent_bytes: int = 0

    def add(self, size: int) -> None:
        self.changes += 1
        self.written += size
        self.recent_changes += 1
        self.recent_bytes += size

    def drop(self, size: int) -> None:
        self.recent_changes -= 1
        self.recent_bytes -= size

    def rate(self) -> Rate:
        return Rate(self.changes, self.written, self.recent_changes, self.recent_bytes)


@dataclass(frozen=True, slots=True)
class _Change:
    t: int
    size: int
    process: int | None
    folder: tuple[int, bytes]


class RateMeter:
    """Counts changes; show it every record, in order.

    Args:
        window_ns: Length of the time that counts as recent, in nanoseconds.
    """

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self.records = 0
        """Number of records so far."""
        self._recent: deque[_Change] = deque()
        self._all = _Count()
        self._processes: dict[int | None, _Count] = {}
        self._folders: dict[tuple[int, bytes], _Count] = {}

    def note(self, record: Record, process: Process | None) -> None:
        """Take a record in.

        Args:
            record: The record.
            process: The process behind it; None when unknown.
        """
        self.records += 1
        if not isinstance(record, WriteRecord) or record.op in UNCHANGING:
            return
        size = record.numbers.get("length", 0) if record.op == "write" else 0
        number = None if process is None else process.number
        change = _Change(record.t, size, number, (record.domain, os.path.dirname(record.path)))
        self._recent.append(change)
        for count in self._counts(change):
            count.add(size)

    def advance(self, now: int) -> None:
        """Let go of what is not recent any more.

        Args:
            now: The time, in nanoseconds since 1970.
        """
        while self._recent and self._recent[0].t <= now - self.window_ns:
            change = self._recent.popleft()
            for count in self._counts(change):
                count.drop(change.size)

    def total(self) -> Rate:
        """Give the sum of all changes."""
        return self._all.rate()

    def processes(self) -> list[tuple[int | None, Rate]]:
        """Give (number of the process, what it did), the busiest first; None for unknown ones."""
        return sorted(((key, count.rate()) for key, count in self._processes.items()), key=_busy)

    def folders(self) -> list[tuple[tuple[int, bytes], Rate]]:
        """Give ((index of the domain, path of a folder), what happened in it), the busiest first."""
        return sorted(((key, count.rate()) for key, count in self._folders.items()), key=_busy)

    def _counts(self, change: _Change) -> tuple[_Count, _Count, _Count]:
        return (
            self._all,
            self._processes.setdefault(change.process, _Count()),
            self._folders.setdefault(change.folder, _Count()),
        )


def _busy(item: tuple[object, Rate]) -> tuple[int, int, int, int]:
    rate = item[1]
    return (-rate.recent_bytes, -rate.recent_changes, -rate.written, -rate.changes)
