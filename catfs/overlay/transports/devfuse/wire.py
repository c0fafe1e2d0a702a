"""The messages of the kernel's FUSE protocol, each described once: its fields in order.

Every message of <linux/fuse.h> up to 7.38 is here, under the name it has there, and those of later
versions that catfs uses. A test compiles a C program against the system's header and compares sizes
and offsets. Byte order is the machine's: both ends run on it.
"""

import struct
from collections.abc import Callable
from enum import IntEnum, IntFlag


class Message:
    """The layout of one message.

    Args:
        name: Its name in the kernel's header, without `fuse_`.
        fields: Its fields in order, as `name:code` with the codes of `struct`, times an optional
            count. Padding is explicit, so there is none between fields.
    """

    def __init__(self, name: str, fields: str) -> None:
        self.name = name
        self.offsets: dict[str, int] = {}
        """Offset of each field, in bytes."""
        codes = "="
        for field in fields.split():
            label, code = field.split(":")
            self.offsets[label] = struct.calcsize(codes)
            codes += code
        layout = struct.Struct(codes)
        self.size = layout.size
        """Size in bytes."""
        self.pack: Callable[..., bytes] = layout.pack
        """Gives the bytes of a message from the values of its fields."""
        self.unpack_from = layout.unpack_from
        """Gives the values from a buffer; raises struct.error when it is too short."""
        self.iter_unpack = layout.iter_unpack
        """Gives the values of each message of a buffer of many; raises struct.error when one is too short."""


_ATTR = (
    "ino:Q size:Q blocks:Q atime:q mtime:q ctime:q atimensec:I mtimensec:I ctimensec:I "
    "mode:I nlink:I uid:I gid:I rdev:I blksize:I flags:I"
)
_ENTRY = "nodeid:Q generation:Q entry_valid:Q attr_valid:Q entry_valid_nsec:I attr_valid_nsec:I "
_DIRENT = "ino:Q off:Q namelen:I type:I"
_LOCK = "start:Q end:Q type:I pid:I"


def _inner(prefix: str, fields: str) -> str:
    """Give the fields of a message that lies inside another one, under names of their own."""
    return " ".join(f"{prefix}.{field}" for field in fields.split())


