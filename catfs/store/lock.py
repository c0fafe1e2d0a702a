"""The lock between writers and the cleaning of a store.

Any number of writers hold it together; cleaning holds it alone. It guards one thing only: that an object
which a writer found present, and therefore did not write, is not removed before its age was renewed.
The kernel releases the lock of a process that dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catfs.errors import CatfsError

_NAME = "lock"


class StoreBusyError(CatfsError):
    """A store cannot be cleaned while somebody writes to it.

    Args:
        path: The store.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the store {path} is being written to", hint="try again when the sessions have ended"
        )
        self.path = path


def make_lock(root: Path) -> None:
    """Make the lock file of a store."""
    os.close(os.open(root / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Hold the lock together with other writers; waits while the store is being cleaned."""
    descriptor = os.open(root / _NAME, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def cleaning(root: Path) -> Iterator[None]:
    """Hold the lock alone.

    Raises:
        StoreBusyError: when a writer holds it, or another cleaning.
    """
    descriptor = os.open(root / _NAME, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreBusyError(root) from None
        yield
    finally:
        os.close(descriptor)
