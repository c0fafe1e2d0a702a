"""Staging: every new object complete and checked beside its target, before the first name changes.

The stage is a private folder on the file system of the domain. The object for step N is staged under the
decimal name N, with content, owner, attributes, mode and time as it will have them; a directory
is staged empty and gets mode and time when everything is in it.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from catfs.commit.plan import Note, NoteKind, RefusedChangeError, Step
from catfs.commit.source import Material, OutputSource
from catfs.digest import Digest, digest_descriptor
from catfs.errors import CommitError, printable
from catfs.records import Entry, Kind

FSYNC_CALLS_MAX: Final = 32
"""Up to so many files or folders are made durable by one fsync each; beyond, one syncfs does them all.
An fsync waits for the disk each time, a syncfs once, but also for what other programs have written."""

DIRECTORY_MODE: Final = 0o700
"""Permission bits of a new directory until everything is in it."""

_ACCESS_LIST: Final = b"system.posix_acl_access"
"""The access list of an object. With it the bits of the group in the mode are only an upper bound."""

_KEPT_XATTRS: Final = (b"user.", b"system.posix_acl_")
"""Attributes that are committed. Others grant rights (security.capability) or belong to the machine."""

_NOT_PERMITTED: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EACCES})


def slot_of(number: int) -> bytes:
    """Give the name under which the object of a step is staged."""
    return b"%d" % number


def stage_step(
    stage: int, slot: bytes, step: Step, domain: bytes, source: OutputSource, *, fsync: bool
) -> list[Note]:
    """Stage the new object of one PUT or MAKE step.

    Args:
        stage: Descriptor of the stage.
        slot: Name for the object in it.
        step: The step.
        domain: Absolute path of the domain, for the notes.
        source: The view of the domain.
        fsync: Whether to make the object durable now; otherwise the caller does it for the whole stage.

    Returns:
        What of the object was left out.

    Raises:
        CommitError: when the view gives other content than the plan says.
        OSError: when reading or writing fails.
    """
    assert step.after is not None
    material = source.describe(step.path)
    notes = _Notes(domain, step.path)
    if step.after.kind is Kind.SYMLINK:
        _stage_symlink(stage, slot, step, material, notes)
    elif step.after.kind in (Kind.FILE, Kind.DIRECTORY):
        _stage_open(stage, slot, step, material, notes, source, fsync=fsync)
    else:
        kind = stat.S_IFIFO if step.after.kind is Kind.FIFO else stat.S_IFSOCK
        os.mknod(slot, kind | 0o600, dir_fd=stage)
        _set_owner_by_name(stage, slot, material, notes)
        os.chmod(slot, step.after.mode, dir_fd=stage)
        os.utime(slot, ns=(material.mtime_ns, material.mtime_ns), dir_fd=stage, follow_symlinks=False)
    return notes.items


class _Notes:
    """Collects what was left out of one object.

    Args:
        domain: Absolute path of the domain.
        path: Path of the object in it.
    """

    def __init__(self, domain: bytes, path: bytes) -> None:
        self._domain = domain
        self.path = path
        self.items: list[Note] = []

    @contextmanager
    def unless_permitted(self, kind: NoteKind, detail: str) -> Iterator[None]:
        """Turn a refusal by the machine into a note; every other failure stays one."""
        try:
            yield
        except OSError as error:
            if error.errno not in _NOT_PERMITTED:
                raise
            self.add(kind, detail)

    def add(self, kind: NoteKind, detail: str) -> None:
        """Append a note."""
        self.items.append(Note(kind, self._domain, self.path, detail))


def _stage_symlink(stage: int, slot: bytes, step: Step, material: Material, notes: _Notes) -> None:
    """Stage a symlink; the fsync of the stage makes it durable, as it cannot be opened itself."""
    target = material.target
    if target is None:
        raise RefusedChangeError(step.path, "the view does not say where this symlink points")
    _check_content(step, Entry(Kind.SYMLINK, 0o777, len(target), Digest.of(target)))
    os.symlink(target, slot, dir_fd=stage)
    _set_owner_by_name(stage, slot, material, notes)
    for name, _ in material.xattrs:
        notes.add(NoteKind.XATTR_DROPPED, printable(name))
    os.utime(slot, ns=(material.mtime_ns, material.mtime_ns), dir_fd=stage, follow_symlinks=False)


def _stage_open(
    stage: int,
    slot: bytes,
    step: Step,
    material: Material,
    notes: _Notes,
    source: OutputSource,
    *,
    fsync: bool,
) -> None:
    """Stage a file or a directory: what can be opened, and changed through its descriptor."""
    assert step.after is not None
    if step.after.kind is Kind.FILE:
        flags, mode = os.O_RDWR | os.O_CREAT | os.O_EXCL, step.after.mode
    else:
        flags, mode = os.O_RDONLY | os.O_DIRECTORY, DIRECTORY_MODE
        os.mkdir(slot, DIRECTORY_MODE, dir_fd=stage)
    descriptor = os.open(slot, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=stage)
    try:
        if step.after.kind is Kind.FILE:
            source.copy_content(step.path, descriptor)
            size = os.fstat(descriptor).st_size
            _check_content(step, Entry(Kind.FILE, step.after.mode, size, digest_descriptor(descriptor)))
        _set_owner(descriptor, material, notes)
        _set_xattrs(descriptor, material, notes)
        os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(material.mtime_ns, material.mtime_ns))
        if fsync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_content(step: Step, got: Entry) -> None:
    """Refuse content that is not what was proven."""
    expected = step.after
    if expected is None or (expected.size, expected.digest) != (got.size, got.digest):
        digest = (
            "nothing" if expected is None else f"{expected.size} bytes with SHA-256 {expected.digest.hex}"
        )
        raise CommitError(
            f"{printable(step.path)} is not what was proven: expected {digest}, "
            f"got {got.size} bytes with SHA-256 {got.digest.hex}",
            hint="nothing was committed; please report this with the write log",
        )


def _set_owner(descriptor: int, material: Material, notes: _Notes) -> None:
    """Give an open object the owner it has in the view, where permitted."""
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (material.uid, material.gid):
        with notes.unless_permitted(NoteKind.OWNER_DROPPED, f"{material.uid}:{material.gid}"):
            os.fchown(descriptor, material.uid, material.gid)


def _set_owner_by_name(stage: int, slot: bytes, material: Material, notes: _Notes) -> None:
    """Give an object that cannot be opened the owner it has in the view, where permitted."""
    status = os.stat(slot, dir_fd=stage, follow_symlinks=False)
    if (status.st_uid, status.st_gid) != (material.uid, material.gid):
        with notes.unless_permitted(NoteKind.OWNER_DROPPED, f"{material.uid}:{material.gid}"):
            os.chown(slot, material.uid, material.gid, dir_fd=stage, follow_symlinks=False)


def _set_xattrs(descriptor: int, material: Material, notes: _Notes) -> None:
    """Give an open object the attributes that are committed; note the others."""
    for name, value in material.xattrs:
        if name == _ACCESS_LIST:
            _set_access_list(descriptor, value, notes.path)
        elif name.startswith(_KEPT_XATTRS):
            with notes.unless_permitted(NoteKind.XATTR_DROPPED, printable(name)):
                os.setxattr(descriptor, name, value)
        else:
            notes.add(NoteKind.XATTR_DROPPED, printable(name))


def _set_access_list(descriptor: int, value: bytes, path: bytes) -> None:
    """Give an open object its access list, or refuse it: its mode alone could let the group do more."""
    try:
        os.setxattr(descriptor, _ACCESS_LIST, value)
    except OSError as error:
        if error.errno not in _NOT_PERMITTED:
            raise
        raise RefusedChangeError(
            path,
            f"it has an access list, which the file system of the domain does not keep ({error.strerror})",
            hint="remove the list in the view (setfacl -b), then its mode says who may do what",
        ) from error
