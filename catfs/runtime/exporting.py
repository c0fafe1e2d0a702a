"""Exports of a write log, held against its proof, to a file that appears whole or not at all."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Final

from catfs.digest import Digest
from catfs.durable import publish_made
from catfs.errors import UsageError, printable
from catfs.forensics.exports import (
    CsvFolder,
    ParquetFolder,
    SqliteFile,
    Subject,
    TableCounts,
    TableSink,
    TraceFacts,
    write_runtime_trace,
    write_tables,
    write_trace_events,
)
from catfs.ledger import RunReader
from catfs.records import JOBSPEC_FILE, PROOF_FILE, Kind
from catfs.records.write_record import Record
from catfs.runtime.log_reading import LogSource, counts_of
from catfs.runtime.runs import DomainTrees, domain_trees
from catfs.runtime.sealed_log import SealedLog
from catfs.values import dataclass

PROGRESS_RECORDS = 100_000
"""Records between two reports of progress."""


class ExportFormat(Enum):
    """The formats of an export."""

    PERFETTO = "perfetto"
    PARQUET = "parquet"
    SQLITE = "sqlite"
    CSV = "csv"
    IN_TOTO = "in-toto"


_FOLDERS = frozenset({ExportFormat.PARQUET, ExportFormat.CSV})
"""Formats that hold one table in a file, so that an export is a folder."""

_SINKS: Final[Mapping[ExportFormat, Callable[[Path], TableSink]]] = {
    ExportFormat.PARQUET: ParquetFolder,
    ExportFormat.CSV: CsvFolder,
    ExportFormat.SQLITE: SqliteFile,
}


@dataclass(frozen=True, slots=True)
class Export:
    """What was exported.

    Args:
        path: The file or folder.
        counts: What is in it.
        size: Its bytes, those of all files of a folder.
        sealed: Whether a proof vouches for the log.
        cut_off: Whether the log ended in the middle of a record, as that of a killed run may.
    """

    path: Path
    counts: TableCounts
    size: int
    sealed: bool
    cut_off: bool


def export_log(
    source: LogSource,
    run: RunReader | None,
    form: ExportFormat,
    path: Path,
    progress: Callable[[int], None],
) -> Export:
    """Export a log.

    Args:
        source: The log.
        run: The run that it belongs to; None for a session.
        form: The format.
        path: The file or folder to make. A file takes the place of one that is there, a folder does not.
        progress: Told now and then how many records are done.

    Raises:
        UsageError: when the place cannot be used, or the format does not fit the log.
        LogDamageError: when the log is damaged or not the one that the proof seals; nothing is written then.
        FormatError: when another file of the run is not what it should be.
        OSError: when something cannot be read or written.
    """
    _check_place(path, form)
    proof = run.proof() if run is not None and run.is_complete else None
    log = SealedLog(source, proof)
    records = _counted(log, progress)
    with publish_made(path.parent, os.fsencode(path.name)) as made:
        if form is ExportFormat.PERFETTO:
            with made.open("xb") as stream:
                counts = write_trace_events(records, stream, source.name, counts_of(log.source))
        elif form is ExportFormat.IN_TOTO:
            counts = _write_statement(records, log, run, made)
        else:
            counts = write_tables(records, _SINKS[form](made), counts_of(log.source))
        size = sum(map(os.path.getsize, made.iterdir() if made.is_dir() else [made]))
    return Export(path, counts, size, proof is not None, log.is_cut_off)


def _check_place(path: Path, form: ExportFormat) -> None:
    shown = printable(os.fsencode(path))
    if not path.name or not path.parent.is_dir():
        raise UsageError(f"there is no folder for {shown}", hint="make it first")
    if form in _FOLDERS and os.path.lexists(path):
        raise UsageError(
            f"{shown} is there already", hint=f"{form.value} makes a new folder; choose a free name"
        )
    if form not in _FOLDERS and path.is_dir():
        raise UsageError(f"{shown} is a folder", hint=f"{form.value} makes a file")


def _counted(records: Iterable[Record], progress: Callable[[int], None]) -> Iterator[Record]:
    count = 0
    for count, record in enumerate(records, start=1):
        if count % PROGRESS_RECORDS == 0:
            progress(count)
        yield record


def _write_statement(
    records: Iterator[Record], log: SealedLog, run: RunReader | None, path: Path
) -> TableCounts:
    proof = log.proof
    if run is None or proof is None:
        raise UsageError(
            "an in-toto statement is about a finished run, and this has no proof yet",
            hint="the other formats take any log",
        )
    job, info = run.job(), run.info()
    facts = TraceFacts(
        run_id=proof.run_id,
        host=info.host,
        started=info.started,
        ended=info.ended,
        domains=job.domains,
        subjects=_subjects(run),
        declaration=proof.files[JOBSPEC_FILE],
    )
    with path.open("xb") as stream:
        return write_runtime_trace(
            records, stream, facts, _BaseDigests(domain_trees(run, proof)), counts_of(log.source)
        )


def _subjects(run: RunReader) -> tuple[Subject, ...]:
    """Give what a statement on a run is about: what it committed, or else its proof."""
    files = {
        output.domain.rstrip(b"/") + b"/" + row.path: row.entry.digest
        for output in run.outputs().outputs
        if output.committed
        for row in output.entries
        if row.entry.kind is Kind.FILE
    }
    committed = tuple(Subject(name, digest) for name, digest in sorted(files.items()))
    return committed or (Subject(PROOF_FILE.encode(), Digest.of(run.files[PROOF_FILE])),)


class _BaseDigests:
    """What files of the original held, by domain and path."""

    def __init__(self, domains: tuple[DomainTrees, ...]) -> None:
        self._domains = domains

    def __call__(self, domain: int, path: bytes) -> Digest | None:
        entry = self._domains[domain].base.entry(path) if domain < len(self._domains) else None
        return entry.digest if entry is not None and entry.kind is Kind.FILE else None
