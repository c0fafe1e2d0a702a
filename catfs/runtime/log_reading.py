"""Reading a write log selectively: which records are wanted, and who made them."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from catfs.errors import FormatError, printable
from catfs.forensics import Process, ProcessTable
from catfs.forensics.counting import Counts, all_count, counts_in
from catfs.ledger import RunReader
from catfs.merkle.log_tree import LOG_RECORDS_MAX
from catfs.overlay import UNDO_MARK, Undone
from catfs.records import WRITE_LOG_FILE
from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import OPERATIONS, ProcessRecord, Record, WriteRecord
from catfs.runtime.globs import compile_glob
from catfs.runtime.session_files import LOG_FILE
from catfs.values import dataclass

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
    """One line of a log.

    Args:
        line: Its bytes, without the newline.
        record: What it says.
        process: Who did it, as far as the log says.
        wanted: Whether it was asked for.
    """

    line: bytes
    record: Record
    process: Process | None
    wanted: bool = True

    @property
    def program(self) -> ProcessRecord | None:
        """The program that the process ran then."""
        return None if self.process is None else self.process.program_at(self.record.seq)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Chooses records; every condition that is given must hold.

    Args:
        glob: Pattern for the path, or for either path of a rename and a link; None for any.
        pid: Id of the thread or of its process; None for any.
        operations: The operations; empty for any.
        ancestor: Id of a process: only what it or one that came from it did; None for any.
        since: Earliest time, in nanoseconds since 1970; None for the first.
        until: Latest time, the same.
        bytes_min: Least number of bytes that a record speaks of (its `length`); None for any, and for
            records that speak of none.
        bytes_max: Most of them, the same.

    Raises:
        UsageError: when the pattern cannot be used.
    """

    glob: bytes | None = None
    pid: int | None = None
    operations: Collection[str] = ()
    ancestor: int | None = None
    since: int | None = None
    until: int | None = None
    bytes_min: int | None = None
    bytes_max: int | None = None

    def __post_init__(self) -> None:
        if self.glob is not None:
            compile_glob(self.glob)


class _Choice:
    """A filter at work on one log.

    Args:
        chosen: The filter.
    """

    def __init__(self, chosen: LogFilter) -> None:
        self._chosen = chosen
        self._pattern = None if chosen.glob is None else compile_glob(chosen.glob)
        self._family: set[int] = set()
        """Numbers of the processes that came from the ancestor, itself included."""

    def introduce(self, process: Process) -> None:
        """Note a process, which may belong to the ones that are looked for."""
        if process.pid == self._chosen.ancestor or process.parent in self._family:
            self._family.add(process.number)

    def wants(self, record: Record, process: Process | None) -> bool:
        """Say whether a record is wanted."""
        chosen = self._chosen
        operation = record.op if isinstance(record, WriteRecord) else PROCESS
        if chosen.operations and operation not in chosen.operations:
            return False
        if chosen.pid is not None and chosen.pid not in {record.pid, process.pid if process else None}:
            return False
        if chosen.ancestor is not None and (process is None or process.number not in self._family):
            return False
        if not self._fits_time_and_size(record):
            return False
        return self._pattern is None or any(map(self._pattern.fullmatch, _paths(record)))

    def _fits_time_and_size(self, record: Record) -> bool:
        chosen = self._chosen
        if chosen.since is not None and record.t < chosen.since:
            return False
        if chosen.until is not None and record.t > chosen.until:
            return False
        if chosen.bytes_min is None and chosen.bytes_max is None:
            return True
        length = record.numbers.get("length") if isinstance(record, WriteRecord) else None
        if length is None:
            return False
        return (chosen.bytes_min or 0) <= length and (chosen.bytes_max is None or length <= chosen.bytes_max)


def read_log(source: LogSource, chosen: LogFilter) -> Iterator[LogItem]:
    """Give the wanted lines of a log, in order.

    The record of a process comes along when something that it did is wanted: right before the first
    of that, however much earlier it stands in the log.

    Raises:
        LogDamageError: after the last whole record, when the log is damaged.
        FormatError: when there is no log.
        OSError: when it cannot be read.
    """
    return wanted_items(read_whole_log(source, chosen, ProcessTable()))


