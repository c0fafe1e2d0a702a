"""The lower: the domain's real files, read through one directory descriptor and never written.

Everything is opened relative to descriptors, beneath the root, without following a symlink, so that
neither a mount over the domain's path nor a swapped component can lead elsewhere, and a path may be
as long as the file system lets it grow.
"""

import os
import stat
from array import array
from collections import OrderedDict
from collections.abc import Collection, Iterable
from errno import ENODATA, ENOENT, ENOTDIR, ENXIO, EOPNOTSUPP, EPERM, ESTALE
from typing import NamedTuple, Protocol

from catfs.beneath import open_directory_beneath
from catfs.limits import LOWER_DESCRIPTORS_MAX
from catfs.overlay.nodes import LowerStat, Origin

_REGULAR = stat.S_IFREG >> 12
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Names(NamedTuple):
    """The names of a directory, in columns.

    Args:
        names: The names.
        inodes: The inode number of each.
        kinds: The kind of each, as the four bits that it is in a mode.
    """

    names: list[bytes]
    inodes: "array[int]"
    kinds: bytearray


def names_of_scan(found: Iterable[tuple[bytes, LowerStat]]) -> Names:
    """Give the names of what a scan found."""
    names = Names([], array("Q"), bytearray())
    for name, lower_stat in found:
        names.names.append(name)
        names.inodes.append(lower_stat.ino)
        names.kinds.append(lower_stat.mode >> 12)
    return names


class Lower(Protocol):
    """What a view needs of the files below it. Every method raises OSError as the system would."""

    def root(self) -> LowerStat:
        """Give the attributes of the domain's own directory."""
        ...

    def scan(self, origin: Origin) -> list[tuple[bytes, LowerStat]]:
        """Give the names of a directory with their attributes, in any order, `.` and `..` left out."""
        ...

    def find(self, directory: Origin, name: bytes) -> LowerStat | None:
        """Give the attributes of one name as a scan of its directory would; None when it would not."""
        ...

    def names(self, origin: Origin) -> Names:
        """Give the names that a scan of a directory would give, in any order, without their attributes."""
        ...

    def let_go(self, directory: Origin, name: bytes) -> None:
        """Hear that nobody here remembers the attributes of a name any more, if they were remembered."""
        ...

    def stat(self, origin: Origin) -> LowerStat | None:
        """Give the attributes as they are now, or None when the name is gone."""
        ...

    def readlink(self, origin: Origin) -> bytes:
        """Give the target of a symlink."""
        ...

    def xattrs(self, origin: Origin) -> dict[bytes, bytes]:
        """Give every extended attribute of a file or directory; none for other kinds."""
        ...

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        """Read from a regular file; fewer bytes than wanted only at its end.

        Raises:
            OSError: ESTALE when it is not the file that was scanned any more.
        """
        ...

    def seek(self, origin: Origin, offset: int, whence: int) -> int:
        """Find the next data or the next hole of a regular file, or its end when there is none.

        Args:
            offset: Where to start, in bytes, before the end of the file.
            whence: SEEK_DATA or SEEK_HOLE.

        Raises:
            OSError: as `read`.
        """
        ...


def lower_stat_of(result: os.stat_result) -> LowerStat:
    """Turn what `os.stat` gives into the fields that a view needs."""
    return LowerStat(
        result.st_mode,
        result.st_ino,
        result.st_dev,
        result.st_nlink,
        result.st_uid,
        result.st_gid,
        result.st_size,
        result.st_blocks,
        result.st_rdev,
        result.st_atime_ns,
        result.st_mtime_ns,
        result.st_ctime_ns,
    )


def origin_at(lower: Lower, domain: int, path: bytes) -> Origin | None:
    """Give what is at a path of a lower now, or None.

    Args:
        lower: The lower.
        domain: Index of its domain.
        path: Relative to the domain.

    Raises:
        OSError: as `Lower.stat`.
    """
    origin = Origin(None, b"", lower.root(), domain)
    for name in path.split(b"/") if path else ():
        lower_stat = lower.stat(Origin(origin, name, origin.lower_stat, domain))
        if lower_stat is None:
            return None
        origin = Origin(origin, name, lower_stat, domain)
    return origin


