"""A disk that refuses writes and syncs of a session: the program is told, and what was synced stays.

Every call by which a session changes its two files fails in turn; afterwards the server is killed and the
session resumed.
"""

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from catfs.runtime.mending import Doubt, doubt_of, mend_log, note_lost, trust_again
from tests.support.memory_lower import MemoryLower
from tests.support.power import POWER_CUT, DurableSession, install
from tests.support.views import create_file, write_at

ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT]


class Refusal:
    """Fails one call of os.write, os.pwrite or os.fdatasync.

    Args:
        number: Which call fails, counted from 1; 0 for none.
        code: With which error.
        part: Whether a write writes half of its bytes first, as on a disk that fills up.
    """

    def __init__(self, number: int, code: int, *, part: bool = False) -> None:
        self._number, self._code, self._part = number, code, part
        self._write, self._pwrite, self._fdatasync = os.write, os.pwrite, os.fdatasync
        self.calls = 0
        self.failed = ""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in for the three calls."""
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        install(monkeypatch, self.fdatasync)

    def write(self, descriptor: int, data: bytes) -> int:
        """Stand in for os.write."""
        if self._is_due("write"):
            if not self._part:
                raise OSError(self._code, os.strerror(self._code))
            return self._write(descriptor, self._half_of(data))
        return self._write(descriptor, data)

    def pwrite(self, descriptor: int, data: bytes, position: int) -> int:
        """Stand in for os.pwrite."""
        if self._is_due("pwrite"):
            if not self._part:
                raise OSError(self._code, os.strerror(self._code))
            return self._pwrite(descriptor, self._half_of(data), position)
        return self._pwrite(descriptor, data, position)

    def fdatasync(self, descriptor: int) -> None:
        """Stand in for os.fdatasync."""
        if self._is_due("fdatasync"):
            raise OSError(self._code, os.strerror(self._code))
        self._fdatasync(descriptor)

    def _half_of(self, data: bytes) -> bytes:
        """Give what fits; the rest is refused by the next call."""
        self._number, self._part = self._number + 1, False
        return data[: (len(data) + 1) // 2]

    def _is_due(self, name: str) -> bool:
        self.calls += 1
        if self.calls == self._number:
            self.failed = name
        return self.calls == self._number


def _work(session: DurableSession) -> tuple[dict[bytes, bytes], dict[bytes, bytes], list[OSError]]:
    """Do what programs do, whatever is refused; give what was synced, what was granted, and the errors."""
    view = session.view
    refused: list[OSError] = []
    synced: dict[bytes, bytes] = {}
    acknowledged: dict[bytes, bytes] = {b"below": b"below"}

    def do(action: Callable[[], object], name: bytes, content: bytes) -> None:
        try:
            action()
            acknowledged[name] = content
        except OSError as error:
            refused.append(error)

    for number in range(4):
        name, content = b"file %d" % number, b"%d" % number * 100
        do(partial(create_file, view, name), name, b"")
        do(partial(write_at, view, name, 0, content), name, content)
        if number % 2:
            try:
                view.sync()
                synced = dict(acknowledged)
            except OSError as error:
                refused.append(error)
    return synced, acknowledged, refused


@pytest.fixture
def lower() -> MemoryLower:
    """Give a lower with one file."""
    made = MemoryLower()
    made.file(b"below", b"below")
    return made


def _count_calls(folder: Path, lower: MemoryLower) -> int:
    folder.mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        counting = Refusal(0, 0)
        session = DurableSession(folder, lower)
        session.start()
        counting.install(monkeypatch)
        _work(session)
        session.stop()
    return counting.calls


@pytest.mark.parametrize("part", [False, True], ids=["refused", "half written"])
@pytest.mark.parametrize("code", ERRORS, ids=[errno.errorcode[code] for code in ERRORS])
def test_every_refused_call_is_told_or_waits(
    tmp_path: Path, lower: MemoryLower, code: int, *, part: bool
) -> None:
    """Nothing synced is lost, nothing refused is believed, whatever call of the session was refused."""
    total = _count_calls(tmp_path / "count", lower)
    for number in range(1, total + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        session = DurableSession(folder, lower)
        session.start()
        with pytest.MonkeyPatch.context() as monkeypatch:
            refusal = Refusal(number, code, part=part)
            refusal.install(monkeypatch)
            synced, acknowledged, refused = _work(session)
        assert session.files() == acknowledged
        assert all(error.errno == code for error in refused)
        if refusal.failed != "write":  # a record that was refused waits for the next one, all else is told
            assert refused, (number, refusal.failed)
        session.stop()
        again = DurableSession(folder, lower)
        again.start(Doubt())
        files = again.files()
        again.stop()
        for name, content in synced.items():
            assert files[name] == content, (number, name)


@pytest.mark.parametrize("which", ["data", "log"])
def test_a_refused_sync_is_never_turned_into_success(
    tmp_path: Path, lower: MemoryLower, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """The kernel would say that all is well the second time; the session goes on saying EIO."""
    session = DurableSession(tmp_path, lower)
    session.start()
    create_file(session.view, b"first", b"first")
    session.view.sync()
    create_file(session.view, b"second", b"second")
    with monkeypatch.context() as patch:
        Refusal(1 if which == "data" else 3, errno.EIO).install(patch)
        with pytest.raises(OSError, match="Input/output error"):
            session.view.sync()
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            session.view.sync()
    assert session.lost == [which]
    assert session.files() == {b"below": b"below", b"first": b"first", b"second": b"second"}
    session.stop()
    again = DurableSession(tmp_path, lower)
    again.start(POWER_CUT)
    assert again.files()[b"first"] == b"first"
    again.stop()


def test_a_full_disk_that_has_room_again_syncs_everything(
    tmp_path: Path, lower: MemoryLower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that waited in memory are written then, so that this success is a true one."""
    session = DurableSession(tmp_path, lower)
    session.start()
    with monkeypatch.context() as patch:
        full = Refusal(0, errno.ENOSPC)

        def write(descriptor: int, data: bytes) -> int:
            del descriptor, data
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        full.install(patch)
        patch.setattr(os, "write", write)
        create_file(session.view, b"made")
        with pytest.raises(OSError, match="No space left"):
            session.view.sync()
    session.view.sync()
    assert session.lost == []
    session.stop()
    again = DurableSession(tmp_path, lower)
    again.start(POWER_CUT)
    assert again.files() == {b"below": b"below", b"made": b""}
    again.stop()


