"""Which handler answers which request, and what is refused on purpose and why.

docs/formats/fuse-protocol.md holds the same as a table; a test compares the two.
"""

from errno import ENOSYS, ENOTTY

from catfs.overlay.nodes import Actor, error_of
from catfs.overlay.processes import is_member
from catfs.overlay.transports.devfuse.attributes import AttributeRequests
from catfs.overlay.transports.devfuse.content import ContentRequests
from catfs.overlay.transports.devfuse.directories import DirectoryRequests
from catfs.overlay.transports.devfuse.names import NameRequests
from catfs.overlay.transports.devfuse.negotiation import Agreement
from catfs.overlay.transports.devfuse.requests import Handler
from catfs.overlay.transports.devfuse.wire import FOPEN_CACHE_DIR, FOPEN_KEEP_CACHE, OPEN_OUT, Init, Opcode
from catfs.overlay.view import View

_OPENED = OPEN_OUT.pack(0, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR, 0)

NEVER_AGAIN = frozenset(
    {
        Opcode.FLUSH,
        Opcode.ACCESS,
        Opcode.BMAP,
        Opcode.POLL,
        Opcode.GETLK,
        Opcode.SETLK,
        Opcode.SETLKW,
        Opcode.STATX,
        Opcode.SETUPMAPPING,
        Opcode.REMOVEMAPPING,
    }
)
"""Answered with ENOSYS, which the kernel takes as `do not ask again, do it yourself`."""


class Handlers(NameRequests, ContentRequests, AttributeRequests, DirectoryRequests):
    """All handlers of a connection.

    Args:
        view: Answers everything.
        agreement: What was negotiated.
    """

    def __init__(self, view: View, agreement: Agreement) -> None:
        super().__init__(view)
        if not agreement.flags & Init.SETXATTR_EXT:
            self.use_short_setxattr()
        view.is_member = is_member
        view.access_lists = bool(agreement.flags & Init.POSIX_ACL)
        self.agreement = agreement

    def table(self) -> list[Handler]:
        """Give the handler of each opcode, by its number."""
        table: list[Handler] = [not_known] * (max(Opcode) + 1)
        for opcode, handler in self._answered().items():
            table[opcode] = handler
        for opcode in NEVER_AGAIN:
            table[opcode] = not_known
        return table

    def _answered(self) -> dict[Opcode, Handler]:
        sync = self.sync if self.view.durable else not_known
        flags = self.agreement.flags
        return {
            Opcode.LOOKUP: self.lookup,
            Opcode.FORGET: self.forget,
            Opcode.BATCH_FORGET: self.batch_forget,
            Opcode.GETATTR: self.getattr,
            Opcode.SETATTR: self.setattr,
            Opcode.READLINK: self.readlink,
            Opcode.SYMLINK: self.symlink,
            Opcode.MKNOD: self.mknod,
            Opcode.MKDIR: self.mkdir,
            Opcode.UNLINK: self.unlink,
            Opcode.RMDIR: self.rmdir,
            Opcode.RENAME: self.rename,
            Opcode.RENAME2: self.rename2,
            Opcode.LINK: self.link,
            Opcode.CREATE: self.create,
            Opcode.TMPFILE: self.tmpfile,
            Opcode.OPEN: not_known if flags & Init.NO_OPEN_SUPPORT else _opened,
            Opcode.OPENDIR: not_known if flags & Init.NO_OPENDIR_SUPPORT else _opened,
            Opcode.READ: self.read,
            Opcode.WRITE: self.write,
            Opcode.FALLOCATE: self.fallocate,
            Opcode.LSEEK: self.lseek,
            Opcode.COPY_FILE_RANGE: self.copy_file_range,
            Opcode.COPY_FILE_RANGE_64: self.copy_file_range_64,
            Opcode.FSYNC: sync,
            Opcode.FSYNCDIR: sync,
            Opcode.SYNCFS: self.sync,
            Opcode.READDIR: self.readdir,
            Opcode.READDIRPLUS: self.readdirplus,
            Opcode.STATFS: self.statfs,
            Opcode.SETXATTR: self.setxattr,
            Opcode.GETXATTR: self.getxattr,
            Opcode.LISTXATTR: self.listxattr,
            Opcode.REMOVEXATTR: self.removexattr,
            Opcode.IOCTL: _no_ioctl,
            Opcode.RELEASE: _done,
            Opcode.RELEASEDIR: _done,
            Opcode.DESTROY: _done,
            Opcode.INTERRUPT: _silent,
            Opcode.NOTIFY_REPLY: _silent,
        }


def not_known(nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
    """Say that a request is not known here: the kernel then does without, or does it itself."""
    raise error_of(ENOSYS)


def _no_ioctl(nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
    """IOCTL: files of a view have no controls of their own."""
    raise error_of(ENOTTY)


def _opened(nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
    """OPEN and OPENDIR from a kernel that insists on asking."""
    return _OPENED


def _done(nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
    """RELEASE, RELEASEDIR and DESTROY: there is nothing to do."""
    return b""


def _silent(nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
    """INTERRUPT and NOTIFY_REPLY: nothing is ever interrupted.

    Requests are answered in order and at once: the interrupted one has been, or will be in a moment.
    """
    return None
