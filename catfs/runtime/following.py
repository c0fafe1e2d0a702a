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

LOOK_SECONDS = 0.1
"""How long is waited between two looks at a log, in seconds: as often as a run writes its records out."""

_CHUNK_BYTES = 1 << 18


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
    return with_records(_lines(live, at_rest), live.source.name)


def read_new_lines(descriptor: int, rest: bytearray) -> Iterator[bytes]:
    """Give the whole lines that were added to a file since the last look.

    Args:
        descriptor: The file, its offset where the last look ended.
        rest: What the last look left over: the beginning of a line. It is changed.
    """
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        rest += chunk
        *lines, last = bytes(rest).split(b"\n")
        rest[:] = last
        yield from lines


def _lines(live: LiveLog, at_rest: Callable[[], None]) -> Iterator[bytes]:
    lock = live.session.folder / "lock"
    count, rest = 0, bytearray()
    try:
        descriptor = os.open(live.source.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FormatError(live.source.name, "there is no such file") from None
    try:
        while True:
            lives = is_locked(lock)  # asked first: what a session wrote before its end is read
            for line in read_new_lines(descriptor, rest):
                yield line
                count += 1
            if os.lseek(descriptor, 0, os.SEEK_CUR) > os.fstat(descriptor).st_size:
                raise LogDamageError(live.source.name, "the log was cut back while it was followed", count)
            if not lives:
                return
            at_rest()
            time.sleep(LOOK_SECONDS)
    finally:
        os.close(descriptor)
