"""The objects of a view: one node per inode, linked into a tree by names.

A node knows what it is in the view (its attributes) and, if it exists below, where it came from
(its origin). Nodes hold no rules; the rules are in the modules that change them.
"""

import os
import stat
from collections.abc import MutableMapping
from typing import NamedTuple

from catfs.overlay.extents import Extents
from catfs.values import dataclass


def error_of(code: int, name: bytes | None = None) -> OSError:
    """Give the error by which a view refuses a request.

    Args:
        code: The errno.
        name: The name that it is about, if that is known.
    """
    return OSError(code, os.strerror(code), name)


class LowerStat(NamedTuple):
    """What the lower says of one of its files. Times in nanoseconds, sizes in bytes."""

    mode: int
    ino: int
    dev: int
    nlink: int
    uid: int
    gid: int
    size: int
    blocks: int
    rdev: int
    atime: int
    mtime: int
    ctime: int

    def same_file(self, other: "LowerStat") -> bool:
        """Say whether nothing that a change would move has moved (access time aside)."""
        return (
            self[:3] == other[:3]  # mode, ino, dev
            and self[4:7] == other[4:7]  # uid, gid, size
            and self.rdev == other.rdev
            and self[10:] == other[10:]  # mtime, ctime
        )


class ListedName(NamedTuple):
    """What a listing says of a name that nobody has looked up: its inode number, and its kind as a mode."""

    ino: int
    mode: int


