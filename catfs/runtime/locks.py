"""Who lives: a lock on a file or folder is held by its process for as long as that lives, however it ends."""

import fcntl
import os
from pathlib import Path


def is_locked(path: Path) -> bool:
    """Say whether a process holds the lock of a file or folder; nobody holds one that is not there.

    To find out, the lock is taken for a moment. Whoever takes a lock that nobody else can hold but for such a
    look waits for it.

    Args:
        path: The file or folder.

    Raises:
        OSError: when it cannot be opened.
    """
    try:
        descriptor = os.open(path, (os.O_DIRECTORY if path.is_dir() else os.O_RDWR) | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