def wanted_items(items: Iterable[LogItem]) -> Iterator[LogItem]:
    """Give the wanted items of a whole log, and the record of each process before the first of its own."""
    waiting: dict[int, LogItem] = {}
    for item in items:
        if item.wanted:
            introduced = waiting.pop(item.record.pid, None)
            if introduced is not None and isinstance(item.record, WriteRecord):
                yield introduced
            yield item
        elif isinstance(item.record, ProcessRecord):
            waiting[item.record.pid] = item


def read_whole_log(source: LogSource, chosen: LogFilter, table: ProcessTable) -> Iterator[LogItem]:
    """Give every line of a log, in order, each with the word whether it is wanted.

    Args:
        source: The log.
        chosen: What is wanted.
        table: Takes the processes of the log in; empty so far.

    Raises:
        LogDamageError, FormatError, OSError: as `read_log`.
    """
    return choose_items(log_lines_of(source), chosen, table)


def counting_items(source: LogSource, chosen: LogFilter, table: ProcessTable) -> Iterator[LogItem]:
    """Give the lines of a log that count, in order: not the undo records, and nothing that they took back.

    Args:
        source: The log.
        chosen: What is wanted.
        table: Takes every process of the log in, also those of which nothing counts; empty so far.

    Raises:
        LogDamageError, FormatError, OSError: as `read_log`.
    """
    counts = counts_of(source)
    return (item for item in read_whole_log(source, chosen, table) if counts(item.record.seq))


def counts_of(source: LogSource) -> Counts:
    """Give which records of a log count. Damage is left to whoever reads the records.

    Raises:
        FormatError: when a record takes back what comes after it.
        OSError: when it cannot be read.
    """
    lines: list[bytes] = []
    with source.path.open("rb") as stream, suppress(LogDamageError):
        lines.extend(line for line in log_lines(stream, source.name) if UNDO_MARK in line)
    return counts_in(Undone.of_lines(lines).ranges(LOG_RECORDS_MAX)) if lines else all_count


def choose_items(
    lines: Iterable[tuple[bytes, Record]], chosen: LogFilter, table: ProcessTable
) -> Iterator[LogItem]:
    """Give lines with who is behind them, and whether they are wanted.

    Args:
        lines: Lines of a log with their records, from the first on.
        chosen: What is wanted.
        table: Takes their processes in; empty so far.
    """
    choice = _Choice(chosen)
    for line, record in lines:
        process = table.note(record)
        if isinstance(record, ProcessRecord) and process is not None:
            choice.introduce(process)
        yield LogItem(line, record, process, choice.wants(record, process))


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
        path = sessions / run.run_id / LOG_FILE
        name = f"{LOG_FILE} of session {run.run_id}"
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


def log_lines_of(source: LogSource) -> Iterator[tuple[bytes, Record]]:
    """Give every line of a log with its record, in order.

    Raises:
        LogDamageError, FormatError, OSError: as `read_log`.
    """
    with source.path.open("rb") as stream:
        try:
            yield from with_records(log_lines(stream, source.name), source.name)
        except LogDamageError as error:
            if not (source.live and error.cut_off):  # in a live log the last line is on its way
                raise


def first_time(source: LogSource) -> int:
    """Give the time of the first record of a log, in nanoseconds since 1970; 0 when there is none.

    Raises:
        LogDamageError, FormatError, OSError: as `read_log`.
    """
    for _, record in log_lines_of(source):
        return record.t
    return 0


def with_records(lines: Iterable[bytes], name: str, first: int = 0) -> Iterator[tuple[bytes, Record]]:
    """Give lines of a log, each with its record.

    Args:
        lines: The lines, without their newlines.
        name: Name of the log, for people.
        first: Sequence number of the first of them.

    Raises:
        LogDamageError: at the first line that is no record, or not the next one.
    """
    current = [b""]

    def noted() -> Iterator[bytes]:
        for line in lines:
            current[0] = line
            yield line

    for record in log_records(noted(), name, first):
        yield current[0], record


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
