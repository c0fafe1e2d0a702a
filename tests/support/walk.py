"""What is in a directory, read with nothing of catfs: the witness for `nothing else was changed`."""

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple


class Found(NamedTuple):
    """One name.

    Args:
        mode: Kind and permission bits.
        owner: User and group id.
        size: Bytes of a file; 0 for all else, because a directory's size is the file system's affair.
        links: Number of hard links of a file.
        digest: SHA-256 of its content or of its target, in hexadecimal.
        mtime_ns: Time of the last change, in nanoseconds since 1970.
    """

    mode: int
    owner: tuple[int, int]
    size: int
    links: int
    digest: str
    mtime_ns: int


def walk(top: Path, leave_out: bytes = b"") -> dict[bytes, Found]:
    """Give everything in a directory by its path; the directory itself has the path b"".

    Args:
        top: The directory.
        leave_out: A name in it that is skipped with everything below it.
    """
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = {b"": _look(descriptor, b".")}
        for prefix, directories, files, inner in os.fwalk(b".", dir_fd=descriptor):
            if prefix == b"." and leave_out in directories:
                directories.remove(leave_out)
            for name in (*directories, *files):
                found[os.path.normpath(os.path.join(prefix, name))] = _look(inner, name)
    finally:
        os.close(descriptor)
    return found


def _look(directory: int, name: bytes) -> Found:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    digest = hashlib.sha256()
    size, links = 0, 1
    if stat.S_ISREG(status.st_mode):
        size, links = status.st_size, status.st_nlink
        with open(os.open(name, os.O_RDONLY | os.O_NOATIME, dir_fd=directory), "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    elif stat.S_ISLNK(status.st_mode):
        digest.update(os.readlink(name, dir_fd=directory))
    owner = (status.st_uid, status.st_gid)
    return Found(status.st_mode, owner, size, links, digest.hexdigest(), status.st_mtime_ns)
