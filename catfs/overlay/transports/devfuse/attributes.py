"""Requests on attributes, extended attributes and the file system as a whole."""

from errno import EINVAL, ERANGE

from catfs.limits import NAME_BYTES_MAX
from catfs.overlay.attributes import AttributeChanges
from catfs.overlay.nodes import Actor, error_of
from catfs.overlay.transports.devfuse.packing import attributes_of
from catfs.overlay.transports.devfuse.requests import MalformedError, Requests, name_of
from catfs.overlay.transports.devfuse.wire import (
    GETXATTR_IN,
    GETXATTR_OUT,
    KSTATFS,
    SETATTR_IN,
    SETXATTR_ACL_KILL_SGID,
    SETXATTR_IN,
    SETXATTR_IN_SHORT,
    SetAttr,
)

_SECOND = 1_000_000_000
_MODE, _UID, _GID, _SIZE = (int(bit) for bit in (SetAttr.MODE, SetAttr.UID, SetAttr.GID, SetAttr.SIZE))
_ATIME, _MTIME = int(SetAttr.ATIME), int(SetAttr.MTIME)
_ATIME_NOW, _MTIME_NOW = int(SetAttr.ATIME_NOW), int(SetAttr.MTIME_NOW)
_KILL = int(SetAttr.KILL_SUIDGID)


class AttributeRequests(Requests):
    """The handlers of requests on attributes."""

    setxattr_head = SETXATTR_IN.size
    """Length of the fixed part of SETXATTR, which depends on what was negotiated."""

    def use_short_setxattr(self) -> None:
        """Read SETXATTR as kernels before 7.33 send it."""
        self.setxattr_head = SETXATTR_IN_SHORT.size

    def getattr(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """GETATTR: the attributes of a node."""
        return attributes_of(self.view.node(nodeid))

    def setattr(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """SETATTR: change attributes, or the size of a file."""
        fields = SETATTR_IN.unpack_from(body)
        valid, size = fields[0], fields[3]
        atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = fields[5:]
        now = self.view.clock() if valid & (_ATIME_NOW | _MTIME_NOW) else 0
        changes = AttributeChanges(
            size=size if valid & _SIZE else None,
            mode=mode if valid & _MODE else self._mode_without_set_id(nodeid, valid, actor),
            uid=uid if valid & _UID else None,
            gid=gid if valid & _GID else None,
            atime=_time(valid, _ATIME, _ATIME_NOW, atime, atime_ns, now),
            mtime=_time(valid, _MTIME, _MTIME_NOW, mtime, mtime_ns, now),
        )
        if changes.size is not None:
            self.last_writers[nodeid] = actor
        return attributes_of(self.view.setattr(nodeid, changes, actor))

    def _mode_without_set_id(self, nodeid: int, valid: int, actor: Actor) -> int | None:
        """Give the mode to set when the kernel says that a truncation takes the set-id bits."""
        if not valid & _KILL or not valid & _SIZE:
            return None
        node = self.view.node(nodeid)
        cleared = self.view.mode_without_set_id(node, actor)
        return None if cleared == node.mode else cleared

    def setxattr(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """SETXATTR: set an extended attribute."""
        size, flags = SETXATTR_IN_SHORT.unpack_from(body)
        more = SETXATTR_IN.unpack_from(body)[2] if self.setxattr_head == SETXATTR_IN.size else 0
        rest = bytes(body[self.setxattr_head :])
        name, found, value = rest.partition(b"\0")
        if not found or not name or len(value) != size:
            raise MalformedError("SETXATTR", f"expected a name and a value of {size} bytes")
        self.view.setxattr(
            nodeid, name, value, flags, actor, kill_set_gid=bool(more & SETXATTR_ACL_KILL_SGID)
        )
        return b""

    def getxattr(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """GETXATTR: the value of an extended attribute, or its length."""
        size, _ = GETXATTR_IN.unpack_from(body)
        return _sized(self.view.getxattr(nodeid, name_of(body, GETXATTR_IN.size)), size)

    def listxattr(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """LISTXATTR: the names of all extended attributes, or their length."""
        size, _ = GETXATTR_IN.unpack_from(body)
        return _sized(b"".join(name + b"\0" for name in self.view.listxattr(nodeid)), size)

    def removexattr(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """REMOVEXATTR: remove an extended attribute."""
        self.view.removexattr(nodeid, name_of(body), actor)
        return b""

    def statfs(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """STATFS: the space of the file system that holds the data file."""
        below = self.view.space()
        return KSTATFS.pack(
            *(below.f_blocks, below.f_bfree, below.f_bavail, below.f_files, below.f_ffree),
            *(below.f_bsize, NAME_BYTES_MAX, below.f_frsize, 0),
            *(0,) * 6,
        )


def _time(valid: int, given: int, current: int, seconds: int, nanoseconds: int, now: int) -> int | None:
    """Give a time to set, in nanoseconds since 1970, or None to leave it."""
    if not valid & given:
        return None
    if valid & current:
        return now
    if nanoseconds >= _SECOND:
        raise error_of(EINVAL)
    return seconds * _SECOND + nanoseconds


def _sized(value: bytes, size: int) -> bytes:
    """Give a value, or its length when the caller has no room and only asks for that."""
    if size == 0:
        return GETXATTR_OUT.pack(len(value), 0)
    if len(value) > size:
        raise error_of(ERANGE)
    return value
