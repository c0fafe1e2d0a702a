"""A view and a real directory side by side: every operation is done on both, with the same outcome."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from catfs.linux import FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE, renameat2
from catfs.overlay import View
from catfs.overlay.attributes import AttributeChanges
from catfs.overlay.nodes import Directory, File
from tests.support.views import ACTOR, node_at, split

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Open:
    """A file that is open on both sides.

    Args:
        number: The view's handle.
        descriptor: The real descriptor.
        ino: Inode number in the view.
    """

    number: int
    descriptor: int
    ino: int


def outcome(action: Callable[[], _Answer]) -> tuple[_Answer | None, str]:
    """Give what an action answers, or the name of its errno."""
    try:
        return action(), ""
    except OSError as error:
        return None, errno.errorcode[error.errno or 0]


class Twin:
    """A view and the real directory that it must behave like.

    Extended attributes are modelled by a dictionary, since not every file system has them.

    Args:
        view: The view.
        top: The real directory, at first with the content of the view's lower.
        xattrs: The extended attributes at first, by path.
    """

    def __init__(self, view: View, top: bytes, xattrs: dict[bytes, dict[bytes, bytes]]) -> None:
        self.view = view
        self.top = top
        self.open_files: list[Open] = []
        self._xattrs = {os.lstat(self.real(path)).st_ino: dict(found) for path, found in xattrs.items()}

    def close(self) -> None:
        """Close what is open."""
        while self.open_files:
            self.close_file(self.open_files[-1])

    def real(self, path: bytes) -> bytes:
        """Give the real path."""
        return self.top + b"/" + path if path else self.top

    def directories(self) -> list[bytes]:
        """Give the paths of all directories, sorted."""
        return sorted(folder[len(self.top) + 1 :] for folder, _, _ in os.walk(self.top))

    def paths(self) -> list[bytes]:
        """Give all paths but that of the top, sorted."""
        found = []
        for folder, directories, files in os.walk(self.top):
            found += [os.path.join(folder, name)[len(self.top) + 1 :] for name in (*directories, *files)]
        return sorted(found)

    def _both(self, native: Callable[[], object], viewed: Callable[[], _Answer]) -> _Answer | None:
        """Do something on both sides and compare how it ends; give the view's answer."""
        _, expected = outcome(native)
        answer, got = outcome(viewed)
        assert got == expected, f"the kernel answers {expected or 'success'}, the view {got or 'success'}"
        return answer

    def _make(self, path: bytes, native: Callable[[], object], viewed: Callable[[], object]) -> None:
        if self._both(native, viewed) is not None:
            self._xattrs.pop(os.lstat(self.real(path)).st_ino, None)  # the number may have been used before

    def create(self, path: bytes, mode: int) -> None:
        """Make a file that must be new."""

        def native() -> None:
            descriptor = os.open(self.real(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.fchmod(descriptor, mode)
            os.close(descriptor)

        self._make(path, native, lambda: self.view.create(*split(self.view, path), mode, ACTOR))

    def mkdir(self, path: bytes, mode: int) -> None:
        """Make a directory."""

        def native() -> None:
            os.mkdir(self.real(path))
            inherited = os.stat(self.real(path)).st_mode & stat.S_ISGID
            os.chmod(self.real(path), mode | inherited)

        self._make(path, native, lambda: self.view.mkdir(*split(self.view, path), mode, ACTOR))

    def fifo(self, path: bytes, mode: int) -> None:
        """Make a FIFO."""

        def native() -> None:
            os.mkfifo(self.real(path))
            os.chmod(self.real(path), mode)

        wanted = stat.S_IFIFO | mode
        self._make(path, native, lambda: self.view.mknod(*split(self.view, path), wanted, 0, ACTOR))

    def symlink(self, path: bytes, target: bytes) -> None:
        """Make a symlink."""
        self._make(
            path,
            lambda: os.symlink(target, self.real(path)),
            lambda: self.view.symlink(*split(self.view, path), target, ACTOR),
        )

    def link(self, existing: bytes, path: bytes) -> None:
        """Give a file one more name."""
        node = node_at(self.view, existing)
        self._both(
            lambda: os.link(self.real(existing), self.real(path), follow_symlinks=False),
            lambda: self.view.link(node.ino, *split(self.view, path), ACTOR),
        )

    def unlink(self, path: bytes) -> None:
        """Remove a name that should not be a directory's."""
        self._both(
            lambda: os.unlink(self.real(path)),
            lambda: self.view.unlink(*split(self.view, path), ACTOR),
        )

    def rmdir(self, path: bytes) -> None:
        """Remove a name that should be an empty directory's."""
        self._both(
            lambda: os.rmdir(self.real(path)),
            lambda: self.view.rmdir(*split(self.view, path), ACTOR),
        )

    def rename(self, path: bytes, new: bytes, flags: int) -> None:
        """Rename, replace or exchange."""
        self._both(
            lambda: renameat2(-1, self.real(path), -1, self.real(new), flags),
            lambda: self.view.rename(*split(self.view, path), *split(self.view, new), flags, ACTOR),
        )

    def open(self, path: bytes, flags: int) -> None:
        """Open a file or directory for reading and writing, the latter in vain; it stays open."""
        flags |= os.O_RDWR | os.O_CLOEXEC
        ino = node_at(self.view, path).ino
        descriptor, expected = outcome(lambda: os.open(self.real(path), flags))
        number, got = outcome(lambda: self.view.open(ino, flags, ACTOR))
        assert got == expected
        if number is not None and descriptor is not None:
            self.open_files.append(Open(number, descriptor, ino))

    def close_file(self, file: Open) -> None:
        """Close a file on both sides."""
        self.view.release(file.number)
        os.close(file.descriptor)
        self.open_files.remove(file)

    def write(self, file: Open, offset: int, data: bytes) -> None:
        """Write to an open file."""
        self._both(
            lambda: os.pwrite(file.descriptor, data, offset),
            lambda: self.view.write(file.number, offset, data),
        )

    def append(self, file: Open, data: bytes) -> None:
        """Write at the end of an open file."""
        self.write(file, os.fstat(file.descriptor).st_size, data)

    def truncate(self, file: Open, size: int) -> None:
        """Cut or extend an open file."""
        self._both(
            lambda: os.ftruncate(file.descriptor, size),
            lambda: self.view.setattr(file.ino, AttributeChanges(size=size), ACTOR),
        )

    def fallocate(self, file: Open, mode: int, offset: int, length: int) -> None:
        """Reserve, zero or punch a range; done with zeros where the file system may not know how."""
        node = self.view.getattr(file.ino)
        assert isinstance(node, File)
        size = os.fstat(file.descriptor).st_size
        if mode & ~FALLOC_FL_KEEP_SIZE:
            end = offset + length if mode == FALLOC_FL_ZERO_RANGE else min(offset + length, size)
            os.pwrite(file.descriptor, bytes(max(0, end - offset)), offset)
        elif not mode and offset + length > size:
            os.ftruncate(file.descriptor, offset + length)
        self.view.fallocate(node, mode, offset, length, ACTOR)

    def tmpfile(self, directory: bytes, mode: int) -> None:
        """Make an open file without a name, where the file system can."""
        descriptor, problem = outcome(
            lambda: os.open(self.real(directory), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
        )
        if descriptor is None:
            assert problem in {"EOPNOTSUPP", "EISDIR"}
            return
        os.fchmod(descriptor, mode)
        self._xattrs.pop(os.fstat(descriptor).st_ino, None)
        node = self.view.tmpfile(node_at(self.view, directory).ino, mode, ACTOR)
        self.open_files.append(Open(self.view.open(node.ino, os.O_RDWR, ACTOR), descriptor, node.ino))

    def link_open(self, file: Open, path: bytes) -> None:
        """Give an open file a name; one that has lost its last name gets none any more."""
        source = f"/proc/self/fd/{file.descriptor}"
        # With a descriptor, which an absolute path makes irrelevant, os.link follows the link in /proc.
        self._both(
            lambda: os.link(source, self.real(path), src_dir_fd=file.descriptor, follow_symlinks=True),
            lambda: self.view.link(file.ino, *split(self.view, path), ACTOR),
        )

    def copy_range(self, source: Open, offset: int, target: Open, target_offset: int, length: int) -> None:
        """Copy a range of an open file into another, or into the same one."""
        data = os.pread(source.descriptor, length, offset)
        overlaps = source.ino == target.ino and abs(offset - target_offset) < len(data)
        if data and not overlaps:
            os.pwrite(target.descriptor, data, target_offset)
        result, problem = outcome(
            lambda: self.view.copy_range(source.ino, offset, target.ino, target_offset, length, ACTOR)
        )
        assert problem == ("EINVAL" if overlaps else "")
        assert result in {None, len(data)}

    def compare_open(self, file: Open) -> None:
        """Compare the content and attributes of an open file, which may have no name any more."""
        status = os.fstat(file.descriptor)
        node = self.view.getattr(file.ino)
        got = (node.mode, node.nlink, node.size)
        assert got == (status.st_mode, status.st_nlink, status.st_size)
        content = os.pread(file.descriptor, status.st_size + 1, 0)
        assert self.view.read(file.number, 0, status.st_size + 1) == content

    def set_attributes(self, path: bytes, changes: AttributeChanges) -> None:
        """Change owner, mode or times of anything but the mode of a symlink."""
        real = self.real(path)
        ino = node_at(self.view, path).ino
        if changes.uid is not None and changes.gid is not None:
            os.chown(real, changes.uid, changes.gid, follow_symlinks=False)
        if changes.mode is not None:
            os.chmod(real, changes.mode)
        if changes.atime is not None and changes.mtime is not None:
            os.utime(real, ns=(changes.atime, changes.mtime), follow_symlinks=False)
        node = self.view.setattr(ino, changes, ACTOR)
        status = os.lstat(real)
        assert (node.mode, node.uid, node.gid) == (status.st_mode, status.st_uid, status.st_gid)
        if changes.mtime is not None:
            assert (node.atime, node.mtime) == (status.st_atime_ns, status.st_mtime_ns)

    def known_xattrs(self, path: bytes) -> dict[bytes, bytes]:
        """Give the extended attributes that a file must have."""
        return self._xattrs.setdefault(os.lstat(self.real(path)).st_ino, {})

    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> None:
        """Set an extended attribute of a file or directory."""
        known = self.known_xattrs(path)
        expected = ""
        if flags == os.XATTR_CREATE and name in known:
            expected = "EEXIST"
        elif flags == os.XATTR_REPLACE and name not in known:
            expected = "ENODATA"
        else:
            known[name] = value
        ino = node_at(self.view, path).ino
        assert outcome(lambda: self.view.setxattr(ino, name, value, flags, ACTOR))[1] == expected

    def removexattr(self, path: bytes, name: bytes) -> None:
        """Remove an extended attribute."""
        expected = "" if self.known_xattrs(path).pop(name, None) is not None else "ENODATA"
        ino = node_at(self.view, path).ino
        assert outcome(lambda: self.view.removexattr(ino, name, ACTOR))[1] == expected

    def compare_xattrs(self, path: bytes) -> None:
        """Compare the extended attributes of a file or directory."""
        node = node_at(self.view, path)
        got = {name: self.view.getxattr(node.ino, name) for name in self.view.listxattr(node.ino)}
        assert got == self.known_xattrs(path)

    def compare_listing(self, path: bytes) -> None:
        """Compare the names and kinds in a directory, and its link count with its sub-directories."""
        real = self.real(path)
        names = {name: stat.S_IFMT(os.lstat(os.path.join(real, name)).st_mode) for name in os.listdir(real)}
        node = node_at(self.view, path)
        assert isinstance(node, Directory)
        handle = self.view.opendir(node.ino, ACTOR)
        listed = self.view.read_directory(handle, 0)
        self.view.release(handle)
        assert [name for _, name, _ in listed[:2]] == [b".", b".."]
        assert {name: stat.S_IFMT(child.mode) for _, name, child in listed[2:]} == names
        below = sum(isinstance(child, Directory) for _, _, child in listed[2:])
        assert node.nlink in {1, 2 + below}  # 1 where the file system of the lower does not count
