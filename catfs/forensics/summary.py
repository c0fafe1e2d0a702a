"""A log in sums: how much each process, folder or kind of change wrote, and how much of that is left.

What is left of a group are the bytes that it wrote, that nothing wrote over, and whose file still has a
name. Bytes written for each byte left are the write amplification.
"""

import os
from collections.abc import Callable
from dataclasses import field, replace
from enum import Enum

from catfs.forensics.lifetimes import FileTable
from catfs.forensics.ownership import Ownership
from catfs.forensics.processes import Process
from catfs.records.write_record import OF_THE_SESSION, Record, WriteRecord
from catfs.values import dataclass

_NO_GROUP = -1
"""Owner of bytes whose record was not wanted."""


class Grouping(Enum):
    """What the changes are summed by."""

    PROCESS = "process"
    """The process that did it."""
    DIRECTORY = "directory"
    """The folder in which it happened."""
    KIND = "kind"
    """The operation."""
    ENDING = "ending"
    """The ending of the file's name, such as `.o`."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a group of changes comes to.

    Args:
        changes: Number of changes.
        reads: Files of the original that were read for the first time.
        files: Number of files that were changed.
        written: Bytes of all writes.
        left: Bytes of them that are still there.
    """

    changes: int = 0
    reads: int = 0
    files: int = 0
    written: int = 0
    left: int = 0

    @property
    def amplification(self) -> float | None:
        """Bytes written for each byte left; None when nothing is left."""
        return self.written / self.left if self.left else None


@dataclass(frozen=True, slots=True)
class Group:
    """One line of a summary.

    Args:
        key: The folder, ending or operation; b"" for a process.
        process: The process; None for another grouping, and for what no known process did.
        sum: What it comes to.
    """

    key: bytes
    process: Process | None
    sum: Sum


@dataclass(slots=True)
class _Open:
    """A group that still grows."""

    key: bytes
    process: int | None
    changes: int = 0
    reads: int = 0
    written: int = 0
    left: int = 0
    files: set[int] = field(default_factory=set)

    def add(self, record: WriteRecord) -> None:
        if record.op == "read":
            self.reads += 1
        else:
            self.changes += 1
            self.files.add(record.ino)
            if record.op == "write":
                self.written += record.number("length")

    def sum(self) -> Sum:
        return Sum(self.changes, self.reads, len(self.files), self.written, self.left)


class Summary:
    """Sums a log up; show it every record, in order.

    Args:
        by: What the changes are summed by.
    """

    def __init__(self, by: Grouping) -> None:
        self._by = by
        self._groups: list[_Open] = []
        self._places: dict[tuple[bytes, int | None], int] = {}
        self._owners: dict[int, Ownership[int]] = {}
        self._files = FileTable()
        self._all = _Open(b"", None)

    def note(self, record: Record, process: Process | None, *, wanted: bool = True) -> None:
        """Take a record in.

        Args:
            record: The record.
            process: The process behind it; None when unknown.
            wanted: Whether it counts. All records must be shown, for what is not counted may write over
                what is.

        Raises:
            FormatError: when the record lacks a field that its operation needs.
        """
        if not isinstance(record, WriteRecord):
            return
        self._files.note(record)
        counts = wanted and record.op not in OF_THE_SESSION
        place = self._place(record, process) if counts else _NO_GROUP
        if record.op in {"create", "write", "truncate", "fallocate", "base"}:
            self._owners.setdefault(record.ino, Ownership()).apply(
                record, place if record.op == "write" else _NO_GROUP
            )
        if counts:
            self._groups[place].add(record)
            self._all.add(record)

    def groups(self, processes: Callable[[int], Process]) -> list[Group]:
        """Give the groups, those that wrote most first.

        Args:
            processes: Gives a process by its number.
        """
        lefts = self._left()
        found = [
            Group(
                group.key,
                None if group.process is None else processes(group.process),
                replace(group.sum(), left=left),
            )
            for group, left in zip(self._groups, lefts, strict=True)
        ]
        return sorted(found, key=lambda group: (-group.sum.written, -group.sum.changes))

    def total(self) -> Sum:
        """Give what all counted records come to."""
        return replace(self._all.sum(), left=sum(self._left()))

    def _place(self, record: WriteRecord, process: Process | None) -> int:
        number = None if self._by is not Grouping.PROCESS or process is None else process.number
        key = (self._key(record), number)
        if key not in self._places:
            self._places[key] = len(self._groups)
            self._groups.append(_Open(*key))
        return self._places[key]

    def _key(self, record: WriteRecord) -> bytes:
        if self._by is Grouping.DIRECTORY:
            return os.path.dirname(record.path)
        if self._by is Grouping.KIND:
            return record.op.encode()
        if self._by is Grouping.ENDING:
            return os.path.splitext(os.path.basename(record.path))[1]
        return b""

    def _left(self) -> list[int]:
        lefts = [0] * len(self._groups)
        for ino, ownership in self._owners.items():
            life = self._files.life(ino)
            if life is None or not life.names:
                continue
            for owned in ownership:
                if owned.owner != _NO_GROUP:
                    lefts[owned.owner] += owned.length
        return lefts
