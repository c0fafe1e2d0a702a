"""What the view tells the write log: one call per change, in the order of the changes."""

from typing import NamedTuple, Protocol, TypedDict

from catfs.overlay.nodes import Actor


class Place(NamedTuple):
    """A path in the session.

    Args:
        domain: Index of the domain.
        path: Path relative to the domain; b"" for its root.
    """

    domain: int
    path: bytes


class Details(TypedDict, total=False):
    """What a change has besides its place; each operation uses its own few (docs/formats/write-log.md)."""

    path2: bytes
    offset: int
    length: int
    mode: int
    uid: int
    gid: int
    rdev: int
    atime: int
    mtime: int
    ctime: int
    size: int
    flags: int
    data: int
    ino2: int
    first: int
    name: bytes
    value: bytes
    digest: bytes
    unlinked: bool


class Trace(Protocol):
    """Takes down every change of a view."""

    def append(self, op: str, place: Place, ino: int, actor: Actor, now: int, details: Details) -> None:
        """Note one change, which has just been applied.

        Args:
            op: One of the operations of the write log.
            place: Where.
            ino: Inode number in the view.
            actor: On whose behalf.
            now: Time of day, in nanoseconds.
            details: The fields that the operation has besides these.
        """
        ...

    def sync(self, now: int, size: int) -> None:
        """Bring everything noted so far to the disk, with the note that it was.

        Args:
            now: Time of day, in nanoseconds.
            size: Bytes of the data file that are durable by now.
        """
        ...


class NoTrace:
    """Takes nothing down: for views that are themselves made from a log."""

    def append(self, op: str, place: Place, ino: int, actor: Actor, now: int, details: Details) -> None:
        """Drop the change."""

    def sync(self, now: int, size: int) -> None:
        """There is nothing to bring anywhere."""
