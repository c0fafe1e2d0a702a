"""The views that are mounted in the mount namespace of this process, dead ones included.

A mount whose server died answers no stat, so the kernel's table is asked and not the path.
"""

import os
from collections.abc import Iterator
from errno import EINVAL
from pathlib import Path

from catfs.linux import MNT_DETACH, umount2

MOUNT_TABLE = Path("/proc/self/mounts")
_TYPE = b"fuse.catfs"


def catfs_mounts(table: Path = MOUNT_TABLE) -> Iterator[bytes]:
    """Give the mount point of every view.

    Args:
        table: A list of mounts in the form of /proc/self/mounts.
    """
    for line in table.read_bytes().splitlines():
        fields = line.split(b" ")
        if len(fields) > 2 and fields[2] == _TYPE:
            yield _unescaped(fields[1])


def is_mount_point(path: Path) -> bool:
    """Say whether a view is mounted at a path, a dead one included."""
    return os.fsencode(path) in catfs_mounts()


def detach(point: bytes) -> None:
    """Take a mount away in this namespace, also when it is in use; nothing happens when it is gone.

    Raises:
        OSError: EPERM when that is not permitted.
    """
    try:
        umount2(point, MNT_DETACH)
    except OSError as error:
        if error.errno != EINVAL:
            raise


def detach_inherited_views() -> None:
    """Let go of the views that were mounted when this process entered a namespace of its own.

    Its copies would keep them alive after everybody else had unmounted them.
    """
    for point in list(catfs_mounts()):
        detach(point)


def _unescaped(field: bytes) -> bytes:
    """Undo the octal escapes of the kernel for space, tab, newline, backslash and hash."""
    for octal in (b"040", b"011", b"012", b"043"):
        field = field.replace(b"\\" + octal, bytes([int(octal, 8)]))
    return field.replace(b"\\134", b"\\")
