"""The views that are mounted in the mount namespace of this process, dead ones included.

A mount whose server died answers no stat, so the kernel's table is asked and not the path.
"""

import os
from collections.abc import Iterator
from errno import EBUSY, EINVAL
from pathlib import Path

from catfs.linux import MNT_DETACH, MNT_FORCE, umount2

MOUNT_TABLE = Path("/proc/self/mounts")
_TYPE = b"fuse.catfs"
_SOURCE = b"catfs"

MOMENT_SOURCE = b"catfs-moment"
"""What the view of a moment is mounted from. It belongs to no session."""


def catfs_mounts(table: Path = MOUNT_TABLE) -> Iterator[bytes]:
    """Give the mount point of every view.

    Args:
        table: A list of mounts in the form of /proc/self/mounts.
    """
    return (point for _, point in _views(table))


def view_source(workspace: Path | None = None) -> bytes:
    """Give what a view is mounted from, as the kernel's table and `df` show it.

    Args:
        workspace: The workspace of its session; None for a view that only its own command sees.
    """
    return _SOURCE if workspace is None else _SOURCE + b":" + os.fsencode(workspace)


def workspace_of_view(point: Path, table: Path = MOUNT_TABLE) -> Path | None:
    """Give the workspace whose session has mounted a view at a path, or None when there is no such view.

    The table says what whoever mounted it wrote: a user who may mount can name any workspace.

    Args:
        point: The path, absolute, symlinks resolved.
        table: A list of mounts in the form of /proc/self/mounts.
    """
    wanted, beginning = os.fsencode(point), _SOURCE + b":"
    found = None
    for source, mounted in _views(table):
        if mounted == wanted:  # the last one lies on top
            found = source
    if found is None or not found.startswith(beginning):
        return None
    return Path(os.fsdecode(found.removeprefix(beginning)))


def _views(table: Path) -> Iterator[tuple[bytes, bytes]]:
    """Give source and mount point of every view, in the order in which they were mounted."""
    for line in table.read_bytes().splitlines():
        fields = line.split(b" ")
        if len(fields) > 2 and fields[2] == _TYPE:
            yield _unescaped(fields[0]), _unescaped(fields[1])


def is_moment(path: Path) -> bool:
    """Say whether the view of a moment is mounted at a path."""
    wanted = os.fsencode(path)
    found = [source for source, point in _views(MOUNT_TABLE) if point == wanted]
    return found[-1:] == [MOMENT_SOURCE]  # the last one lies on top


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


def abort(point: bytes) -> None:
    """End the connection of a view whose server hangs, and take the mount away.

    Whoever waits for the server gets an error, and the server, should it go on, finds that it serves nobody.

    Raises:
        OSError: EPERM when that is not permitted.
    """
    try:
        umount2(point, MNT_FORCE)
    except OSError as error:
        if error.errno not in {EBUSY, EINVAL}:
            raise
    detach(point)


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
