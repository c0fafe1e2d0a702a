"""The write log as it is written: JSON Lines, one record per change, in the order of the changes.

Records are encoded as they come and written out in blocks, or one by one where a session is durable;
`flush` brings everything to the file, `sync` to the disk. What a record holds is in
docs/formats/write-log.md.
"""

import base64
import contextlib
import os
from collections.abc import Callable

import orjson

from catfs.limits import LOG_BUFFER_BYTES
from catfs.overlay.data_file import no_word, sync_once
from catfs.overlay.nodes import SESSION_ACTOR, Actor
from catfs.overlay.processes import Processes, ProcessFacts
from catfs.overlay.redaction import Redaction
from catfs.overlay.trace import Details, Place
from catfs.records.fields import put_bytes

SESSION_INODE = 1
"""Inode number in the record of a mark, which is about no file: that of the topmost directory."""


class WriteLog:
    """Takes down the changes of a session; a `Trace`.

    Args:
        descriptor: Opened for appending; the caller closes it.
        processes: Tells who a process is.
        sequence: Number of records that the log holds already.
        buffer_bytes: Bytes of records that may wait in memory; 0 brings each one to the file at once,
            so that none is lost when this process is killed.
        on_lost: Called once when the system could not make the log durable.
        redaction: Takes secrets out of the arguments of processes.
    """

    def __init__(
        self,
        descriptor: int,
        processes: Processes,
        sequence: int = 0,
        buffer_bytes: int = LOG_BUFFER_BYTES,
        on_lost: Callable[[], None] = no_word,
        redaction: Redaction | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._processes = processes
        self._pending: list[bytes] = []
        self._unflushed_bytes = 0
        self._buffer_bytes = buffer_bytes
        self._on_lost = on_lost
        self._redaction = redaction or Redaction()
        self._problem: OSError | None = None
        self._marked_sequence = 0
        """Number of records when the log was last made durable, the mark of that included."""
        self.durable_bytes = 0
        """Length of the log when it was last made durable by this process, in bytes."""
        self.sequence = sequence

    def append(self, op: str, place: Place, ino: int, actor: Actor, now: int, details: Details) -> None:
        """Note one change; the process behind it is described first when it is new, after its ancestors."""
        facts = self._processes.news(actor.pid)
        if facts is not None:
            for described in (*reversed(self._processes.ancestors_news(facts)), facts):
                self._add(
                    {"seq": self.sequence, "op": "process", "t": now, **self._process_fields(described)}
                )
        record: dict[str, object] = {"seq": self.sequence, "op": op, "t": now}
        if place.domain:
            record["domain"] = place.domain
        put_bytes(record, "path", place.path)
        for key, value in details.items():
            if isinstance(value, bytes):
                put_bytes(record, key, value)
            else:
                record[key] = value
        record["ino"] = ino
        record["pid"] = actor.pid
        self._add(record)

    def _add(self, record: dict[str, object]) -> None:
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        self.sequence += 1
        self._pending.append(line)
        self._unflushed_bytes += len(line)
        if self._unflushed_bytes >= self._buffer_bytes:
            # Counted anew even when it fails: on a full disk it is tried once a block, not once a record.
            self._unflushed_bytes = 0
            with contextlib.suppress(OSError):  # the change is made: its record waits for the next flush
                self.flush()

    def undo(self, first: int, actor: Actor, now: int) -> None:
        """Take back every record from one on, durably. The view stays as it is: it has to be made again.

        The record is one line, so whoever is killed meanwhile leaves it whole or not at all.

        Args:
            first: The first record that does not count any more.
            actor: Who wants that.
            now: Time of day, in nanoseconds.

        Raises:
            OSError: as `sync`.
        """
        details: Details = {"first": first}
        self.append("undo", Place(0, b""), SESSION_INODE, actor, now, details)
        self.sync()

    def flush(self) -> None:
        """Bring every record so far to the file.

        Raises:
            OSError: as of the system; what was not written stays pending.
        """
        block = b"".join(self._pending)
        self._pending = [block]
        while block:
            block = block[os.write(self._descriptor, block) :]
            self._pending = [block]
        self._pending = []
        self._unflushed_bytes = 0

    def sync(self, now: int = 0, size: int | None = None) -> None:
        """Bring every record so far to the disk; when there are new ones, with a mark behind them.

        After a power cut the log is believed up to its last mark: what comes behind may be there without
        the bytes that it speaks of.

        Args:
            now: Time of day, in nanoseconds.
            size: Bytes of the data file that are durable; None for no mark.

        Raises:
            OSError: as of the system; from the first failed fdatasync on every time.
        """
        if self._problem is None:
            if size is not None and self.sequence != self._marked_sequence:
                details: Details = {"size": size, "offset": self.durable_bytes}
                self.append("sync", Place(0, b""), SESSION_INODE, SESSION_ACTOR, now, details)
            self.flush()
            self._problem = sync_once(self._descriptor, None, self._on_lost)
        if self._problem is not None:
            raise OSError(self._problem.errno, self._problem.strerror)
        self._marked_sequence = self.sequence
        self.durable_bytes = os.fstat(self._descriptor).st_size

    def _process_fields(self, facts: ProcessFacts) -> dict[str, object]:
        fields: dict[str, object] = {
            "pid": facts.pid,
            "process": facts.process,
            "parent": facts.parent,
            "start": facts.start,
            "uid": facts.uid,
        }
        put_bytes(fields, "exe", facts.exe)
        put_bytes(fields, "cwd", facts.cwd)
        argv = self._redaction.arguments(facts.argv)
        try:
            fields["argv"] = [argument.decode() for argument in argv]
        except UnicodeDecodeError:
            fields["argv_base64"] = [base64.b64encode(argument).decode() for argument in argv]
        return fields
