"""POSIX access control lists: their bytes, and how they go together with permission bits.

Pure functions over the form in which the kernel hands lists over, that of the extended attributes
`system.posix_acl_access` and `system.posix_acl_default` (<linux/posix_acl_xattr.h>): a version, then
one entry each of tag, permissions and id. The rules are those of acl(5).
"""

import struct
from collections.abc import Iterable
from enum import IntEnum
from errno import EINVAL, EOPNOTSUPP
from typing import NamedTuple

from catfs.overlay.nodes import error_of

ACCESS_LIST = b"system.posix_acl_access"
"""The attribute that holds who may do what."""
DEFAULT_LIST = b"system.posix_acl_default"
"""The attribute of a directory that holds what is made in it inherits."""

_VERSION = 2
_HEAD = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")


class Tag(IntEnum):
    """Whom an entry is about."""

    OWNER = 0x01
    USER = 0x02
    OWNING_GROUP = 0x04
    GROUP = 0x08
    MASK = 0x10
    OTHER = 0x20


_MINIMAL = frozenset({Tag.OWNER, Tag.OWNING_GROUP, Tag.OTHER})
"""The tags that permission bits can say as well."""


class AccessEntry(NamedTuple):
    """One entry of a list.

    Args:
        tag: Whom it is about.
        permissions: What they may: 4 to read, 2 to write, 1 to execute.
        identity: Number of the user or group, for those that are named; else anything.
    """

    tag: Tag
    permissions: int
    identity: int


AccessList = tuple[AccessEntry, ...]


def parse_access_list(value: bytes) -> AccessList:
    """Read a list.

    Raises:
        OSError: EOPNOTSUPP for another version, EINVAL for anything else that is no list.
    """
    if len(value) < _HEAD.size or (len(value) - _HEAD.size) % _ENTRY.size:
        raise error_of(EINVAL)
    if _HEAD.unpack_from(value)[0] != _VERSION:
        raise error_of(EOPNOTSUPP)
    try:
        entries = tuple(
            AccessEntry(Tag(tag), permissions, identity)
            for tag, permissions, identity in _ENTRY.iter_unpack(value[_HEAD.size :])
        )
    except ValueError:
        raise error_of(EINVAL) from None
    tags = [entry.tag for entry in entries]
    named = Tag.USER in tags or Tag.GROUP in tags
    if (
        any(entry.permissions > 7 for entry in entries)
        or any(tags.count(tag) != 1 for tag in _MINIMAL)
        or tags.count(Tag.MASK) not in ({1} if named else {0, 1})
    ):
        raise error_of(EINVAL)
    return entries


def pack_access_list(entries: Iterable[AccessEntry]) -> bytes:
    """Give the bytes of a list."""
    return _HEAD.pack(_VERSION) + b"".join(_ENTRY.pack(*entry) for entry in entries)


def is_minimal(entries: AccessList) -> bool:
    """Say whether a list says no more than permission bits do."""
    return all(entry.tag in _MINIMAL for entry in entries)


def mode_of(entries: AccessList) -> int:
    """Give the nine permission bits that go with a list: those of the group are its mask."""
    by_tag = {entry.tag: entry.permissions for entry in entries}
    group = by_tag.get(Tag.MASK, by_tag[Tag.OWNING_GROUP])
    return by_tag[Tag.OWNER] << 6 | group << 3 | by_tag[Tag.OTHER]


def with_mode(entries: AccessList, mode: int) -> AccessList:
    """Give a list after a chmod: the bits of the group become its mask.

    Args:
        entries: The list before.
        mode: The new permission bits.
    """
    shifts = _shifts(entries)
    return tuple(
        entry._replace(permissions=mode >> shifts[entry.tag] & 7) if entry.tag in shifts else entry
        for entry in entries
    )


def within_mode(entries: AccessList, mode: int) -> AccessList:
    """Give the list that something new inherits: nobody may more than the mode it was made with says.

    Args:
        entries: The default list of the directory.
        mode: The permission bits that were asked for, without a umask.
    """
    return with_mode(entries, mode_of(entries) & mode)


def _shifts(entries: AccessList) -> dict[Tag, int]:
    """Give where the permissions of the entries that a mode says stand in it."""
    group = Tag.MASK if any(entry.tag is Tag.MASK for entry in entries) else Tag.OWNING_GROUP
    return {Tag.OWNER: 6, group: 3, Tag.OTHER: 0}
