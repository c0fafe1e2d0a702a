"""What each process of a log read and wrote."""

from catfs.forensics.processes import Process, ProcessTable
from catfs.forensics.summary import Grouping, Sum, Summary
from catfs.records.write_record import OF_THE_SESSION, Record, WriteRecord
from catfs.values import dataclass

Place = tuple[int, bytes]
"""(index of the domain, path relative to it)."""


@dataclass(frozen=True, slots=True)
class Deeds:
    """What one process did.

    Args:
        process: The process; None stands for the kernel, and for whom the log does not know.
        reads: Files of the original that it was the first to read, in order.
        writes: What it changed, by the path at the time, in order; for a rename and a link the new path.
        own: Its changes, summed up.
        together: Its changes and those of everything that came from it; each process counts its files.
    """

    process: Process | None
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    own: Sum
    together: Sum

    @property
    def did_something(self) -> bool:
        """Whether the process, or anything that came from it, changed or read something."""
        return bool(self.together.changes or self.together.reads)


class Activity:
    """Collects what each process did; show it every record, in order."""

    def __init__(self) -> None:
        self._summary = Summary(Grouping.PROCESS)
        self._reads: dict[int | None, dict[Place, None]] = {}
        self._writes: dict[int | None, dict[Place, None]] = {}

    def note(self, record: Record, process: Process | None) -> None:
        """Take a record in.

        Args:
            record: The record.
            process: The process behind it; None when unknown.

        Raises:
            FormatError: when the record lacks a field that its operation needs.
        """
        self._summary.note(record, process)
        if not isinstance(record, WriteRecord) or record.op in OF_THE_SESSION:
            return
        path = record.text("path2") if record.op in {"rename", "link"} else record.path
        places = self._reads if record.op == "read" else self._writes
        number = None if process is None else process.number
        places.setdefault(number, {})[record.domain, path] = None

    def deeds(self, table: ProcessTable) -> list[Deeds]:
        """Give what each process did, in the order of the table; unknown ones together, last, if any.

        Args:
            table: The processes.
        """
        sums = {
            None if group.process is None else group.process.number: group.sum
            for group in self._summary.groups(table.processes.__getitem__)
        }
        together = {process.number: sums.get(process.number, Sum()) for process in table.processes}
        for process in reversed(table.processes):  # a parent stands before its children
            if process.parent is not None:
                together[process.parent] = add_sums(together[process.parent], together[process.number])
        found = [
            self._deeds_of(process, sums.get(process.number, Sum()), together[process.number])
            for process in table.processes
        ]
        if None in sums:
            found.append(self._deeds_of(None, sums[None], sums[None]))
        return found

    def _deeds_of(self, process: Process | None, own: Sum, together: Sum) -> Deeds:
        number = None if process is None else process.number
        reads, writes = self._reads.get(number, {}), self._writes.get(number, {})
        return Deeds(process, tuple(reads), tuple(writes), own, together)


def add_sums(first: Sum, second: Sum) -> Sum:
    """Give what two sums come to; a file that both have counts twice."""
    return Sum(
        first.changes + second.changes,
        first.reads + second.reads,
        first.files + second.files,
        first.written + second.written,
        first.left + second.left,
    )
