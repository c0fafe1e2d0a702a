"""A durable session without a mount, on files that lose what was not synced when the power is cut.

The session is the real view, log and data file over a lower in memory; it is resumed as a server resumes
it. A power cut keeps what was synced, and of each later sector either the old or the new bytes.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from catfs.overlay import DataFile, Domain, NoTrace, Processes, ReplayClock, View, WriteLog, replay
from catfs.overlay.nodes import Directory, File
from catfs.records.log_lines import log_lines, log_records
from catfs.runtime.mending import Doubt, Mended, mend_log
from tests.support.memory_lower import MemoryLower

SECTOR_BYTES = 512
"""What a disk writes whole or not at all, in bytes."""

POWER_CUT = Doubt(synced_only=True)


class PowerCutError(BaseException):
    """The power is gone; no handler of the code under test may stop it."""


@dataclass
class Power:
    """Watches the syncs of some files, and takes away what was not synced.

    Args:
        chance: Decides which sectors arrived.
    """

    chance: random.Random
    cut_at: int | None = None
    """The power is cut at the sync with this number, counted from 1, before anything of it is on the disk."""
    syncs: int = 0
    synced: dict[Path, bytes] = field(default_factory=dict)

    def fdatasync(self, descriptor: int) -> None:
        """Stand in for os.fdatasync."""
        self.syncs += 1
        if self.syncs == self.cut_at:
            raise PowerCutError
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        self.synced[path] = path.read_bytes()

    def cut(self, paths: tuple[Path, ...]) -> None:
        """Leave of each file what was synced, and of the sectors since then any."""
        for path in paths:
            path.write_bytes(self._left(self.synced.get(path, b""), path.read_bytes()))

    def _left(self, synced: bytes, now: bytes) -> bytes:
        size = self.chance.choice([len(now), self.chance.randint(min(len(synced), len(now)), len(now))])
        left = bytearray(size)
        for start in range(0, size, SECTOR_BYTES):
            end = min(start + SECTOR_BYTES, size)
            source = now if self.chance.random() < 0.6 else synced.ljust(size, b"\0")
            left[start:end] = source[start:end]
        return bytes(left)


class DurableSession:
    """A durable view whose log and data file are real files.

    Args:
        folder: Where they are, or will be.
        lower: What lies below.
    """

    def __init__(self, folder: Path, lower: MemoryLower) -> None:
        self.log_path, self.data_path = folder / "log.jsonl", folder / "data"
        self._lower = lower
        self._descriptors: list[int] = []
        self.lost: list[str] = []
        """Which of the two files the disk refused to sync."""
        self.view: View

    @property
    def paths(self) -> tuple[Path, Path]:
        """The two files."""
        return self.log_path, self.data_path

    def start(self, doubt: Doubt | None = None) -> Mended:
        """Begin, or go on with what is there when a doubt is given."""
        data = os.open(self.data_path, os.O_RDWR | os.O_CREAT, 0o600)
        log = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._descriptors = [data, log]
        mended = Mended(0, 0, None) if doubt is None else mend_log(self.log_path, doubt)
        if mended.data_bytes is not None:
            os.ftruncate(data, min(mended.data_bytes, os.fstat(data).st_size))
        data_file = DataFile(data, os.fstat(data).st_size, lambda: self.lost.append("data"))
        trace = WriteLog(log, Processes(), mended.records, 0, lambda: self.lost.append("log"))
        self.view = View([Domain(self._lower)], data_file, NoTrace(), ReplayClock(), durable=True)
        with self.log_path.open("rb") as stream:
            replay(log_records(log_lines(stream, "log"), "log"), self.view)
        self.view.clock = iter(range(10**12, 10**15, 1000)).__next__
        self.view.trace = trace
        return mended

    def stop(self) -> None:
        """Let go of the files, as a server that is killed does."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def files(self) -> dict[bytes, bytes]:
        """Give the content of every file of the view by its path."""
        found: dict[bytes, bytes] = {}
        waiting: list[tuple[bytes, Directory]] = [(b"", self.view.roots[0])]
        while waiting:
            above, directory = waiting.pop()
            for name, node in self.view.entries(directory).items():
                if isinstance(node, Directory):
                    waiting.append((above + name + b"/", node))
                elif isinstance(node, File):
                    found[above + name] = self.view.read_content(node, 0, node.size)
        return found


def install(monkeypatch: pytest.MonkeyPatch, fdatasync: Callable[[int], None]) -> None:
    """Let another function stand in for os.fdatasync."""
    monkeypatch.setattr(os, "fdatasync", fdatasync)
