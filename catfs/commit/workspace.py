"""The places a commit works in: journal folder and stages of the workspace, and the locked domains.

One lock on the journal folder lets one commit or recovery at a time into a workspace, so that whoever holds
it knows that every record in there was left by a process that is gone. One lock on each domain keeps out
commits from other workspaces. Locks end with the process that holds them, however it ends.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from catfs.commit.journal import DomainPlace
from catfs.commit.reach import FOLDER, is_present
from catfs.values import dataclass

_INSIDE_PREFIX: Final = b".catfs-stage."
_PRIVATE_MODE: Final = 0o700


@dataclass(frozen=True, slots=True)
class Workspace:
    """The open and locked folders of a workspace that commits use.

    Args:
        journals: Descriptor of `.catfs/journal`, locked.
        stages: Descriptor of `.catfs/stage`.
    """

    journals: int
    stages: int


@dataclass(frozen=True, slots=True)
class Site:
    """One open and locked domain of a commit.

    Args:
        place: What the records say of it.
        descriptor: Descriptor of its directory; every name in it is reached from here.
        stage_parent: Descriptor of the folder that holds its stage.
        stage_name: Name of its stage in there.
    """

    place: DomainPlace
    descriptor: int
    stage_parent: int
    stage_name: bytes

    @contextmanager
    def stage(self) -> Iterator[int | None]:
        """Give a descriptor of the stage; None when it is not there."""
        descriptor: int | None = None
        with suppress(FileNotFoundError):
            descriptor = os.open(
                self.stage_name, FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.stage_parent
            )
        try:
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)


@contextmanager
def open_workspace(catfs_folder: bytes, *, wait: bool = True) -> Iterator[Workspace]:
    """Give the journal folder, locked, and the folder of stages; both are made if they are missing.

    Args:
        catfs_folder: Absolute path of the `.catfs` folder, which exists.
        wait: Whether to wait for the lock.

    Raises:
        BlockingIOError: when another process holds the lock and `wait` is False.
        OSError: when a folder cannot be made or opened.
    """
    with ExitStack() as stack:
        control = _open(stack, catfs_folder)
        for name in (b"journal", b"stage"):
            if not is_present(control, name):
                # Another process may make it just now; the lock below sorts out who goes first.
                with suppress(FileExistsError):
                    os.mkdir(name, _PRIVATE_MODE, dir_fd=control)
                os.fsync(control)
        journals = _open(stack, b"journal", control)
        _lock(journals, wait=wait)
        yield Workspace(journals, _open(stack, b"stage", control))


@contextmanager
def open_domains(paths: Sequence[bytes], *, wait: bool = True) -> Iterator[tuple[int, ...]]:
    """Give a descriptor of each domain, locked in the order of their paths, so that nobody waits in a ring.

    Args:
        paths: Absolute paths of the domains.
        wait: Whether to wait for the locks.

    Raises:
        BlockingIOError: when another process holds a lock and `wait` is False.
        OSError: when a domain cannot be opened.
    """
    with ExitStack() as stack:
        descriptors = {path: _open(stack, path) for path in sorted(paths)}
        for descriptor in descriptors.values():
            _lock(descriptor, wait=wait)
        yield tuple(descriptors[path] for path in paths)


def site_of(workspace: Workspace, place: DomainPlace, descriptor: int, commit_id: str) -> Site:
    """Give the site of an open domain."""
    name = commit_id.encode()
    if place.staged_inside:
        return Site(place, descriptor, descriptor, _INSIDE_PREFIX + name)
    return Site(place, descriptor, workspace.stages, name)


def place_of(workspace: Workspace, path: bytes, descriptor: int) -> DomainPlace:
    """Decide where new content of a domain is staged: in the workspace if names can be renamed from there."""
    status = os.fstat(descriptor)
    same_device = status.st_dev == os.fstat(workspace.stages).st_dev
    inside = not (same_device and _mount_number(descriptor) == _mount_number(workspace.stages))
    return DomainPlace(path, inside, status.st_mtime_ns)


def make_stage(site: Site) -> None:
    """Make the stage of a site durably, if another site of the commit has not done so.

    Raises:
        FileExistsError: when a domain holds a name like that already.
        OSError: when it cannot be made.
    """
    if site.place.staged_inside:
        with unchanged_time(site.descriptor):
            os.mkdir(site.stage_name, _PRIVATE_MODE, dir_fd=site.stage_parent)
    else:
        with suppress(FileExistsError):
            os.mkdir(site.stage_name, _PRIVATE_MODE, dir_fd=site.stage_parent)
    os.fsync(site.stage_parent)


def remove_stage(site: Site) -> None:
    """Remove the stage of a site with all that is in it; nothing happens when it is not there.

    Raises:
        OSError: when something cannot be removed, for example a replaced directory into which somebody
            put a new name at the last moment: nothing that catfs does not know is deleted.
    """
    if site.place.staged_inside:
        with unchanged_time(site.descriptor):
            remove_stage_folder(site.stage_parent, site.stage_name)
        # Nobody looks for a stage in a domain once the records are gone, so it must not come back.
        os.fsync(site.stage_parent)
    else:
        remove_stage_folder(site.stage_parent, site.stage_name)


def remove_stage_folder(parent: int, name: bytes) -> None:
    """Remove a folder of staged objects: files of all kinds, and directories that are empty.

    Args:
        parent: Descriptor of the folder that holds it.
        name: Its name.

    Raises:
        OSError: when something in it cannot be removed.
    """
    try:
        folder = os.open(name, FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return
    try:
        for slot in sorted(os.listdir(folder)):
            try:
                os.unlink(slot, dir_fd=folder)
            except IsADirectoryError:
                os.rmdir(slot, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def set_mtime(descriptor: int, mtime_ns: int) -> None:
    """Give an open file or directory a time of last change; the time of last access stays."""
    os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns, mtime_ns))


@contextmanager
def unchanged_time(descriptor: int) -> Iterator[None]:
    """Put the mtime of a directory back to what it was before the block, unless the block fails."""
    before = os.fstat(descriptor).st_mtime_ns
    yield
    set_mtime(descriptor, before)


def _open(stack: ExitStack, path: bytes, parent: int | None = None) -> int:
    """Open a folder until the stack unwinds."""
    descriptor = os.open(path, FOLDER | os.O_CLOEXEC, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return descriptor


def _lock(descriptor: int, *, wait: bool) -> None:
    """Take the exclusive lock of an open folder."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _mount_number(descriptor: int) -> bytes:
    """Give the number of the mount that a descriptor was opened through.

    A rename never crosses mounts, not even between two mounts of one file system.
    """
    with open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
        return next(line for line in file if line.startswith(b"mnt_id:"))
