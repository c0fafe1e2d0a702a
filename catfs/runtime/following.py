"""Following a log: its lines so far, then every further one as its session writes it, until that ends."""

import os
import time
from collections.abc import Callable, Iterator

from catfs.errors import FormatError
from catfs.records.log_lines import LogDamageError
from catfs.records.write_record import Record
from catfs.runtime.locks import is_locked
from catfs.runtime.log_reading import with_records
from catfs.runtime.log_subject import LiveLog
from catfs.runtime.session_files import LOCK_FILE

LOOK_SECONDS = 0.1
"""How long is waited between two looks at a log, in seconds: as often as a run writes its records out."""

_CHUNK_BYTES = 1 << 18


class Tail:
    """The growing end of the log of a live session.

    Args:
        live: The session and its log.

    Raises:
        FormatError: when there is no log.
        OSError: when it cannot be opened.
    """

    def __init__(self, live: LiveLog) -> None:
        self._lock = live.session.folder / LOCK_FILE
        self._name = live.source.name
        self._count = 0
        self._rest = b""
        try:
            self._descriptor = os.open(live.source.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise FormatError(self._name, "there is no such file") from None

    def close(self) -> None:
        """Close the log."""
        os.close(self._descriptor)

    def lives(self) -> bool:
        """Say whether the session goes on. Asked before a look, all that came before its end is seen."""
        return is_locked(self._lock)

    def new_records(self) -> Iterator[tuple[bytes, Record]]:
        """Give every line that was added since the last look, with its record.

        Raises:
            LogDamageError: when one is no record, or the log was cut back since.
            OSError: when it cannot be read.
        """
        if os.lseek(self._descriptor, 0, os.SEEK_CUR) > os.fstat(self._descriptor).st_size:
            raise LogDamageError(self._name, "the log was cut back while it was followed", self._count)
        for line, record in with_records(self._new_lines(), self._name, self._count):
            self._count += 1
            yield line, record

    def _new_lines(self) -> Iterator[bytes]:
        while chunk := os.read(self._descriptor, _CHUNK_BYTES):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from lines


def follow_log(live: LiveLog, at_rest: Callable[[], None]) -> Iterator[tuple[bytes, Record]]:
    """Give every line of the log of a live session with its record, and end with the session.

    Args:
        live: The session and its log.
        at_rest: Called whenever everything that is there was given, before waiting for more.

    Raises:
        LogDamageError: when the log is no log, or was cut back while it was followed.
        FormatError: when there is none.
        OSError: when it cannot be read.
    """
    tail = Tail(live)
    try:
        lives = True
        while lives:
            lives = tail.lives()
            yield from tail.new_records()
            at_rest()
            if lives:
                time.sleep(LOOK_SECONDS)
    finally:
        tail.close()
