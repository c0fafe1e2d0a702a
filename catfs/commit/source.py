"""Where a commit takes new content from: the view of a session, seen through the smallest interface."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Material:
    """What a commit must know of a path in the view, apart from its entry.

    Args:
        uid: Number of the owner.
        gid: Number of the group.
        mtime_ns: Time of the last change, in nanoseconds since 1970.
        target: Where a symlink points; None for every other kind.
        xattrs: Extended attributes as (name, value), sorted by name.
    """

    uid: int
    gid: int
    mtime_ns: int
    target: bytes | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


class OutputSource(Protocol):
    """The view of one domain as a commit reads it. Nothing changes in it while the commit runs."""

    def describe(self, path: bytes) -> Material:
        """Give what the view says of a path.

        Args:
            path: Path relative to the domain, b"" for the domain itself.
        """
        ...

    def copy_content(self, path: bytes, descriptor: int) -> None:
        """Write the whole content of a file of the view.

        Args:
            path: Path relative to the domain.
            descriptor: An empty regular file, writable, at offset 0; the caller closes it.

        Raises:
            OSError: when reading the view or writing the file fails.
        """
        ...
