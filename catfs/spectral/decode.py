"""Decoding: a spectrum and a store become a directory again, whole or not at all.

Everything is made in a folder of our own beside the target, which gets its name only when it is complete.
No path is used: each name is made in a directory that was made here, relative to its descriptor. So a
spectrum, whoever made it up, cannot reach anything outside of the target.
"""

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from errno import EEXIST
from pathlib import Path
from typing import Final

from catfs.beneath import open_directory_beneath
from catfs.digest import Digest
from catfs.durable import check_name
from catfs.errors import CatfsError, FormatError, UsageError, printable
from catfs.linux import RENAME_NOREPLACE, renameat2, syncfs
from catfs.merkle.tree import join_path
from catfs.records import Entry, Kind
from catfs.spectral.spectrum import Spectrum
from catfs.store import CatalyticStore, MissingObjectError
from catfs.values import dataclass

TEMPORARY_PREFIX: Final = b".catfs-decode-"
"""How the folder is called while it is being filled. One whose process is gone is a leftover."""

DecodeProgress = Callable[[int, int], None]
"""Told now and then how many files and how many bytes are written so far."""

RootCheck = Callable[[int], Digest]
"""Reads the directory that a descriptor stands for and gives its domain root."""

_SET_ID_BITS = stat.S_ISUID | stat.S_ISGID
_DEVICE_FORMATS = {Kind.CHARACTER_DEVICE: stat.S_IFCHR, Kind.BLOCK_DEVICE: stat.S_IFBLK}
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class DecodeError(CatfsError):
    """What was decoded is not what the spectrum says; nothing of it is left.

    Args:
        expected: The root in the spectrum.
        got: The root of what was written.
    """

    def __init__(self, expected: Digest, got: Digest) -> None:
        super().__init__(
            f"the decoded directory: expected the root {expected.hex}, got {got.hex}; nothing was kept",
            hint="its file system cannot hold all that the spectrum says, or somebody wrote to it meanwhile",
        )
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Permitted:
    """What gives a right to whoever can reach it, and is therefore decoded only where it is asked for.

    Args:
        set_id: Files with set-id bits.
        devices: Device nodes.
    """

    set_id: bool = False
    devices: bool = False


