"""Mending what a server that is gone left: how far a session's log can be believed.

A killed server leaves the page cache behind: its log is whole but for a record it was in the middle of. A
power cut, or a disk that refused to keep what it was given, leaves what was synced; of the rest any part
may be missing, in the log as in the data file. Then the log is believed up to its last mark of a sync.
"""

import os
from contextlib import suppress
from pathlib import Path

import orjson

from catfs.durable import create_exclusively, remove_durably
from catfs.errors import FormatError
from catfs.records.log_lines import LogDamageError, log_records
from catfs.records.write_record import WriteRecord, record_from_dict
from catfs.runtime.session_files import FACTS_FILE
from catfs.values import dataclass

_LOST = "lost"
"""File of a session whose disk refused a sync: how many bytes of the log were on the disk by then."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the end of a log cannot be believed.

    Args:
        synced_only: Whether only what was synced counts.
        limit: Bytes of the log that were on the disk when it refused a sync; None when it never did.
    """

    synced_only: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Mended:
    """A log that can be followed.

    Args:
        records: Number of its records.
        lost_bytes: Bytes that were cut off.
        data_bytes: Bytes of the data file that it vouches for; None for all that are there.
        marked_bytes: Bytes up to its last mark of a sync. No disk that refuses a sync from now on makes
            that doubtful: the data was on the disk before the mark was written.
    """

    records: int
    lost_bytes: int
    data_bytes: int | None
    marked_bytes: int = 0


def boot_id() -> str:
    """Give what tells this boot of the machine from every other; empty where the kernel does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def doubt_of(folder: Path) -> Doubt:
    """Say what of a session may be missing.

    Args:
        folder: Its folder.

    Raises:
        FormatError: when what it says of itself is damaged.
        OSError: when that cannot be read.
    """
    boot = _read_object(folder / FACTS_FILE).get("boot", boot_id())
    try:
        lost = _read_object(folder / _LOST)
    except FileNotFoundError:
        return Doubt(synced_only=boot != boot_id())
    limit = lost.get("log_bytes")
    if not isinstance(limit, int) or limit < 0:
        raise FormatError(str(folder / _LOST), f"expected a number for log_bytes, got {limit!r}")
    return Doubt(synced_only=True, limit=limit)


def started_of(folder: Path) -> int:
    """Say when a session began, in nanoseconds since 1970.

    Raises:
        FormatError, OSError: as `doubt_of`.
    """
    started = _read_object(folder / FACTS_FILE).get("started")
    if not isinstance(started, int):
        raise FormatError(str(folder / FACTS_FILE), f"expected a number for started, got {started!r}")
    return started


def keeps_history(folder: Path) -> bool:
    """Say whether a session keeps every byte that was ever written.

    Raises:
        FormatError, OSError: as `doubt_of`.
    """
    return _read_object(folder / FACTS_FILE).get("history") is True


def note_lost(folder: Path, log_bytes: int) -> None:
    """Write down that the disk refused a sync, as well as such a disk allows.

    Args:
        folder: The folder of the session.
        log_bytes: Length of the log when it was last synced.
    """
    try:
        create_exclusively(folder, _LOST.encode(), orjson.dumps({"log_bytes": log_bytes}), mode=0o600)
    except OSError:
        # Refused again, or noted before; this server says EIO to every fsync from now on in any case.
        return


def trust_again(folder: Path) -> None:
    """Forget that a disk refused a sync: everything that counts has been synced since.

    Raises:
        OSError: when the note cannot be removed.
    """
    with suppress(FileNotFoundError):
        remove_durably(folder, _LOST.encode())


def mend_log(path: Path, doubt: Doubt) -> Mended:
    """Cut a log back to where it can be believed.

    Args:
        path: The log.
        doubt: What of it may be missing.

    Raises:
        LogDamageError: when a record is damaged that cannot be: one before the last, or one that was synced.
        OSError: when the log cannot be read or cut.
    """
    with path.open("r+b") as stream:
        text = stream.read()
        if doubt.synced_only:
            mended = _last_mark(text, path.name, doubt.limit)
        else:
            mended = _last_line(text, path.name)
        if mended.lost_bytes or doubt.limit is not None:
            kept = len(text) - mended.lost_bytes
            if doubt.limit is not None:
                # What a refused sync lost reads as written and is never tried again, but when written anew.
                stream.seek(0)
                stream.write(text[:kept])
            stream.truncate(kept)
            os.fsync(stream.fileno())  # before anything is appended: the old end must not come back
    return mended


def _last_line(text: bytes, what: str) -> Mended:
    """Find the last whole line, before which everything must be whole."""
    end = marked = 0
    lines = text[: text.rfind(b"\n") + 1].split(b"\n")[:-1]
    for line, record in zip(lines, log_records(lines, what), strict=True):
        end += len(line) + 1
        if isinstance(record, WriteRecord) and record.op == "sync":
            marked = end
    return Mended(len(lines), len(text) - end, None, marked)


def _last_mark(text: bytes, what: str, limit: int | None) -> Mended:
    """Find the last mark before which everything is whole."""
    found = Mended(0, len(text), 0)
    end = 0
    lines = text[: text.rfind(b"\n") + 1].split(b"\n")[:-1]
    try:
        for line, record in zip(lines, log_records(lines, what), strict=True):
            end += len(line) + 1
            if isinstance(record, WriteRecord) and record.op == "sync":
                if limit is not None and end > limit:
                    break
                found = Mended(record.seq + 1, len(text) - end, record.number("size"), end)
    except LogDamageError as error:
        if _was_synced(lines[error.records + 1 :], end):
            raise
    return found


def _was_synced(lines: list[bytes], end: int) -> bool:
    """Say whether a mark behind some damage tells that what is damaged had been on the disk."""
    for line in lines:
        if b'"op":"sync"' in line:
            try:
                record = record_from_dict(orjson.loads(line))
            except (orjson.JSONDecodeError, FormatError):
                continue
            if isinstance(record, WriteRecord) and record.numbers.get("offset", 0) > end:
                return True
    return False


def _read_object(path: Path) -> dict[str, object]:
    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FormatError(str(path), f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(str(path), f"expected a JSON object, got {type(value).__name__}")
    return value
