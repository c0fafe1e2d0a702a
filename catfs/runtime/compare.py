"""Comparing two runs: equal but for times and ids, or where they differ.

Left out are times, ids of runs, sessions and processes, and the digests of files that hold such; what those
files say is compared instead. Write log and history are left out, for programs choose the names of their
temporary files by chance: what the log leads to, the roots of every view, is compared.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.ledger import RunReader
from catfs.records import (
    HISTORY_DATA_FILE,
    HISTORY_FILE,
    PROOF_FILE,
    WRITE_LOG_FILE,
    parse_canonical,
    schemas_of,
)
from catfs.records.ledger_record import REFERENCED_FILES
from catfs.records.validation import pointer_of
from catfs.values import dataclass

DIFFERENCES_MAX: Final = 100
"""Most differences that are told."""

_LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {
    "RUN_INFO.json": frozenset({"/started", "/ended", "/session", "/argv", "/argv_base64"}),
    PROOF_FILE: frozenset({"/created", "/digest", "/files", "/log", "/rechecked_paths"}),
    "LEDGER.json": frozenset(f"/{key}/digest" for key in REFERENCED_FILES),
}
_NOT_COMPARED: Final = frozenset({WRITE_LOG_FILE, HISTORY_FILE, HISTORY_DATA_FILE})
_CIRCUMSTANCES: Final = frozenset({"started", "ended", "time", "base"})
"""Times, and how the base of a run came to be known."""


@dataclass(frozen=True, slots=True)
class RunDifference:
    """One place in which two runs differ.

    Args:
        file: File of the run folder.
        pointer: JSON pointer of the place in it; empty for the whole file.
        first: What the first run has there.
        second: What the second one has.
    """

    file: str
    pointer: str
    first: str
    second: str


def compare_runs(first: RunReader, second: RunReader) -> list[RunDifference]:
    """Give where two runs differ, apart from times and ids; nothing when they are equal.

    Args:
        first: A run, which holds.
        second: Another one.

    Raises:
        FormatError: when a file is not what it should be.
        OSError: when one cannot be read.
    """
    differences = []
    for difference in _differences(first, second):
        differences.append(difference)
        if len(differences) == DIFFERENCES_MAX:
            break
    return differences


def _differences(first: RunReader, second: RunReader) -> Iterator[RunDifference]:
    files = first.files, second.files
    for name in sorted(set(files[0]) | set(files[1])):
        if name in _NOT_COMPARED:
            continue
        if name not in files[0] or name not in files[1]:
            there = ["is there" if name in side else "is not there" for side in files]
            yield RunDifference(name, "", *there)
            continue
        data = files[0][name], files[1][name]
        if not _is_record(name):
            if data[0] != data[1]:
                yield RunDifference(name, "", *map(_content, data))
            continue
        values = [parse_canonical(item, name) for item in data]
        yield from _value_differences(name, (), *values)


def _is_record(name: str) -> bool:
    try:
        return bool(schemas_of(name))
    except FormatError:
        return False


def _value_differences(
    name: str, place: tuple[object, ...], first: object, second: object
) -> Iterator[RunDifference]:
    pointer = pointer_of(place)
    if pointer == "/run_id" or pointer in _LEFT_OUT.get(name, ()) or (place and place[-1] in _CIRCUMSTANCES):
        return
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys()):
            sides = [side.get(key, _Absent()) for side in (first, second)]
            yield from _value_differences(name, (*place, key), *sides)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from _value_differences(name, (*place, index), one, other)
    elif isinstance(first, list) and isinstance(second, list):
        yield RunDifference(name, pointer, f"{len(first)} items", f"{len(second)} items")
    elif first != second:
        yield RunDifference(name, pointer, _short(first), _short(second))


class _Absent:
    """Stands for a field that one of the two lacks."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Absent)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "nothing"


def _content(data: bytes) -> str:
    return f"{len(data)} bytes, {Digest.of(data).hex[:16]}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
