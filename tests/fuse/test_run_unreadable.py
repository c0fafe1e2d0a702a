"""A domain that cannot be read whole is told of while the command runs, and ends it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from catfs.commit import Recovery
from catfs.errors import ExitStatus
from catfs.proof.capture import CaptureError
from catfs.runtime import base_reader
from catfs.runtime.base import UnreadableDomainError
from catfs.runtime.request import RunRequest
from catfs.runtime.run import run_command

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(60)]


def _ignore(_recoveries: Sequence[Recovery]) -> None:
    """Take no notice of recoveries."""


@pytest.mark.parametrize("timeout", [None, 250.0], ids=["command", "pipeline"])
def test_an_unreadable_file_ends_a_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float | None
) -> None:
    """Nobody waits for a command whose run cannot be proven; the domain is as it was."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise CaptureError(b"secret", "cannot be opened: Permission denied")

    monkeypatch.setattr(base_reader, "capture", refuse)
    (tmp_path / ".catfs").mkdir()
    domain = tmp_path / "domain"
    domain.mkdir()
    words = ("sh", "-c", "echo x > made; sleep 300")
    request = RunRequest(arguments=words, domains=(domain,), cwd=domain, timeout_seconds=timeout)
    with pytest.raises(UnreadableDomainError, match="because secret cannot be opened") as caught:
        run_command(request, on_recovery=_ignore)
    assert caught.value.exit_status is ExitStatus.USAGE
    assert list(domain.iterdir()) == []
    assert not list(tmp_path.glob(".catfs/runs/*/PROOF.json"))
    assert not list(tmp_path.glob(".catfs/sessions/*"))
