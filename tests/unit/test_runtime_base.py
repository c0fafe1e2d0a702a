"""Reading the base of a session."""

import os
from pathlib import Path

import pytest

from catfs.errors import MachineError
from catfs.proof.capture import CaptureError
from catfs.runtime import base
from catfs.runtime.base import BaseReader


def test_what_cannot_be_read_is_named_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing unreadable is skipped: without its bytes the domain cannot be proven."""

    def refuse(*arguments: object) -> None:
        del arguments
        raise CaptureError(b"secret", "cannot be opened: Permission denied")

    monkeypatch.setattr(base, "capture", refuse)
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    reader = BaseReader(tmp_path, [root], ())
    with pytest.raises(MachineError, match="because secret cannot be opened: Permission denied") as caught:
        reader.finish()
    os.close(root)
    assert "run as its owner" in str(caught.value)
