"""The chain of runs: one line for each recorded run of a workspace, each naming the digest of the one before.

A run folder seals itself; what it cannot say is that it is all of it. The chain can: whoever drops, changes
or moves a record breaks the digest that the next one names, and whoever removes a run leaves its record. The
file only grows, under a lock. A line that its writer did not finish has no newline; the next writer cuts it
off, and readers tell of it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, Self

from catfs.clock import Clock, system_clock
from catfs.digest import Digest, checksum
from catfs.durable import fsync_directory, write_fully
from catfs.errors import FormatError
from catfs.limits import CHAIN_LINE_BYTES_MAX
from catfs.records import Outcome, canonical_bytes, check_run_id, format_time, parse_canonical
from catfs.records.fields import Fields
from catfs.values import dataclass

CHAIN_SCHEMA: Final = "chain-record.v1"

CHAIN_FILE: Final = "chain.jsonl"
"""Name of the chain in the folder of a workspace."""

NO_PREVIOUS: Final = Digest(bytes(32))
"""What the first record names in place of a record before it."""


_TAIL_BYTES: Final = 64 * CHAIN_LINE_BYTES_MAX
"""How much of the end of the chain a writer looks at, in bytes."""


class ChainDamageError(FormatError):
    """A record of the chain is not what it should be.

    Args:
        number: Which, counted from 0; negative when it is counted from the end.
        problem: What is wrong: expected and got.
        dropped: Whether it is sound in itself, but does not follow the one before it.
    """

    def __init__(self, number: int, problem: str, *, dropped: bool = False) -> None:
        hint = "catfs verify --all says which runs are concerned"
        name = f"record {number}" if number >= 0 else f"record {-number} from the end"
        super().__init__(f"{name} of the chain of runs", problem, hint=hint)
        self.number = number
        self.dropped = dropped


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """One run in the chain.

    Args:
        seq: Its place, counted from 0.
        previous: Digest of the line before.
        time: When it was appended, in nanoseconds since 1970.
        run_id: The run.
        outcome: How it ended.
        proof: Digest of its proof file.
        adopted: Whether it had been left out, and was put in with a later one.
    """

    seq: int
    previous: Digest
    time: int
    run_id: str
    outcome: Outcome
    proof: Digest
    adopted: bool = False

    def __post_init__(self) -> None:
        check_run_id(self.run_id)

    def line(self) -> bytes:
        """Give the line of the record, without its newline."""
        fields = self._fields()
        return canonical_bytes({**fields, "checksum": f"{checksum(canonical_bytes(fields)):016x}"})

    def _fields(self) -> dict[str, object]:
        return {
            "schema": CHAIN_SCHEMA,
            "seq": self.seq,
            "previous": self.previous.hex,
            "time": format_time(self.time),
            "run_id": self.run_id,
            "outcome": self.outcome.value,
            "proof": self.proof.hex,
            "adopted": self.adopted,
        }

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read a line.

        Raises:
            FormatError: when it is not canonical, a field is missing, unknown or of the wrong type, or the
                checksum is that of another record.
        """
        fields = Fields(parse_canonical(line, "chain record"), "chain record")
        fields.schema(CHAIN_SCHEMA)
        record = cls(
            seq=fields.number("seq"),
            previous=fields.digest("previous"),
            time=fields.time("time"),
            run_id=fields.run_id(),
            outcome=fields.choice("outcome", Outcome),
            proof=fields.digest("proof"),
            adopted=fields.flag("adopted"),
        )
        expected, got = f"{checksum(canonical_bytes(record._fields())):016x}", fields.text("checksum")
        fields.end()
        if got != expected:
            raise FormatError("chain record", f"expected the checksum {expected}, got {got!r}")
        return record


@dataclass(frozen=True, slots=True)
class ChainContent:
    """What a chain holds.

    Args:
        records: The records, up to the first that is damaged.
        damage: What is wrong with that one; None when all are sound.
        lost_bytes: Bytes of a last line that its writer did not finish.
    """

    records: tuple[ChainRecord, ...]
    damage: ChainDamageError | None
    lost_bytes: int


class ChainEntry(NamedTuple):
    """A run that is to be appended: its id, its outcome and the digest of its proof file."""

    run_id: str
    outcome: Outcome
    proof: Digest


Missed = Callable[[Sequence[ChainRecord], bool], Sequence[ChainEntry]]
"""Told the last records of the chain, and whether they are all; gives runs that are not in it."""


