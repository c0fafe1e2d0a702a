"""What a tree says of one name: its kind, permission bits, size and digest."""

import os
import stat
from enum import Enum

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.errors import FormatError
from catfs.values import dataclass


class Kind(Enum):
    """What a name stands for. The value is the word used in every JSON record."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    FIFO = "fifo"
    SOCKET = "socket"
    CHARACTER_DEVICE = "character_device"
    BLOCK_DEVICE = "block_device"


_KIND_OF_FORMAT = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}


def kind_of_mode(mode: int) -> Kind:
    """Give the kind that the format bits of `st_mode` name.

    Raises:
        FormatError: when the format bits name no kind of Linux.
    """
    try:
        return _KIND_OF_FORMAT[stat.S_IFMT(mode)]
    except KeyError:
        raise FormatError("file mode", f"no kind has the format bits {mode:#o}") from None


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a tree, without the name.

    Args:
        kind: What it is.
        mode: Permission bits with set-id and sticky bits, 0 to 0o7777; 0o777 for symlinks.
        size: Bytes of a file or of a link target; 0 for every other kind.
        digest: SHA-256 of the content of a file, of the target of a symlink, of the sub-node of a
            directory, of the decimal text `major:minor` of a device; of nothing for the others.
    """

    kind: Kind
    mode: int
    size: int = 0
    digest: Digest = EMPTY_DIGEST

    def __post_init__(self) -> None:
        if not 0 <= self.mode <= 0o7777:
            raise FormatError("entry", f"expected a mode from 0 to 0o7777, got {self.mode:#o}")
        if self.size < 0:
            raise FormatError("entry", f"expected a size of at least 0, got {self.size}")


def device_digest(rdev: int) -> Digest:
    """Give the digest that stands for a device number: that of the text `major:minor` in decimal.

    Args:
        rdev: Device number as stat reports it; 0 stands for no device, whose digest is that of nothing.
    """
    return Digest.of(b"%d:%d" % (os.major(rdev), os.minor(rdev))) if rdev else EMPTY_DIGEST
