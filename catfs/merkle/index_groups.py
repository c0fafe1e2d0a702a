"""Groups of names in the block of a large directory of an index, each with a checksum of its own.

Who asks for ten names of a million should neither read nor check the other names. Names ascend, so the
group of one is found by the first name of each, and only that group and the next one are checked.
"""

import struct
from collections.abc import Iterator
from typing import Final

from catfs.digest import DIGEST_BYTES, checksum

STAT = struct.Struct("<QQQqqII")
"""One row of attributes: inode, device, size in bytes, mtime and ctime in ns, mode, number of links. Of a
directory only inode, device and mode count here, all else is 0: it has a block of its own."""

GROUP_NAMES: Final = 256
"""Names of one group; a directory with no more than these has no groups."""

GROUP = struct.Struct("<QQ")
"""Where the names of a group begin, from the first name of the directory, and the checksum of the group."""


def group_count(names: int) -> int:
    """Give the number of groups of a directory with so many names; 0 when it has none."""
    return -(-names // GROUP_NAMES) if names > GROUP_NAMES else 0


def group_table(rows: bytes, digests: bytes, names: bytes) -> bytes:
    """Give the table of the groups of a directory; nothing when it is not large.

    Args:
        rows: The row of attributes of each name.
        digests: The 32 bytes of each name's digest.
        names: The names, ascending, joined by NUL.
    """
    count = len(rows) // STAT.size
    table = []
    if group_count(count):
        start = 0
        for at, group in enumerate(_joined_groups(names)):
            first, last = at * GROUP_NAMES, min((at + 1) * GROUP_NAMES, count)
            parts = (
                rows[first * STAT.size : last * STAT.size],
                digests[first * DIGEST_BYTES : last * DIGEST_BYTES],
                group,
            )
            table.append(GROUP.pack(start, group_checksum(*parts)))
            start += len(group) + 1
    return b"".join(table)


def group_checksum(rows: bytes, digests: bytes, names: bytes) -> int:
    """Give the checksum of one group."""
    return checksum(b"".join((rows, digests, names)))


def _joined_groups(names: bytes) -> Iterator[bytes]:
    each = names.split(b"\0")
    for at in range(0, len(each), GROUP_NAMES):
        yield b"\0".join(each[at : at + GROUP_NAMES])
