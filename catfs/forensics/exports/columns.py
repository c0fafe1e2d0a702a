"""The tables of an export and their columns: the one place where they are said, for every format.

docs/formats/exports.md has the same columns, which a test holds against these.
"""

from enum import Enum
from typing import Final

from catfs.values import dataclass

Value = int | str | bytes | bool | tuple[str, ...] | None
"""What a cell holds; None where the log says nothing."""

Row = tuple[Value, ...]
"""The cells of one row, in the order of the columns."""


class Type(Enum):
    """What a column holds."""

    INTEGER = "integer"
    TIME = "time"
    TEXT = "text"
    TEXTS = "texts"
    BYTES = "bytes"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Args:
        name: Its name.
        type: What it holds.
        meaning: What that says.
    """

    name: str
    type: Type
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Args:
        name: Its name.
        key: The column that tells its rows apart; None when no single one does.
        columns: Its columns, in order.
    """

    name: str
    key: str | None
    columns: tuple[Column, ...]


def _integers(**meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, Type.INTEGER, meaning) for name, meaning in meanings.items())


_PATH = (
    Column("path", Type.TEXT, "path relative to the domain; bytes that are no UTF-8 as `\\xff`"),
    Column("path_raw", Type.BYTES, "the bytes of `path` where it is no UTF-8; else nothing"),
)

RECORDS: Final = Table(
    "records",
    "seq",
    (
        Column("seq", Type.INTEGER, "place in the log, counted from 0"),
        Column("time", Type.TIME, "time of day"),
        Column("op", Type.TEXT, "operation, as in write-log.md"),
        Column("domain", Type.INTEGER, "index of the domain; nothing for a process"),
        *_PATH,
        Column("path2", Type.TEXT, "new name of a rename or link, target of a symlink"),
        Column("path2_raw", Type.BYTES, "the bytes of `path2` where it is no UTF-8; else nothing"),
        *_integers(
            ino="inode number in the view: `files.ino`",
            pid="id of the thread; 0 when no program did it",
            process="who did it: `processes.number`; nothing when unknown",
            offset="where in the file",
            length="how many bytes, or the new size of a truncate, or the size told by a content",
            mode="st_mode, or the mode of a fallocate",
            uid="owner",
            gid="group",
            rdev="device number",
            atime="new access time of a setattr, nanoseconds since 1970",
            mtime="new modification time of a setattr, nanoseconds since 1970",
            ctime="change time of a base, nanoseconds since 1970",
            size="size of a base, or bytes on the disk at a sync",
            flags="flags of a rename",
            data="where the bytes are in the data file of the session",
            ino2="inode number of what had the new name",
            first="first record that an undo takes back: `records.seq`",
        ),
        Column("name", Type.TEXT, "name of an extended attribute"),
        Column("value", Type.BYTES, "value of an extended attribute"),
        Column("digest", Type.TEXT, "SHA-256 of a content, in hexadecimal"),
        Column("unlinked", Type.FLAG, "whether the file had no name any more"),
        Column("undone", Type.FLAG, "whether a later undo took it back"),
    ),
)
"""Every record of the log, those of processes too."""

PROCESSES: Final = Table(
    "processes",
    "number",
    (
        *_integers(
            number="its place among the processes of the log, counted from 0",
            pid="its id",
            parent_pid="id of its parent; 0 when unknown",
            parent="its parent: `processes.number`; nothing when the log does not know it",
            start="when it started, in clock ticks since boot; 0 when unknown",
        ),
        Column("first_time", Type.TIME, "time of its first record"),
        Column("last_time", Type.TIME, "time of its last record"),
        Column("exe", Type.TEXT, "executable of the program that it ran last"),
        Column("argv", Type.TEXTS, "arguments of that program"),
        Column("cwd", Type.TEXT, "working directory of that program"),
        Column("uid", Type.INTEGER, "user id"),
        Column("programs", Type.TEXTS, "executables of all programs that it ran, in order"),
        *_integers(
            changes="records of what it did, those that were undone left out",
            writes="writes among them",
            written="bytes of those writes",
            reads="files of the original that it was the first to read",
        ),
    ),
)
"""Every process that did something."""

FILES: Final = Table(
    "files",
    None,
    (
        Column("ino", Type.INTEGER, "inode number in the view"),
        Column("domain", Type.INTEGER, "index of the domain"),
        *_PATH,
        Column("names", Type.TEXTS, "all its names at the end; none when it is gone"),
        Column("kind", Type.TEXT, "file, directory, symlink, special or unknown"),
        *_integers(first_seq="first record about it: `records.seq`", last_seq="last change of it"),
        Column("first_time", Type.TIME, "time of the first record about it"),
        Column("last_time", Type.TIME, "time of the last change"),
        Column("last_process", Type.INTEGER, "who made the last change: `processes.number`"),
        Column("born_seq", Type.INTEGER, "record that made it; nothing for a file of the original"),
        Column("born_process", Type.INTEGER, "who made it: `processes.number`"),
        Column("died_seq", Type.INTEGER, "record that took its last name away; nothing while it has one"),
        Column("temporary", Type.FLAG, "whether it was made in the session and nothing of it is left"),
        *_integers(
            lifetime="how long a temporary file lived, in nanoseconds",
            writes="number of writes",
            written="bytes of all writes",
            size="its size at the end, where the log says it",
        ),
        Column("digest", Type.TEXT, "SHA-256 of what it held at the end, where the log says it"),
        Column("was_read", Type.FLAG, "whether its original content was read"),
    ),
)
"""Every file, directory and link that the log speaks of."""

TABLES: Final = (RECORDS, PROCESSES, FILES)
"""All tables, in the order in which they are written."""
