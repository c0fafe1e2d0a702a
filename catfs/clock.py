"""Where the time comes from, so that tests can say what time it is."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Gives the time of day in nanoseconds since 1970."""


def system_clock() -> int:
    """Give the time of day in nanoseconds since 1970."""
    return time.time_ns()
