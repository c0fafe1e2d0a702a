"""Whether a session whose server ended during its commit was committed.

A commit is decided at one moment and carried out by whoever finds its journal, perhaps when the server of
the session is long gone. Its journal goes when it is done, so the session keeps a note of one name that it
changes: as the commit is all or nothing, that name tells which of the two it was.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from catfs.commit.reach import parent_beneath, read_entry
from catfs.durable import publish
from catfs.errors import FormatError
from catfs.records import Change, Entry, Kind
from catfs.records.fields import put_bytes
from catfs.records.write_record import take_bytes

_NOTE = "commit.json"
_KEPT_MODE = 0o1777
"""Permission bits that every commit keeps; set-id bits may be left out."""


def note_commit(folder: Path, run_id: str, domains: Iterable[tuple[bytes, Iterable[Change]]]) -> None:
    """Write down, before a session is committed, what will tell afterwards that it was.

    Args:
        folder: The session's folder.
        run_id: The run that the commit belongs to.
        domains: The path of each domain and what is to be changed in it.

    Raises:
        OSError: when it cannot be written durably.
    """
    for domain, changes in domains:
        for change in changes:
            before, after = _looks(change.before), _looks(change.after)
            if change.path and before != after:
                note: dict[str, object] = {"run_id": run_id, "after": after}
                put_bytes(note, "domain", domain)
                put_bytes(note, "path", change.path)
                publish(folder, _NOTE.encode(), orjson.dumps(note), mode=0o600)
                return


def committed_run(folder: Path) -> str | None:
    """Give the run by which a session was committed; None when it was not, or nothing was to be committed.

    Interrupted commits must have been recovered before.

    Args:
        folder: The session's folder.

    Raises:
        FormatError: when the note is damaged.
        OSError: when the domain cannot be read.
    """
    what = str(folder / _NOTE)
    try:
        note = orjson.loads((folder / _NOTE).read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise FormatError(what, f"is not JSON: {error}") from error
    if not isinstance(note, dict):
        raise FormatError(what, f"expected a JSON object, got {type(note).__name__}")
    domain, path = take_bytes(note, "domain", what), take_bytes(note, "path", what)
    run_id, after = note.get("run_id"), note.get("after")
    if not domain or not path or not isinstance(run_id, str):
        raise FormatError(what, "expected the fields domain, path and run_id")
    return run_id if _look_at(domain, path) == after else None


def _look_at(domain: bytes, path: bytes) -> list[object] | None:
    descriptor = os.open(domain, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with parent_beneath(descriptor, path) as (parent, name):
            return _looks(read_entry(parent, name))
    finally:
        os.close(descriptor)


def _looks(entry: Entry | None) -> list[object] | None:
    """Give what of an entry can be seen at its name, as it stands in the note."""
    if entry is None:
        return None
    digest = "" if entry.kind is Kind.DIRECTORY else entry.digest.hex
    return [entry.kind.value, entry.mode & _KEPT_MODE, entry.size, digest]
