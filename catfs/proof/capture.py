"""Capture: read a whole domain once and give its tree.

Every file is opened relative to its directory's descriptor and its size and times are compared
before and after reading, so a file that changes meanwhile is noticed. Nothing is skipped: what
cannot be read is an error.
"""

import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from catfs.beneath import open_directory_beneath
from catfs.digest import Digest, digest_descriptor
from catfs.errors import CatfsError, printable
from catfs.merkle import NodeStore, build_directory
from catfs.records.entry import Entry, Kind, device_digest, kind_of_mode

Progress = Callable[[int, int], None]
"""Told now and then how many files and how many bytes were read so far."""


class CaptureError(CatfsError):
    """A domain cannot be read whole.

    Args:
        path: What could not be read, relative to the domain.
        problem: Why.
    """

    def __init__(self, path: bytes, problem: str) -> None:
        super().__init__(f"the domain cannot be proven, because {printable(path) or 'it'} {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Capture:
    """What reading a domain gave.

    Args:
        root_entry: The entry of the domain's own directory; the nodes below are in the node store.
        hard_links: (device, inode) of each file with several names -> its paths.
        files: Number of regular files.
        size: Bytes in them.
    """

    root_entry: Entry
    hard_links: dict[tuple[int, int], list[bytes]]
    files: int
    size: int


def capture(
    root: int,
    nodes: NodeStore,
    hidden: Collection[tuple[int, int]] = (),
    progress: Progress | None = None,
) -> Capture:
    """Read a domain.

    Args:
        root: Descriptor of its directory.
        nodes: Takes the nodes of the tree.
        hidden: (device, inode) of directories that are not part of the domain.
        progress: Told how far it is; None for nobody.

    Raises:
        CaptureError: when something cannot be read or changes while it is read.
    """
    return _Walk(root, nodes, frozenset(hidden), progress).run()


@dataclass(slots=True)
class _Directory:
    """A directory on the way: what is known of its entries so far."""

    names: tuple[bytes, ...]
    mode: int
    parent: "_Directory | None"
    entries: dict[bytes, Entry] = field(default_factory=dict)
    open_children: int = 0

    @property
    def path(self) -> bytes:
        return b"/".join(self.names)


class _Walk:
    """One pass over a domain, directories finished as soon as everything below them is."""

    def __init__(
        self,
        root: int,
        nodes: NodeStore,
        hidden: frozenset[tuple[int, int]],
        progress: Progress | None,
    ) -> None:
        self._root = root
        self._nodes = nodes
        self._hidden = hidden
        self._progress = progress
        self._hard_links: dict[tuple[int, int], list[bytes]] = {}
        self._linked: dict[tuple[int, int], Digest] = {}
        self._files = 0
        self._size = 0

    def run(self) -> Capture:
        top = _Directory((), stat.S_IMODE(os.fstat(self._root).st_mode), None)
        waiting = [top]
        root_entry: Entry | None = None
        while waiting:
            directory = waiting.pop()
            waiting.extend(self._read(directory))
            root_entry = self._finish(directory) or root_entry
        assert root_entry is not None
        links = {key: paths for key, paths in self._hard_links.items() if len(paths) > 1}
        return Capture(root_entry, links, self._files, self._size)

    def _finish(self, directory: _Directory) -> Entry | None:
        """Build every directory that is complete now, upwards; give the root's entry when it is."""
        here: _Directory | None = directory
        while here is not None and not here.open_children:
            digest = build_directory(self._nodes, here.entries.items())
            entry = Entry(Kind.DIRECTORY, here.mode, 0, digest)
            if here.parent is None:
                return entry
            here.parent.entries[here.names[-1]] = entry
            here.parent.open_children -= 1
            here = here.parent
        return None

    def _read(self, directory: _Directory) -> list[_Directory]:
        """Read the entries of a directory and give the directories in it."""
        found = []
        try:
            descriptor = open_directory_beneath(self._root, directory.names)
        except OSError as error:
            raise CaptureError(directory.path, f"cannot be opened: {error.strerror}") from error
        try:
            for name in os.listdir(descriptor):
                child = self._read_name(directory, descriptor, os.fsencode(name))
                if child is not None:
                    found.append(child)
        except OSError as error:
            raise CaptureError(directory.path, f"cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
        directory.open_children = len(found)
        return found

    def _read_name(self, directory: _Directory, descriptor: int, name: bytes) -> _Directory | None:
        """Note one name; give it back when it is a directory."""
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        kind = kind_of_mode(status.st_mode)
        mode = stat.S_IMODE(status.st_mode)
        if kind is Kind.DIRECTORY:
            if (status.st_dev, status.st_ino) in self._hidden:
                return None
            return _Directory((*directory.names, name), mode, directory)
        if kind is Kind.FILE:
            path = b"/".join((*directory.names, name))
            directory.entries[name] = self._file(path, descriptor, name, status)
        elif kind is Kind.SYMLINK:
            target = os.readlink(name, dir_fd=descriptor)
            directory.entries[name] = Entry(kind, 0o777, len(target), Digest.of(target))
        else:
            directory.entries[name] = Entry(kind, mode, 0, device_digest(status.st_rdev))
        return None

    def _file(self, path: bytes, directory: int, name: bytes, status: os.stat_result) -> Entry:
        mode = stat.S_IMODE(status.st_mode)
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1:
            self._hard_links.setdefault(key, []).append(path)
            if key in self._linked:
                return Entry(Kind.FILE, mode, status.st_size, self._linked[key])
        digest = _digest_file(path, directory, name, status)
        if status.st_nlink > 1:
            self._linked[key] = digest
        self._files += 1
        self._size += status.st_size
        if self._progress is not None and self._files % 64 == 0:
            self._progress(self._files, self._size)
        return Entry(Kind.FILE, mode, status.st_size, digest)


def _digest_file(path: bytes, directory: int, name: bytes, status: os.stat_result) -> Digest:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        raise CaptureError(path, f"cannot be opened: {error.strerror}") from error
    try:
        digest = digest_descriptor(descriptor)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if _identity(after) != _identity(status):
        raise CaptureError(path, "changed while it was read")
    return digest


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mode,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
