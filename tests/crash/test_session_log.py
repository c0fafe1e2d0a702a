"""A log that is cut, torn or zeroed: recovered up to where it can be believed, or refused; never believed."""

import os
from pathlib import Path

import pytest

from catfs.overlay.nodes import Actor
from catfs.records.log_lines import LogDamageError
from catfs.runtime.mending import Doubt, mend_log
from tests.support.memory_lower import MemoryLower
from tests.support.power import POWER_CUT, SECTOR_BYTES, DurableSession
from tests.support.views import create_file, split, write_at

KILLED = Doubt()
"""What there is to doubt after a killed server: the record that it was in the middle of."""


class Written:
    """A session with some syncs, and what its files held at each of its records.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        lower = MemoryLower()
        lower.file(b"below", b"b" * 3000)
        self.session = DurableSession(folder, lower)
        self.session.start()
        self.states = {0: self.session.files()}
        self.ends = {0: 0}
        self.marks = [0]
        """Number of records of each state that a power cut can lead back to."""
        view = self.session.view
        for number in range(8):
            name = b"file %d" % number
            create_file(view, name)
            self._note()
            write_at(view, name, 0, b"%d" % number * 700)
            self._note()
            write_at(view, b"below", 10 * number, b"changed")
            self._note()
            if number % 3 == 2:
                view.sync()
                self._note()
                self.marks.append(max(self.states))
        view.unlink(*split(view, b"file 1"), self._actor())
        self._note()
        self.session.stop()
        self.log = self.session.log_path.read_bytes()
        self.data = self.session.data_path.read_bytes()

    @staticmethod
    def _actor() -> Actor:
        return Actor(0, 0, 0)

    def _note(self) -> None:
        count = self.session.log_path.read_bytes().count(b"\n")
        self.states[count] = self.session.files()
        self.ends[count] = self.session.log_path.stat().st_size

    def resume(self, log: bytes, doubt: Doubt) -> tuple[int, dict[bytes, bytes]]:
        """Go on with a damaged log; give the number of records that were believed, and the files."""
        self.session.log_path.write_bytes(log)
        self.session.data_path.write_bytes(self.data)
        try:
            mended = self.session.start(doubt)
            return mended.records, self.session.files()
        finally:
            self.session.stop()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Give a session that was written and left."""
    return Written(tmp_path_factory.mktemp("session"))


def test_a_log_cut_at_any_byte_leads_to_its_last_whole_record(written: Written) -> None:
    """After a kill every whole record counts, and what is cut off is told; nothing else is in the view."""
    records = [0, *(at + 1 for at, byte in enumerate(written.log) if byte == 0x0A)]
    for size in range(len(written.log) + 1):
        whole = max(end for end in records if end <= size)
        written.session.log_path.write_bytes(written.log[:size])
        mended = mend_log(written.session.log_path, KILLED)
        assert (mended.records, mended.lost_bytes) == (records.index(whole), size - whole)
        assert written.session.log_path.read_bytes() == written.log[:whole]


@pytest.mark.parametrize("doubt", [KILLED, POWER_CUT], ids=["killed", "power cut"])
def test_a_log_cut_within_any_record_gives_the_files_of_that_moment(written: Written, doubt: Doubt) -> None:
    """What comes out is a view that there was: the last one, or after a power cut the last synced one."""
    for count in sorted(written.states):
        for extra in (0, 1, 20):
            believed, files = written.resume(written.log[: written.ends[count] + extra], doubt)
            if doubt.synced_only:
                assert believed == max(mark for mark in written.marks if mark <= count)
                assert files == written.states[believed] | {b"below": files[b"below"]}
            elif believed in written.states:
                assert files.keys() == written.states[believed].keys()


def test_a_log_with_any_block_zeroed_is_refused_after_a_kill(written: Written) -> None:
    """No kill leaves a hole: whatever made it, the log is not followed."""
    for start in range(0, len(written.log), SECTOR_BYTES):
        end = min(start + SECTOR_BYTES, len(written.log))
        log = written.log[:start] + bytes(end - start) + written.log[end:]
        written.session.log_path.write_bytes(log)
        if end == len(written.log):  # the tail, which only looks like a record that was not finished
            assert mend_log(written.session.log_path, KILLED).lost_bytes >= end - start
            continue
        with pytest.raises(LogDamageError, match="whole records"):
            mend_log(written.session.log_path, KILLED)
        assert written.session.log_path.read_bytes() == log


def test_a_zeroed_block_after_a_power_cut_is_never_followed(written: Written) -> None:
    """Behind the last sync it costs the rest; before it, where no disk loses anything, the log is refused."""
    refused = 0
    for start in range(0, len(written.log), SECTOR_BYTES):
        end = min(start + SECTOR_BYTES, len(written.log))
        written.session.log_path.write_bytes(written.log[:start] + bytes(end - start) + written.log[end:])
        try:
            mended = mend_log(written.session.log_path, POWER_CUT)
        except LogDamageError:
            refused += 1
            continue
        assert mended.records in written.marks
        assert written.ends[mended.records] <= start
    assert refused > 0


def test_a_refused_sync_leads_back_to_the_sync_before(written: Written) -> None:
    """What a program was told is not on the disk must not count, although its mark is in the log."""
    before, last = written.marks[-2:]
    limit = written.ends[before]
    believed, files = written.resume(written.log, Doubt(synced_only=True, limit=limit))
    assert believed == before != last
    assert files.keys() == written.states[before].keys()


def test_what_was_cut_off_does_not_come_back(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shorter log is on the disk before anything is appended to it."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    written.session.log_path.write_bytes(written.log + b'{"seq":')
    assert mend_log(written.session.log_path, KILLED).lost_bytes == 7
    assert synced == [len(written.log)]
