"""A process whose memory is locked must not keep the server waiting."""

import os
import time
from pathlib import Path

from catfs.limits import PROCESS_ARGUMENTS_SECONDS
from catfs.overlay.processes import Processes


def test_process_that_does_not_tell_its_arguments_is_described_without(tmp_path: Path) -> None:
    """Arguments that cannot be read in time are left out: waiting for them would be a deadlock."""
    folder = tmp_path / "77"
    folder.mkdir()
    numbers = " ".join(str(number) for number in range(1, 50))
    (folder / "stat").write_text(f"77 (a b) S {numbers}\n", encoding="ascii")
    (folder / "status").write_text("Tgid:\t70\nUid:\t5\t5\t5\t5\n", encoding="ascii")
    os.mkfifo(folder / "cmdline")  # opening it waits for a writer, as a locked process would
    processes = Processes(str(tmp_path))
    began = time.monotonic()
    facts = processes.news(77)
    waited = time.monotonic() - began
    processes.close()
    assert facts is not None
    assert facts.argv == ()
    assert (facts.process, facts.uid) == (70, 5)
    assert waited < PROCESS_ARGUMENTS_SECONDS + 2
    os.close(os.open(folder / "cmdline", os.O_WRONLY))  # lets the reader end


def test_arguments_are_read_when_the_process_answers() -> None:
    """The usual case: the arguments are there at once, non-UTF-8 bytes and all."""
    facts = Processes().news(os.getpid())
    assert facts is not None
    assert facts.argv == tuple(Path("/proc/self/cmdline").read_bytes().removesuffix(b"\0").split(b"\0"))
