"""The Linux system calls that Python 3.11 lacks, as thin typed functions.

Each one does what the call of the same name does and nothing more. A failing call raises OSError with
its errno and with the name of the call in front of the message, for example
`[Errno 18] openat2: Invalid cross-device link: b'../x'`. A call that a signal breaks off is repeated,
as in `os`.
"""

import ctypes
import errno
import os
import platform
from typing import Final

RESOLVE_NO_XDEV: Final = 0x01
"""openat2: do not cross mount points."""
RESOLVE_NO_MAGICLINKS: Final = 0x02
"""openat2: do not follow the links of /proc that jump."""
RESOLVE_NO_SYMLINKS: Final = 0x04
"""openat2: follow no symlink in any component of the path."""
RESOLVE_BENEATH: Final = 0x08
"""openat2: refuse every path that leaves the directory it starts from."""

RENAME_NOREPLACE: Final = 0x1
"""renameat2: fail with EEXIST where the new name is taken."""
RENAME_EXCHANGE: Final = 0x2
"""renameat2: swap the two names in one step."""
RENAME_WHITEOUT: Final = 0x4
"""renameat2: leave a whiteout, a character device of number 0, under the old name."""

CLONE_NEWNS: Final = 0x00020000
"""unshare, setns: the mount namespace."""
CLONE_NEWUSER: Final = 0x10000000
"""unshare, setns: the user namespace."""
CLONE_NEWPID: Final = 0x20000000
"""unshare, setns: the process namespace, entered by the children."""

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
"""mount: set-id bits and file capabilities have no effect."""
MS_NODEV: Final = 0x4
"""mount: device nodes cannot be opened."""
MS_NOATIME: Final = 0x400
"""mount: reading does not touch access times."""
MS_BIND: Final = 0x1000
"""mount: show a directory a second time."""
MS_REC: Final = 0x4000
"""mount: with MS_BIND or a propagation flag, for every mount below as well."""
MS_PRIVATE: Final = 1 << 18
"""mount: neither give mount events nor take them."""

MNT_FORCE: Final = 1
MNT_DETACH: Final = 0x2
"""umount2: out of sight now, gone when nobody uses it."""
UMOUNT_NOFOLLOW: Final = 0x8
"""umount2: the target must not be a symlink."""

FALLOC_FL_KEEP_SIZE: Final = 0x01
"""fallocate: the file size stays as it is."""
FALLOC_FL_PUNCH_HOLE: Final = 0x02
"""fallocate: give the range back; goes together with FALLOC_FL_KEEP_SIZE."""
FALLOC_FL_COLLAPSE_RANGE: Final = 0x08
"""fallocate: cut the range out of the file."""
FALLOC_FL_ZERO_RANGE: Final = 0x10
"""fallocate: make the range read as zeros."""

AT_FDCWD: Final = -100
"""In place of a directory descriptor: the working directory."""

_OPENAT2_NUMBER: Final = 437
"""The same on every architecture, as for all calls numbered since Linux 5.1."""
_RENAMEAT2_NUMBERS: Final = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "loongarch64": 276}

_KCMP_NUMBERS: Final = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "loongarch64": 272}
_KCMP_VM: Final = 1

