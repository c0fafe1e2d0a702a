"""A lower as a session has seen it: what a directory held is remembered from the first look.

A view is made twice, once by the command and once from the log. Both must start from the same lower,
also when somebody changes the domain in between; that this happened is told apart, as a conflict.
"""

from collections.abc import Collection

from catfs.overlay import DirectoryLower
from catfs.overlay.nodes import LowerStat, Origin


class SeenLower:
    """A lower that remembers its directories; a `Lower`. What is in files it reads afresh.

    Args:
        lower: The real files; the caller closes it.
    """

    def __init__(self, lower: DirectoryLower) -> None:
        self._lower = lower
        self._root = lower.root()
        self._scans: dict[bytes, list[tuple[bytes, LowerStat]]] = {}

    def root(self) -> LowerStat:
        """Give the attributes that the domain's directory had at first."""
        return self._root

    def scan(self, origin: Origin) -> list[tuple[bytes, LowerStat]]:
        """Give the names that a directory had when it was scanned for the first time."""
        path = origin.path()
        found = self._scans.get(path)
        if found is None:
            found = self._scans[path] = self._lower.scan(origin)
        return found

    def appeared(self, directory: Origin | None, names: Collection[bytes]) -> list[bytes]:
        """Give the paths of those names that were not in a directory at first and are there now, sorted.

        Args:
            directory: A directory of the lower; None for one that never was there, which holds nothing.
            names: The names to look for.
        """
        if directory is None or directory.path() not in self._scans:
            return []
        scanned = {name for name, _ in self._scans[directory.path()]}
        return [
            b"/".join((*directory.names(), name))
            for name in sorted(set(names) - scanned)
            if self._is_there(directory, name)
        ]

    def _is_there(self, directory: Origin, name: bytes) -> bool:
        return self._lower.stat(Origin(directory, name, directory.lower_stat, directory.domain)) is not None

    def stat(self, origin: Origin) -> LowerStat | None:
        """Give the attributes as they are now, or None when the name is gone."""
        return self._lower.stat(origin)

    def readlink(self, origin: Origin) -> bytes:
        """Give the target of a symlink."""
        return self._lower.readlink(origin)

    def xattrs(self, origin: Origin) -> dict[bytes, bytes]:
        """Give every extended attribute of a file or directory."""
        return self._lower.xattrs(origin)

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        """Read from a regular file."""
        return self._lower.read(origin, offset, length)

    def seek(self, origin: Origin, offset: int, whence: int) -> int:
        """Find the next data or the next hole of a regular file."""
        return self._lower.seek(origin, offset, whence)
