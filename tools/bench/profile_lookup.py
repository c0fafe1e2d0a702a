"""What one LOOKUP takes a server when nothing but the server runs: `python -m tools.bench.profile_lookup`.

A pair of sockets stands in for the kernel, and many requests wait in it before the first is answered. So
nobody is woken and no other process runs between two of them: what is left is reading the request, answering
it and writing the reply.
"""

import os
import socket
import tempfile
import time
from pathlib import Path

from catfs.overlay import DataFile, DirectoryLower, Domain, NoTrace, View
from catfs.overlay.transports.devfuse.connection import Connection
from catfs.overlay.transports.devfuse.negotiation import WANTED
from catfs.overlay.transports.devfuse.wire import IN_HEADER, INIT_IN, PROTOCOL_MAJOR, PROTOCOL_MINOR, Opcode

_WAITING = 100
"""Requests that wait at once, so few that the sockets hold them."""
_REPEATS = 200
_REPLY_BYTES = 4096


def request(opcode: int, body: bytes) -> bytes:
    """Give a request about the root directory."""
    return IN_HEADER.pack(IN_HEADER.size + len(body), opcode, 2, 1, 0, 0, os.getpid(), 0, 0) + body


def lookup_seconds(directory: Path) -> float:
    """Give the least processor time of one LOOKUP of a name that does not exist, in seconds.

    Args:
        directory: An empty one.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    with ours, theirs, tempfile.TemporaryFile() as data:
        view = View([Domain(DirectoryLower(root))], DataFile(data.fileno()), NoTrace())
        connection = Connection(view, theirs.fileno())
        ours.send(
            request(Opcode.INIT, INIT_IN.pack(PROTOCOL_MAJOR, PROTOCOL_MINOR, 0, int(WANTED), *(0,) * 12))
        )
        connection.serve(1, 0)
        ours.recv(_REPLY_BYTES)
        samples = [_sample(ours, connection) for _ in range(_REPEATS)]
    os.close(root)
    return min(samples)


def _sample(ours: socket.socket, connection: Connection) -> float:
    for _ in range(_WAITING):
        ours.send(request(Opcode.LOOKUP, b"no\0"))
    before = time.thread_time()
    connection.serve(_WAITING, 0)
    seconds = time.thread_time() - before
    for _ in range(_WAITING):
        ours.recv(_REPLY_BYTES)
    return seconds / _WAITING


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        print(f"{lookup_seconds(Path(empty)) * 1e6:.1f} us of processor time for each LOOKUP")
