"""Requests on directories: their listing, with or without what the names stand for."""

from collections.abc import Iterator

from catfs.limits import LISTED_NODES_MAX
from catfs.overlay.nodes import Actor, Directory, ListedName, Node
from catfs.overlay.transports.devfuse.listing import Listing
from catfs.overlay.transports.devfuse.packing import entry_of
from catfs.overlay.transports.devfuse.requests import Requests
from catfs.overlay.transports.devfuse.wire import DIRENT, ENTRY_OUT, READ_IN

_NO_ENTRY = bytes(ENTRY_OUT.size)
"""In place of an entry: the name counts, what it stands for is not given."""
_PADDING = [bytes(-length % 8) for length in range(8)]
_pack_name = DIRENT.pack


class DirectoryRequests(Requests):
    """The handlers of requests on directories."""

    def readdir(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """READDIR: names only."""
        _, position, size, _, _, _, _ = READ_IN.unpack_from(body)
        parts: list[bytes] = []
        directory = self.view.directory(nodeid)
        for after, name, node in self._stream(directory, position):
            length = len(name)
            part = _pack_name(node.ino, after, length, node.mode >> 12) + name + _PADDING[length & 7]
            size -= len(part)
            if size < 0:
                break
            parts.append(part)
        if not parts:
            self.view.listed(directory)
        return b"".join(parts)

    def readdirplus(self, nodeid: int, actor: Actor, body: memoryview) -> bytes | None:
        """READDIRPLUS: names with their nodes, which the kernel then need not look up."""
        _, position, size, _, _, _, _ = READ_IN.unpack_from(body)
        parts: list[bytes] = []
        directory = self.view.directory(nodeid)
        names_alone = self.view.known_to_kernel() > LISTED_NODES_MAX
        for after, name, node in self._stream(directory, position):
            length = len(name)
            part = _pack_name(node.ino, after, length, node.mode >> 12) + name + _PADDING[length & 7]
            size -= len(part) + ENTRY_OUT.size
            if size < 0:
                break
            if names_alone or isinstance(node, ListedName) or name in {b".", b".."}:
                parts.append(_NO_ENTRY)
            else:
                node.lookups += 1
                parts.append(entry_of(node))
            parts.append(part)
        if not parts:
            self.view.listed(directory)
        return b"".join(parts)

    def _stream(self, directory: Directory, position: int) -> Iterator[tuple[int, bytes, Node | ListedName]]:
        """Give (position behind it, name, node) of each entry behind a position."""
        if directory.nlink == 0:
            return
        entries = self.view.entries(directory)
        listing = self.listings.get(directory.ino)
        if listing is None:
            listing = self.listings[directory.ino] = Listing()
        if position == 0:
            listing.refresh(entries)
            yield 1, b".", directory
        if position <= 1:
            yield 2, b"..", directory.parent or directory
        yield from listing.behind(max(position, 2), entries)
