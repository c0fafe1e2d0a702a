"""The bytes of a write log back into records, whether plain or compressed, and what damage does to them.

A log is read from its start. Damage ends the reading: every record before it is given, then a
`LogDamageError` says what is wrong and how many records came before.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import orjson
import zstandard

from catfs.errors import FormatError
from catfs.records.write_record import Record, record_from_dict

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest line of a log, in bytes: far more than the arguments of a process can take (2 MiB of Linux,
times four in base64 and escapes), and little enough to hold."""

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_PLAIN_CHUNK_BYTES: Final = 1 << 18
_PACKED_CHUNK_BYTES: Final = 1 << 12
"""Compressed bytes taken at a time: 4 of them can stand for 128 KiB, so more would let a small file
fill the memory."""


class LogDamageError(FormatError):
    """A write log cannot be read further.

    Args:
        what: Name of the file.
        problem: What is wrong.
        records: Number of whole records before the damage.
        cut_off: Whether all that is wrong is a last line without its end.
    """

    def __init__(self, what: str, problem: str, records: int, *, cut_off: bool = False) -> None:
        super().__init__(what, f"{problem}, after {records} whole records")
        self.records = records
        self.cut_off = cut_off


class LogStream(Protocol):
    """What a log is read from: a binary file, or anything else that is read to its end."""

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes; none at the end."""
        ...


def log_lines(stream: LogStream, what: str) -> Iterator[bytes]:
    """Give the lines of a log without their newlines.

    Args:
        stream: The log from its start, plain or in one zstd frame.
        what: Name of the file, for people.

    Raises:
        LogDamageError: after the last whole line, when the rest is damaged or cut off.
        OSError: when the stream cannot be read.
    """
    count = 0
    rest = b""
    try:
        for chunk in _chunks(stream, what):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
                count += 1
            _check_length(rest, what)
    except FormatError as error:
        raise LogDamageError(what, error.problem, count) from error
    if rest:
        raise LogDamageError(what, "the last line is cut off", count, cut_off=True)


def log_records(lines: Iterable[bytes], what: str, first: int = 0) -> Iterator[Record]:
    """Give the records of the lines of a log.

    Args:
        lines: What `log_lines` gives.
        what: Name of the file, for people.
        first: Sequence number of the first of them.

    Raises:
        LogDamageError: at the first line that is no record, or whose sequence number is not its place.
    """
    for place, line in enumerate(lines, first):
        try:
            record = record_from_dict(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise LogDamageError(what, f"line {place + 1} is no JSON: {error}", place) from error
        except FormatError as error:
            raise LogDamageError(what, f"line {place + 1} is no record: {error}", place) from error
        if record.seq != place:
            raise LogDamageError(what, f"expected sequence number {place}, got {record.seq}", place)
        yield record


def _check_length(line: bytes, what: str) -> None:
    if len(line) > LINE_BYTES_MAX:
        raise FormatError(what, f"expected lines of at most {LINE_BYTES_MAX} bytes")


def _chunks(stream: LogStream, what: str) -> Iterator[bytes]:
    """Give the log uncompressed, chunk by chunk."""
    chunk = stream.read(_PACKED_CHUNK_BYTES)
    if not chunk.startswith(_ZSTD_MAGIC):
        while chunk:
            yield chunk
            chunk = stream.read(_PLAIN_CHUNK_BYTES)
        return
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    while chunk:
        try:
            plain = decompressor.decompress(chunk)
        except zstandard.ZstdError as error:
            raise FormatError(what, f"the compressed data is damaged: {error}") from error
        yield plain
        if decompressor.eof:
            break
        chunk = stream.read(_PACKED_CHUNK_BYTES)
    if not decompressor.eof:
        raise FormatError(what, "the compressed data is cut off")
    if decompressor.unused_data or stream.read(1):
        raise FormatError(what, "something follows the end of the compressed data")
