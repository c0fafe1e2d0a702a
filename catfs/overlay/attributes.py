"""Attributes and extended attributes of the nodes of a view."""

import os
import stat
from errno import E2BIG, EEXIST, EINVAL, EISDIR, ENODATA

from catfs.limits import TIME_NS_MAX, TIME_NS_MIN, XATTR_VALUE_BYTES_MAX
from catfs.overlay.files import Files, without_set_id_bits
from catfs.overlay.nodes import Actor, Directory, File, Node, Symlink, error_of
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class AttributeChanges:
    """What a setattr asks for; None means: leave it. Times in nanoseconds, size in bytes."""

    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    atime: int | None = None
    mtime: int | None = None


class Attributes(Files):
    """The operations on attributes. Each one is applied whole, or raises OSError and changes nothing."""

    def setattr(self, ino: int, changes: AttributeChanges, actor: Actor) -> Node:
        """Change attributes.

        Returns:
            The node with its new attributes.

        Raises:
            OSError: EISDIR or EINVAL for the size of something that is no file, EFBIG.
        """
        node = self.node(ino)
        if changes.size is not None:
            if not isinstance(node, File):
                raise error_of(EISDIR if isinstance(node, Directory) else EINVAL)
            self.truncate(node, changes.size, actor)
        facts = self._apply(node, changes)
        if facts:
            now = self.clock()
            node.ctime = now
            self.touch_node(node)
            self.record("setattr", self.place_of(node), node, actor, now, **facts)
        return node

    @staticmethod
    def _apply(node: Node, changes: AttributeChanges) -> dict[str, int]:
        """Change the attributes of a node.

        Returns:
            What the log has to say: every attribute that was set, by name.
        """
        facts: dict[str, int] = {}
        if changes.uid is not None or changes.gid is not None:
            node.uid = facts["uid"] = node.uid if changes.uid is None else changes.uid
            node.gid = facts["gid"] = node.gid if changes.gid is None else changes.gid
            if not isinstance(node, Directory) and without_set_id_bits(node.mode) != node.mode:
                node.mode = facts["mode"] = without_set_id_bits(node.mode)
        if changes.mode is not None:
            node.mode = facts["mode"] = stat.S_IFMT(node.mode) | (changes.mode & 0o7777)
        if changes.atime is not None:
            node.atime = facts["atime"] = _within_times(changes.atime)
        if changes.mtime is not None:
            node.mtime = facts["mtime"] = _within_times(changes.mtime)
        return facts

    def readlink(self, ino: int) -> bytes:
        """Give the target of a symlink.

        Raises:
            OSError: EINVAL for another kind, or what reading the lower raises.
        """
        node = self.node(ino)
        if not isinstance(node, Symlink):
            raise error_of(EINVAL)
        return self.link_target(node)

    def link_target(self, node: Symlink) -> bytes:
        """Give the target of a symlink, read from the lower at first use."""
        if node.target is None:
            assert node.origin is not None
            node.target = self.domains[node.origin.domain].lower.readlink(node.origin)
        return node.target

    def getxattr(self, ino: int, name: bytes) -> bytes:
        """Give the value of an extended attribute.

        Raises:
            OSError: ENODATA when there is none of that name.
        """
        try:
            return self.xattrs_of(self.node(ino))[name]
        except KeyError:
            raise error_of(ENODATA) from None

    def listxattr(self, ino: int) -> list[bytes]:
        """Give the names of all extended attributes."""
        return sorted(self.xattrs_of(self.node(ino)))

    def setxattr(self, ino: int, name: bytes, value: bytes, flags: int, actor: Actor) -> None:
        """Set an extended attribute.

        Args:
            flags: 0, XATTR_CREATE (must be new) or XATTR_REPLACE (must exist).

        Raises:
            OSError: EEXIST, ENODATA, E2BIG.
        """
        if len(value) > XATTR_VALUE_BYTES_MAX:
            raise error_of(E2BIG)
        node = self.node(ino)
        known = self.xattrs_of(node)
        if flags & os.XATTR_CREATE and name in known:
            raise error_of(EEXIST)
        if flags & os.XATTR_REPLACE and name not in known:
            raise error_of(ENODATA)
        now = self.clock()
        node.xattrs = known | {name: value}
        node.ctime = now
        self.touch_node(node)
        self.record("setxattr", self.place_of(node), node, actor, now, name=name, value=value)

    def removexattr(self, ino: int, name: bytes, actor: Actor) -> None:
        """Remove an extended attribute.

        Raises:
            OSError: ENODATA when there is none of that name.
        """
        node = self.node(ino)
        known = self.xattrs_of(node)
        if name not in known:
            raise error_of(ENODATA)
        now = self.clock()
        node.xattrs = {key: value for key, value in known.items() if key != name}
        node.ctime = now
        self.touch_node(node)
        self.record("removexattr", self.place_of(node), node, actor, now, name=name)

    def xattrs_of(self, node: Node) -> dict[bytes, bytes]:
        """Give the extended attributes of a node, read from the lower at first use."""
        if node.xattrs is None:
            found: dict[bytes, bytes] = {}
            if node.origin is not None and isinstance(node, File | Directory):
                found = self.domains[node.origin.domain].lower.xattrs(node.origin)
            node.xattrs = found
        return node.xattrs


def _within_times(time: int) -> int:
    """Give the nearest time that fits into 64 bits, as file systems do with times they cannot keep."""
    return max(TIME_NS_MIN, min(time, TIME_NS_MAX))
