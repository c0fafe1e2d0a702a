"""What a commit needs of others: where new content comes from, and where it is recorded that it happened."""

from collections.abc import Callable, Sequence
from typing import Protocol

from catfs.commit.plan import Note
from catfs.values import dataclass


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


Publish = Callable[[str], None]
"""Told the identity of a commit whose every name is new: makes the prepared record of it valid, durably.
It is called again when a crash came in between, and does nothing where no record was prepared.

Raises OSError when that fails; the commit stays unfinished then, and a recovery goes on."""


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """The record of a commit, which becomes valid with the commit and not without.

    Args:
        prepare: Told what the commit leaves out or adds, when all is staged and checked and before it is
            decided: writes the record durably, so that `publish` needs nothing else. May raise, which gives
            the commit up.
        publish: Makes the record valid.
    """

    prepare: Callable[[Sequence[Note]], None]
    publish: Publish


def publish_nothing(commit_id: str) -> None:
    """Publish the record of a commit that has none."""
    del commit_id


NO_RECORD = CommitRecord(prepare=lambda _notes: None, publish=publish_nothing)
"""The record of a commit that is recorded nowhere."""


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
