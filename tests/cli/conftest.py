"""What the tests of the commands share: a workspace with a domain, and no mount."""

from pathlib import Path

import pytest

from tests.support.workspaces import SampleWorkspace


@pytest.fixture
def sample(tmp_path: Path) -> SampleWorkspace:
    """Give a workspace with one domain and no run."""
    return SampleWorkspace(tmp_path)
