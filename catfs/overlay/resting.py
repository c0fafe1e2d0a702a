"""Nodes at rest: files that only the kernel remembers, and of which it may ask again.

The kernel keeps every inode that it was told of until its own memory gets scarce, which a walk through a
million files does not bring about. A node for each of them would take a gigabyte. So of a file that nobody
read or changed only this is kept: where it is found again, how many references the kernel holds, and a
checksum of what it was told. The lower gives the rest when the kernel asks.
"""

import struct
from errno import ESTALE
from typing import Final

from catfs.digest import checksum
from catfs.overlay.nodes import LowerStat, Node, error_of

LOOKUPS_MAX: Final = 0xFFFFFFFF
"""Most references of the kernel that are kept for one node at rest."""

_ROW = struct.Struct("<QIQ")
"""Inode number of the directory, references of the kernel, checksum of the attributes; then the name."""

_TOLD = struct.Struct("<QQQQQQQqq")
"""What must not have changed: what `LowerStat.same_file` compares."""


class RestingNodes:
    """The nodes at rest of a view, a hundred bytes each."""

    def __init__(self) -> None:
        self._rows: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, ino: int) -> bool:
        return ino in self._rows

    def put(self, node: Node, directory: int, name: bytes, told: LowerStat) -> None:
        """Take a node down, with the references that the kernel holds.

        Args:
            node: It has this one name, and is what the lower says.
            directory: Inode number of its directory.
            name: Its name there.
            told: What the lower said of it.
        """
        self._rows[node.ino] = _ROW.pack(directory, node.lookups, _checksum(told)) + name

    def place(self, ino: int) -> tuple[int, bytes] | None:
        """Give the inode number of the directory and the name by which a node is found again, or None."""
        row = self._rows.get(ino)
        return None if row is None else (_ROW.unpack_from(row)[0], row[_ROW.size :])

    def take(self, ino: int, found: LowerStat) -> int:
        """Give the references that the kernel holds on a node that is made again; it is not at rest any more.

        Args:
            ino: Its inode number.
            found: What the lower says of it now.

        Raises:
            OSError: ESTALE when that is not what the kernel was told, and believes.
        """
        row = self._rows.get(ino)
        if row is None:
            return 0
        _, lookups, told = _ROW.unpack_from(row)
        if told != _checksum(found):
            raise error_of(ESTALE, row[_ROW.size :])
        del self._rows[ino]
        return int(lookups)

    def forget(self, ino: int, count: int) -> int:
        """Drop references of the kernel, and the node with the last; give the number of its directory."""
        row = self._rows[ino]
        directory, lookups, told = _ROW.unpack_from(row)
        if lookups > count:
            self._rows[ino] = _ROW.pack(directory, lookups - count, told) + row[_ROW.size :]
        else:
            del self._rows[ino]
        return int(directory)


def _checksum(lower_stat: LowerStat) -> int:
    mode, ino, dev, _, uid, gid, size, _, rdev, _, mtime, ctime = lower_stat
    return checksum(_TOLD.pack(mode, ino, dev, uid, gid, size, rdev, mtime, ctime))
