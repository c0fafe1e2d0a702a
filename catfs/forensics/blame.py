"""Blame: which process wrote which bytes of one file last."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from catfs.forensics.lifetimes import Event, FileLife, FileTable
from catfs.forensics.ownership import Ownership
from catfs.forensics.processes import Process
from catfs.records.write_record import ProcessRecord, Record, WriteRecord
from catfs.values import dataclass

_ON_BYTES = frozenset({"create", "base", "write", "truncate", "fallocate"})


@dataclass(frozen=True, slots=True)
class BlamedRange:
    """Bytes of a file that one program wrote last, without a gap.

    Args:
        start: First byte.
        end: The byte behind the last one.
        process: Number of the process; None when the log does not know it.
        program: The program that it ran; None as before.
        first: The earliest record whose bytes are still there.
        last: The latest one.
        operations: What these records did: `write`, or zeros by `truncate` or `fallocate`.
    """

    start: int
    end: int
    process: int | None
    program: ProcessRecord | None
    first: Event
    last: Event
    operations: frozenset[str]

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Blame:
    """What the log says of the bytes of one file.

    Args:
        life: The file.
        size: Its size in bytes; None when the log does not say.
        ranges: Who wrote what last, in order; bytes in no range are those of the original.
    """

    life: FileLife
    size: int | None
    ranges: tuple[BlamedRange, ...]

    @property
    def original_bytes(self) -> int | None:
        """Number of bytes that nothing wrote; None when the size is not known."""
        if self.size is None:
            return None
        return self.size - sum(found.length for found in self.ranges)


@dataclass(frozen=True, slots=True)
class _Owner:
    event: Event
    op: str
    program: ProcessRecord | None


def find_file(records: Iterable[tuple[Record, Process | None]], domain: int, path: bytes) -> FileLife | None:
    """Give the file that has a path at the end of a log, or else had it last; None when there was none.

    Args:
        records: The whole log, each record with the process behind it.
        domain: Index of the domain.
        path: Path relative to it.

    Raises:
        FormatError: when a record lacks a field.
    """
    files = FileTable()
    for record, process in records:
        files.note(record, None if process is None else process.number)
    return files.at(domain, path)


def blame_file(records: Iterable[tuple[Record, Process | None]], life: FileLife) -> Blame:
    """Say who wrote which bytes of a file last.

    Args:
        records: The whole log once more.
        life: The file, as `find_file` gave it.

    Raises:
        FormatError: when a record lacks a field.
    """
    ownership = Ownership[_Owner]()
    for record, process in records:
        if not isinstance(record, WriteRecord) or record.ino != life.ino or record.op not in _ON_BYTES:
            continue
        if life.born is not None and record.seq < life.born.seq:
            continue  # another file had the number before
        number, program = (
            (None, None) if process is None else (process.number, process.program_at(record.seq))
        )
        ownership.apply(record, _Owner(Event(record.seq, record.t, number), record.op, program))
    size = ownership.size if life.length is None else life.length
    return Blame(life, size, tuple(_joined(ownership)))


def _joined(ownership: Ownership[_Owner]) -> Iterator[BlamedRange]:
    """Join neighbours that one program wrote."""
    found: BlamedRange | None = None
    for owned in ownership:
        owner = owned.owner
        if found is not None and found.end == owned.start and _is_same(found, owner):
            found = replace(
                found,
                end=owned.end,
                first=min(found.first, owner.event, key=_seq_of),
                last=max(found.last, owner.event, key=_seq_of),
                operations=found.operations | {owner.op},
            )
            continue
        if found is not None:
            yield found
        found = BlamedRange(
            owned.start,
            owned.end,
            owner.event.process,
            owner.program,
            owner.event,
            owner.event,
            frozenset({owner.op}),
        )
    if found is not None:
        yield found


def _is_same(found: BlamedRange, owner: _Owner) -> bool:
    return found.process == owner.event.process and found.program == owner.program


def _seq_of(event: Event) -> int:
    return event.seq
