"""A log as the columns of a page: its records, and what they come to by process and by file."""

from collections.abc import Mapping
from typing import Final

from catfs.errors import UsageError, printable
from catfs.forensics.counting import Counts, all_count
from catfs.forensics.lifetimes import FileLife, FileTable
from catfs.forensics.processes import Process, ProcessTable
from catfs.forensics.report.packing import NumberColumn
from catfs.records.write_record import ProcessRecord, Record, WriteRecord
from catfs.values import dataclass

RECORDS_MAX: Final = 5_000_000
"""Most records of a page: more than that no browser should be made to hold; there are exports for them."""

_NONE: Final = 0
"""In columns of places: nothing. Places count from 1 there."""

OPERATIONS: Final = (
    "process",
    "create",
    "mkdir",
    "mknod",
    "symlink",
    "link",
    "unlink",
    "rmdir",
    "rename",
    "write",
    "truncate",
    "fallocate",
    "setattr",
    "setxattr",
    "removexattr",
    "read",
    "base",
    "content",
    "sync",
    "undo",
)
"""The operations in the order in which the column `op` counts them."""

_WITHOUT_FILE: Final = frozenset({"sync", "undo"})

_PLACE_OF: Final = {operation: place for place, operation in enumerate(OPERATIONS)}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a path by the end of a run.

    Args:
        change: added, removed or changed.
        declared: Whether it belongs to a declared output.
    """

    change: str
    declared: bool


Fates = Mapping[tuple[int, bytes], Fate]
"""(index of the domain, path) -> what became of it; paths that are as they were are missing."""


class ReportLog:
    """The records of a log, taken in one by one.

    Args:
        counts: Which records count; what became of files is told without the others.
    """

    def __init__(self, counts: Counts = all_count) -> None:
        self.records = 0
        self._counts = counts
        self.start = 0
        """Time of the first record, in nanoseconds since 1970."""
        self._processes = ProcessTable()
        self._files = FileTable()
        self._paths: dict[bytes, int] = {}
        self._file_places: dict[int, int] = {}
        self._first_paths: dict[int, int] = {}
        self._second_paths: list[tuple[int, int]] = []
        names = {
            "time": True,
            "op": False,
            "path": True,
            "file": True,
            "process": True,
            "offset": True,
            "length": False,
        }
        self._columns = {name: NumberColumn(differs=differs) for name, differs in names.items()}

    def take(self, record: Record) -> None:
        """Take a record in.

        Raises:
            UsageError: when there are too many.
            FormatError: when it lacks a field that its operation needs.
        """
        if self.records == RECORDS_MAX:
            raise UsageError(
                f"the log has more than {RECORDS_MAX} records, too many for a page",
                hint="`catfs export --format parquet` takes any number",
            )
        if not self.records:
            self.start = record.t
        process = self._processes.note(record)
        number = None if process is None else process.number
        if self._counts(record.seq):
            self._files.note(record, number)
        columns = self._columns
        columns["time"].append(record.t - self.start)
        columns["process"].append(_NONE if number is None else number + 1)
        if isinstance(record, ProcessRecord):
            cells = (_PLACE_OF["process"], _NONE, _NONE, 0, 0)
        else:
            cells = self._change_cells(record)
        for name, cell in zip(("op", "path", "file", "offset", "length"), cells, strict=True):
            columns[name].append(cell)
        self.records += 1

    def _change_cells(self, record: WriteRecord) -> tuple[int, int, int, int, int]:
        numbers = record.numbers
        file = _NONE
        path = self._path_place(record.path)
        if record.op not in _WITHOUT_FILE:
            file = self._file_place(record.ino, path)
        if "ino2" in numbers:
            self._file_place(numbers["ino2"], self._path_place(record.text("path2")))
        if "path2" in record.texts:
            self._second_paths.append((self.records, self._path_place(record.texts["path2"])))
        return (
            _PLACE_OF[record.op],
            path,
            file,
            numbers.get("offset", 0),
            numbers.get("length", 0),
        )

    def _file_place(self, ino: int, path: int) -> int:
        self._first_paths.setdefault(ino, path)
        return self._file_places.setdefault(ino, len(self._file_places) + 1)

    def _path_place(self, path: bytes) -> int:
        return self._paths.setdefault(path, len(self._paths) + 1)

    def packed(self, fates: Fates | None) -> tuple[dict[str, object], dict[str, NumberColumn]]:
        """Give the head and the columns of what was taken in.

        Args:
            fates: What became of each path; None when the log is not that of a finished run.
        """
        files = [self._file_fields(ino, fates) for ino in self._file_places]
        second = {"second_record": NumberColumn(differs=True), "second_path": NumberColumn(differs=True)}
        for place, path in self._second_paths:
            second["second_record"].append(place)
            second["second_path"].append(path)
        head: dict[str, object] = {
            "start": self.start,
            "operations": OPERATIONS,
            "processes": [self._process_fields(process) for process in self._processes.processes],
            "files": {key: [file[key] for file in files] for key in _FILE_KEYS},
            "paths": [printable(path) for path in self._paths],  # last: files have added theirs
        }
        return head, {**self._columns, **second}

    def _process_fields(self, process: Process) -> dict[str, object]:
        return {
            "pid": process.pid,
            "parent": process.parent,
            "parent_pid": process.parent_pid,
            "uid": process.last.uid,
            "cwd": printable(process.last.cwd),
            "programs": [
                {
                    "seq": program.seq,
                    "exe": printable(program.exe),
                    "argv": [printable(word) for word in program.argv],
                }
                for program in process.programs
            ],
        }

    def _file_fields(self, ino: int, fates: Fates | None) -> dict[str, object]:
        life = self._files.life(ino)
        if life is None:  # all about it was undone, or it came back untouched under another number
            return {
                **dict.fromkeys(_FILE_KEYS),
                "ino": ino,
                "domain": 0,
                "path": self._first_paths[ino],
                "names": 0,
                "kind": "unknown",
                "state": "untouched",
            }
        return {
            "ino": life.ino,
            "domain": life.domain,
            "path": self._path_place(life.path),
            "names": len(life.names),
            "kind": life.kind.value,
            "state": _state_of(life, fates),
            "born": None if life.born is None else life.born.seq,
            "died": None if life.died is None else life.died.seq,
            "size": life.length,
            "digest": None if life.digest is None else printable(life.digest),
        }


_FILE_KEYS = ("ino", "domain", "path", "names", "kind", "state", "born", "died", "size", "digest")


def _state_of(life: FileLife, fates: Fates | None) -> str:
    """Give one word for what became of a file."""
    if life.is_temporary:
        return "temporary"
    if life.died is not None:
        return "removed"
    if fates is None and (life.born or life.writes):
        return "new" if life.born else "changed"
    fate = fates.get((life.domain, life.path)) if fates is not None else None
    if fate is not None:
        return "output" if fate.declared else "leftover"
    if life.born is None and not life.writes:
        return "read" if life.was_read else "untouched"
    return "unchanged"
