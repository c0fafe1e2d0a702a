"""A session whose resuming is killed or refused at any point can be resumed, and nothing synced is lost."""

import errno

import pytest

from tests.support.resuming import HAPPENED, LeftSession, resume_points


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> LeftSession:
    """Give a session that was left by a killed server."""
    return LeftSession(tmp_path_factory.mktemp("left"))


@pytest.mark.parametrize("code", [0, errno.EIO], ids=["killed", "EIO"])
@pytest.mark.parametrize("happened", HAPPENED)
def test_resuming_that_is_struck_anywhere_is_resumed(left: LeftSession, happened: str, code: int) -> None:
    """Each call that changes the disk is killed or refused once; the next one finds all that was synced."""
    struck = list(resume_points(left, happened, code))
    assert [violation for violations in struck for violation in violations] == []
    assert len(struck) > 8