IN_HEADER = Message(
    "in_header", "len:I opcode:I unique:Q nodeid:Q uid:I gid:I pid:I total_extlen:H padding:H"
)
OUT_HEADER = Message("out_header", "len:I error:i unique:Q")
INIT_IN = Message("init_in", "major:I minor:I max_readahead:I flags:I flags2:I unused:11I")
INIT_IN_SHORT = Message("init_in before 7.36", "major:I minor:I max_readahead:I flags:I")
INIT_OUT = Message(
    "init_out",
    "major:I minor:I max_readahead:I flags:I max_background:H congestion_threshold:H max_write:I "
    "time_gran:I max_pages:H map_alignment:H flags2:I unused:7I",
)
ATTR = Message("attr", _ATTR)
ENTRY_OUT = Message("entry_out", _ENTRY + _inner("attr", _ATTR))
ATTR_OUT = Message("attr_out", "attr_valid:Q attr_valid_nsec:I dummy:I " + _inner("attr", _ATTR))
FORGET_IN = Message("forget_in", "nlookup:Q")
FORGET_ONE = Message("forget_one", "nodeid:Q nlookup:Q")
BATCH_FORGET_IN = Message("batch_forget_in", "count:I dummy:I")
GETATTR_IN = Message("getattr_in", "getattr_flags:I dummy:I fh:Q")
SETATTR_IN = Message(
    "setattr_in",
    "valid:I padding:I fh:Q size:Q lock_owner:Q atime:q mtime:q ctime:q atimensec:I mtimensec:I "
    "ctimensec:I mode:I unused4:I uid:I gid:I unused5:I",
)
MKNOD_IN = Message("mknod_in", "mode:I rdev:I umask:I padding:I")
MKDIR_IN = Message("mkdir_in", "mode:I umask:I")
RENAME_IN = Message("rename_in", "newdir:Q")
RENAME2_IN = Message("rename2_in", "newdir:Q flags:I padding:I")
LINK_IN = Message("link_in", "oldnodeid:Q")
OPEN_IN = Message("open_in", "flags:I open_flags:I")
CREATE_IN = Message("create_in", "flags:I mode:I umask:I open_flags:I")
OPEN_OUT = Message("open_out", "fh:Q open_flags:I padding:I")
RELEASE_IN = Message("release_in", "fh:Q flags:I release_flags:I lock_owner:Q")
FLUSH_IN = Message("flush_in", "fh:Q unused:I padding:I lock_owner:Q")
READ_IN = Message("read_in", "fh:Q offset:Q size:I read_flags:I lock_owner:Q flags:I padding:I")
WRITE_IN = Message("write_in", "fh:Q offset:Q size:I write_flags:I lock_owner:Q flags:I padding:I")
WRITE_OUT = Message("write_out", "size:I padding:I")
KSTATFS = Message(
    "kstatfs",
    "blocks:Q bfree:Q bavail:Q files:Q ffree:Q bsize:I namelen:I frsize:I padding:I spare:6I",
)
FSYNC_IN = Message("fsync_in", "fh:Q fsync_flags:I padding:I")
SETXATTR_IN = Message("setxattr_in", "size:I flags:I setxattr_flags:I padding:I")
SETXATTR_IN_SHORT = Message("setxattr_in without SETXATTR_EXT", "size:I flags:I")
GETXATTR_IN = Message("getxattr_in", "size:I padding:I")
GETXATTR_OUT = Message("getxattr_out", "size:I padding:I")
FALLOCATE_IN = Message("fallocate_in", "fh:Q offset:Q length:Q mode:I padding:I")
LSEEK_IN = Message("lseek_in", "fh:Q offset:Q whence:I padding:I")
LSEEK_OUT = Message("lseek_out", "offset:Q")
COPY_FILE_RANGE_IN = Message(
    "copy_file_range_in", "fh_in:Q off_in:Q nodeid_out:Q fh_out:Q off_out:Q len:Q flags:Q"
)
COPY_FILE_RANGE_OUT = Message("copy_file_range_out", "bytes_copied:Q")
DIRENT = Message("dirent", _DIRENT)
DIRENTPLUS = Message(
    "direntplus", _inner("entry_out", _ENTRY + _inner("attr", _ATTR)) + " " + _inner("dirent", _DIRENT)
)
NOTIFY_INVAL_INODE_OUT = Message("notify_inval_inode_out", "ino:Q off:q len:q")
NOTIFY_INVAL_ENTRY_OUT = Message("notify_inval_entry_out", "parent:Q namelen:I flags:I")
NOTIFY_DELETE_OUT = Message("notify_delete_out", "parent:Q child:Q namelen:I padding:I")

_NEVER_NEGOTIATED = (
    Message("file_lock", _LOCK),
    Message("lk_in", f"fh:Q owner:Q {_inner('lk', _LOCK)} lk_flags:I padding:I"),
    Message("lk_out", _inner("lk", _LOCK)),
    Message("access_in", "mask:I padding:I"),
    Message("interrupt_in", "unique:Q"),
    Message("bmap_in", "block:Q blocksize:I padding:I"),
    Message("bmap_out", "block:Q"),
    Message("ioctl_in", "fh:Q flags:I cmd:I arg:Q in_size:I out_size:I"),
    Message("ioctl_iovec", "base:Q len:Q"),
    Message("ioctl_out", "result:i flags:I in_iovs:I out_iovs:I"),
    Message("poll_in", "fh:Q kh:Q flags:I events:I"),
    Message("poll_out", "revents:I padding:I"),
    Message("statfs_out", "st.blocks:Q st.bfree:Q st.bavail:Q st.files:Q st.ffree:Q rest:10I"),
    Message("syncfs_in", "padding:Q"),
    Message("notify_poll_wakeup_out", "kh:Q"),
    Message("notify_store_out", "nodeid:Q offset:Q size:I padding:I"),
    Message("notify_retrieve_out", "notify_unique:Q nodeid:Q offset:Q size:I padding:I"),
    Message("notify_retrieve_in", "dummy1:Q offset:Q size:I dummy2:I dummy3:Q dummy4:Q"),
    Message("setupmapping_in", "fh:Q foffset:Q len:Q flags:Q moffset:Q"),
    Message("removemapping_in", "count:I"),
    Message("removemapping_one", "moffset:Q len:Q"),
    Message("secctx", "size:I padding:I"),
    Message("secctx_header", "size:I nr_secctx:I"),
    Message("ext_header", "size:I type:I"),
)
"""Messages of requests that are refused without a look at their fields, or that are never sent to
a server that did not ask for them. They are here so that the table is the whole protocol."""

