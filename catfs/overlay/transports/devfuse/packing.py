"""Nodes as the kernel wants to be told of them: packed attributes and entries.

Every answer about a node goes through here, so these few lines are the hottest of the server. The
values stand one by one: unpacking tuples into the call would double its time.
"""

from catfs.limits import KERNEL_CACHE_SECONDS
from catfs.overlay.nodes import File, Node
from catfs.overlay.transports.devfuse.wire import ATTR_OUT, ENTRY_OUT

_SECOND = 1_000_000_000
_BLOCK_BYTES = 4096
"""What programs are told to read at a time."""
_DEVICE_BITS = 0xFFFFFFFF
"""The kernel's 32-bit form of a device number is the lower half of the C library's form."""

_pack_entry = ENTRY_OUT.pack
_pack_attributes = ATTR_OUT.pack

ABSENT = ENTRY_OUT.pack(0, 0, KERNEL_CACHE_SECONDS, *(0,) * 19)
"""Says that a name does not exist, in the form that the kernel remembers."""


def _sizes(node: Node) -> tuple[int, int]:
    """Give size and blocks, for a file without the detour over properties."""
    if type(node) is File and node.extents is None and node.origin is not None:
        lower_stat = node.origin.lower_stat
        return lower_stat.size, lower_stat.blocks
    return node.size, node.blocks


# fmt: off
def attributes_of(node: Node) -> bytes:
    """Give the answer to GETATTR and SETATTR."""
    size, blocks = _sizes(node)
    atime, mtime, ctime = node.atime, node.mtime, node.ctime
    return _pack_attributes(
        KERNEL_CACHE_SECONDS, 0, 0, node.ino, size, blocks,
        atime // _SECOND, mtime // _SECOND, ctime // _SECOND,
        atime % _SECOND, mtime % _SECOND, ctime % _SECOND,
        node.mode, node.nlink, node.uid, node.gid, node.rdev & _DEVICE_BITS, _BLOCK_BYTES, 0,
    )


def entry_of(node: Node) -> bytes:
    """Give a node under a name. The caller counts the reference that the kernel now holds."""
    size, blocks = _sizes(node)
    ino, atime, mtime, ctime = node.ino, node.atime, node.mtime, node.ctime
    return _pack_entry(
        ino, 0, KERNEL_CACHE_SECONDS, KERNEL_CACHE_SECONDS, 0, 0, ino, size, blocks,
        atime // _SECOND, mtime // _SECOND, ctime // _SECOND,
        atime % _SECOND, mtime % _SECOND, ctime % _SECOND,
        node.mode, node.nlink, node.uid, node.gid, node.rdev & _DEVICE_BITS, _BLOCK_BYTES, 0,
    )
# fmt: on
