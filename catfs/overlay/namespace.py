"""Names: making, linking, renaming and removing them, by the rules of POSIX.

Permission bits are checked by the kernel before it asks; what is checked here is everything else.
Renaming a directory moves one pointer: whatever lies below keeps its origin in the lower.
"""

import stat
from enum import IntFlag
from errno import EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EXDEV

from catfs.overlay.nodes import Actor, Directory, File, Node, Special, Symlink, error_of
from catfs.overlay.state import ViewState, check_name_length
from catfs.overlay.trace import Place

_SPECIAL_FORMATS = frozenset({stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK})


class RenameFlag(IntFlag):
    """The flags of renameat2 that a view knows."""

    NOREPLACE = 1
    EXCHANGE = 2
    WHITEOUT = 4
    """Leave a character device of number 0, a deletion to an overlayfs above, under the old name."""


_RENAME_FLAGS = frozenset({0, 1, 2, 4, 5})
"""What a rename may be asked for; plain numbers, because masking with a flag costs a microsecond."""


_WHITEOUT = int(RenameFlag.WHITEOUT)


class Namespace(ViewState):
    """The operations on names. Each one is applied whole, or raises OSError and changes nothing."""

    def create(self, parent: int, name: bytes, mode: int, actor: Actor) -> File:
        """Make an empty regular file.

        Args:
            parent: Inode number of the directory.
            name: The new name.
            mode: Permission bits, the umask already taken off.
            actor: On whose behalf.

        Raises:
            OSError: EEXIST, ENAMETOOLONG, ENOENT when the directory was removed, EPERM for a
                reserved name.
        """
        directory = self._directory_for_new_name(parent, name)
        now = self.clock()
        node = File(self.fresh_inode(), mode, actor.uid, self._group_for(directory, actor), now)
        self._add(directory, name, node, now)
        self._record_new("create", directory, name, node, actor, now)
        return node

    def mkdir(self, parent: int, name: bytes, mode: int, actor: Actor) -> Directory:
        """Make an empty directory; arguments and errors as for `create`."""
        directory = self._directory_for_new_name(parent, name)
        now = self.clock()
        if directory.mode & stat.S_ISGID:
            mode |= stat.S_ISGID
        node = Directory(self.fresh_inode(), mode, actor.uid, self._group_for(directory, actor), now)
        node.entries = {}
        self._add(directory, name, node, now)
        self._record_new("mkdir", directory, name, node, actor, now)
        return node

    def mknod(self, parent: int, name: bytes, mode: int, rdev: int, actor: Actor) -> Node:
        """Make a node of the kind that the format bits of `mode` name; otherwise as `create`.

        Args:
            rdev: Device number, for device nodes.

        Raises:
            OSError: EPERM for a directory, EINVAL for a symlink or no kind at all, and as `create`.
        """
        if stat.S_ISREG(mode) or not stat.S_IFMT(mode):
            return self.create(parent, name, mode, actor)
        if stat.S_ISDIR(mode):
            raise error_of(EPERM, name)
        if stat.S_IFMT(mode) not in _SPECIAL_FORMATS:
            raise error_of(EINVAL, name)
        directory = self._directory_for_new_name(parent, name)
        now = self.clock()
        group = self._group_for(directory, actor)
        node = Special(self.fresh_inode(), mode, rdev, actor.uid, group, now)
        self._add(directory, name, node, now)
        self._record_new("mknod", directory, name, node, actor, now)
        return node

    def symlink(self, parent: int, name: bytes, target: bytes, actor: Actor) -> Symlink:
        """Make a symbolic link; otherwise as `create`.

        Args:
            target: What it points at, any bytes without NUL.
        """
        directory = self._directory_for_new_name(parent, name)
        now = self.clock()
        node = Symlink(self.fresh_inode(), target, actor.uid, self._group_for(directory, actor), now)
        self._add(directory, name, node, now)
        place = self.place(directory, name)
        self.record("symlink", place, node, actor, now, path2=target, uid=node.uid, gid=node.gid)
        return node

    def link(self, ino: int, parent: int, name: bytes, actor: Actor) -> Node:
        """Give a file one more name.

        Raises:
            OSError: EPERM for a directory, EXDEV for another domain, ENOENT when the file has no
                name any more, and as `create`.
        """
        node = self.node(ino)
        directory = self._directory_for_new_name(parent, name)
        if isinstance(node, Directory):
            raise error_of(EPERM, name)
        if node.nlink == 0 and node not in self.unnamed:
            raise error_of(ENOENT, name)
        source = self.place_of(node)
        place = self.place(directory, name)
        if source.domain != place.domain:
            raise error_of(EXDEV, name)
        now = self.clock()
        self._add(directory, name, node, now)
        self.unnamed.discard(node)
        node.nlink += 1
        node.ctime = now
        self.touch_node(node)
        self.trace.append("link", source, node.ino, actor, now, {"path2": place.path})
        return node

    def unlink(self, parent: int, name: bytes, actor: Actor) -> Node:
        """Remove the name of anything but a directory.

        Returns:
            The node, which lives on while it has other names, handles or kernel references.

        Raises:
            OSError: ENOENT, EISDIR.
        """
        directory, node = self._existing(parent, name)
        if isinstance(node, Directory):
            raise error_of(EISDIR, name)
        now = self.clock()
        place = self.place(directory, name)
        self._unlink_node(directory, name, node, now)
        self.record("unlink", place, node, actor, now)
        self.drop_if_unused(node)
        return node

    def rmdir(self, parent: int, name: bytes, actor: Actor) -> Directory:
        """Remove an empty directory.

        Returns:
            The directory, which lives on while it has handles or kernel references.

        Raises:
            OSError: ENOENT, ENOTDIR, ENOTEMPTY, EBUSY for a directory above the reserved name.
        """
        directory, node = self._existing(parent, name)
        if not isinstance(node, Directory):
            raise error_of(ENOTDIR, name)
        if node.domain is not None:
            raise error_of(EPERM, name)
        if self.entries(node):
            raise error_of(ENOTEMPTY, name)
        now = self.clock()
        place = self.place(directory, name)
        self._check_reserved(node, place)
        self._remove_directory(directory, name, node, now)
        self.record("rmdir", place, node, actor, now)
        self.drop_if_unused(node)
        return node

    def rename(
        self, parent: int, name: bytes, new_parent: int, new_name: bytes, flags: int, actor: Actor
    ) -> None:
        """Rename, replace or exchange.

        Args:
            flags: 0, one of RenameFlag, or NOREPLACE and WHITEOUT together.

        Raises:
            OSError: ENOENT, EEXIST with NOREPLACE, EISDIR, ENOTDIR, ENOTEMPTY, EINVAL for other
                flags and for a directory that would move below itself, EXDEV for another domain,
                EBUSY for a directory above the reserved name.
        """
        if flags not in _RENAME_FLAGS:
            raise error_of(EINVAL, name)
        flags, leaves_whiteout = flags & ~_WHITEOUT, flags & _WHITEOUT
        exchange = flags == RenameFlag.EXCHANGE
        directory, node = self._existing(parent, name)
        target_directory = self.directory(new_parent)
        self._check_new_name(target_directory, new_name)
        target = self.entries(target_directory).get(new_name)
        source_place = self.place(directory, name)
        target_place = self.place(target_directory, new_name)
        domain_roots = [n for n in (node, target) if isinstance(n, Directory) and n.domain is not None]
        if source_place.domain != target_place.domain or domain_roots:
            raise error_of(EXDEV, name)
        if flags == RenameFlag.NOREPLACE and target is not None:
            raise error_of(EEXIST, new_name)
        if exchange and target is None:
            raise error_of(ENOENT, new_name)
        self._check_reserved(node, source_place)
        self._check_reserved(target, target_place)
        self._check_depth(directory, node, target_directory, target, flags)
        if target is node:
            return
        if not exchange and target is not None:
            self._check_replace(node, target, new_name)
        now = self.clock()
        if exchange and target is not None:
            self._exchange(directory, name, node, target_directory, new_name, target)
            target.ctime = now
        else:
            self._move(directory, name, node, target_directory, new_name, target, now)
        node.ctime = now
        for changed in (directory, target_directory):
            changed.mtime = changed.ctime = now
        facts: dict[str, object] = {"path2": target_place.path, "flags": int(flags)}
        if target is not None:
            facts["ino2"] = target.ino
        self.record("rename", source_place, node, actor, now, **facts)
        if target is not None:
            self.drop_if_unused(target)
        if leaves_whiteout:
            self.mknod(parent, name, stat.S_IFCHR, 0, actor)

    def _existing(self, parent: int, name: bytes) -> tuple[Directory, Node]:
        directory = self.directory(parent)
        check_name_length(name)
        node = self.entries(directory).get(name)
        if node is None:
            raise error_of(ENOENT, name)
        return directory, node

    def _check_new_name(self, directory: Directory, name: bytes) -> None:
        """Refuse a name that may not be made in a directory, whether or not it is taken."""
        check_name_length(name)
        if b"/" in name or b"\0" in name or name in {b".", b".."}:
            raise error_of(EINVAL, name)
        if directory.nlink == 0:
            raise error_of(ENOENT, name)
        if directory.domain is None and directory.parent is None:
            raise error_of(EPERM, name)  # the directory that joins the domains
        if name in self.reserved_names:  # so that a path is only made for these few
            domain, path = self.place(directory, name)
            if path == self.domains[domain].reserved:
                raise error_of(EPERM, name)

    def _check_reserved(self, node: Node | None, place: Place) -> None:
        """Refuse to move or remove a directory above the reserved name, which would free that name."""
        reserved = self.domains[place.domain].reserved
        if isinstance(node, Directory) and reserved is not None and reserved.startswith(place.path + b"/"):
            raise error_of(EBUSY)

    def _directory_for_new_name(self, parent: int, name: bytes) -> Directory:
        directory = self.directory(parent)
        self._check_new_name(directory, name)
        if name in self.entries(directory):
            raise error_of(EEXIST, name)
        return directory

    @staticmethod
    def _group_for(directory: Directory, actor: Actor) -> int:
        """Give the group of a new name: the directory's where its set-gid bit says so."""
        return directory.gid if directory.mode & stat.S_ISGID else actor.gid

    def _add(self, directory: Directory, name: bytes, node: Node, now: int) -> None:
        """Bind a name and note the change of the directory."""
        self.entries(directory)[name] = node
        node.add_link(directory, name)
        self.nodes[node.ino] = node
        if isinstance(node, Directory):
            _count_subdirectory(directory, 1)
        directory.mtime = directory.ctime = now
        self.touch(directory, name)

    def _record_new(
        self, op: str, directory: Directory, name: bytes, node: Node, actor: Actor, now: int
    ) -> None:
        facts = {"mode": node.mode, "uid": node.uid, "gid": node.gid}
        if node.rdev:
            facts["rdev"] = node.rdev
        self.record(op, self.place(directory, name), node, actor, now, **facts)

    def _unlink_node(self, directory: Directory, name: bytes, node: Node, now: int) -> None:
        """Take one name from a file; its other names differ from the lower in their link count."""
        self.touch_node(node)
        if not node.more_links:  # other names may exist that were never looked up
            node.last_path = self.place(directory, name)
        del self.entries(directory)[name]
        node.drop_link(directory, name)
        node.nlink -= 1
        node.ctime = directory.mtime = directory.ctime = now

    def _remove_directory(self, directory: Directory, name: bytes, node: Directory, now: int) -> None:
        node.last_path = self.place(directory, name)
        self.touch(directory, name)
        del self.entries(directory)[name]
        node.drop_link(directory, name)
        node.nlink = 0
        _count_subdirectory(directory, -1)
        node.ctime = directory.mtime = directory.ctime = now

    @staticmethod
    def _check_depth(
        directory: Directory, node: Node, target_directory: Directory, target: Node | None, flags: int
    ) -> None:
        """Refuse to move a directory below itself, and to replace one by what lies below it."""
        if isinstance(node, Directory) and _is_below(target_directory, node):
            raise error_of(EINVAL)
        if isinstance(target, Directory) and _is_below(directory, target):
            raise error_of(EINVAL if flags & RenameFlag.EXCHANGE else ENOTEMPTY)

    def _check_replace(self, node: Node, target: Node, new_name: bytes) -> None:
        if isinstance(target, Directory):
            if not isinstance(node, Directory):
                raise error_of(EISDIR, new_name)
            if self.entries(target):
                raise error_of(ENOTEMPTY, new_name)
        elif isinstance(node, Directory):
            raise error_of(ENOTDIR, new_name)

    def _move(
        self,
        directory: Directory,
        name: bytes,
        node: Node,
        target_directory: Directory,
        new_name: bytes,
        target: Node | None,
        now: int,
    ) -> None:
        """Let a node have another name; what had that name loses it."""
        if isinstance(target, Directory):
            self._remove_directory(target_directory, new_name, target, now)
        elif target is not None:
            self._unlink_node(target_directory, new_name, target, now)
        self.touch(directory, name)
        del self.entries(directory)[name]
        node.drop_link(directory, name)
        self._bind_moved(target_directory, new_name, node)
        if isinstance(node, Directory) and directory is not target_directory:
            _count_subdirectory(directory, -1)
            _count_subdirectory(target_directory, 1)

    def _exchange(
        self,
        directory: Directory,
        name: bytes,
        node: Node,
        target_directory: Directory,
        new_name: bytes,
        target: Node,
    ) -> None:
        node.drop_link(directory, name)
        target.drop_link(target_directory, new_name)
        self._bind_moved(directory, name, target)
        self._bind_moved(target_directory, new_name, node)
        if directory is not target_directory:
            change = isinstance(target, Directory) - isinstance(node, Directory)
            _count_subdirectory(directory, change)
            _count_subdirectory(target_directory, -change)

    def _bind_moved(self, directory: Directory, name: bytes, node: Node) -> None:
        self.entries(directory)[name] = node
        node.add_link(directory, name)
        self.touch(directory, name)


def _is_below(directory: Directory, ancestor: Directory) -> bool:
    """Say whether a directory is another one or lies below it."""
    here: Directory | None = directory
    while here is not None:
        if here is ancestor:
            return True
        here = here.parent
    return False


def _count_subdirectory(directory: Directory, change: int) -> None:
    """Keep the link count of a directory, which counts its sub-directories on most file systems.

    A count of 1 (btrfs) means that it is not kept.
    """
    if directory.nlink >= 2:
        directory.nlink += change
