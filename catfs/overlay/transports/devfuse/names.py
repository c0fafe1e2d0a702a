"""Requests on names: looking up, making, linking, renaming, removing, forgetting."""

import stat

from catfs.overlay.nodes import Actor, Symlink
from catfs.overlay.transports.devfuse.packing import ABSENT
from catfs.overlay.transports.devfuse.requests import MalformedError, Requests, name_of, names_of
from catfs.overlay.transports.devfuse.wire import (
    BATCH_FORGET_IN,
    CREATE_IN,
    FOPEN_KEEP_CACHE,
    FORGET_IN,
    FORGET_ONE,
    LINK_IN,
    MKDIR_IN,
    MKNOD_IN,
    OPEN_OUT,
    RENAME2_IN,
    RENAME_IN,
)

_OPENED = OPEN_OUT.pack(0, FOPEN_KEEP_CACHE, 0)
"""Says that a new file is open. There are no handles: the kernel's reference keeps a node alive, and
since OPEN is refused no RELEASE is ever sent."""


_FORGOTTEN_AT_ONCE = 256
"""Nodes that are let go of between two requests: less than a millisecond."""

_FORGOTTEN_MAX = 1 << 17
"""Most that wait for a quiet moment: 15 MB. Beyond it as many are seen to as come."""


class NameRequests(Requests):
    """The handlers of requests on names."""

    def lookup(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """LOOKUP: what a name stands for; the answer that there is none is remembered too."""
        node = self.view.lookup(nodeid, name_of(body))
        return ABSENT if node is None else self.give(node)

    def forget(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """FORGET: the kernel drops references; there is no reply."""
        self._forget(nodeid, FORGET_IN.unpack_from(body)[0])
        return None

    def batch_forget(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """BATCH_FORGET: the same for many nodes."""
        count, _ = BATCH_FORGET_IN.unpack_from(body)
        if BATCH_FORGET_IN.size + count * FORGET_ONE.size > len(body):
            raise MalformedError("BATCH_FORGET", f"expected {count} entries, got {len(body)} bytes")
        end = BATCH_FORGET_IN.size + count * FORGET_ONE.size
        self.forgotten.extend(FORGET_ONE.iter_unpack(body[BATCH_FORGET_IN.size : end]))
        self.see_to_forgotten(_FORGOTTEN_AT_ONCE if len(self.forgotten) <= _FORGOTTEN_MAX else count)
        return None

    def see_to_forgotten(self, count: int = _FORGOTTEN_AT_ONCE) -> bool:
        """Let the view go of some of what the kernel has forgotten, and say whether there was anything.

        The kernel forgets a whole domain when it takes the mount away. Nobody needs the memory then, but
        a command would only be over once the last name had been seen to. So most waits for a quiet moment.

        Args:
            count: Most references that are dropped.
        """
        forgotten = self.forgotten
        was_there = bool(forgotten)
        while forgotten and count:
            self._forget(*forgotten.popleft())
            count -= 1
        return was_there

    def tidy_up(self) -> bool:
        """Do a piece of what can wait for a quiet moment, and say whether there was anything to do."""
        return self.see_to_forgotten() or self.view.freed.release_next()

    def _forget(self, ino: int, count: int) -> None:
        self.view.forget(ino, count)
        if ino in self.listings or ino in self.last_writers:
            node = self.view.nodes.get(ino)
            if node is None or node.lookups == 0:
                self.listings.pop(ino, None)
                self.last_writers.pop(ino, None)

    def create(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """CREATE: make a file and open it in one request."""
        _, mode, umask, _ = CREATE_IN.unpack_from(body)
        heritage = self.view.heritage(nodeid, mode, umask)
        node = self.view.create(nodeid, name_of(body, CREATE_IN.size), heritage.mode, actor)
        self.view.bequeath(node, heritage, actor)
        self.last_writers[node.ino] = actor
        return self.give(node) + _OPENED

    def tmpfile(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """TMPFILE: make a file without a name and open it."""
        _, mode, umask, _ = CREATE_IN.unpack_from(body)
        heritage = self.view.heritage(nodeid, mode, umask)
        node = self.view.tmpfile(nodeid, heritage.mode, actor)
        self.view.bequeath(node, heritage, actor)
        self.last_writers[node.ino] = actor
        return self.give(node) + _OPENED

    def mknod(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """MKNOD: make anything but a directory or a symlink."""
        mode, rdev, umask, _ = MKNOD_IN.unpack_from(body)
        heritage = self.view.heritage(nodeid, mode, umask)
        node = self.view.mknod(nodeid, name_of(body, MKNOD_IN.size), heritage.mode, rdev, actor)
        self.view.bequeath(node, heritage, actor)
        return self.give(node)

    def mkdir(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """MKDIR: make a directory."""
        mode, umask = MKDIR_IN.unpack_from(body)
        heritage = self.view.heritage(nodeid, stat.S_IFDIR | mode, umask)
        node = self.view.mkdir(nodeid, name_of(body, MKDIR_IN.size), heritage.mode, actor)
        self.view.bequeath(node, heritage, actor)
        return self.give(node)

    def symlink(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """SYMLINK: make a symbolic link."""
        name, target = names_of(body, 0, 2)
        return self.give(self.view.symlink(nodeid, name, target, actor))

    def link(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """LINK: give a file one more name."""
        (ino,) = LINK_IN.unpack_from(body)
        return self.give(self.view.link(ino, nodeid, name_of(body, LINK_IN.size), actor))

    def unlink(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """UNLINK: remove the name of anything but a directory."""
        self.view.unlink(nodeid, name_of(body), actor)
        return b""

    def rmdir(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """RMDIR: remove an empty directory."""
        self.view.rmdir(nodeid, name_of(body), actor)
        return b""

    def rename(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """RENAME: rename or replace."""
        (new_parent,) = RENAME_IN.unpack_from(body)
        old, new = names_of(body, RENAME_IN.size, 2)
        self.view.rename(nodeid, old, new_parent, new, 0, actor)
        return b""

    def rename2(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """RENAME2: rename without replacing, or exchange."""
        new_parent, flags, _ = RENAME2_IN.unpack_from(body)
        old, new = names_of(body, RENAME2_IN.size, 2)
        self.view.rename(nodeid, old, new_parent, new, flags, actor)
        return b""

    def readlink(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """READLINK: the target of a symbolic link, which the kernel then keeps."""
        node = self.view.nodes.get(nodeid)
        if isinstance(node, Symlink) and node.target is not None:
            return node.target
        return self.view.readlink(nodeid)