_PR_SET_PDEATHSIG: Final = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """struct open_how of linux/openat2.h: three unsigned 64-bit words."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


# glibc 2.36 has no openat2, and musl no renameat2: both go through syscall(2), once per signature.
_syscall_openat2 = ctypes.CFUNCTYPE(
    ctypes.c_long,
    *(ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t),
    use_errno=True,
)(("syscall", _LIBC))
_syscall_renameat2 = ctypes.CFUNCTYPE(
    ctypes.c_long,
    *(ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint),
    use_errno=True,
)(("syscall", _LIBC))
_syscall_kcmp = ctypes.CFUNCTYPE(
    ctypes.c_long,
    *(ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong),
    use_errno=True,
)(("syscall", _LIBC))

_LIBC.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
_LIBC.prctl.restype = ctypes.c_int
_LIBC.unshare.argtypes = (ctypes.c_int,)
_LIBC.unshare.restype = ctypes.c_int
_LIBC.setns.argtypes = (ctypes.c_int, ctypes.c_int)
_LIBC.setns.restype = ctypes.c_int
_LIBC.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_LIBC.mount.restype = ctypes.c_int
_LIBC.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_LIBC.umount2.restype = ctypes.c_int
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_LIBC.fallocate.restype = ctypes.c_int
_LIBC.syncfs.argtypes = (ctypes.c_int,)
_LIBC.syncfs.restype = ctypes.c_int


def openat2(dirfd: int, path: bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open a path relative to a directory under rules for how it may be resolved; closed on exec.

    Args:
        dirfd: Directory descriptor that the path starts from, or AT_FDCWD.
        path: The path, shorter than PATH_MAX.
        flags: O_* flags; O_CLOEXEC is added. The kernel refuses unknown ones with EINVAL.
        mode: Permission bits for O_CREAT and O_TMPFILE; must be 0 without them.
        resolve: RESOLVE_* flags.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: EXDEV for a path that would leave `dirfd` under RESOLVE_BENEATH, ELOOP for a
            symlink under RESOLVE_NO_SYMLINKS, and whatever open raises.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    _check_text("openat2", path)
    while True:
        result: int = _syscall_openat2(_OPENAT2_NUMBER, dirfd, path, ctypes.byref(how), ctypes.sizeof(how))
        if result >= 0:
            return result
        _raise_unless_interrupted("openat2", path)


def renameat2(olddirfd: int, old: bytes, newdirfd: int, new: bytes, flags: int = 0) -> None:
    """Rename, with RENAME_NOREPLACE or RENAME_EXCHANGE if asked for.

    Args:
        olddirfd: Directory descriptor that `old` starts from, or AT_FDCWD.
        old: The present path.
        newdirfd: Directory descriptor that `new` starts from, or AT_FDCWD.
        new: The path it gets.
        flags: RENAME_* flags.

    Raises:
        OSError: EEXIST under RENAME_NOREPLACE, ENOENT for a missing name, EINVAL where the file
            system does not know a flag, ENOSYS on a machine whose call number is not listed here.
    """
    _check_text("renameat2", old)
    _check_text("renameat2", new)
    number = _RENAMEAT2_NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"renameat2: no call number known for {platform.machine()}")
    while _syscall_renameat2(number, olddirfd, old, newdirfd, new, flags) != 0:
        _raise_unless_interrupted("renameat2", old, new)


def unshare(flags: int) -> None:
    """Move the calling process (for CLONE_NEWPID: its children) into new namespaces.

    Args:
        flags: CLONE_NEW* flags.

    Raises:
        OSError: EPERM without the right, EINVAL for CLONE_NEWUSER in a process with several threads.
    """
    while _LIBC.unshare(flags) != 0:
        _raise_unless_interrupted("unshare")


def setns(descriptor: int, flags: int = 0) -> None:
    """Move the calling thread into an existing namespace.

    Args:
        descriptor: A descriptor of /proc/PID/ns/NAME, or a process descriptor.
        flags: CLONE_NEW* flags that the namespace must be of; 0 for any.

    Raises:
        OSError: EPERM without the right, EINVAL where kind and flags disagree.
    """
    while _LIBC.setns(descriptor, flags) != 0:
        _raise_unless_interrupted("setns")


def mount(source: bytes, target: bytes, fstype: bytes | None, flags: int, data: bytes | None = None) -> None:
    """Mount a file system, or change a mount.

    Args:
        source: Device or directory; b"none" where it does not matter.
        target: Where it appears.
        fstype: Name of the file system; None for MS_BIND and propagation changes.
        flags: MS_* flags.
        data: Options of the file system, comma-separated, or None.

    Raises:
        OSError: EPERM without the right, EINVAL for options the file system refuses.
    """
    for text in (source, target, fstype, data):
        _check_text("mount", text)
    while _LIBC.mount(source, target, fstype, flags, data) != 0:
        _raise_unless_interrupted("mount", source, target)


def umount2(target: bytes, flags: int = 0) -> None:
    """Take a mount away.

    Args:
        target: Where it appears.
        flags: MNT_* and UMOUNT_* flags.

    Raises:
        OSError: EBUSY while it is in use, EINVAL when nothing is mounted there.
    """
    _check_text("umount2", target)
    while _LIBC.umount2(target, flags) != 0:
        _raise_unless_interrupted("umount2", target)


def fallocate(descriptor: int, mode: int, offset: int, length: int) -> None:
    """Reserve, punch, zero, cut out or insert a byte range of a file.

    Args:
        descriptor: A writable descriptor.
        mode: FALLOC_FL_* flags; 0 reserves the range and grows the file to its end.
        offset: First byte, from 0.
        length: Bytes, more than 0.

    Raises:
        OSError: EOPNOTSUPP where the file system cannot do it, ENOSPC, EINVAL for a bad range.
    """
    while _LIBC.fallocate(descriptor, mode, offset, length) != 0:
        _raise_unless_interrupted("fallocate")


def syncfs(descriptor: int) -> None:
    """Make everything on the file system that holds an open file durable.

    Args:
        descriptor: Any descriptor on that file system.

    Raises:
        OSError: EIO or ENOSPC when something could not be written since the last syncfs.
    """
    while _LIBC.syncfs(descriptor) != 0:
        _raise_unless_interrupted("syncfs")


def share_memory(first: int, second: int) -> bool:
    """Say whether two processes run in one and the same memory (kcmp with KCMP_VM).

    Args:
        first: Process or thread id.
        second: Another one.

    Raises:
        OSError: ESRCH when one is gone, EPERM without the right to look at both, ENOSYS where the kernel
            or this list of call numbers lacks the call.
    """
    number = _KCMP_NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"kcmp: no call number known for {platform.machine()}")
    while (order := int(_syscall_kcmp(number, first, second, _KCMP_VM, 0, 0))) < 0:
        _raise_unless_interrupted("kcmp")
    return order == 0


def set_parent_death_signal(number: int) -> None:
    """Ask for a signal when the parent process ends (PR_SET_PDEATHSIG); 0 asks for none.

    Args:
        number: The signal.

    Raises:
        OSError: EINVAL when there is no such signal.
    """
    if _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0):
        _raise_unless_interrupted("prctl")


def _check_text(call: str, text: bytes | None) -> None:
    """Refuse a NUL byte: C would take it for the end and act on another path."""
    if text is not None and b"\0" in text:
        raise OSError(errno.EINVAL, f"{call}: expected a text without NUL bytes", text)


def _raise_unless_interrupted(call: str, *paths: bytes) -> None:
    """Raise the OSError of the call that just failed; return when it is to be repeated."""
    number = ctypes.get_errno()
    if number == errno.EINTR:
        return
    message = f"{call}: {os.strerror(number)}"
    if len(paths) == 2:
        raise OSError(number, message, paths[0], None, paths[1])
    raise OSError(number, message, *paths)
