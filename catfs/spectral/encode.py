"""Encoding: what a domain holds is put into a store, so that domain root and store are the whole domain.

The tree was made by a reading of the domain; only contents that the store lacks are read here. Each is held
against the digest in the tree, so a file that was changed since is noticed.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from catfs.beneath import open_directory_beneath
from catfs.digest import Digest
from catfs.errors import CatfsError, ExitStatus, printable
from catfs.merkle import Tree
from catfs.merkle.tree import join_path
from catfs.records import Entry, Kind
from catfs.records.entry import device_digest
from catfs.spectral.spectrum import Device, Spectrum
from catfs.store import Batch, CatalyticStore

EncodeProgress = Callable[[int, int], None]
"""Told now and then how many files and how many bytes the store was found or made to hold so far."""

# Without O_NONBLOCK, opening what became a FIFO since the reading would wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class ChangedPathError(CatfsError):
    """A path is no longer what the reading of its domain found.

    Args:
        path: Relative to the domain.
        problem: What is there now, or why it cannot be read.
    """

    exit_status = ExitStatus.CONFLICT

    def __init__(self, path: bytes, problem: str) -> None:
        super().__init__(
            f"{printable(path) or 'the domain'} {problem}",
            hint="the domain was changed while it was encoded; encode it again",
        )
        self.path = path
        self.problem = problem


def encode_domain(
    root: int, tree: Tree, store: CatalyticStore, progress: EncodeProgress | None = None
) -> Spectrum:
    """Put every content of a domain into a store and give the spectrum of the domain.

    Args:
        root: Descriptor of the domain's directory.
        tree: What was read of it.
        store: Takes the contents; all of them are published together at the end.
        progress: Told how far it is; None for nobody.

    Raises:
        ChangedPathError: when the domain is no longer what the tree says; then the store holds what it held.
        MissingNodeError: when the tree is not whole.
        OSError: when the store cannot be written.
    """
    encoding = _Encoding(root, progress)
    with store.batch() as batch:
        encoding.run(tree, batch)
    return Spectrum(encoding.entries, encoding.targets, encoding.devices)


class _Encoding:
    """One walk along a tree and the directories that it was read from."""

    def __init__(self, root: int, progress: EncodeProgress | None) -> None:
        self._root = root
        self._progress = progress
        self._files = self._size = 0
        self.entries: dict[bytes, Entry] = {}
        self.targets: dict[bytes, bytes] = {}
        self.devices: dict[bytes, Device] = {}

    def run(self, tree: Tree, batch: Batch) -> None:
        """Look at every path of the tree, one directory after the other."""
        self.entries[b""] = tree.root_entry
        pending = [b""]
        while pending:
            path = pending.pop()
            with self._opened(path) as folder:
                for name, entry in tree.directory(path):
                    below = join_path(path, name)
                    self.entries[below] = entry
                    if entry.kind is Kind.DIRECTORY:
                        pending.append(below)
                    else:
                        self._take(folder, name, below, entry, batch)
            if self._progress is not None:
                self._progress(self._files, self._size)

    @contextmanager
    def _opened(self, path: bytes) -> Iterator[int]:
        with _reading(path):
            folder = open_directory_beneath(self._root, path.split(b"/") if path else [])
        try:
            yield folder
        finally:
            os.close(folder)

    def _take(self, folder: int, name: bytes, path: bytes, entry: Entry, batch: Batch) -> None:
        match entry.kind:
            case Kind.FILE:
                if not batch.renew(entry.digest, entry.size):
                    _put_file(folder, name, path, entry.digest, batch)
                self._files += 1
                self._size += entry.size
            case Kind.SYMLINK:
                with _reading(path):
                    target = os.readlink(name, dir_fd=folder)
                _check(path, entry.digest, Digest.of(target))
                self.targets[path] = target
            case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
                with _reading(path):
                    number = os.lstat(name, dir_fd=folder).st_rdev
                _check(path, entry.digest, device_digest(number))
                self.devices[path] = Device(os.major(number), os.minor(number))


def _put_file(folder: int, name: bytes, path: bytes, expected: Digest, batch: Batch) -> None:
    with _reading(path):
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ChangedPathError(path, "is no regular file any more")
        _check(path, expected, batch.put_stream(_Source(descriptor, path)))
    finally:
        os.close(descriptor)


class _Source:
    """A file of the domain as a stream, whose errors name it.

    Args:
        descriptor: The file.
        path: Relative to the domain.
    """

    def __init__(self, descriptor: int, path: bytes) -> None:
        self._descriptor = descriptor
        self._path = path

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes; none at the end."""
        with _reading(self._path):
            return os.read(self._descriptor, size)


def _check(path: bytes, expected: Digest, got: Digest) -> None:
    if got != expected:
        raise ChangedPathError(path, f"was changed: expected {expected.hex[:16]}, got {got.hex[:16]}")


@contextmanager
def _reading(path: bytes) -> Iterator[None]:
    """Name the path in the error of a system call that reads the domain."""
    try:
        yield
    except OSError as error:
        raise ChangedPathError(path, f"cannot be read: {error.strerror}") from error