def test_the_note_of_a_refused_sync_outlives_the_server(tmp_path: Path) -> None:
    """Whoever resumes the session knows how much of the log was on the disk, until it was synced again."""
    (tmp_path / "session.json").write_text("{}")
    assert doubt_of(tmp_path) == Doubt()
    note_lost(tmp_path, 100)
    note_lost(tmp_path, 900)  # the first one counts
    assert doubt_of(tmp_path) == Doubt(synced_only=True, limit=100)
    trust_again(tmp_path)
    trust_again(tmp_path)
    assert doubt_of(tmp_path) == Doubt()


def test_a_log_that_a_disk_refused_to_sync_is_written_anew(tmp_path: Path) -> None:
    """The kernel takes pages that it lost for written; only bytes that are written again reach the disk."""
    log = tmp_path / "log.jsonl"
    mark = b'{"seq":0,"op":"sync","t":1,"path":"","size":0,"offset":0,"ino":0,"pid":0}\n'
    log.write_bytes(mark)
    for doubt, is_written in ((Doubt(), False), (Doubt(synced_only=True, limit=len(mark)), True)):
        os.utime(log, ns=(0, 0))
        assert mend_log(log, doubt).marked_bytes == len(mark)
        assert (log.stat().st_mtime_ns != 0) is is_written
        assert log.read_bytes() == mark


def test_another_boot_of_the_machine_is_a_power_cut(tmp_path: Path) -> None:
    """What the page cache held is gone, so only what was synced counts."""
    (tmp_path / "session.json").write_text('{"boot": "another"}')
    assert doubt_of(tmp_path) == POWER_CUT
