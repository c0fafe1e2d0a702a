"""What the tests of the commands share: a workspace with a domain, and no mount."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from catfs.cli.main import main
from tests.support.commands import Call, Result
from tests.support.workspaces import SampleWorkspace


@pytest.fixture
def sample(tmp_path: Path) -> SampleWorkspace:
    """Give a workspace with one domain and no run."""
    return SampleWorkspace(tmp_path)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Call:
    """Give what runs a command in this process: a tenth of what starting one costs."""

    def in_process(words: Sequence[str], cwd: Path) -> Result:
        monkeypatch.chdir(cwd)
        capfdbinary.readouterr()
        status = main(words)
        stdout, stderr = capfdbinary.readouterr()
        return Result(status, stdout, stderr.decode(errors="backslashreplace"))

    return in_process
