"""Real mounted sessions, killed, unmounted, resumed, committed and discarded at random, against a model.

A short form of what `tools/torture.py` does for hours.
"""

from pathlib import Path

import pytest

from tests.support.commands import run_catfs
from tests.support.forked import call_forked
from tests.support.torture import LiveSession

pytestmark = [pytest.mark.fuse, pytest.mark.slow]

TRANSPORTS = {0: "devfuse", 1: "pyfuse3"}


@pytest.mark.parametrize("seed", range(10))
def test_random_session_loses_nothing(tmp_path: Path, seed: int) -> None:
    """Whatever happens to the server: what was written is there, and the original is what was committed."""
    call = run_catfs if seed in TRANSPORTS else call_forked
    session = LiveSession(tmp_path, seed, TRANSPORTS[seed % 2], call=call)
    assert list(session.run(rounds=2)) == [], (seed, session.log)
