"""The processes of a log: who is who, who started whom, and which program each ran when.

An id is given to another process once the first is gone, so a process is its id together with its start
time. Within one process a record with another executable or other arguments is a new program (exec);
one that says the same of another thread id is a thread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from catfs.records.write_record import ProcessRecord, Record
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    Args:
        number: Its place among the processes of the log, counted from 0 in order of their first record.
        pid: Its id; that of the thread when the process was gone before anyone looked.
        parent_pid: Id of its parent at its first record; 0 when unknown.
        parent: Number of its parent; None when the log does not know it.
        start: When it started, in clock ticks since boot; 0 when unknown.
        programs: The record of each program that it ran, in order; never empty.
    """

    number: int
    pid: int
    parent_pid: int
    parent: int | None
    start: int
    programs: tuple[ProcessRecord, ...]

    @property
    def first(self) -> ProcessRecord:
        """Its first record."""
        return self.programs[0]

    @property
    def last(self) -> ProcessRecord:
        """The record of the program that it ran last."""
        return self.programs[-1]

    def program_at(self, seq: int) -> ProcessRecord:
        """Give the program that it ran when a record was written; the first one for earlier records.

        Args:
            seq: Sequence number of that record.
        """
        found = self.programs[0]
        for program in self.programs:
            if program.seq > seq:
                break
            found = program
        return found


class ProcessTable:
    """Every process of a log; grows with each record that it is shown.

    Show it all records, in order: which process a thread id means depends on the place in the log.
    """

    def __init__(self) -> None:
        self._processes: list[Process] = []
        self._by_pid: dict[int, int] = {}
        """Process id -> number of the last process that had it."""
        self._by_thread: dict[int, int] = {}
        """Thread id -> number of the last process that had it."""
        self._children: dict[int | None, list[int]] = {}

    @property
    def processes(self) -> Sequence[Process]:
        """All processes so far; the place of each is its number."""
        return self._processes

    def note(self, record: Record) -> Process | None:
        """Take a record in and give the process behind it.

        Returns:
            The process; None for what no process did, and when the log does not describe it.
        """
        if isinstance(record, ProcessRecord):
            return self._introduce(record)
        return self.of_thread(record.pid)

    def of_thread(self, pid: int) -> Process | None:
        """Give the process that a thread id means at this place of the log."""
        number = self._by_thread.get(pid)
        return None if number is None else self._processes[number]

    def with_pid(self, pid: int) -> list[Process]:
        """Give every process that had an id, as that of itself or of one of its threads."""
        return [
            process
            for process in self._processes
            if pid == process.pid or any(pid == program.pid for program in process.programs)
        ]

    def children(self, number: int | None) -> list[Process]:
        """Give the processes that a process started, in order; with None those without a known parent."""
        return [self._processes[child] for child in self._children.get(number, ())]

    def ancestors(self, process: Process) -> Iterator[Process]:
        """Give the parent of a process, its parent, and so on, as far as the log knows them."""
        while process.parent is not None:
            process = self._processes[process.parent]
            yield process

    def descendants(self, numbers: Sequence[int]) -> set[int]:
        """Give the numbers of processes and of everything that they started, directly or not.

        Args:
            numbers: Those of the processes.
        """
        found: set[int] = set()
        waiting = list(numbers)
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += self._children.get(number, ())
        return found

    def chain(self, process: Process, seq: int) -> list[ProcessRecord]:
        """Give the programs that led to a record, from the one behind it up.

        Of each ancestor it is the program that started the next one down.

        Args:
            process: The process behind the record.
            seq: Sequence number of the record.
        """
        programs = [process.program_at(seq)]
        for ancestor in self.ancestors(process):
            programs.append(ancestor.program_at(process.first.seq))
            process = ancestor
        return programs

    def _introduce(self, record: ProcessRecord) -> Process:
        pid = record.process or record.pid
        number = self._by_pid.get(pid)
        if number is None or not record.start or record.start != self._processes[number].start:
            process = self._add(record, pid)
        else:
            process = self._processes[number]
            if not _is_same_program(process.last, record):
                process = replace(process, programs=(*process.programs, record))
                self._processes[number] = process
        self._by_thread[record.pid] = process.number
        return process

    def _add(self, record: ProcessRecord, pid: int) -> Process:
        parent = self._by_pid.get(record.parent) if record.parent else None
        if parent is not None and self._processes[parent].start > record.start:
            parent = None  # the id of the parent belongs to a younger process by now
        process = Process(len(self._processes), pid, record.parent, parent, record.start, (record,))
        self._processes.append(process)
        self._children.setdefault(parent, []).append(process.number)
        self._by_pid[pid] = process.number
        return process


def _is_same_program(known: ProcessRecord, record: ProcessRecord) -> bool:
    return (known.exe, known.argv) == (record.exe, record.argv)
