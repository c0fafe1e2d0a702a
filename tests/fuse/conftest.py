"""What tests with real mounts share: a domain to work in, and the end of every server they started."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.runtime.workspace import Workspace
from tests.support.commands import Project, kill_hard


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Give a project in an empty domain; servers of mounts that a failing test leaves are ended."""
    # Found upward, it would take the place of the one that each test makes for itself.
    assert (above := Workspace.find(tmp_path)) is None, f"a workspace is in the way: {above}"
    domain = tmp_path / "domain"
    domain.mkdir()
    made = Project(domain)
    yield made
    for session in made.sessions():
        facts = session / "session.json"
        if facts.is_file():
            kill_hard(json.loads(facts.read_bytes())["pid"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests passed without doing all of their work, because this machine lacks a tool."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "absent":
                terminalreporter.write_line(f"absent: {value} ({report.nodeid})", yellow=True)
