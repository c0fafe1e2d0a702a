"""From rows of attributes to rows of a node: how a directory is built from what the index remembers.

It gives the same nodes as `build_directory` with entries, without making an object for every file; a test
compares the two.
"""

import stat
import struct
from collections.abc import Sequence
from typing import Final

from catfs.digest import DIGEST_BYTES, EMPTY_DIGEST, Digest
from catfs.merkle.directory import RowPair, build_rows
from catfs.merkle.index_groups import STAT
from catfs.merkle.node_store import NodeStore
from catfs.merkle.nodes import EMPTY_DIRECTORY, ROW_BYTES, encode_row
from catfs.records import Entry
from catfs.records.entry import kind_of_mode

_ROW: Final = struct.Struct("<BHQ32s")
assert _ROW.size == ROW_BYTES


_KINDS: Final = (
    *(stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK),
)


def _code(format_bits: int) -> int:
    """Give the code by which rows of nodes name a kind."""
    digest = EMPTY_DIRECTORY if stat.S_ISDIR(format_bits) else EMPTY_DIGEST
    return encode_row(Entry(kind_of_mode(format_bits), 0o777, 0, digest))[0]


_CODES: Final = {format_bits: _code(format_bits) for format_bits in _KINDS}
_FORMAT_BITS: Final = 0o170000
_PERMISSION_BITS: Final = 0o7777


def build_known(nodes: NodeStore, names: Sequence[bytes], rows: bytes, digests: bytes) -> Digest:
    """Put the nodes of a directory and give its digest.

    Args:
        nodes: Takes the nodes.
        names: The names in it, ascending.
        rows: The row of attributes of each name.
        digests: 32 bytes for each name: of the content, of the link target, of the node.

    Raises:
        FormatError: when a name cannot be one of a file, stands twice, or a mode names no kind.
    """
    pack, regular, link = _ROW.pack, stat.S_IFREG, stat.S_IFLNK
    file_code = _CODES[regular]
    pairs: list[RowPair] = []
    at = 0
    for name, (_, _, size, _, _, mode, _) in zip(names, STAT.iter_unpack(rows), strict=True):
        digest = digests[at : at + DIGEST_BYTES]
        at += DIGEST_BYTES
        kind = mode & _FORMAT_BITS
        if kind == regular:
            row = pack(file_code, mode & _PERMISSION_BITS, size, digest)
        elif kind == link:
            row = pack(_CODES[kind], 0o777, size, digest)
        else:
            kind_of_mode(mode)
            row = pack(_CODES[kind], mode & _PERMISSION_BITS, 0, digest)
        pairs.append((name, row))
    return build_rows(nodes, pairs)
