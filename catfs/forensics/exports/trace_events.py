"""A log as Chrome trace events: processes as tracks, files as slices.

Perfetto and chrome://tracing open it: the JSON object of the Trace Event Format. Memory grows with the
number of pairs of a process and a file that it changed, not with that of records.
"""

from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import BinaryIO, Final

import orjson

from catfs.forensics.counting import Counts, all_count
from catfs.forensics.exports.tables import TableCounts, text_of
from catfs.forensics.lifetimes import FileTable
from catfs.forensics.processes import Process, ProcessTable
from catfs.records.write_record import OF_THE_SESSION, Record, WriteRecord
from catfs.values import dataclass

_PROGRAMS_TRACK: Final = 0
"""Thread id of the track that shows which program a process ran when; its files follow in tracks from 1."""

_NOBODY: Final = 0
"""Process id of what no program did: the content told at the end, and changes of unknown origin."""

_REUSED_STEP: Final = 1 << 23
"""Added to the id of a process that another one had before: twice the largest id that Linux gives."""

_SAMPLES_MAX: Final = 4096
"""Most samples of the counter of bytes; then every other one is dropped."""

Event = Mapping[str, object]


@dataclass(slots=True)
class _Slice:
    """What one process did to one file."""

    path: bytes
    ino: int
    first: int
    last: int
    first_seq: int
    last_seq: int
    changes: int = 0
    written: int = 0


class _Counter:
    """Bytes written so far, over time, in a bounded number of samples."""

    def __init__(self) -> None:
        self.samples: list[tuple[int, int]] = []
        self._total = 0
        self._step = 1
        self._skipped = 0

    def add(self, time: int, length: int) -> None:
        self._total += length
        self._skipped += 1
        if self._skipped >= self._step:
            self.samples.append((time, self._total))
            self._skipped = 0
        if len(self.samples) > _SAMPLES_MAX:
            del self.samples[::2]  # the last one stays
            self._step *= 2


class _Trace:
    """What the events are made from, growing record by record."""

    def __init__(self, counts: Counts) -> None:
        self.records = 0
        self._counts = counts
        self.start = 0
        self.processes = ProcessTable()
        self.files = FileTable()
        self.counter = _Counter()
        self.slices: dict[int | None, dict[int, _Slice]] = {}
        self.ends: dict[int, int] = {}
        """Process -> time of its last record."""

    def take(self, record: Record) -> None:
        if not self.records:
            self.start = record.t
        self.records += 1
        process = self.processes.note(record)
        number = None if process is None else process.number
        if number is not None:
            self.ends[number] = record.t
        if isinstance(record, WriteRecord) and self._counts(record.seq):
            self.files.note(record, number)
            if record.op not in OF_THE_SESSION:
                self._take_change(record, number)

    def _take_change(self, record: WriteRecord, number: int | None) -> None:
        slices = self.slices.setdefault(number, {})
        found = slices.get(record.ino)
        if found is None:
            found = slices[record.ino] = _Slice(
                record.path, record.ino, record.t, record.t, record.seq, record.seq
            )
        found.path = record.texts["path2"] if record.op == "rename" else record.path
        found.last, found.last_seq = record.t, record.seq
        found.changes += 1
        if record.op == "write":
            found.written += record.number("length")
            self.counter.add(record.t, record.number("length"))


def write_trace_events(
    records: Iterable[Record], stream: BinaryIO, name: str, counts: Counts = all_count
) -> TableCounts:
    """Write the trace of a log.

    Args:
        records: All its records, in order.
        stream: Where to.
        name: What the log is called, for people.
        counts: Which records count; nothing else is drawn.

    Raises:
        FormatError: from the records, or when one lacks a field that its operation needs.
        OSError: when the stream cannot be written to.
    """
    trace = _Trace(counts)
    for record in records:
        trace.take(record)
    other = {"log": name, "start_ns": str(trace.start), "records": str(trace.records)}
    stream.write(b'{"displayTimeUnit":"ms","otherData":' + orjson.dumps(other) + b',"traceEvents":[\n')
    events = enumerate(_events(trace))
    stream.writelines((b",\n" if place else b"") + orjson.dumps(event) for place, event in events)
    stream.write(b"\n]}\n")
    return TableCounts(trace.records, len(trace.processes.processes), len(trace.files))