class DescriptorCache:
    """Open descriptors by origin, the least recently used closed when there are too many.

    Args:
        capacity: Most descriptors kept open at once.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._open: OrderedDict[Origin, int] = OrderedDict()

    def get(self, origin: Origin) -> int | None:
        """Give the open descriptor of an origin, or None."""
        descriptor = self._open.get(origin)
        if descriptor is not None:
            self._open.move_to_end(origin)
        return descriptor

    def put(self, origin: Origin, descriptor: int) -> None:
        """Keep a descriptor; the cache closes it in the end."""
        self._open[origin] = descriptor
        if len(self._open) > self._capacity:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest)

    def close(self) -> None:
        """Close everything."""
        while self._open:
            os.close(self._open.popitem()[1])


class DirectoryLower:
    """A real directory as lower.

    Args:
        root: Descriptor of the domain's directory; the caller closes it after `close`.
        hidden: (device, inode) pairs of directories that the view must not show.
    """

    def __init__(self, root: int, hidden: Collection[tuple[int, int]] = ()) -> None:
        self._root = root
        self._hidden = frozenset(hidden)
        self._directories = DescriptorCache(LOWER_DESCRIPTORS_MAX)
        self._files = DescriptorCache(LOWER_DESCRIPTORS_MAX)

    def close(self) -> None:
        """Close every descriptor that was opened below the root."""
        self._directories.close()
        self._files.close()

    def root(self) -> LowerStat:
        """Give the attributes of the domain's own directory."""
        return lower_stat_of(os.fstat(self._root))

    def scan(self, origin: Origin) -> list[tuple[bytes, LowerStat]]:
        """Give the names of a directory with their attributes, in one pass."""
        found = []
        with os.scandir(self._directory(origin)) as entries:
            for entry in entries:
                try:
                    lower_stat = lower_stat_of(entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue  # gone between the two calls: it was never seen
                if (lower_stat.dev, lower_stat.ino) not in self._hidden:
                    found.append((os.fsencode(entry.name), lower_stat))
        return found

    def find(self, directory: Origin, name: bytes) -> LowerStat | None:
        """Give the attributes of one name in a directory, or None when it is not there, or hidden."""
        found = self.stat(Origin(directory, name, directory.lower_stat, directory.domain))
        return None if found is None or (found.dev, found.ino) in self._hidden else found

    def names(self, origin: Origin) -> Names:
        """Give the names of a directory without asking for the attributes of each file."""
        found = Names([], array("Q"), bytearray())
        with os.scandir(self._directory(origin)) as entries:
            for entry in entries:
                try:
                    kind = self._kind(entry)
                except FileNotFoundError:
                    continue
                if kind:
                    found.names.append(os.fsencode(entry.name))
                    found.inodes.append(entry.inode())
                    found.kinds.append(kind)
        return found

    def _kind(self, entry: "os.DirEntry[str]") -> int:
        """Give the kind of an entry; 0 for a hidden one."""
        if entry.is_file(follow_symlinks=False):
            return _REGULAR
        status = entry.stat(follow_symlinks=False)
        return 0 if (status.st_dev, status.st_ino) in self._hidden else stat.S_IFMT(status.st_mode) >> 12

    def let_go(self, directory: Origin, name: bytes) -> None:
        """Do nothing: nothing is remembered here."""

    def stat(self, origin: Origin) -> LowerStat | None:
        """Give the attributes as they are now, or None when the name is gone."""
        if origin.parent is None:
            return self.root()
        try:
            directory = self._directory(origin.parent)
            return lower_stat_of(os.stat(origin.name, dir_fd=directory, follow_symlinks=False))
        except OSError as error:
            if error.errno in {ENOENT, ENOTDIR, ESTALE}:
                return None
            raise

    def readlink(self, origin: Origin) -> bytes:
        """Give the target of a symlink."""
        assert origin.parent is not None
        return os.readlink(origin.name, dir_fd=self._directory(origin.parent))

    def xattrs(self, origin: Origin) -> dict[bytes, bytes]:
        """Give every extended attribute of a file or directory that this process may read."""
        descriptor = self._directory(origin) if origin.parent is None else self._open(origin, os.O_RDONLY)
        try:
            return _read_xattrs(descriptor)
        finally:
            if origin.parent is not None:
                os.close(descriptor)

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        """Read from a regular file; fewer bytes than wanted only at its end."""
        if length < origin.lower_stat.size:
            return os.pread(self.descriptor(origin), length, offset)
        # All of it at once: nobody comes back for more, so its descriptor would only push out others.
        descriptor = self._open_same(origin)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def seek(self, origin: Origin, offset: int, whence: int) -> int:
        """Find the next data or the next hole of a regular file, or its end when there is none."""
        try:
            return os.lseek(self.descriptor(origin), offset, whence)
        except OSError as error:
            if error.errno != ENXIO:
                raise
            return origin.lower_stat.size

    def descriptor(self, origin: Origin) -> int:
        """Give a read descriptor of a regular file, valid until the next call on this lower.

        Raises:
            OSError: ESTALE when it is not the file that was scanned any more.
        """
        descriptor = self._files.get(origin)
        if descriptor is None:
            descriptor = self._open_same(origin)
            self._files.put(origin, descriptor)
        return descriptor

    def _open_same(self, origin: Origin) -> int:
        """Open a regular file and give its descriptor, if it is still the file that was scanned.

        Raises:
            OSError: ESTALE when it is not.
        """
        descriptor = self._open(origin, os.O_RDONLY)
        if not lower_stat_of(os.fstat(descriptor)).same_file(origin.lower_stat):
            os.close(descriptor)
            raise OSError(ESTALE, "the lower file changed underneath the session", origin.path())
        return descriptor

    def _open(self, origin: Origin, flags: int) -> int:
        """Open one name relative to its directory, without leaving a trace in its access time."""
        assert origin.parent is not None
        directory = self._directory(origin.parent)
        try:
            return os.open(origin.name, flags | _FLAGS | os.O_NOATIME, dir_fd=directory)
        except OSError as error:
            if error.errno != EPERM:
                raise
            return os.open(origin.name, flags | _FLAGS, dir_fd=directory)

    def _directory(self, origin: Origin) -> int:
        """Give a descriptor of a directory, valid until the next call on this lower."""
        if origin.parent is None:
            return self._root
        descriptor = self._directories.get(origin)
        if descriptor is None:
            descriptor = self._walk(origin)
            self._directories.put(origin, descriptor)
        return descriptor

    def _walk(self, origin: Origin) -> int:
        """Open a directory from its nearest open ancestor, in steps that a system call accepts."""
        steps: list[bytes] = []
        here: Origin = origin
        start: int | None = None
        while here.parent is not None:
            start = self._directories.get(here)
            if start is not None:
                break
            steps.append(here.name)
            here = here.parent
        steps.reverse()
        return open_directory_beneath(self._root if start is None else start, steps)


def _read_xattrs(descriptor: int) -> dict[bytes, bytes]:
    """Read every extended attribute of an open file or directory; none where there are none."""
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno == EOPNOTSUPP:
            return {}
        raise
    found = {}
    for name in names:
        try:
            found[os.fsencode(name)] = os.getxattr(descriptor, name)
        except OSError as error:
            if error.errno not in {ENODATA, EOPNOTSUPP, EPERM}:
                raise
    return found
