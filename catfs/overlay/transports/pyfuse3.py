"""The portable transport: pyfuse3 on trio. The only module that knows pyfuse3.

Each handler translates the arguments, calls the view and translates the answer; an OSError becomes
its errno, anything else is our defect, is logged and becomes EIO, because an exception that left a
handler would end the mount for everybody.

What pyfuse3 does not tell: who writes. A write is put down to whoever opened the handle.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from errno import EIO, ENOSYS
from typing import Any, ParamSpec, TypeVar

import pyfuse3
from pyfuse3 import FileHandleT, FileNameT, FlagT, InodeT, ModeT, XAttrNameT

from catfs.limits import KERNEL_CACHE_SECONDS, NAME_BYTES_MAX
from catfs.overlay.attributes import AttributeChanges
from catfs.overlay.nodes import Actor, Node
from catfs.overlay.view import View

_log = logging.getLogger(__name__)
_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")
_ENTRIES_AT_ONCE = 64
"""Entries of a directory prepared at a time: somewhat more than the kernel's buffer usually takes."""
_Handler = Callable[_Arguments, Coroutine[Any, Any, _Answer]]


def _handler(function: _Handler[_Arguments, _Answer]) -> _Handler[_Arguments, _Answer]:
    """Let a handler raise nothing but FUSEError: the request boundary."""

    @functools.wraps(function)
    async def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            return await function(*args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or EIO) from None
        except Exception as error:
            _log.exception("request %s failed", function.__name__)
            raise pyfuse3.FUSEError(EIO) from error

    return guarded


class Pyfuse3Transport:
    """Serves a view through libfuse. One per process: libfuse's session is a global of pyfuse3."""

    name = "pyfuse3"

    async def serve(self, view: View, connection: int) -> None:
        """Answer requests until the file system is unmounted or the connection is aborted."""
        pyfuse3.init(_Operations(view), f"/dev/fd/{connection}", {"default_permissions"})
        try:
            await pyfuse3.main()
        finally:
            pyfuse3.close(unmount=False)


