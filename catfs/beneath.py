"""Opening files beneath a directory descriptor, whatever the length of the path.

No component may be a symlink and nothing can lead above the descriptor, so neither a swapped
component nor a mount over the directory's own path leads elsewhere. A path longer than one system
call takes is walked in steps.
"""

import os
from collections.abc import Sequence

from catfs.limits import PATH_CHUNK_BYTES
from catfs.linux import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


def open_beneath(root: int, names: Sequence[bytes], flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open what lies at a path beneath a directory.

    Args:
        root: Descriptor of the directory; it stays open.
        names: The names on the way, none of them empty, `.` or `..`; no names mean the directory itself.
        flags: Flags of open(2); close-on-exec and no-follow are added.
        mode: Permission bits of a file that is made.
        resolve: RESOLVE_* flags besides those that keep the path beneath the directory.

    Returns:
        A new descriptor.

    Raises:
        OSError: as of openat2(2); ELOOP when a component is a symlink.
    """
    chunks = _chunks(names) or [b"."]
    at = root
    try:
        for chunk in chunks[:-1]:
            following = openat2(at, chunk, os.O_PATH | os.O_DIRECTORY | _FLAGS, 0, _RESOLVE | resolve)
            if at != root:
                os.close(at)
            at = following
        return openat2(at, chunks[-1], flags | _FLAGS, mode, _RESOLVE | resolve)
    finally:
        if at != root:
            os.close(at)


def open_directory_beneath(root: int, names: Sequence[bytes]) -> int:
    """Open a directory at a path beneath another for reading; no names at all means that one itself.

    Raises:
        OSError: as of openat2(2).
    """
    return open_beneath(root, names, os.O_RDONLY | os.O_DIRECTORY)


def _chunks(names: Sequence[bytes]) -> list[bytes]:
    """Join names to paths that one system call takes."""
    chunks: list[bytes] = []
    for name in names:
        if chunks and len(chunks[-1]) + 1 + len(name) <= PATH_CHUNK_BYTES:
            chunks[-1] += b"/" + name
        else:
            chunks.append(name)
    return chunks