_NOTHING_MORE: Final = Permitted()


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was written.

    Args:
        root: The domain root.
        files: Number of regular files.
        size: Bytes in them.
    """

    root: Digest
    files: int
    size: int


def decode_domain(
    spectrum: Spectrum,
    store: CatalyticStore,
    target: Path,
    *,
    permitted: Permitted = _NOTHING_MORE,
    check: RootCheck | None = None,
    progress: DecodeProgress | None = None,
) -> Decoded:
    """Make a directory of a spectrum: contents, permission bits, symlinks, empty directories, special files.

    Args:
        spectrum: What the directory is to hold.
        store: Holds the contents.
        target: The new directory; there must be nothing yet.
        permitted: Which rights it may give.
        check: Reads what was written, before it gets its name; None believes the writes.
        progress: Told how far it is; None for nobody.

    Raises:
        UsageError: when something is at the target, or the spectrum has what is not permitted.
        FormatError: when the spectrum states another size than a content has.
        MissingObjectError: when the store lacks a content; nothing was begun then.
        DamagedObjectError: when a content is damaged.
        DecodeError: when the check finds another root.
        OSError: when a step fails. Whatever is raised, nothing is left.
    """
    _check_permitted(spectrum, permitted)
    for digest in spectrum.contents():
        if not store.has(digest):
            raise MissingObjectError(digest, "the store")
    name = os.fsencode(target.name)
    check_name(name)
    parent = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    temporary = TEMPORARY_PREFIX + secrets.token_hex(8).encode()
    try:
        _check_free(parent, name, target)
        os.mkdir(temporary, 0o700, dir_fd=parent)
        try:
            decoded = _fill(parent, temporary, _Writing(spectrum, store, progress), check)
            _publish(parent, temporary, name, target)
        except BaseException:
            _remove(parent, temporary)
            raise
    finally:
        os.close(parent)
    return decoded


def _fill(parent: int, temporary: bytes, writing: "_Writing", check: RootCheck | None) -> Decoded:
    """Write everything into the temporary folder, hold it against the root, and make it durable."""
    folder = open_directory_beneath(parent, [temporary])
    try:
        expected = writing.run(folder)
        got = expected if check is None else check(folder)
        if got != expected:
            raise DecodeError(expected, got)
        syncfs(folder)
    finally:
        os.close(folder)
    return Decoded(expected, writing.files, writing.size)


def _check_permitted(spectrum: Spectrum, permitted: Permitted) -> None:
    for path, entry in spectrum.entries.items():
        if entry.kind in _DEVICE_FORMATS and not permitted.devices:
            problem = f"the spectrum has the device {printable(path)}"
            raise UsageError(problem, hint="--devices decodes it, which only root can")
        # On a directory the bits grant nobody a right.
        if entry.kind is not Kind.DIRECTORY and entry.mode & _SET_ID_BITS and not permitted.set_id:
            problem = f"the spectrum has {printable(path)} with the mode {entry.mode:04o}, a set-id program"
            raise UsageError(problem, hint="--set-id decodes it as it is")


def _check_free(parent: int, name: bytes, target: Path) -> None:
    with suppress(FileNotFoundError):
        os.lstat(name, dir_fd=parent)
        raise _taken(target)


def _taken(target: Path) -> UsageError:
    return UsageError(f"expected nothing at {printable(os.fsencode(target))}", hint="name a new directory")


def _publish(parent: int, temporary: bytes, name: bytes, target: Path) -> None:
    try:
        renameat2(parent, temporary, parent, name, RENAME_NOREPLACE)
    except OSError as error:
        if error.errno == EEXIST:
            raise _taken(target) from error
        raise
    os.fsync(parent)


def _remove(parent: int, temporary: bytes) -> None:
    """Remove what was written so far, directory by directory, the deepest first; no link is followed."""
    directories: list[list[bytes]] = [[temporary]]
    for names in directories:
        folder = open_directory_beneath(parent, names)
        try:
            os.fchmod(folder, 0o700)
            for name in map(os.fsencode, os.listdir(folder)):
                if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                    directories.append([*names, name])
                else:
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
    for *above, name in reversed(directories):
        folder = open_directory_beneath(parent, above)
        try:
            os.rmdir(name, dir_fd=folder)
        finally:
            os.close(folder)


class _Writing:
    """Fills one new directory.

    Args:
        spectrum: What it is to hold.
        store: Holds the contents.
        progress: Told how far it is; None for nobody.
    """

    def __init__(self, spectrum: Spectrum, store: CatalyticStore, progress: DecodeProgress | None) -> None:
        self._spectrum = spectrum
        self._store = store
        self._progress = progress
        self.files = self.size = 0

    def run(self, root: int) -> Digest:
        """Make everything, then give the directories their modes: until then each of them can be written.

        Args:
            root: Descriptor of the directory, which is empty.

        Returns:
            The root that it is to have.
        """
        directories = [b""]
        for path in directories:
            folder = open_directory_beneath(root, _names(path))
            try:
                for name, entry in self._spectrum.tree.directory(path):
                    self._make(folder, name, join_path(path, name), entry)
                    if entry.kind is Kind.DIRECTORY:
                        directories.append(join_path(path, name))
            finally:
                os.close(folder)
            if self._progress is not None:
                self._progress(self.files, self.size)
        for path in reversed(directories):
            folder = open_directory_beneath(root, _names(path))
            try:
                os.fchmod(folder, self._spectrum.entries[path].mode)
            finally:
                os.close(folder)
        return self._spectrum.root

    def _make(self, folder: int, name: bytes, path: bytes, entry: Entry) -> None:
        match entry.kind:
            case Kind.DIRECTORY:
                os.mkdir(name, 0o700, dir_fd=folder)
            case Kind.FILE:
                self._write(folder, name, path, entry)
            case Kind.SYMLINK:
                os.symlink(self._spectrum.targets[path], name, dir_fd=folder)
            case Kind.FIFO:
                os.mkfifo(name, 0o600, dir_fd=folder)
                os.chmod(name, entry.mode, dir_fd=folder)
            case Kind.SOCKET:
                os.mknod(name, stat.S_IFSOCK | 0o600, dir_fd=folder)
                os.chmod(name, entry.mode, dir_fd=folder)
            case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
                form = _DEVICE_FORMATS[entry.kind]
                os.mknod(name, form | 0o600, self._spectrum.devices[path].number, dir_fd=folder)
                os.chmod(name, entry.mode, dir_fd=folder)

    def _write(self, folder: int, name: bytes, path: bytes, entry: Entry) -> None:
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
        try:
            size = self._store.copy_to(entry.digest, descriptor)
            if size != entry.size:
                problem = f"{printable(path)}: expected {entry.size} bytes, but its content has {size}"
                raise FormatError("spectrum", problem)
            os.fchmod(descriptor, entry.mode)
        finally:
            os.close(descriptor)
        self.files += 1
        self.size += entry.size


def _names(path: bytes) -> list[bytes]:
    return path.split(b"/") if path else []
