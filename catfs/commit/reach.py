"""Reaching names of a domain: from its descriptor, beneath it, through no symlink, into no other mount."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from catfs.beneath import open_beneath
from catfs.digest import Digest, digest_descriptor
from catfs.errors import CommitError, printable
from catfs.linux import RESOLVE_NO_XDEV
from catfs.records import Entry, Kind, kind_of_mode
from catfs.records.entry import device_digest

NOT_REACHABLE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What opening a directory says where there is none: also a file or a symlink in its place."""

WALK: Final = os.O_PATH | os.O_DIRECTORY
"""Open a directory only to reach what is in it: needs no right to read it."""
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
"""Open a directory to list it, change its times and fsync it."""

Signature = tuple[int, int, int, int]
"""Inode, size in bytes, mtime and ctime in nanoseconds: while they stay, so does the content."""


@contextmanager
def folder_beneath(domain: int, path: bytes, flags: int = WALK) -> Iterator[int]:
    """Give a descriptor of a directory of the domain, open inside the `with` block.

    Args:
        domain: Descriptor of the domain.
        path: Path relative to it, of any length; b"" for the domain itself.
        flags: WALK or FOLDER.

    Raises:
        OSError: ENOENT or ENOTDIR when there is no such directory, ELOOP when a symlink stands in the way.
        CommitError: when the way crosses a mount point.
    """
    descriptor = _open_beneath(domain, path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def parent_beneath(domain: int, path: bytes) -> Iterator[tuple[int | None, bytes]]:
    """Give the directory that holds a path, and the last name of the path.

    Args:
        domain: Descriptor of the domain.
        path: Path relative to it; not b"".

    Yields:
        A descriptor good for reaching names, or None when there is no such directory; and the name.

    Raises:
        CommitError: when the way crosses a mount point.
    """
    parent, _, name = path.rpartition(b"/")
    descriptor: int | None = None
    try:
        descriptor = _open_beneath(domain, parent, WALK)
    except OSError as error:
        if error.errno not in NOT_REACHABLE:
            raise
    try:
        yield descriptor, name
    finally:
        if descriptor is not None:
            os.close(descriptor)


def read_entry(folder: int | None, name: bytes) -> Entry | None:
    """Give the entry of a name as it is on disk now, reading a file whole.

    Args:
        folder: Descriptor of the directory that holds it, or None when there is no such directory.
        name: One file name.

    Returns:
        The entry, for a directory without its digest; None when there is no such name.

    Raises:
        OSError: when it cannot be read.
    """
    status = _status(folder, name)
    if folder is None or status is None:
        return None
    kind = kind_of_mode(status.st_mode)
    mode = stat.S_IMODE(status.st_mode)
    if kind is Kind.FILE:
        # O_NONBLOCK: should a fifo take the place of the file just now, the open must not wait for a writer.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            return Entry(kind, mode, os.fstat(descriptor).st_size, digest_descriptor(descriptor))
        finally:
            os.close(descriptor)
    if kind is Kind.SYMLINK:
        target = os.readlink(name, dir_fd=folder)
        return Entry(kind, 0o777, len(target), Digest.of(target))
    if kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE):
        return Entry(kind, mode, 0, device_digest(status.st_rdev))
    return Entry(kind, mode)


def read_signature(folder: int | None, name: bytes) -> Signature | None:
    """Give what tells at one glance whether a name is still what it was; None when there is no such name."""
    status = _status(folder, name)
    return status and (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_present(folder: int | None, name: bytes) -> bool:
    """Say whether a directory holds a name."""
    return _status(folder, name) is not None


def _status(folder: int | None, name: bytes) -> os.stat_result | None:
    """Give the status of a name itself, never of what a symlink points to; None when it is not there."""
    if folder is None:
        return None
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _open_beneath(domain: int, path: bytes, flags: int) -> int:
    """Open a directory of the domain, of the mount that the domain itself is on."""
    try:
        return open_beneath(domain, path.split(b"/") if path else [], flags, resolve=RESOLVE_NO_XDEV)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise CommitError(
                f"{printable(path)} lies on another mount than its domain: no rename leads there",
                hint="declare the mounted directory as a domain of its own",
            ) from error
        raise
