"""Measuring work inside a mounted file system: open, warm up, run, verify, close."""

import contextlib
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.bench.machine import forget_entries, peak_bytes, processor_seconds
from tools.bench.model import Place, Sample
from tools.bench.peers import Opened, open_peer

Step = Callable[[Path, Path], None]
"""Works in the root of a mounted file system, which is the working directory too; the second path is the
folder of assets."""


def nothing(root: Path, assets: Path) -> None:
    """Do nothing."""
    del root, assets


@dataclass(frozen=True, slots=True)
class Work:
    """What is done inside a mount.

    Args:
        run: The timed part.
        verify: Not timed; raises RowError when `run` did not do what it should.
        warm: Not timed, before it.
        cold: Whether the kernel forgets names and attributes right before `run`. Otherwise everything
            is only written back.
    """

    run: Step
    verify: Step = nothing
    warm: Step = nothing
    cold: bool = False

    def measure(self, peer: str, place: Place) -> Sample:
        """Take one sample.

        Raises:
            UnavailableError: when the peer cannot be had.
            RowError: when the work was not done.
            OSError, CatfsError, subprocess.SubprocessError: whatever went wrong.
        """
        with open_peer(peer, place) as opened, contextlib.chdir(opened.root):
            self.warm(opened.root, place.assets)
            if self.cold:
                forget_entries()
            else:
                os.sync()
            sample = self._timed(opened, place)
            self.verify(opened.root, place.assets)
        return sample

    def _timed(self, opened: Opened, place: Place) -> Sample:
        server = opened.server
        before = processor_seconds(server) if server is not None else 0.0
        gc.disable()
        with place.watch(server):
            started = time.perf_counter()
            self.run(opened.root, place.assets)
            seconds = time.perf_counter() - started
        gc.enable()
        if server is None:
            return Sample(seconds)
        return Sample(seconds, processor_seconds(server) - before, peak_bytes(server))
