"""What every handler shares: the form of a handler, names in requests, who asks, and refusals."""

from collections import deque
from collections.abc import Callable

from catfs.errors import FormatError
from catfs.overlay.nodes import Actor, Node
from catfs.overlay.transports.devfuse.listing import Listing
from catfs.overlay.transports.devfuse.packing import entry_of
from catfs.overlay.view import View

Handler = Callable[[int, Actor, memoryview], bytes | None]
"""Answers one kind of request, from (node id, who asks, what follows the header).

It gives what follows the header of the reply, b"" for nothing and None for no reply at all. It raises
OSError to refuse, and FormatError or struct.error for a message that is not what the protocol says.
"""

_ACTORS_MAX = 4096
"""Most callers that are remembered, so that the same one is not described anew for each request."""


class MalformedError(FormatError):
    """A request does not have the form that the protocol gives it."""


def names_of(body: memoryview, offset: int, count: int) -> list[bytes]:
    """Give the names at the end of a request.

    Args:
        body: What follows the header.
        offset: Where the first name starts.
        count: How many there must be, each ended by a NUL byte.

    Raises:
        MalformedError: when there are more or fewer, or an empty one.
    """
    names = bytes(body[offset:]).split(b"\0")
    if len(names) != count + 1 or names.pop() or not all(names):
        raise MalformedError("request", f"expected {count} names, each ended by a NUL byte")
    return names


def name_of(body: memoryview, offset: int = 0) -> bytes:
    """Give the one name at the end of a request.

    Raises:
        MalformedError: when it is missing, empty, holds a NUL byte or is not ended by one.
    """
    name = bytes(body[offset:])
    if name.find(0) != len(name) - 1 or len(name) < 2:
        raise MalformedError("request", "expected one name, ended by a NUL byte")
    return name[:-1]


class Requests:
    """The state that handlers share.

    Args:
        view: Answers everything.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.listings: dict[int, Listing] = {}
        """Order of the names of each directory that was read, by inode number."""
        self.last_writers: dict[int, Actor] = {}
        """Who last changed the content of a file, by inode number: pages that were changed in memory
        are written by the kernel, which does not say for whom."""
        self.forgotten: deque[tuple[int, int]] = deque()
        """What the kernel has forgotten and nobody has seen to yet: inode number, and how many references."""
        self._actors: dict[tuple[int, int, int], Actor] = {}

    def actor(self, pid: int, uid: int, gid: int) -> Actor:
        """Give the description of a caller."""
        key = (pid, uid, gid)
        known = self._actors.get(key)
        if known is None:
            if len(self._actors) >= _ACTORS_MAX:
                self._actors.clear()
            known = self._actors[key] = Actor(pid, uid, gid)
        return known

    @staticmethod
    def give(node: Node) -> bytes:
        """Give a node to the kernel, which from now on holds one more reference to it."""
        node.lookups += 1
        return entry_of(node)
