"""Requests on content: reading, writing, ranges, and making it durable."""

from errno import EBADF, EINVAL, EISDIR, ENXIO, EOVERFLOW

from catfs.limits import FILE_BYTES_MAX
from catfs.linux import FALLOC_FL_KEEP_SIZE
from catfs.overlay.nodes import Actor, Directory, File, error_of
from catfs.overlay.transports.devfuse.negotiation import MAX_TRANSFER_BYTES
from catfs.overlay.transports.devfuse.requests import MalformedError, Requests
from catfs.overlay.transports.devfuse.wire import (
    COPY_FILE_RANGE_IN,
    COPY_FILE_RANGE_OUT,
    FALLOCATE_IN,
    LSEEK_IN,
    LSEEK_OUT,
    READ_IN,
    WRITE_CACHE,
    WRITE_IN,
    WRITE_KILL_SUIDGID,
    WRITE_OUT,
)

_unpack_read = READ_IN.unpack_from
_unpack_write = WRITE_IN.unpack_from
_WRITE_HEAD = WRITE_IN.size
_COPY_BYTES_MAX = 0x7FFFF000
"""Most bytes that one copy or the reply of the older COPY_FILE_RANGE can state."""


class ContentRequests(Requests):
    """The handlers of requests on content. The file handle in them is always 0 and not looked at."""

    def _file(self, ino: int) -> File:
        node = self.view.node(ino)
        if isinstance(node, File):
            return node
        raise error_of(EISDIR if isinstance(node, Directory) else EBADF)

    def read(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """READ: bytes of a file, fewer than wanted only at its end."""
        _, offset, size, _, _, _, _ = _unpack_read(body)
        size = min(size, MAX_TRANSFER_BYTES)
        return self.view.read_file(self._file(nodeid), _position(offset), size, actor)

    def write(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """WRITE: new bytes, put down to the process that wrote them."""
        _, offset, size, flags, _, _, _ = _unpack_write(body)
        data = body[_WRITE_HEAD:]
        if len(data) != size:
            raise MalformedError("WRITE", f"expected {size} bytes, got {len(data)}")
        if flags & WRITE_CACHE:
            actor = self.last_writers.get(nodeid, actor)
        else:
            self.last_writers[nodeid] = actor
        clear = bool(flags & WRITE_KILL_SUIDGID)
        written = self.view.write_file(self._file(nodeid), _position(offset), data, actor, clear)
        return WRITE_OUT.pack(written, 0)

    def fallocate(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """FALLOCATE: reserve, punch or zero a range."""
        _, offset, length, mode, _ = FALLOCATE_IN.unpack_from(body)
        node = self._file(nodeid)
        if not mode & ~FALLOC_FL_KEEP_SIZE:
            self.view.check_room(node, offset, length)
        self.view.fallocate(node, mode, _position(offset), _position(length), actor)
        self.last_writers[nodeid] = actor
        return b""

    def lseek(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """LSEEK: the next data or the next hole; other kinds of seeking the kernel does itself."""
        _, offset, whence, _ = LSEEK_IN.unpack_from(body)
        if offset > FILE_BYTES_MAX:  # a negative one
            raise error_of(ENXIO)
        return LSEEK_OUT.pack(self.view.seek(nodeid, offset, whence))

    def copy_file_range(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """COPY_FILE_RANGE: copy inside the session."""
        return WRITE_OUT.pack(self._copy(nodeid, actor, body), 0)

    def copy_file_range_64(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """COPY_FILE_RANGE_64: the same, with a reply that can state more bytes."""
        return COPY_FILE_RANGE_OUT.pack(self._copy(nodeid, actor, body))

    def _copy(self, nodeid: int, actor: Actor, body: memoryview) -> int:
        _, offset, target, _, target_offset, length, flags = COPY_FILE_RANGE_IN.unpack_from(body)
        if flags:
            raise error_of(EINVAL)
        self.last_writers[target] = actor
        length = min(length, _COPY_BYTES_MAX)
        return self.view.copy_range(
            nodeid, _position(offset), target, _position(target_offset), length, actor
        )

    def sync(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """FSYNC, FSYNCDIR and SYNCFS in a session that is meant to survive."""
        self.view.sync()
        return b""


def _position(value: int) -> int:
    """Refuse an offset or length that no file can have."""
    if value > FILE_BYTES_MAX:
        raise error_of(EOVERFLOW)
    return value
