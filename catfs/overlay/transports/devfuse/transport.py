"""The transport: one thread serves the connection and lets the other tasks of trio in between.

While requests follow each other, the thread waits for the next one in the kernel, not in trio: going
through the scheduler for each request would cost more than answering it. Once it has been quiet for a
moment, or after a batch of requests, everything else of the session gets its turn. So the view has
one owner, tasks of the same thread may use it whenever they run, and no lock is needed.
"""

import gc
import os

import trio

from catfs.errors import MachineError
from catfs.overlay.transports.devfuse.connection import Connection, State
from catfs.overlay.view import View

_BATCH = 256
"""Requests between two turns of the other tasks: a few milliseconds."""
_PATIENCE_MILLISECONDS = 1
"""How long the thread waits in the kernel before it gives the other tasks their turn."""
_GARBAGE_THRESHOLD = 50_000
"""New objects between two searches for cycles. A view makes many objects that live long and no cycles
that die, so the default of 700 only costs pauses."""


class DevfuseTransport:
    """Serves a view by speaking the kernel's protocol on /dev/fuse."""

    name = "devfuse"

    def __init__(self) -> None:
        self._server: Connection | None = None

    @property
    def requests(self) -> int:
        """Number of requests answered so far."""
        return 0 if self._server is None else self._server.requests

    async def serve(self, view: View, connection: int) -> None:
        """Answer requests until the file system is unmounted or the connection is aborted.

        The descriptor is closed in the end.

        Raises:
            MachineError: when the kernel speaks a protocol that is too old.

        Cancelling it takes effect between two requests.
        """
        os.set_blocking(connection, False)
        server = self._server = Connection(view, connection)
        try:
            _search_rarely_for_cycles()
            with server.waiting.using_timer():
                await _serve(server, connection)
        finally:
            # Without a server left, the kernel lets go of everybody who waits for an answer.
            os.close(connection)


async def _serve(server: Connection, connection: int) -> None:
    await trio.lowlevel.wait_readable(connection)
    while (state := server.serve(_BATCH, _PATIENCE_MILLISECONDS)) is not State.ENDED:
        if server.refused:
            raise MachineError("this kernel speaks a FUSE protocol older than 7.31")
        if state is State.IDLE:
            await trio.lowlevel.wait_readable(connection)
        else:
            await trio.lowlevel.checkpoint()


def _search_rarely_for_cycles() -> None:
    """Keep what exists now out of the search for cycles, and search rarely.

    It stays like that: who has served a view folds it and ends, and a search among all names that a program
    looked up would take longer than the rest of the end.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, *gc.get_threshold()[1:])
