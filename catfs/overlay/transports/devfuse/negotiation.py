"""INIT: what the kernel offers, what catfs takes of it, and why.

A pure function, so that every kernel can be tried without having it.
"""

import os
from errno import EPROTO

from catfs.overlay.transports.devfuse.wire import (
    INIT_IN,
    INIT_IN_SHORT,
    INIT_OUT,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    PROTOCOL_MINOR_MIN,
    Init,
)
from catfs.values import dataclass

MAX_TRANSFER_BYTES = 1 << 20
"""Most bytes that one READ or WRITE carries: 256 pages, what the kernel allows unless told otherwise."""

_PAGE_BYTES = 4096
_MAX_BACKGROUND = 64
"""Most requests of the kernel's own (read-ahead) under way at once."""

WANTED = (
    Init.ASYNC_READ
    | Init.BIG_WRITES
    | Init.MAX_PAGES
    | Init.PARALLEL_DIROPS
    # Lookups of `.` and `..` are answered, so that handles of files (name_to_handle_at) work.
    | Init.EXPORT_SUPPORT
    # The kernel says when set-id bits go, and remembers of each file that nothing else has to.
    | Init.HANDLE_KILLPRIV_V2
    # OPEN and OPENDIR are answered once with ENOSYS and never sent again.
    | Init.NO_OPEN_SUPPORT
    | Init.NO_OPENDIR_SUPPORT
    | Init.CACHE_SYMLINKS
    | Init.DO_READDIRPLUS
    | Init.READDIRPLUS_AUTO
    # Nobody but this session changes content, so the kernel must not guess from times and sizes.
    | Init.EXPLICIT_INVAL_DATA
    | Init.ABORT_ERROR
    | Init.SETXATTR_EXT
    # The kernel checks access by lists, and leaves to the server what new files inherit of them: then
    # the umask does not count, so it must not be taken off before.
    | Init.POSIX_ACL
    | Init.DONT_MASK
    | Init.INIT_EXT
)
"""What is taken when it is offered. Left out on purpose: ATOMIC_O_TRUNC (with it and without OPEN
requests nobody would be told of a truncation), ASYNC_DIO (a reader may find an old page after a direct
write is done), WRITEBACK_CACHE (each write reaches the log with its process), AUTO_INVAL_DATA, and every
kind of lock (locks are local to the kernel)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both ends hold to from now on.

    Args:
        minor: Minor version of the protocol.
        flags: The features in use.
        max_readahead: Most bytes the kernel reads ahead.
    """

    minor: int
    flags: Init
    max_readahead: int

    def reply(self) -> bytes:
        """Give the answer to INIT."""
        return INIT_OUT.pack(
            PROTOCOL_MAJOR,
            self.minor,
            self.max_readahead,
            int(self.flags) & 0xFFFFFFFF,
            _MAX_BACKGROUND,
            _MAX_BACKGROUND * 3 // 4,
            MAX_TRANSFER_BYTES,
            1,  # nanoseconds between two distinguishable times
            MAX_TRANSFER_BYTES // _PAGE_BYTES,
            0,
            int(self.flags) >> 32,
            *(0,) * 7,
        )


NEWER_MAJOR_REPLY = INIT_OUT.pack(PROTOCOL_MAJOR, PROTOCOL_MINOR, *(0,) * 16)
"""The answer to a kernel with a larger major version: it then asks again with ours."""


def negotiate(body: memoryview) -> Agreement | None:
    """Agree with the kernel.

    Args:
        body: The INIT request behind its header.

    Returns:
        What was agreed; None when the kernel has a larger major version and has to ask again.

    Raises:
        OSError: EPROTO for a kernel older than 7.31.
        struct.error: when the request is too short.
    """
    major, minor, max_readahead, flags = INIT_IN_SHORT.unpack_from(body)
    if major > PROTOCOL_MAJOR:
        return None
    if major < PROTOCOL_MAJOR or minor < PROTOCOL_MINOR_MIN:
        raise OSError(EPROTO, os.strerror(EPROTO))
    if flags & Init.INIT_EXT:
        flags |= INIT_IN.unpack_from(body)[4] << 32
    if not flags & Init.DONT_MASK or not flags & Init.SETXATTR_EXT:
        flags &= ~Init.POSIX_ACL
    return Agreement(min(minor, PROTOCOL_MINOR), Init(flags & WANTED), max_readahead)
