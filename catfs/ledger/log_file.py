"""A write log on disk: that of a session while it lives, or the compressed one of a finished run."""

import os
from collections.abc import Iterator

from catfs.errors import printable
from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import Record


class LogFile:
    """The records of one write log; iterating reads it from the start.

    Args:
        path: The file, plain or compressed: its first bytes say which.
        whole: Whether it is finished. Then damage is an error; otherwise it ends the reading, for a session
            may be writing its last record, or have been killed while it did.
    """

    def __init__(self, path: str | bytes | os.PathLike[str], *, whole: bool) -> None:
        self.path = os.fsencode(path)
        self.whole = whole
        self.damage: LogDamageError | None = None
        """What ended the last reading before the end of the file; None when nothing did."""

    def __iter__(self) -> Iterator[Record]:
        """Give the records in order.

        Raises:
            LogDamageError: at damage, when the log should be whole.
            OSError: when the file cannot be read.
        """
        self.damage = None
        name = printable(os.path.basename(self.path))
        with open(self.path, "rb") as stream:
            try:
                yield from log_records(log_lines(stream, name), name)
            except LogDamageError as error:
                if self.whole:
                    raise
                self.damage = error