MESSAGES: dict[str, Message] = {
    message.name: message
    for message in (*vars().copy().values(), *_NEVER_NEGOTIATED)
    if isinstance(message, Message)
}
"""Every message by its name."""


class Opcode(IntEnum):
    """What a request asks for (enum fuse_opcode)."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    GETLK = 31
    SETLK = 32
    SETLKW = 33
    ACCESS = 34
    CREATE = 35
    INTERRUPT = 36
    BMAP = 37
    DESTROY = 38
    IOCTL = 39
    POLL = 40
    NOTIFY_REPLY = 41
    BATCH_FORGET = 42
    FALLOCATE = 43
    READDIRPLUS = 44
    RENAME2 = 45
    LSEEK = 46
    COPY_FILE_RANGE = 47
    SETUPMAPPING = 48
    REMOVEMAPPING = 49
    SYNCFS = 50
    TMPFILE = 51
    STATX = 52
    COPY_FILE_RANGE_64 = 53


class Init(IntFlag):
    """What the kernel offers and a server accepts at INIT; bits from 32 travel in `flags2`."""

    ASYNC_READ = 1 << 0
    ATOMIC_O_TRUNC = 1 << 3
    EXPORT_SUPPORT = 1 << 4
    BIG_WRITES = 1 << 5
    DONT_MASK = 1 << 6
    AUTO_INVAL_DATA = 1 << 12
    DO_READDIRPLUS = 1 << 13
    READDIRPLUS_AUTO = 1 << 14
    ASYNC_DIO = 1 << 15
    WRITEBACK_CACHE = 1 << 16
    NO_OPEN_SUPPORT = 1 << 17
    PARALLEL_DIROPS = 1 << 18
    HANDLE_KILLPRIV = 1 << 19
    POSIX_ACL = 1 << 20
    ABORT_ERROR = 1 << 21
    MAX_PAGES = 1 << 22
    CACHE_SYMLINKS = 1 << 23
    NO_OPENDIR_SUPPORT = 1 << 24
    EXPLICIT_INVAL_DATA = 1 << 25
    HANDLE_KILLPRIV_V2 = 1 << 28
    SETXATTR_EXT = 1 << 29
    INIT_EXT = 1 << 30


class SetAttr(IntFlag):
    """Which fields of a SETATTR count."""

    MODE = 1 << 0
    UID = 1 << 1
    GID = 1 << 2
    SIZE = 1 << 3
    ATIME = 1 << 4
    MTIME = 1 << 5
    ATIME_NOW = 1 << 7
    MTIME_NOW = 1 << 8
    KILL_SUIDGID = 1 << 11


class Notice(IntEnum):
    """What a server may tell the kernel unasked (enum fuse_notify_code)."""

    INVAL_INODE = 2
    INVAL_ENTRY = 3
    DELETE = 6


FOPEN_KEEP_CACHE = 1 << 1
"""Reply flag of OPEN and CREATE: the cached pages of the file stay."""
FOPEN_CACHE_DIR = 1 << 3
"""Reply flag of OPENDIR: the kernel may keep the listing."""

SETXATTR_ACL_KILL_SGID = 1 << 0
"""SETXATTR: an access list takes the set-gid bit away."""

WRITE_CACHE = 1 << 0
"""WRITE: a page that was changed in memory; who changed it is unknown."""
WRITE_KILL_SUIDGID = 1 << 2
"""WRITE: take the set-id bits away."""

MIN_READ_BUFFER = 8192
"""Smallest buffer with which the kernel lets a server read, in bytes."""

PROTOCOL_MAJOR = 7
PROTOCOL_MINOR = 45
"""The newest version that this description was made from; the two ends use the smaller minor."""
PROTOCOL_MINOR_MIN = 31
"""The oldest minor that is served: that of Linux 5.4."""