class Origin:
    """Where in the lower a node came from. It never changes, whatever the view does with the node.

    Args:
        parent: The origin of its directory; None for the root of a domain.
        name: Its name there; b"" for the root.
        lower_stat: What the lower said when the entry was scanned.
        domain: Index of the domain in the session.
    """

    __slots__ = ("domain", "lower_stat", "name", "parent")

    def __init__(self, parent: "Origin | None", name: bytes, lower_stat: LowerStat, domain: int) -> None:
        self.parent = parent
        self.name = name
        self.lower_stat = lower_stat
        self.domain = domain

    def names(self) -> list[bytes]:
        """Give the names on the way from the root of the domain, the root itself being []."""
        names = []
        here = self
        while here.parent is not None:
            names.append(here.name)
            here = here.parent
        names.reverse()
        return names

    def path(self) -> bytes:
        """Give the path relative to the domain; b"" for the root."""
        return b"/".join(self.names())


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf a change is made.

    Args:
        pid: Process (thread) id as the kernel reports it; 0 when the kernel itself acts.
        uid: User id.
        gid: Group id.
    """

    pid: int
    uid: int
    gid: int


SESSION_ACTOR = Actor(pid=0, uid=0, gid=0)
"""The session itself, for what no process asked for."""


class Node:
    """An inode of the view: the attributes that every kind has. Times in ns, sizes in bytes.

    `lookups` counts the references that the kernel holds, `opens` the open handles; `parent` and
    `name` are one of its names (None once it has none), `more_links` the others.
    """

    __slots__ = (
        "atime",
        "ctime",
        "gid",
        "ino",
        "last_path",
        "lookups",
        "mode",
        "more_links",
        "mtime",
        "name",
        "nlink",
        "opens",
        "origin",
        "parent",
        "rdev",
        "uid",
        "xattrs",
    )

    def __init__(self, ino: int, mode: int, uid: int, gid: int, now: int) -> None:
        self.ino = ino
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.atime = self.mtime = self.ctime = now
        self.nlink = 1
        self.rdev = 0
        self.lookups = 0
        self.opens = 0
        self.origin: Origin | None = None
        self.parent: Directory | None = None
        self.name = b""
        self.more_links: list[tuple[Directory, bytes]] | None = None
        self.last_path: tuple[int, bytes] | None = None
        """(domain, path) of the name that went last, for a node that has none any more."""
        self.xattrs: dict[bytes, bytes] | None = None
        """None means: as in the lower, or none at all for a node without origin."""

    @property
    def size(self) -> int:
        """Size in bytes, as stat reports it."""
        return 0

    @property
    def blocks(self) -> int:
        """Space taken, in units of 512 bytes."""
        return 0

    def take_lower_stat(self, lower_stat: LowerStat) -> None:
        """Take over the attributes of the lower file that this node stands for."""
        self.mode = lower_stat.mode
        self.uid = lower_stat.uid
        self.gid = lower_stat.gid
        self.nlink = lower_stat.nlink
        self.rdev = lower_stat.rdev
        self.atime = lower_stat.atime
        self.mtime = lower_stat.mtime
        self.ctime = lower_stat.ctime

    def links(self) -> list[tuple["Directory", bytes]]:
        """Give every known name of this node as (directory, name)."""
        known = [(self.parent, self.name)] if self.parent is not None else []
        return known + self.more_links if self.more_links else known

    def add_link(self, parent: "Directory", name: bytes) -> None:
        """Note one more name."""
        if self.parent is None:
            self.parent, self.name = parent, name
        elif self.more_links is None:
            self.more_links = [(parent, name)]
        else:
            self.more_links.append((parent, name))

    def drop_link(self, parent: "Directory", name: bytes) -> None:
        """Forget one name. The name stays readable for messages when it was the last."""
        if self.more_links and not (self.parent is parent and self.name == name):
            self.more_links.remove((parent, name))
        elif self.more_links:
            self.parent, self.name = self.more_links.pop()
        else:
            self.parent = None
        if not self.more_links:
            self.more_links = None


class Directory(Node):
    """A directory. `entries` is None until its lower entries have been loaded.

    `touched` holds the names below which the view may differ from the lower; it is complete: a
    name that is not in it is exactly as in the lower.
    """

    __slots__ = ("domain", "entries", "touched")

    def __init__(self, ino: int, mode: int, uid: int, gid: int, now: int) -> None:
        super().__init__(ino, stat.S_IFDIR | (mode & 0o7777), uid, gid, now)
        self.nlink = 2
        self.entries: MutableMapping[bytes, Node] | None = None
        self.touched: set[bytes] = set()
        self.domain: int | None = None
        """Index of the domain whose root this is; None for every other directory."""

    @property
    def size(self) -> int:
        """Size in bytes, as the lower has it; 4096 for a new one."""
        return self.origin.lower_stat.size if self.origin else 4096

    @property
    def blocks(self) -> int:
        """Space taken, in units of 512 bytes."""
        return self.origin.lower_stat.blocks if self.origin else 8


class File(Node):
    """A regular file. `extents` is None as long as its content is exactly the lower's.

    `rewrites` counts the writes that replaced bytes in place, so that ranges and content differ.
    """

    __slots__ = ("extents", "rewrites", "was_read")

    def __init__(
        self, ino: int, mode: int, uid: int, gid: int, now: int, origin: Origin | None = None
    ) -> None:
        super().__init__(ino, stat.S_IFREG | (mode & 0o7777), uid, gid, now)
        self.origin = origin
        self.extents: Extents | None = Extents() if origin is None else None
        self.was_read = False
        self.rewrites = 0

    @property
    def size(self) -> int:
        """Size in bytes."""
        if self.extents is not None:
            return self.extents.size
        return self.origin.lower_stat.size if self.origin else 0

    @property
    def blocks(self) -> int:
        """Space taken in the lower or in the data file, in units of 512 bytes; holes take none."""
        if self.extents is not None:
            return (self.extents.stored_bytes() + 511) // 512
        return self.origin.lower_stat.blocks if self.origin else 0


class Symlink(Node):
    """A symbolic link. `target` is None until it has been read from the lower."""

    __slots__ = ("target",)

    def __init__(self, ino: int, target: bytes | None, uid: int, gid: int, now: int) -> None:
        super().__init__(ino, stat.S_IFLNK | 0o777, uid, gid, now)
        self.target = target

    @property
    def size(self) -> int:
        """Length of the target, in bytes."""
        if self.target is None:
            return self.origin.lower_stat.size if self.origin else 0
        return len(self.target)


class Special(Node):
    """A FIFO, a socket or a device node: only attributes, the kernel does the rest."""

    __slots__ = ()

    def __init__(self, ino: int, mode: int, rdev: int, uid: int, gid: int, now: int) -> None:
        super().__init__(ino, mode, uid, gid, now)
        self.rdev = rdev


def node_from_lower(ino: int, origin: Origin) -> Node:
    """Make the node that stands for a file of the lower."""
    lower_stat = origin.lower_stat
    kind = stat.S_IFMT(lower_stat.mode)
    node: Node
    if kind == stat.S_IFDIR:
        node = Directory(ino, 0, 0, 0, 0)
    elif kind == stat.S_IFREG:
        node = File(ino, 0, 0, 0, 0, origin)
    elif kind == stat.S_IFLNK:
        node = Symlink(ino, None, 0, 0, 0)
    else:
        node = Special(ino, lower_stat.mode, lower_stat.rdev, 0, 0, 0)
    node.origin = origin
    node.take_lower_stat(lower_stat)
    return node
