"""What tests with real mounts share: a domain to work in, and the end of every server they started."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Project, kill_hard


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Give a project in an empty domain; servers of mounts that a failing test leaves are ended."""
    domain = tmp_path / "domain"
    domain.mkdir()
    made = Project(domain)
    yield made
    for session in made.sessions():
        facts = session / "session.json"
        if facts.is_file():
            kill_hard(json.loads(facts.read_bytes())["pid"])
