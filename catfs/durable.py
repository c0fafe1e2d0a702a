"""Publishing a file: readers see the whole new file or what was there before, also after a power cut.

The order of steps is what makes it hold: write under a temporary name in the same folder, fsync the file,
rename, fsync the folder. A cache leaves out both fsyncs and says so (`durable=False`): then a reader
still never sees half a file while the machine runs, but after a power cut the file may be old, empty or gone.

A failed fsync is never retried: the kernel reports lost pages once and then forgets them, so the second
fsync of the same file would say that all is well.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Final

from catfs.errors import UsageError, printable
from catfs.limits import NAME_BYTES_MAX
from catfs.linux import RENAME_NOREPLACE, renameat2

Directory = int | bytes | str | os.PathLike[str] | os.PathLike[bytes]
"""A folder: an open descriptor of it, which stays open, or its path."""

TEMPORARY_PREFIX: Final = b".publish-"
"""How temporary names begin. A file so named whose writer is gone is a leftover that nobody reads."""


def publish(
    directory: Directory, name: bytes, data: bytes, *, mode: int = 0o644, durable: bool = True
) -> None:
    """Put a whole file under a name in one step, in place of what had the name before.

    Args:
        directory: The folder.
        name: One file name, without `/`.
        data: The content.
        mode: Permission bits of the new file, before the umask.
        durable: Whether it must survive a power cut; False is for caches.

    Raises:
        OSError: when a step fails; the old file, if any, is still there, unless the very last step
            failed (fsync of the folder): then either of the two may be there after a power cut.
        UsageError: when `name` is not one file name.
    """
    with (
        _open_directory(directory) as folder,
        _temporary_file(folder, name, data, mode, durable) as temporary,
    ):
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        if durable:
            os.fsync(folder)


def create_exclusively(
    directory: Directory, name: bytes, data: bytes, *, mode: int = 0o644, durable: bool = True
) -> None:
    """Put a whole file under a name that is still free, in one step.

    Args:
        directory: The folder.
        name: One file name, without `/`.
        data: The content.
        mode: Permission bits of the new file, before the umask.
        durable: Whether it must survive a power cut; False is for caches.

    Raises:
        FileExistsError: when the name is taken; what has it is untouched.
        OSError: when another step fails.
        UsageError: when `name` is not one file name.
    """
    with (
        _open_directory(directory) as folder,
        _temporary_file(folder, name, data, mode, durable) as temporary,
    ):
        renameat2(folder, temporary, folder, name, RENAME_NOREPLACE)
        if durable:
            os.fsync(folder)


@contextmanager
def publish_made(folder: Path, name: bytes) -> Iterator[Path]:
    """Give a temporary path to make a file or a folder at, which gets its name in one step at the end.

    For what is too large to be held in memory, or is written by a library that wants a path. A file
    takes the place of one that has the name; a folder does not: its name must be free.

    Args:
        folder: Where the name is.
        name: One file name, without `/`.

    Yields:
        A path in the same folder, at which there is nothing yet.

    Raises:
        FileExistsError: when a folder was made and the name is taken; what has it is untouched.
        OSError: when another step fails. Nothing that was made stays then, unless it was the last one, the
            fsync of the folder: then it has its name, and may have lost it after a power cut.
        UsageError: when `name` is not one file name.
    """
    check_name(name)
    temporary = folder / os.fsdecode(TEMPORARY_PREFIX + secrets.token_hex(8).encode())
    target = folder / os.fsdecode(name)
    try:
        yield temporary
        _fsync_all(temporary)
        if temporary.is_dir():
            with _open_directory(folder) as descriptor:
                renameat2(descriptor, os.fsencode(temporary.name), descriptor, name, RENAME_NOREPLACE)
        else:
            os.rename(temporary, target)
        fsync_directory(folder)
    except BaseException:
        # After a rename that worked the name is gone already, which is as good.
        if temporary.is_dir():
            rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _fsync_all(path: Path) -> None:
    """Make a file durable, or a folder with the files in it."""
    if path.is_dir():
        for entry in path.iterdir():
            _fsync_all(entry)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_durably(directory: Directory, name: bytes) -> None:
    """Take a file name away so that it stays away after a power cut.

    Args:
        directory: The folder.
        name: One file name, without `/`.

    Raises:
        FileNotFoundError: when there is no such name.
        OSError: when the removal or the fsync of the folder fails.
        UsageError: when `name` is not one file name.
    """
    check_name(name)
    with _open_directory(directory) as folder:
        os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def fsync_directory(directory: Directory) -> None:
    """Make the names in a folder durable: creations, renames and removals in it so far.

    Args:
        directory: The folder.

    Raises:
        OSError: when the folder cannot be opened or the fsync fails.
    """
    with _open_directory(directory) as folder:
        os.fsync(folder)


def write_fully(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all bytes at the file offset, however many calls it takes.

    Args:
        descriptor: A writable descriptor.
        data: What to write.

    Raises:
        OSError: when a write fails; part of the data may have been written.
    """
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(descriptor, view) :]


def check_name(name: bytes) -> None:
    """Check that bytes are one file name: not empty, not `.` or `..`, without `/` and NUL, at most 255 bytes.

    Raises:
        UsageError: when they are not.
    """
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name or len(name) > NAME_BYTES_MAX:
        raise UsageError(f"expected one file name of at most {NAME_BYTES_MAX} bytes, got {printable(name)!r}")


@contextmanager
def _open_directory(directory: Directory) -> Iterator[int]:
    """Give a descriptor of a folder, and close it again if it was opened here."""
    if isinstance(directory, int):
        yield directory
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _temporary_file(folder: int, name: bytes, data: bytes, mode: int, durable: bool) -> Iterator[bytes]:
    """Give the temporary name of a new file with this content; it is gone afterwards, come what may."""
    check_name(name)
    temporary = TEMPORARY_PREFIX + secrets.token_hex(8).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode, dir_fd=folder)
    try:
        try:
            write_fully(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield temporary
    except BaseException:
        # After a rename that worked the name is gone already, which is as good.
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
