"""The root of an older, flat scheme, for comparing with records that have one. WEAK: prove nothing with it.

A leaf is SHA-256 of `path:hash`; a node is SHA-256 of the two hexadecimal digests below it, joined; where a
level has an odd number, its last digest is paired with itself; the root of nothing is SHA-256 of `empty`.

Two things are wrong with it, which tests show. Leaves and nodes are hashed alike, so a node can pass for a
leaf. And because an odd digest is repeated, a list whose last leaf really stands twice has the same root as
one in which it stands once (CVE-2012-2459). Besides, it says nothing of modes, kinds and empty directories.
The tree of this room (docs/formats/tree.md) has none of these faults.
"""

import hashlib
from collections.abc import Iterable


def weak_flat_root(items: Iterable[tuple[bytes, str]]) -> str:
    """Give the root of the older scheme as 64 hexadecimal digits. WEAK: see the text of this module.

    Args:
        items: Path of each file with the hexadecimal SHA-256 of its content, in any order.
    """
    level = [hashlib.sha256(path + b":" + digest.encode()).hexdigest() for path, digest in sorted(items)]
    if not level:
        return hashlib.sha256(b"empty").hexdigest()
    while len(level) > 1:
        level += level[-1:] * (len(level) % 2)
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [hashlib.sha256((left + right).encode()).hexdigest() for left, right in pairs]
    return level[0]
