"""The files of a log: their names through renames and links, when each was born and died, what was written.

A file is its inode number. It is born when the session makes it, and dies when it loses the last name
that the log knows of; a program that holds it open may still write to it then. Files of the original
have no birth here.
"""

from collections.abc import Iterator
from dataclasses import field
from enum import Enum
from itertools import chain

from catfs.forensics.names import Name, NameTree
from catfs.records.write_record import OF_THE_SESSION, ProcessRecord, Record, WriteRecord
from catfs.values import dataclass

_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""

_ASIDE = OF_THE_SESSION - {"content"}
"""Operations that say nothing of a name or a change: the path of `base` is the one in the original."""


class FileKind(Enum):
    """What a file is, as far as the log shows it."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SPECIAL = "special"
    UNKNOWN = "unknown"


_KIND_OF = {
    "create": FileKind.FILE,
    "write": FileKind.FILE,
    "truncate": FileKind.FILE,
    "fallocate": FileKind.FILE,
    "read": FileKind.FILE,
    "content": FileKind.FILE,
    "mkdir": FileKind.DIRECTORY,
    "rmdir": FileKind.DIRECTORY,
    "symlink": FileKind.SYMLINK,
    "mknod": FileKind.SPECIAL,
}

_BIRTHS = frozenset({"create", "mkdir", "symlink", "mknod"})


@dataclass(frozen=True, slots=True)
class Event:
    """A place in the log.

    Args:
        seq: Sequence number of the record.
        t: Its time, in nanoseconds since 1970.
        process: Number of the process in the process table; None when unknown.
    """

    seq: int
    t: int
    process: int | None


@dataclass(frozen=True, slots=True)
class FileLife:
    """One file as the log tells it.

    Args:
        ino: Its inode number.
        domain: Index of its domain.
        kind: What it is.
        names: Its names at this place of the log, in order; none when it is dead or never had one.
        last_path: The name that it had last.
        first: The first record about it.
        last: The last record about it that a program caused.
        born: When the session made it; None for a file of the original.
        died: When it lost its last name; None while it has one.
        writes: Number of writes.
        written: Bytes of all writes.
        digest: SHA-256 of what it held when the session ended; None when the log does not say.
        length: Its size then, in bytes.
        was_read: Whether its original content was read.
    """

    ino: int
    domain: int
    kind: FileKind
    names: tuple[bytes, ...]
    last_path: bytes
    first: Event
    last: Event
    born: Event | None
    died: Event | None
    writes: int
    written: int
    digest: bytes | None
    length: int | None
    was_read: bool

    @property
    def path(self) -> bytes:
        """One path for people: its first name, or the last one that it had."""
        return self.names[0] if self.names else self.last_path

    @property
    def is_temporary(self) -> bool:
        """Whether the session made it and nothing of it is left."""
        return self.born is not None and not self.names

    @property
    def lifetime_ns(self) -> int | None:
        """How long it lived, in nanoseconds; None unless it was born and died.

        A file that never had a name lives until the last record about it.
        """
        if self.born is None or self.names:
            return None
        return (self.died or self.last).t - self.born.t


@dataclass(slots=True)
class _File:
    ino: int
    domain: int
    first: Event
    last: Event
    last_path: bytes
    kind: FileKind = FileKind.UNKNOWN
    names: list[Name] = field(default_factory=list)
    born: Event | None = None
    died: Event | None = None
    writes: int = 0
    written: int = 0
    digest: bytes | None = None
    length: int | None = None
    was_read: bool = False

    def life(self) -> FileLife:
        return FileLife(
            self.ino,
            self.domain,
            self.kind,
            tuple(sorted(name.path for name in self.names)),
            self.last_path,
            self.first,
            self.last,
            self.born,
            self.died,
            self.writes,
            self.written,
            self.digest,
            self.length,
            self.was_read,
        )


class FileTable:
    """Every file of a log; grows with each record that it is shown, from the first on."""

    def __init__(self) -> None:
        self._names = NameTree()
        self._files: dict[int, _File] = {}
        self._retired: list[_File] = []
        """Files whose inode number was given to another one."""
        self._last_at: dict[tuple[int, bytes], int] = {}
        """(domain, path) -> inode number of what lost that name last."""

    def __len__(self) -> int:
        return len(self._files) + len(self._retired)

    def lives(self) -> Iterator[FileLife]:
        """Give every file, in the order in which the log speaks of them first."""
        for file in chain(self._retired, self._files.values()):
            yield file.life()

    def life(self, ino: int) -> FileLife | None:
        """Give the file with an inode number; None when the log does not speak of it."""
        file = self._files.get(ino)
        return None if file is None else file.life()

    def is_original(self, ino: int) -> bool:
        """Say whether the log speaks of a file, and of one that was there before the session."""
        file = self._files.get(ino)
        return file is not None and file.born is None

    def at(self, domain: int, path: bytes) -> FileLife | None:
        """Give the file that has a path at this place of the log, or else had it last.

        Args:
            domain: Index of the domain.
            path: Path relative to it.
        """
        name = self._names.find(domain, path)
        ino = self._last_at.get((domain, path)) if name is None or name.ino is None else name.ino
        return None if ino is None else self.life(ino)

    def note(self, record: Record, process: int | None = None) -> None:
        """Take a record in.

        Args:
            record: The record.
            process: Number of the process behind it; None when unknown.

        Raises:
            FormatError: when the record lacks a field that its operation needs.
        """
        if isinstance(record, ProcessRecord) or record.op in _ASIDE:
            return
        event = Event(record.seq, record.t, process)
        file = self._file_of(record, event)
        if record.op != "content":
            file.last = event
        file.kind = _KIND_OF.get(record.op, file.kind)
        if record.op in _BIRTHS:
            file.born = event
        elif record.op == "write":
            file.writes += 1
            file.written += record.number("length")
        elif record.op == "read":
            file.was_read = True
        elif record.op == "content":
            file.digest, file.length = record.text("digest"), record.number("length")
        elif record.op == "link":
            self._give(file, self._names.make(record.domain, record.text("path2")))
        elif record.op in {"unlink", "rmdir"}:
            self._take(self._names.make(record.domain, record.path), event)
        elif record.op == "rename":
            self._rename(record, event)

    def _file_of(self, record: WriteRecord, event: Event) -> _File:
        """Give the file that a record is about, with the name by which the record calls it."""
        file = self._files.get(record.ino)
        if file is not None and record.op in _BIRTHS:
            self._retired.append(self._files.pop(record.ino))
            file = None
        if file is None:
            file = _File(record.ino, record.domain, event, event, record.path)
            self._files[record.ino] = file
        elif not file.names and (file.born is not None or file.died is not None):
            return file
        if record.unlinked:
            return file
        name = self._names.make(record.domain, record.path)
        if name.ino != record.ino:
            self._settle(name, file)
        return file

    def _settle(self, name: Name, file: _File) -> None:
        """Believe a record that speaks of a file under a name that was not known to be its own."""
        known = None if name.ino is None else self._files.get(name.ino)
        if known is not None:  # untouched files of the original may come back under another number
            known.names = [other for other in known.names if other is not name]
            if not known.names and known.born is None:
                del self._files[known.ino]
                file.first, file.was_read = known.first, known.was_read or file.was_read
        name.ino = None
        self._give(file, name)

    def _give(self, file: _File, name: Name) -> None:
        if name.ino is not None and name.ino in self._files and name.ino != file.ino:
            known = self._files[name.ino]
            known.names = [other for other in known.names if other is not name]
        name.ino = file.ino
        if name not in file.names:
            file.names.append(name)
        file.died = None

    def _take(self, name: Name, event: Event) -> None:
        """Take a name away from what has it."""
        path = name.path
        for gone in (name, *name.below()):
            if gone.ino is None:
                continue
            file = self._files[gone.ino]
            file.names = [other for other in file.names if other is not gone]
            file.last_path = gone.path
            self._last_at[file.domain, file.last_path if gone is not name else path] = file.ino
            if not file.names:
                file.died = event
        self._names.remove(name)

    def _rename(self, record: WriteRecord, event: Event) -> None:
        target = record.text("path2")
        source = self._names.make(record.domain, record.path)
        replaced = record.numbers.get("ino2")
        if replaced is not None:
            self._introduce(replaced, record, event)
        if replaced is not None and record.numbers.get("flags", 0) & _EXCHANGE:
            self._names.exchange(source, self._names.make(record.domain, target))
            return
        there = self._names.find(record.domain, target)
        if there is not None:
            self._take(there, event)
        self._last_at[record.domain, record.path] = record.ino
        self._names.move(source, record.domain, target)

    def _introduce(self, ino: int, record: WriteRecord, event: Event) -> None:
        """Note what had the new name of a rename, of which the log may not have spoken before."""
        name = self._names.make(record.domain, record.text("path2"))
        if name.ino == ino:
            return
        file = self._files.get(ino)
        if file is None:
            file = _File(ino, record.domain, event, event, record.text("path2"))
            self._files[ino] = file
        self._settle(name, file)
