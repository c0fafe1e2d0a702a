"""Telling the kernel what it must forget, for changes that the session makes on its own account."""

import os
from errno import ENOENT

from catfs.overlay.transports.devfuse.wire import (
    NOTIFY_DELETE_OUT,
    NOTIFY_INVAL_ENTRY_OUT,
    NOTIFY_INVAL_INODE_OUT,
    OUT_HEADER,
    Notice,
)


class Notifier:
    """Sends notices on a connection. What the kernel does not have cached is no error.

    The kernel takes the locks of the directory while it handles a notice about a name, and of the file for
    one about content. A request that waits for its answer may hold them, so these are sent from another
    thread than the one that answers requests. A notice about attributes takes none.

    Args:
        descriptor: The connection.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def forget_attributes(self, ino: int) -> None:
        """Let the kernel ask for the attributes of a node again; its content stays cached."""
        self._send(Notice.INVAL_INODE, NOTIFY_INVAL_INODE_OUT.pack(ino, -1, 0))

    def forget_content(self, ino: int, offset: int = 0, length: int = 0) -> None:
        """Let the kernel ask for the attributes and a range of the content again.

        Args:
            length: Number of bytes; 0 for everything behind the offset.
        """
        self._send(Notice.INVAL_INODE, NOTIFY_INVAL_INODE_OUT.pack(ino, offset, length))

    def forget_entry(self, parent: int, name: bytes) -> None:
        """Let the kernel look a name up again, also one that was not there."""
        self._send(Notice.INVAL_ENTRY, NOTIFY_INVAL_ENTRY_OUT.pack(parent, len(name), 0) + name + b"\0")

    def deleted(self, parent: int, child: int, name: bytes) -> None:
        """Say that a name is gone, so that watchers of the directory hear of it."""
        self._send(Notice.DELETE, NOTIFY_DELETE_OUT.pack(parent, child, len(name), 0) + name + b"\0")

    def _send(self, notice: Notice, payload: bytes) -> None:
        head = OUT_HEADER.pack(OUT_HEADER.size + len(payload), notice, 0)
        try:
            os.write(self._descriptor, head + payload)
        except OSError as error:
            if error.errno != ENOENT:
                raise
