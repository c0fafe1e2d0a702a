"""Commits of every shape and their recoveries, struck at some of their points.

A short form: `tools/torture.py points` strikes at every one.
"""

import functools
import importlib
import itertools
from pathlib import Path

import pytest

from tests.support.points import SHAPES, STRIKES, Points

EVERY_COMMIT_POINT, EVERY_RECOVERED_CALL = 61, 13
"""How many lie from one that is tried here to the next; primes, so that calls and strikes take turns."""


@pytest.mark.parametrize("inside", [False, True], ids=["staged-in-workspace", "staged-in-domain"])
@pytest.mark.parametrize("shape", SHAPES)
def test_commit_of_any_shape_is_struck_and_recovered(tmp_path: Path, shape: str, *, inside: bool) -> None:
    """Old or new, told as it is, recorded if and only if it happened, and nothing is left over."""
    points = Points(tmp_path, shape, inside=inside)
    offset = len(shape) + inside
    strikes = [*itertools.islice(points.commit_points(), offset, None, EVERY_COMMIT_POINT)]
    numbers = range(1 + offset % EVERY_RECOVERED_CALL, len(points.calls), EVERY_RECOVERED_CALL)
    strikes += [
        functools.partial(points.recovery, number, strike, 1 + number % 9)
        for number, strike in zip(numbers, itertools.cycle(STRIKES.values()), strict=False)
    ]
    assert len(strikes) > 4
    assert [violation for strike in strikes for violation in strike()] == []


def test_points_notice_a_recovery_that_leaves_things_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: when a commit that was not decided is not cleared away, the strikes find that."""
    points = Points(tmp_path, "new file", inside=False)
    recovering = importlib.import_module("catfs.commit.recover")
    monkeypatch.setattr(recovering, "give_up_commit", lambda *_arguments: None)
    assert any(strike() for strike in itertools.islice(points.commit_points(), len(points.calls)))
