"""The connection to the kernel: requests are read, handed to their handlers, and answered.

The order on one connection is strict: a request is answered before the next one is read. So the view
has one owner, and the order of the write log is the order in which programs saw their calls succeed.
"""

import logging
import os
import select
import struct
from collections.abc import Callable
from enum import Enum, auto
from errno import EAGAIN, ECONNABORTED, EINVAL, EIO, ENODEV, ENOENT, ENOTCONN

from catfs.errors import CatfsError
from catfs.overlay.nodes import Actor, error_of
from catfs.overlay.transports.devfuse.dispatch import Handlers, not_known
from catfs.overlay.transports.devfuse.negotiation import MAX_TRANSFER_BYTES, NEWER_MAJOR_REPLY, negotiate
from catfs.overlay.transports.devfuse.notify import Notifier
from catfs.overlay.transports.devfuse.requests import Handler, MalformedError
from catfs.overlay.transports.devfuse.waiting import Waiting
from catfs.overlay.transports.devfuse.wire import IN_HEADER, MIN_READ_BUFFER, OUT_HEADER, Opcode
from catfs.overlay.view import View

_log = logging.getLogger(__name__)

_HEAD = IN_HEADER.size
_REPLY_HEAD = OUT_HEADER.size
_BUFFER_BYTES = MAX_TRANSFER_BYTES + 4096
"""Room for the longest request: a WRITE with its headers."""
assert _BUFFER_BYTES >= MIN_READ_BUFFER
_JOIN_BYTES = 4096
"""Replies up to this length are joined to their header: copying them costs less than a vector."""
_ERRNO_MAX = 511
"""Largest error number in a reply; the kernel takes the whole connection for broken above it."""

_OPCODES = max(Opcode) + 1
"""Length of the table of handlers; a larger opcode is none that catfs knows."""

_unpack_head = IN_HEADER.unpack_from
_pack_head = OUT_HEADER.pack


class State(Enum):
    """Why serving paused."""

    IDLE = auto()
    BUSY = auto()
    ENDED = auto()


class Connection:
    """Serves one view on one descriptor of /dev/fuse.

    Args:
        view: Answers everything.
        descriptor: The connection, not blocking; the caller closes it.
    """

    def __init__(self, view: View, descriptor: int) -> None:
        self._view = view
        self._descriptor = descriptor
        view.forget_attributes = Notifier(descriptor).forget_attributes
        self._whole = memoryview(bytearray(_BUFFER_BYTES))
        self._vector = [self._whole]
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        self._poll = poll.poll
        self.waiting = Waiting(descriptor)
        """Whether a read waits for the next request itself."""
        self._actor: Callable[[int, int, int], Actor] = Actor
        self._table: list[Handler] = [_too_early] * _OPCODES
        self._table[Opcode.INIT] = self._init
        self._table[0] = not_known
        self._tidy_up: Callable[[], bool] = bool
        """Does a piece of what can wait for a quiet moment, and says whether there was anything to do."""
        self.refused = False
        """Whether the kernel speaks a protocol that is too old; nothing is served then."""
        self.requests = 0
        """Number of requests read so far."""

    def serve(self, requests_max: int, wait_milliseconds: float) -> State:
        """Answer requests.

        Args:
            requests_max: Return BUSY after this many.
            wait_milliseconds: Return IDLE when there is none for this long.

        Raises:
            OSError: when the connection cannot be read for another reason than its end.
        """
        poll, receive, waiting = self._poll, self._receive, self.waiting
        patience = wait_milliseconds
        for _ in range(requests_max):
            if not waiting.blocks and not poll(patience):
                waiting.pause()
                if not self._tidy_up() and not self._view.when_quiet():
                    return State.IDLE
                patience = 0  # it is quiet: what else can wait is done at once, unless a request came
                continue
            patience = wait_milliseconds
            length = receive()
            if length > 0:
                waiting.note_request()
                self._answer(length)
            elif length < 0:
                return State.ENDED
        return State.BUSY

    def _receive(self) -> int:
        """Read one request; 0 when it went away meanwhile, -1 when the connection has ended."""
        try:
            return os.readv(self._descriptor, self._vector)
        except OSError as error:
            if error.errno in {EAGAIN, ENOENT}:  # another one took it, or the caller was killed
                return 0
            if error.errno in {ENODEV, ECONNABORTED, ENOTCONN}:
                return -1
            raise

    def _answer(self, length: int) -> None:
        """Answer the request in the buffer: the request boundary."""
        self.requests += 1
        size, opcode, unique, nodeid, uid, gid, pid, extensions, _ = _unpack_head(self._whole)
        try:
            if size != length or extensions:
                length = _length_without_extensions(length, size, extensions)
            handler = self._table[opcode if opcode < _OPCODES else 0]
            payload = handler(nodeid, self._actor(pid, uid, gid), self._whole[_HEAD:length])
        except OSError as error:
            self._reply(unique, b"", error.errno or EIO)
        except (CatfsError, struct.error) as error:
            _log.warning("refused a request that is not what the protocol says: %s", error)
            self._reply(unique, b"", EIO)
        except Exception:
            _log.exception("a request failed")
            self._reply(unique, b"", EIO)
        else:
            if payload is not None:
                self._reply(unique, payload)

    def _reply(self, unique: int, payload: bytes, error: int = 0) -> None:
        """Send a reply. Nobody waits for it any more when its caller was killed or the mount is gone."""
        length = len(payload)
        if error > _ERRNO_MAX:
            error = EIO
        head = _pack_head(_REPLY_HEAD + length, -error, unique)
        try:
            if length <= _JOIN_BYTES:
                os.write(self._descriptor, head + payload)
            else:
                os.writev(self._descriptor, (head, payload))
        except OSError as problem:
            if problem.errno == EINVAL:  # the kernel has ended the request with EIO
                _log.error("the kernel refused a reply of %d bytes to request %d", length, unique)
            elif problem.errno not in {ENOENT, ENODEV, ECONNABORTED, ENOTCONN}:
                raise

    def _init(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """INIT: agree with the kernel; from then on its requests are answered."""
        try:
            agreement = negotiate(body)
        except OSError:
            self.refused = True
            raise
        if agreement is None:
            return NEWER_MAJOR_REPLY
        handlers = Handlers(self._view, agreement)
        self._table = handlers.table()
        self._actor = handlers.actor
        self._tidy_up = handlers.tidy_up
        self._view.freed.waits = True
        return agreement.reply()


def _too_early(nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
    """Refuse a request that comes before INIT."""
    raise error_of(EIO)


def _length_without_extensions(length: int, size: int, extensions: int) -> int:
    """Give where a request ends, without the extensions at its end; none were asked for.

    Args:
        length: Number of bytes received.
        size: Length that the request states.
        extensions: Length of the extensions, in units of 8 bytes.

    Raises:
        MalformedError: when these do not agree.
    """
    end = length - 8 * extensions
    if size != length or end < _HEAD:
        raise MalformedError("request", f"is {length} bytes long, says {size} with {extensions} x 8 extra")
    return end
