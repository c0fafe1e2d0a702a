"""A whole write log for whoever must not go on from a damaged one, held against the proof that seals it.

The bytes of the file are hashed while its records are read, so a log that is what the proof says costs one
pass. Only when they are not is it read again, to name the first record that is wrong.
"""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from catfs.digest import Digest
from catfs.merkle import LogTree
from catfs.records import WRITE_LOG_FILE, LogSummary, Proof
from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import Record
from catfs.runtime.log_reading import LogSource
from catfs.runtime.log_seal import LogTimes, check_seal


class SealedLog:
    """The records of one log; iterating reads it from the start.

    Args:
        source: The log.
        proof: The proof of its run; None for a session, or a run that did not end.
    """

    def __init__(self, source: LogSource, proof: Proof | None) -> None:
        self.source = source
        self.proof = proof
        self.is_cut_off = False
        """Whether the last reading ended at a last line without its end: of a log that nothing seals only."""

    def _may_end_so(self, error: LogDamageError) -> bool:
        """Say whether a log that nothing seals ends as that of a killed or living session may."""
        return self.proof is None and self.source.live and error.cut_off

    def __iter__(self) -> Iterator[Record]:
        """Give the records in order.

        Whoever wants to rely on them takes all: the end is where a wrong log is told from the right one.

        Raises:
            LogDamageError: when the log is damaged, cut off, out of order, or not the one that the proof
                seals; it names the first record that is wrong.
            OSError: when the file cannot be read.
        """
        self.is_cut_off = False
        name, times = self.source.name, LogTimes()
        with self.source.path.open("rb") as file:
            stream = _HashingStream(file)
            try:
                for record in log_records(log_lines(stream, name), name):
                    yield record
                    times.note(record.seq, record.t)
            except LogDamageError as error:
                if not self._may_end_so(error):
                    raise
                self.is_cut_off = True
        if self.proof is not None and stream.digest != self.proof.files.get(WRITE_LOG_FILE):
            self._check_records(self.proof.log, times)

    def _check_records(self, proven: LogSummary, times: LogTimes) -> None:
        """Hold every record against the proof; a log that was only compressed anew passes."""
        name, tree = self.source.name, LogTree()
        with self.source.path.open("rb") as file:
            for line in log_lines(file, name):
                tree.append(line)
        check_seal(name, tree, times, proven)


class _HashingStream:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> Digest:
        """SHA-256 of what was read so far."""
        return Digest(self._hash.digest())

    def read(self, size: int, /) -> bytes:
        """Read and hash."""
        data = self._file.read(size)
        self._hash.update(data)
        return data