class _Operations(pyfuse3.Operations):
    """The handlers, in the order of pyfuse3's documentation."""

    supports_dot_lookup = True
    enable_writeback_cache = False

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        view.forget_attributes = _forget_attributes

    @_handler
    async def lookup(
        self, parent_inode: InodeT, name: FileNameT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        node = self._view.lookup(parent_inode, name)
        return _absent() if node is None else self._entry(node)

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        with contextlib.suppress(pyfuse3.FUSEError):  # nobody waits for an answer
            await self._forget(inode_list)

    @_handler
    async def _forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        for ino, count in inode_list:
            self._view.forget(ino, count)

    @_handler
    async def getattr(self, inode: InodeT, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        return _attributes(self._view.getattr(inode))

    @_handler
    async def setattr(
        self,
        inode: InodeT,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: FileHandleT | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        changes = AttributeChanges(
            size=attr.st_size if fields.update_size else None,
            mode=attr.st_mode if fields.update_mode else None,
            uid=attr.st_uid if fields.update_uid else None,
            gid=attr.st_gid if fields.update_gid else None,
            atime=attr.st_atime_ns if fields.update_atime else None,
            mtime=attr.st_mtime_ns if fields.update_mtime else None,
        )
        return _attributes(self._view.setattr(inode, changes, _actor(ctx)))

    @_handler
    async def readlink(self, inode: InodeT, ctx: pyfuse3.RequestContext) -> FileNameT:
        return FileNameT(self._view.readlink(inode))

    @_handler
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return self._entry(self._view.mknod(parent_inode, name, mode, rdev, _actor(ctx)))

    @_handler
    async def mkdir(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return self._entry(self._view.mkdir(parent_inode, name, mode, _actor(ctx)))

    @_handler
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: pyfuse3.RequestContext) -> None:
        self._view.unlink(parent_inode, name, _actor(ctx))

    @_handler
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: pyfuse3.RequestContext) -> None:
        self._view.rmdir(parent_inode, name, _actor(ctx))

    @_handler
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return self._entry(self._view.symlink(parent_inode, name, target, _actor(ctx)))

    @_handler
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        self._view.rename(parent_inode_old, name_old, parent_inode_new, name_new, flags, _actor(ctx))

    @_handler
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return self._entry(self._view.link(inode, new_parent_inode, new_name, _actor(ctx)))

    @_handler
    async def open(self, inode: InodeT, flags: FlagT, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        handle = self._view.open(inode, flags, _actor(ctx))
        return pyfuse3.FileInfo(fh=FileHandleT(handle), keep_cache=True)

    @_handler
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        return self._view.read(fh, off, size)

    @_handler
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        return self._view.write(fh, off, buf)

    async def flush(self, fh: FileHandleT) -> None:
        """Nothing waits to be written when a descriptor is closed: the kernel need not ask again."""
        raise pyfuse3.FUSEError(ENOSYS)

    @_handler
    async def release(self, fh: FileHandleT) -> None:
        self._view.release(fh)

    @_handler
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        self._sync()

    @_handler
    async def opendir(self, inode: InodeT, ctx: pyfuse3.RequestContext) -> FileHandleT:
        return FileHandleT(self._view.opendir(inode, _actor(ctx)))

    @_handler
    async def readdir(self, fh: FileHandleT, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        full = False
        while not full:
            entries = self._view.read_directory(fh, start_id, _ENTRIES_AT_ONCE)
            full = not entries
            for position, name, node in entries:
                if not pyfuse3.readdir_reply(token, FileNameT(name), _attributes(node), position):
                    full = True
                    break
                start_id = position
                if name not in {b".", b".."}:
                    node.lookups += 1

    @_handler
    async def releasedir(self, fh: FileHandleT) -> None:
        self._view.release(fh)

    @_handler
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        self._sync()

    def _sync(self) -> None:
        """Make the session durable; where nothing of it is, tell the kernel not to ask again."""
        if not self._view.durable:
            raise pyfuse3.FUSEError(ENOSYS)  # the caller sees success
        self._view.sync()

    @_handler
    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        below = self._view.space()
        stats = pyfuse3.StatvfsData()
        stats.f_bsize, stats.f_frsize = below.f_bsize, below.f_frsize
        stats.f_blocks, stats.f_bfree, stats.f_bavail = below.f_blocks, below.f_bfree, below.f_bavail
        stats.f_files, stats.f_ffree, stats.f_favail = below.f_files, below.f_ffree, below.f_favail
        stats.f_namemax = NAME_BYTES_MAX
        return stats

    @_handler
    async def setxattr(
        self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: pyfuse3.RequestContext
    ) -> None:
        self._view.setxattr(inode, name, value, 0, _actor(ctx))

    @_handler
    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: pyfuse3.RequestContext) -> bytes:
        return self._view.getxattr(inode, name)

    @_handler
    async def listxattr(self, inode: InodeT, ctx: pyfuse3.RequestContext) -> Sequence[XAttrNameT]:
        return [XAttrNameT(name) for name in self._view.listxattr(inode)]

    @_handler
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: pyfuse3.RequestContext) -> None:
        self._view.removexattr(inode, name, _actor(ctx))

    @_handler
    async def create(
        self,
        parent_inode: InodeT,
        name: FileNameT,
        mode: ModeT,
        flags: FlagT,
        ctx: pyfuse3.RequestContext,
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        actor = _actor(ctx)
        node = self._view.create(parent_inode, name, mode, actor)
        handle = self._view.open(node.ino, flags & ~os.O_TRUNC, actor)
        return pyfuse3.FileInfo(fh=FileHandleT(handle), keep_cache=True), self._entry(node)

    @staticmethod
    def _entry(node: Node) -> pyfuse3.EntryAttributes:
        """Give a node to the kernel, which from now on holds one more reference to it."""
        node.lookups += 1
        return _attributes(node)


def _forget_attributes(ino: int) -> None:
    """Let the kernel ask for the attributes of an inode again; it takes no lock for that."""
    with contextlib.suppress(OSError):  # the kernel does not know the inode (any more)
        pyfuse3.invalidate_inode(InodeT(ino), attr_only=True)


def _actor(ctx: pyfuse3.RequestContext) -> Actor:
    return Actor(ctx.pid, ctx.uid, ctx.gid)


def _absent() -> pyfuse3.EntryAttributes:
    """Say that a name does not exist, in the form that the kernel remembers."""
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = InodeT(0)
    entry.entry_timeout = KERNEL_CACHE_SECONDS
    return entry


def _attributes(node: Node) -> pyfuse3.EntryAttributes:
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = InodeT(node.ino)
    entry.entry_timeout = entry.attr_timeout = KERNEL_CACHE_SECONDS
    entry.st_mode = ModeT(node.mode)
    entry.st_nlink = node.nlink
    entry.st_uid, entry.st_gid = node.uid, node.gid
    entry.st_rdev = node.rdev
    entry.st_size, entry.st_blocks = node.size, node.blocks
    entry.st_atime_ns, entry.st_mtime_ns, entry.st_ctime_ns = node.atime, node.mtime, node.ctime
    return entry