def _events(trace: _Trace) -> Iterator[Event]:
    ids = _track_ids(trace.processes.processes)
    yield _metadata("process_name", _NOBODY, 0, name="no program")
    for time, total in trace.counter.samples:
        yield {
            "ph": "C",
            "name": "bytes written",
            "pid": _NOBODY,
            "tid": 0,
            "ts": (time - trace.start) / 1000,
            "args": {"bytes": total},
        }
    for process in trace.processes.processes:
        yield from _program_events(trace, process, ids[process.number])
    for number, slices in trace.slices.items():
        pid = _NOBODY if number is None else ids[number]
        yield from _file_events(trace.start, slices, pid)


def _track_ids(processes: Iterable[Process]) -> list[int]:
    """Give each process an id of its own: the one that it had, unless another one had it before."""
    taken: set[int] = {_NOBODY}
    ids = []
    for process in processes:
        pid = process.pid
        while pid in taken:
            pid += _REUSED_STEP
        taken.add(pid)
        ids.append(pid)
    return ids


def _program_events(trace: _Trace, process: Process, pid: int) -> Iterator[Event]:
    name = text_of(process.last.exe.rpartition(b"/")[2]) or "?"
    yield _metadata("process_name", pid, 0, name=f"{name} {process.pid}")
    yield _metadata("process_sort_index", pid, 0, sort_index=process.number)
    yield _metadata("thread_name", pid, _PROGRAMS_TRACK, name="programs")
    ends = [program.t for program in process.programs[1:]]
    for program, end in zip(process.programs, [*ends, trace.ends[process.number]], strict=True):
        facts = {
            "argv": [text_of(word) for word in program.argv],
            "cwd": text_of(program.cwd),
            "exe": text_of(program.exe),
            "parent": process.parent_pid,
            "pid": process.pid,
            "seq": program.seq,
            "uid": program.uid,
        }
        shown = text_of(program.exe.rpartition(b"/")[2]) or "?"
        yield _slice_event(
            shown, "program", pid, _PROGRAMS_TRACK, program.t - trace.start, end - program.t, facts
        )


def _file_events(start: int, slices: Mapping[int, _Slice], pid: int) -> Iterator[Event]:
    """Give the slices of the files of one process, in as few tracks as let none overlap another."""
    free: list[tuple[int, int]] = []  # (end of the last slice of a track, the track)
    tracks = 0
    for found in sorted(slices.values(), key=lambda item: (item.first, item.first_seq)):
        if free and free[0][0] < found.first:
            track = heappop(free)[1]
        else:
            tracks += 1
            track = tracks
            yield _metadata("thread_name", pid, track, name="files" if track == 1 else f"files {track}")
        heappush(free, (max(found.last, found.first), track))
        facts = {
            "path": text_of(found.path),
            "ino": found.ino,
            "changes": found.changes,
            "bytes_written": found.written,
            "first_seq": found.first_seq,
            "last_seq": found.last_seq,
        }
        name = text_of(found.path) or "."
        yield _slice_event(name, "file", pid, track, found.first - start, found.last - found.first, facts)


def _slice_event(
    name: str, category: str, pid: int, tid: int, start: int, length: int, facts: Event
) -> Event:
    """Give a complete event; times are in nanoseconds here and in microseconds there."""
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": pid,
        "tid": tid,
        "ts": start / 1000,
        "dur": max(length, 0) / 1000,
        "args": facts,
    }


def _metadata(kind: str, pid: int, tid: int, **facts: object) -> Event:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": facts}
