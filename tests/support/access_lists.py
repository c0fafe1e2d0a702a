"""Access control lists for tests, put together from what they say."""

from catfs.overlay.access_list import AccessEntry, AccessList, Tag

_NOBODY = 0xFFFFFFFF
"""What stands in the place of a number where there is none."""


def access_list(
    owner: int, group: int, other: int, named: tuple[Tag, int, int, int] | None = None
) -> AccessList:
    """Give an access list in the order that the kernel wants.

    Args:
        owner: Permissions of the owner.
        group: Permissions of the owning group.
        other: Permissions of everybody else.
        named: Tag, number and permissions of one user or group, and the mask that goes with it.
    """
    entries = [
        AccessEntry(Tag.OWNER, owner, _NOBODY),
        AccessEntry(Tag.OWNING_GROUP, group, _NOBODY),
        AccessEntry(Tag.OTHER, other, _NOBODY),
    ]
    if named is not None:
        tag, identity, permissions, mask = named
        entries.append(AccessEntry(tag, permissions, identity))
        entries.append(AccessEntry(Tag.MASK, mask, _NOBODY))
    return tuple(sorted(entries))
