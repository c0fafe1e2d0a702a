"""What happens to files: cut, zeroed, changed and mixed up; and the formats that must survive it.

A reader of a damaged file either refuses it, or gives what was written: less of it where that is the promise
of the format, and never anything else.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from catfs.commit import (
    Action,
    DomainPlace,
    Folder,
    Journal,
    Staging,
    Step,
    decode_journal,
    decode_staging,
    encode_journal,
    encode_staging,
)
from catfs.digest import Digest
from catfs.ledger import Chain, ChainEntry, LogFile
from catfs.ledger.chain import CHAIN_FILE, read_chain
from catfs.records import Entry, Kind, Outcome
from catfs.runtime.mending import Doubt, mend_log
from catfs.store import LocalStore
from tests.run_samples import LEFTOVERS, OUTPUT_CHANGES, log_bytes, sample_run
from tests.support.verified import require_verified

BLOCK_BYTES = 512
"""What a disk writes whole or not at all, in bytes."""

_OLD, _NEW = (Entry(Kind.FILE, 0o644, 3, Digest.of(data)) for data in (b"old", b"new"))
_PLACES = (DomainPlace(b"/srv/\xff", True, 17), DomainPlace(b"/b", False, -1))
_STEPS = tuple(Step(0, Action.PUT, b"out/%d" % number, _OLD, _NEW) for number in range(9))
_CHANGES = {**OUTPUT_CHANGES, **LEFTOVERS}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Give bytes to which one to three things have happened.

    Args:
        data: The bytes as they were written.
        chance: Decides what happens.
    """
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice([1, 2, 8, 40, BLOCK_BYTES]))
        block = at - at % BLOCK_BYTES
        match chance.randrange(7):
            case 0:
                data = data[:at]
            case 1:
                data = data[:block] + bytes(min(BLOCK_BYTES, len(data) - block)) + data[block + BLOCK_BYTES :]
            case 2 if at < len(data):
                data = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
            case 3:
                data = data[:at] + chance.randbytes(end - at) + data[end:]
            case 4:
                data = data[:at] + chance.randbytes(chance.randint(1, 40)) + data[at:]
            case 5:
                data = data[:at] + data[end:]
            case _:
                data = data[:at] + data[at:end] * 2 + data[end:]
    return data


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Args:
        write: Writes a sound one into an empty folder and gives its path.
        read: Reads it, or raises a `CatfsError`.
        agrees: Says of what was written and what was read whether a reader may give that.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    agrees: Callable[[object, object], bool] = lambda sound, got: sound == got


def _writes(data: bytes) -> Callable[[Path], Path]:
    """Give what writes certain bytes."""

    def write(folder: Path) -> Path:
        (folder / "file").write_bytes(data)
        return folder / "file"

    return write


def is_beginning(sound: object, got: object) -> bool:
    """Say whether a list is the beginning of another."""
    assert isinstance(sound, Sequence)
    assert isinstance(got, Sequence)
    return got == sound[: len(got)]


def _write_chain(folder: Path) -> Path:
    chain = Chain(folder, clock=lambda: 7)
    for number in range(5):
        chain.append(ChainEntry(f"run-{number}", Outcome.RESTORED, Digest.of(b"%d" % number)))
    return folder / CHAIN_FILE


_OBJECTS = {"plain": random.Random(5).randbytes(6000), "compressed": b"the same again\n" * 3000}  # noqa: S311


def _store_format(name: str) -> Format:
    """Give the format of a store's object that lies in a file of its own."""
    content = _OBJECTS[name]

    def write(folder: Path) -> Path:
        store = LocalStore(folder / "store")
        digest = store.put(content)
        [path] = (folder / "store").rglob(f"{digest.hex}*")
        path.chmod(0o600)
        return path

    def read(path: Path) -> object:
        return LocalStore(path.parents[2]).get(Digest.of(content))

    return Format(write, read)


def _write_store_pack(folder: Path) -> Path:
    store = LocalStore(folder / "store")
    with store.batch() as batch:
        for number in range(20):
            batch.put(b"small %d" % number)
    [path] = (folder / "store" / "packs").iterdir()
    path.chmod(0o600)
    return path


def _read_store_pack(path: Path) -> object:
    store = LocalStore(path.parents[1])
    return [store.get(Digest.of(b"small %d" % number)) for number in range(20)]


def _mended(path: Path, doubt: Doubt) -> object:
    """Give the records of a session's log as a session that goes on would take them."""
    mend_log(path, doubt)
    return [record.seq for record in LogFile(path, whole=True)]


def _write_log(folder: Path) -> Path:
    (folder / "log.jsonl").write_bytes(log_bytes())
    return folder / "log.jsonl"


def _run_format(name: str) -> Format:
    """Give the format of one file of a finished run, which is read with all the others."""
    files = dict(sample_run(_CHANGES).files)
    return Format(_writes(files[name]), lambda path: require_verified({**files, name: path.read_bytes()}))


FORMATS: Mapping[str, Format] = {
    "journal": Format(
        _writes(encode_journal(Journal("run-1", _PLACES, _STEPS, (Folder(0, b"out", 0o755, 1),)))),
        lambda path: decode_journal(path.read_bytes()),
    ),
    "staging record": Format(
        _writes(encode_staging(Staging("run-1", _PLACES))), lambda path: decode_staging(path.read_bytes())
    ),
    "chain": Format(_write_chain, lambda path: read_chain(path.read_bytes()).records, is_beginning),
    "plain object": _store_format("plain"),
    "compressed object": _store_format("compressed"),
    "pack of the store": Format(_write_store_pack, _read_store_pack),
    "log of a session, killed": Format(_write_log, lambda path: _mended(path, Doubt()), is_beginning),
    **{name: _run_format(name) for name, data in sample_run(_CHANGES).files.items() if data},
}
"""Name to format. Of a session's log it is the order of the records that counts here."""
