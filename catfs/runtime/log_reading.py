"""Reading a write log selectively: which records are wanted, and who made them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from catfs.errors import FormatError, printable
from catfs.ledger import RunReader
from catfs.records import WRITE_LOG_FILE
from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import OPERATIONS, ProcessRecord, Record, WriteRecord
from catfs.runtime.globs import compile_glob

PROCESS = "process"
"""The operation of the records that describe a process."""

ALL_OPERATIONS = frozenset({*OPERATIONS, PROCESS})
"""Every operation that a record may have."""

_NAMES_TWO_PATHS = frozenset({"rename", "link"})


@dataclass(frozen=True, slots=True)
class LogSource:
    """A log that can be read.

    Args:
        path: Where it is.
        name: What it is called, for people.
        live: Whether a server writes on it: then its last line may still be on the way.
        domains: Absolute paths of the domains that the records count.
    """

    path: Path
    name: str
    live: bool
    domains: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LogItem:
    """One line of a log that is wanted.

    Args:
        line: Its bytes, without the newline.
        record: What it says.
        process: Who did it, as far as the log says.
    """

    line: bytes
    record: Record
    process: ProcessRecord | None


class LogFilter:
    """Chooses records; every condition that is given must hold.

    Args:
        glob: Pattern for the path, or for either path of a rename and a link; None for any.
        pid: Id of the thread or of its process; None for any.
        operations: The operations; empty for any.

    Raises:
        UsageError: when the pattern cannot be used.
    """

    def __init__(
        self, glob: bytes | None = None, pid: int | None = None, operations: Collection[str] = ()
    ) -> None:
        self._pattern = None if glob is None else compile_glob(glob)
        self._pid = pid
        self._operations = frozenset(operations)

    def wants(self, record: Record, process: ProcessRecord | None) -> bool:
        """Say whether a record is wanted.

        Args:
            record: The record.
            process: Who did it; None when the log does not say.
        """
        operation = record.op if isinstance(record, WriteRecord) else PROCESS
        if self._operations and operation not in self._operations:
            return False
        if self._pid is not None and self._pid not in {record.pid, process.process if process else None}:
            return False
        return self._pattern is None or any(map(self._pattern.fullmatch, _paths(record)))


def read_log(source: LogSource, chosen: LogFilter) -> Iterator[LogItem]:
    """Give the wanted lines of a log, in order.

    The record of a process comes along when something that it did is wanted: right before the first
    of that, however much earlier it stands in the log.

    Raises:
        LogDamageError: after the last whole record, when the log is damaged.
        FormatError: when there is no log.
        OSError: when it cannot be read.
    """
    known: dict[int, ProcessRecord] = {}
    waiting: dict[int, tuple[bytes, ProcessRecord]] = {}
    for line, record in _lines(source):
        if isinstance(record, ProcessRecord):
            known[record.pid] = record
            if chosen.wants(record, record):
                yield LogItem(line, record, record)
            else:
                waiting[record.pid] = (line, record)
            continue
        process = known.get(record.pid)
        if chosen.wants(record, process):
            if introduced := waiting.pop(record.pid, None):
                yield LogItem(*introduced, introduced[1])
            yield LogItem(line, record, process)


def log_of_run(run: RunReader, sessions: Path | None) -> LogSource:
    """Give the log of a run: the one in its folder, or for a run that did not end, what its session left.

    Args:
        run: The run.
        sessions: Folder of the sessions of the workspace; None for nowhere.

    Raises:
        FormatError: when there is none.
    """
    path = run.folder / WRITE_LOG_FILE
    name = f"{WRITE_LOG_FILE} of run {run.run_id}"
    domains = _domains_of(run)
    if not path.is_file() and sessions is not None and not run.is_complete:
        path = sessions / run.run_id / "log.jsonl"
        name = f"log.jsonl of session {run.run_id}"
        if path.is_file():
            return LogSource(path, name, True, domains)
    if not path.is_file():
        hint = "the run did not end; catfs doctor says what is left of it"
        raise FormatError(name, "there is no such file", hint=None if run.is_complete else hint)
    return LogSource(path, name, False, domains)


def _domains_of(run: RunReader) -> tuple[bytes, ...]:
    try:
        return run.job().domains
    except FormatError:
        return ()  # the log says where the damage is that concerns it


def _lines(source: LogSource) -> Iterator[tuple[bytes, Record]]:
    """Give every line with its record."""
    current = [b""]

    def noted(lines: Iterator[bytes]) -> Iterator[bytes]:
        for line in lines:
            current[0] = line
            yield line

    with source.path.open("rb") as stream:
        try:
            for record in log_records(noted(log_lines(stream, source.name)), source.name):
                yield current[0], record
        except LogDamageError as error:
            if not (source.live and error.cut_off):  # in a live log the last line is on its way
                raise


def _paths(record: Record) -> tuple[bytes, ...]:
    if isinstance(record, ProcessRecord):
        return ()
    if record.op in _NAMES_TWO_PATHS and "path2" in record.texts:
        return record.path, record.texts["path2"]
    return (record.path,)


def shown_path(path: bytes, domain: int, domains: tuple[bytes, ...]) -> str:
    """Give a path for people.

    Args:
        path: Relative to its domain.
        domain: Index of the domain.
        domains: Absolute paths of all domains.
    """
    if len(domains) > 1 and domain < len(domains):
        return printable(domains[domain] + (b"/" + path if path else b""))
    return printable(path) or "."
