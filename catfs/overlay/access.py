"""Access control lists of a view: what setting one changes, and what new files inherit.

The kernel checks access by them (it asks for a list once and keeps it); everything else is the
server's affair. The log says what came of it, as plain changes of modes and attributes, so whoever
replays it needs no rules. Where the transport cannot let the kernel check, there are no lists.
"""

import stat
from errno import EACCES, EOPNOTSUPP

from catfs.overlay.access_list import (
    ACCESS_LIST,
    DEFAULT_LIST,
    is_minimal,
    mode_of,
    pack_access_list,
    parse_access_list,
    with_mode,
    within_mode,
)
from catfs.overlay.attributes import AttributeChanges, Attributes
from catfs.overlay.nodes import Actor, Directory, Node, Symlink, error_of
from catfs.values import dataclass

_LISTS = frozenset({ACCESS_LIST, DEFAULT_LIST})


@dataclass(frozen=True, slots=True)
class Heritage:
    """What something new gets from the directory that it is made in.

    Args:
        mode: Its permission bits.
        lists: Its access lists, by attribute.
    """

    mode: int
    lists: tuple[tuple[bytes, bytes], ...] = ()


class Access(Attributes):
    """The operations on attributes where access lists play a part."""

    access_lists = False
    """Whether the kernel checks access by lists; the transport says so."""

    def getxattr(self, ino: int, name: bytes) -> bytes:
        """Give the value of an extended attribute.

        Raises:
            OSError: EOPNOTSUPP for access lists where there are none, and as of `Attributes`.
        """
        self._check_lists(name)
        return super().getxattr(ino, name)

    def listxattr(self, ino: int) -> list[bytes]:
        """Give the names of all extended attributes."""
        names = super().listxattr(ino)
        return names if self.access_lists else [name for name in names if name not in _LISTS]

    def setxattr(
        self, ino: int, name: bytes, value: bytes, flags: int, actor: Actor, *, kill_set_gid: bool = False
    ) -> None:
        """Set an extended attribute; an access list changes the mode with it.

        Args:
            kill_set_gid: Whether a list takes the set-gid bit, because its setter is not of the group.

        Raises:
            OSError: EOPNOTSUPP for access lists where there are none, EINVAL for what is no list,
                EACCES for a default list of anything but a directory, and as of `Attributes`.
        """
        self._check_lists(name)
        if name not in _LISTS:
            super().setxattr(ino, name, value, flags, actor)
            return
        node = self.node(ino)
        if isinstance(node, Symlink):
            raise error_of(EOPNOTSUPP)
        entries = parse_access_list(value)
        if name == DEFAULT_LIST:
            if not isinstance(node, Directory):
                raise error_of(EACCES)
            super().setxattr(ino, name, value, 0, actor)
            return
        mode = node.mode & 0o7000 | mode_of(entries)
        if kill_set_gid:
            mode &= ~stat.S_ISGID
        if not is_minimal(entries):
            super().setxattr(ino, name, value, 0, actor)
        elif name in self.xattrs_of(node):
            super().removexattr(ino, name, actor)
        if mode != stat.S_IMODE(node.mode):
            super().setattr(ino, AttributeChanges(mode=mode), actor)

    def removexattr(self, ino: int, name: bytes, actor: Actor) -> None:
        """Remove an extended attribute. The mode stays when an access list goes; none may be there.

        Raises:
            OSError: EOPNOTSUPP for access lists where there are none, and as of `Attributes`.
        """
        self._check_lists(name)
        if name not in _LISTS or name in self.xattrs_of(self.node(ino)):
            super().removexattr(ino, name, actor)

    def setattr(self, ino: int, changes: AttributeChanges, actor: Actor) -> Node:
        """Change attributes; a new mode changes the access list with it. Errors as of `Attributes`."""
        node = super().setattr(ino, changes, actor)
        if changes.mode is not None and self.access_lists:
            before = self.xattrs_of(node).get(ACCESS_LIST)
            if before is not None:
                after = pack_access_list(with_mode(parse_access_list(before), node.mode))
                if after != before:
                    super().setxattr(ino, ACCESS_LIST, after, 0, actor)
        return node

    def heritage(self, parent: int, mode: int, umask: int) -> Heritage:
        """Give what something new gets: from the default list of its directory, or else from the umask.

        Args:
            parent: Inode number of the directory.
            mode: Kind and permission bits that were asked for, the umask not taken off.
            umask: The bits that the process wants to be without.

        Raises:
            OSError: ENOTDIR, ESTALE, or what reading the lower raises.
        """
        directory = self.directory(parent)
        inherited = self.xattrs_of(directory).get(DEFAULT_LIST) if self.access_lists else None
        if inherited is None:
            return Heritage(mode & ~umask)
        entries = within_mode(parse_access_list(inherited), mode)
        lists = [] if is_minimal(entries) else [(ACCESS_LIST, pack_access_list(entries))]
        if stat.S_ISDIR(mode):
            lists.append((DEFAULT_LIST, inherited))
        return Heritage(mode & ~0o777 | mode_of(entries), tuple(lists))

    def bequeath(self, node: Node, heritage: Heritage, actor: Actor) -> None:
        """Give something new the access lists that it gets."""
        for name, value in heritage.lists:
            super().setxattr(node.ino, name, value, 0, actor)

    def _check_lists(self, name: bytes) -> None:
        """Refuse access lists where the kernel does not check access by them."""
        if name in _LISTS and not self.access_lists:
            raise error_of(EOPNOTSUPP)
