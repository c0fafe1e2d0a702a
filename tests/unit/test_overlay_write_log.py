"""The write log: every record once and in order, whatever the disk and the names are like."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from catfs.limits import LOG_BUFFER_BYTES
from catfs.overlay import Processes, WriteLog
from catfs.overlay.nodes import Actor
from catfs.overlay.trace import Details, Place
from catfs.records.write_record import ProcessRecord, WriteRecord, record_from_dict
from tests.support.views import read_lines

KERNEL = Actor(0, 0, 0)
"""An actor of whom no process is described."""


class Stage:
    """A log whose descriptor can be pointed elsewhere, at a full disk for example."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._spare = os.dup(self.descriptor)
        self.log = WriteLog(self.descriptor, Processes(str(folder / "no-proc")))

    def fill_disk(self) -> None:
        """Let every write raise ENOSPC."""
        full = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(full, self.descriptor, inheritable=False)
        os.close(full)

    def free_disk(self) -> None:
        """Let writes reach the file again."""
        os.dup2(self._spare, self.descriptor, inheritable=False)

    def add(self, path: bytes = b"path", actor: Actor = KERNEL) -> None:
        """Note one change."""
        self.log.append("unlink", Place(0, path), 5, actor, 1, {})

    def records(self) -> list[ProcessRecord | WriteRecord]:
        """Give what is in the file."""
        return read_lines(self.path.read_bytes().splitlines())

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.descriptor)
        os.close(self._spare)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Give a log."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def test_records_reach_the_file_at_a_flush(stage: Stage) -> None:
    """Records wait until they are asked for, and are numbered from 0."""
    stage.add(b"first")
    stage.add(b"second")
    assert stage.path.read_bytes() == b""
    stage.log.flush()
    stage.log.flush()
    assert [(record.seq, _path(record)) for record in stage.records()] == [(0, b"first"), (1, b"second")]


def test_records_reach_the_file_before_they_fill_the_memory(stage: Stage) -> None:
    """A block is written on its own when it is large enough."""
    for _ in range(LOG_BUFFER_BYTES // 1000 + 1):
        stage.add(b"x" * 1000)
    assert 0 < stage.path.stat().st_size < 2 * LOG_BUFFER_BYTES


@pytest.mark.parametrize("finish", [WriteLog.flush, WriteLog.sync])
def test_a_full_disk_loses_no_record(stage: Stage, finish: Callable[[WriteLog], None]) -> None:
    """While the disk is full changes go on and records wait; later each one is there exactly once."""
    stage.add()
    stage.log.flush()
    stage.fill_disk()
    for _ in range(2 * LOG_BUFFER_BYTES // 1000):
        stage.add(b"y" * 1000)
    with pytest.raises(OSError, match="No space left on device"):
        finish(stage.log)
    stage.add(b"last")
    stage.free_disk()
    finish(stage.log)
    records = stage.records()
    assert [record.seq for record in records] == list(range(stage.log.sequence))
    assert _path(records[-1]) == b"last"


def test_half_a_block_is_not_written_twice(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fills up in the middle of a block, the rest of it follows later and nothing else."""
    real_write = os.write
    room = [37]

    def write(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        count = real_write(descriptor, data[: room[0]])
        room[0] -= count
        return count

    stage.add(b"one")
    stage.add(b"two")
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left"):
        stage.log.flush()
    assert stage.path.stat().st_size == 37
    monkeypatch.undo()
    stage.add(b"three")
    stage.log.flush()
    assert [_path(record) for record in stage.records()] == [b"one", b"two", b"three"]


def test_a_full_disk_is_tried_once_a_block(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that wait do not make every further record try again."""
    tries: list[int] = []

    def write(descriptor: int, data: bytes) -> int:
        tries.append(len(data))
        raise OSError(28, "No space left on device", descriptor)

    monkeypatch.setattr(os, "write", write)
    for _ in range(2 * LOG_BUFFER_BYTES // 1000 + 2):
        stage.add(b"y" * 1000)
    assert len(tries) == 2


@pytest.mark.parametrize(
    "name", [b"plain", b"\xff\xfe", b"n\nl", b'quote"\\', b"\x01", "ünï".encode(), b"x" * 255]
)
def test_names_of_any_bytes_come_back(stage: Stage, name: bytes) -> None:
    """Paths, targets, names and values of any bytes are read back as they were, one line each."""
    details: Details = {"path2": name, "name": b"user." + name, "value": name}
    stage.log.append("rename", Place(2, b"d/" + name), 5, KERNEL, 9, details)
    stage.log.flush()
    (record,) = stage.records()
    assert isinstance(record, WriteRecord)
    assert (record.domain, record.path, record.t) == (2, b"d/" + name, 9)
    assert record.texts == {"path2": name, "name": b"user." + name, "value": name}


def test_a_process_that_is_gone_is_logged_by_its_id(stage: Stage) -> None:
    """Its record comes first and holds what is known: its id."""
    stage.add(actor=Actor(77, 0, 0))
    stage.add(actor=Actor(77, 0, 0))
    stage.log.flush()
    process, *changes = stage.records()
    assert isinstance(process, ProcessRecord)
    assert (process.pid, process.start, process.exe, process.argv) == (77, 0, b"", ())
    assert [change.pid for change in changes] == [77, 77]


def test_a_continued_log_counts_on(stage: Stage) -> None:
    """A log that holds records already goes on with the next number."""
    stage.add()
    stage.log.flush()
    again = WriteLog(stage.descriptor, Processes(), sequence=1)
    again.append("rmdir", Place(0, b"d"), 6, KERNEL, 2, {})
    again.sync()
    assert [record.seq for record in stage.records()] == [0, 1]


def test_lines_are_one_record_each(stage: Stage) -> None:
    """A newline in a name does not end the line."""
    stage.add(b"a\nb")
    stage.log.flush()
    (line,) = stage.path.read_bytes().splitlines()
    assert record_from_dict(orjson.loads(line)).seq == 0


def _path(record: ProcessRecord | WriteRecord) -> bytes:
    assert isinstance(record, WriteRecord)
    return record.path
