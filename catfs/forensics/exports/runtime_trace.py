"""A log as an in-toto statement with the predicate runtime-trace: which processes ran, which files they used.

Form: in-toto Statement v1; predicate https://in-toto.io/attestation/runtime-trace/v0.1. It is not signed;
whoever wants that wraps it in an envelope (DSSE).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final
from urllib.parse import quote

import orjson

from catfs.digest import Digest
from catfs.forensics.counting import Counts, all_count
from catfs.forensics.exports.tables import TableCounts, text_of
from catfs.forensics.lifetimes import FileKind, FileLife, FileTable
from catfs.forensics.processes import Process, ProcessTable
from catfs.records import format_time
from catfs.records.write_record import OPERATIONS, Record, WriteRecord
from catfs.values import dataclass

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/runtime-trace/v0.1"
MONITOR_TYPE: Final = "urn:catfs:write-log:v1"
"""Says that a catfs write log is behind a trace, and so what `monitorLog.process` holds."""

RUN_TYPE: Final = "urn:catfs:run:v1"
"""Says that the monitored process was a run of catfs."""

BaseDigest = Callable[[int, bytes], Digest | None]
"""Gives what a path held before the run: index of the domain and path to SHA-256; None for no file."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that a statement is about.

    Args:
        name: Its name.
        digest: SHA-256 of its content.
    """

    name: bytes
    digest: Digest


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """What a statement says besides the log.

    Args:
        run_id: The run.
        host: Name of the machine.
        started: When the run began, in nanoseconds since 1970.
        ended: When it ended.
        domains: Absolute paths of its domains.
        subjects: What it is about: at least one.
        declaration: SHA-256 of JOBSPEC.json.
    """

    run_id: str
    host: str
    started: int
    ended: int
    domains: tuple[bytes, ...]
    subjects: tuple[Subject, ...]
    declaration: Digest


def write_runtime_trace(
    records: Iterable[Record],
    stream: BinaryIO,
    facts: TraceFacts,
    base: BaseDigest,
    counts: Counts = all_count,
) -> TableCounts:
    """Write the statement.

    Args:
        records: All records of the log, in order.
        stream: Where to.
        facts: What else it says.
        base: What files of the original held.
        counts: Which records count; files know nothing of the others.

    Raises:
        FormatError: from the records, or when one lacks a field that its operation needs.
        OSError: when the stream cannot be written to.
    """
    log = _Log(base, counts)
    for record in records:
        log.take(record)
    files = _written_files(log, facts), _read_files(log, facts)
    head = orjson.dumps({**_statement(facts), "predicate": {**_predicate(facts), "monitorLog": {}}})
    assert head.endswith(b'"monitorLog":{}}}'), "the log stands last in the predicate"
    stream.write(head[:-3] + b'"process":[')
    _write_items(
        stream, (_program(p, place) for p in log.processes.processes for place in range(len(p.programs)))
    )
    stream.write(b'],"fileAccess":[')
    _write_items(stream, (item for part in files for item in part))
    stream.write(b"]}}}\n")
    return TableCounts(log.records, len(log.processes.processes), len(log.files))


@dataclass(frozen=True, slots=True)
class _Read:
    """The first read of a file of the original."""

    domain: int
    path: bytes
    digest: Digest | None
    process: int | None


class _Log:
    """What the statement is made from, growing record by record."""

    def __init__(self, base: BaseDigest, counts: Counts) -> None:
        self.records = 0
        self._counts = counts
        self.processes = ProcessTable()
        self.files = FileTable()
        self.reads: list[_Read] = []
        self._base = base
        self._moved: set[tuple[int, bytes]] = set()
        """Paths at which something else may be than was there before the run."""

    def take(self, record: Record) -> None:
        self.records += 1
        process = self.processes.note(record)
        number = None if process is None else process.number
        if not isinstance(record, WriteRecord) or not self._counts(record.seq):
            return
        self.files.note(record, number)
        if record.op == "read":
            is_moved = bool(self._moved) and any(
                (record.domain, above) in self._moved for above in _with_parents(record.path)
            )
            digest = None if is_moved else self._base(record.domain, record.path)
            self.reads.append(_Read(record.domain, record.path, digest, number))
        elif record.op in {"rename", "link"}:
            self._moved |= {(record.domain, record.path), (record.domain, record.text("path2"))}
        elif record.op in {"unlink", "rmdir"}:
            self._moved.add((record.domain, record.path))


def _with_parents(path: bytes) -> Iterator[bytes]:
    while path:
        yield path
        path = path.rpartition(b"/")[0]


def _statement(facts: TraceFacts) -> dict[str, object]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": text_of(subject.name), "digest": {"sha256": subject.digest.hex}}
            for subject in facts.subjects
        ],
        "predicateType": PREDICATE_TYPE,
    }


def _predicate(facts: TraceFacts) -> dict[str, object]:
    return {
        "monitor": {
            "type": MONITOR_TYPE,
            "configSource": {"name": "JOBSPEC.json", "digest": {"sha256": facts.declaration.hex}},
            "tracePolicy": {"operations": sorted(OPERATIONS), "reads": "first of each original file"},
        },
        "monitoredProcess": {
            "hostID": f"urn:catfs:host:{quote(facts.host, safe='')}",
            "type": RUN_TYPE,
            "event": facts.run_id,
        },
        "metadata": {"buildStartedOn": _time(facts.started), "buildFinishedOn": _time(facts.ended)},
    }


def _time(time: int) -> str:
    return format_time(time)[:19] + "Z"


def _program(process: Process, place: int) -> dict[str, object]:
    program = process.programs[place]
    return {
        "eventType": "process",
        "number": process.number,
        "pid": process.pid,
        "parent": process.parent,
        "processBinary": text_of(program.exe),
        "arguments": [text_of(word) for word in program.argv],
        "cwd": text_of(program.cwd),
        "uid": program.uid,
        "seq": program.seq,
    }


def _read_files(log: _Log, facts: TraceFacts) -> Iterator[dict[str, object]]:
    for read in log.reads:
        yield _file(facts, read.domain, read.path, read.digest, {"access": "read", "process": read.process})


def _written_files(log: _Log, facts: TraceFacts) -> Iterator[dict[str, object]]:
    for life in log.files.lives():
        if life.kind in {FileKind.FILE, FileKind.UNKNOWN} and _is_changed(life):
            digest = None if life.digest is None else Digest.from_hex(text_of(life.digest))
            annotations: dict[str, object] = {
                "access": "write",
                "process": life.last.process,
                "bytesWritten": life.written,
                "temporary": life.is_temporary,
            }
            yield _file(facts, life.domain, life.path, digest, annotations)


def _is_changed(life: FileLife) -> bool:
    return bool(life.born or life.died or life.writes or life.digest)


def _file(
    facts: TraceFacts, domain: int, path: bytes, digest: Digest | None, annotations: dict[str, object]
) -> dict[str, object]:
    """Give a ResourceDescriptor: the address says the exact bytes of the path."""
    above = facts.domains[domain] if domain < len(facts.domains) else b""
    place = above.rstrip(b"/") + b"/" + path
    record: dict[str, object] = {"name": text_of(path), "uri": f"file://{quote(place)}"}
    if digest is not None:
        record["digest"] = {"sha256": digest.hex}
    return {**record, "annotations": annotations}


def _write_items(stream: BinaryIO, items: Iterable[dict[str, object]]) -> None:
    stream.writelines((b",\n" if place else b"\n") + orjson.dumps(item) for place, item in enumerate(items))
