"""The view: the merged directory that programs see.

Rules only. A view knows no kernel types, waits for nothing and gets no path from the root: it is
asked for a parent inode and a name, answers from memory, and tells the trace of every change.
One thread owns it. Its parts:

- `state`: inodes, handles, loading from the lower
- `namespace`: names
- `files`: content and handles
- `attributes`: attributes and extended attributes
- `access`: access control lists
- `ranges`: copying ranges, finding data and holes
- `unnamed`: files without a name
- `forgetting`: letting go of what nobody needs
"""

from catfs.overlay.access import Access
from catfs.overlay.forgetting import Forgetting
from catfs.overlay.nodes import Node
from catfs.overlay.ranges import Ranges
from catfs.overlay.unnamed import Unnamed


class View(Unnamed, Access, Ranges, Forgetting):
    """A copy-on-write view of one or more domains; see the modules of its parts for the operations."""

    def lookup(self, parent: int, name: bytes) -> Node | None:
        """Give what a name in a directory stands for; see `ViewState.lookup`. Makes room for it first."""
        self.rest()
        return super().lookup(parent, name)

    def read_directory(
        self, number: int, start: int, most: int | None = None
    ) -> list[tuple[int, bytes, Node]]:
        """Give the rest of a directory stream; see `Files.read_directory`. Makes room for it first."""
        self.rest()
        return super().read_directory(number, start, most)

    def getattr(self, ino: int) -> Node:
        """Give a node with its attributes.

        Raises:
            OSError: ESTALE when there is none of that number.
        """
        return self.node(ino)

    def sync(self) -> None:
        """Answer an fsync: make data and log durable together, or nothing in a run.

        Raises:
            OSError: as of the system.
        """
        if self.durable:
            self.freed.release()  # the log may need the room
            self.data.sync()
            self.trace.sync(self.clock(), self.data.size)
            self.freed.give_back()