class Chain:
    """The chain of a workspace.

    Args:
        folder: The folder `.catfs/`, which exists.
    """

    def __init__(self, folder: str | os.PathLike[str], clock: Clock = system_clock) -> None:
        self._folder = os.fspath(folder)
        self._path = os.path.join(self._folder, CHAIN_FILE)
        self._clock = clock

    def read(self) -> ChainContent:
        """Read all of it; damage ends the reading. A missing file is an empty chain.

        Raises:
            OSError: when it cannot be read.
        """
        try:
            with open(self._path, "rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH)
                data = stream.read()
        except FileNotFoundError:
            data = b""
        return read_chain(data)

    def append(self, entry: ChainEntry, missed: Missed | None = None) -> ChainRecord:
        """Append a run, durably, and repair a last line that its writer did not finish.

        A run that is among the last records already is not put in twice.

        Args:
            entry: The run.
            missed: Told the last records, and whether they are all; gives earlier runs that are in the chain
                nowhere, because their writer was stopped in between. They are put in before.

        Returns:
            The record of the run.

        Raises:
            ChainDamageError: when the last whole record is damaged; nothing is written then.
            OSError: when it cannot be read or written.
        """
        with self._locked() as descriptor:
            records, is_all = _last_records(descriptor)
            for record in records:
                if record.run_id == entry.run_id:
                    return record
            adopted = [] if missed is None else missed(records, is_all)
            last = records[-1] if records else None
            lines = []
            for item, is_adopted in [*((found, True) for found in adopted), (entry, False)]:
                last = self._following(last, item, adopted=is_adopted)
                lines.append(last.line() + b"\n")
            write_fully(descriptor, b"".join(lines))
            os.fsync(descriptor)
            assert last is not None
            return last

    def _following(self, last: ChainRecord | None, entry: ChainEntry, *, adopted: bool) -> ChainRecord:
        return ChainRecord(
            seq=0 if last is None else last.seq + 1,
            previous=NO_PREVIOUS if last is None else Digest.of(last.line()),
            time=self._clock(),
            run_id=entry.run_id,
            outcome=entry.outcome,
            proof=entry.proof,
            adopted=adopted,
        )

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Give a descriptor of the file, held by this process alone."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_size == 0:
                fsync_directory(self._folder)
            yield descriptor
        finally:
            os.close(descriptor)


def read_chain(data: bytes) -> ChainContent:
    """Read the records of a chain and check that each follows the one before.

    Args:
        data: The whole file.
    """
    whole = data.rfind(b"\n") + 1
    records: list[ChainRecord] = []
    previous = NO_PREVIOUS
    damage = None
    for number, line in enumerate(data[:whole].split(b"\n")[:-1]):
        try:
            record = _checked(number, line)
            _check_place(record, number, previous)
        except ChainDamageError as error:
            damage = error
            break
        records.append(record)
        previous = Digest.of(line)
    return ChainContent(tuple(records), damage, len(data) - whole)


def _check_place(record: ChainRecord, number: int, previous: Digest) -> None:
    if record.seq != number or record.previous != previous:
        text = f"expected number {number} after {previous.hex[:16]}, got {record.seq} after "
        raise ChainDamageError(number, text + record.previous.hex[:16], dropped=True)


def _checked(number: int, line: bytes) -> ChainRecord:
    if len(line) > CHAIN_LINE_BYTES_MAX:
        raise ChainDamageError(number, f"expected at most {CHAIN_LINE_BYTES_MAX} bytes, got {len(line)}")
    try:
        return ChainRecord.from_line(line)
    except FormatError as error:
        raise ChainDamageError(number, error.problem) from error


def _last_records(descriptor: int) -> tuple[list[ChainRecord], bool]:
    """Cut off a last line without newline, and give the last records and whether they are all.

    Of the damaged records before the last one nothing is said here: appending takes no evidence away.
    """
    size = os.fstat(descriptor).st_size
    start = max(0, size - _TAIL_BYTES)
    tail = os.pread(descriptor, size - start, start)
    whole = tail.rfind(b"\n") + 1
    if not whole and start:
        raise ChainDamageError(-1, f"expected a line of at most {CHAIN_LINE_BYTES_MAX} bytes at the end")
    if whole < len(tail):
        os.ftruncate(descriptor, start + whole)
    lines = tail[:whole].split(b"\n")[:-1]
    if start:
        lines = lines[1:]  # the first may have been cut in two
    records = []
    for number, line in enumerate(lines, start=-len(lines)):
        try:
            records.append(_checked(number, line))
        except ChainDamageError:
            if number == -1:
                raise
    return records, start == 0
