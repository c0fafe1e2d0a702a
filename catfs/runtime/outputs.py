"""Outputs: the part of a view that a commit may take, as the commit reads it."""

import errno
import os

from catfs.commit import Material
from catfs.overlay import View
from catfs.overlay.extents import Source
from catfs.overlay.files import own_extents
from catfs.overlay.nodes import File, Node, Symlink

_COPY_BYTES = 1 << 20

_SHARED_BYTES_MIN = 4 << 20
"""Shortest range of new bytes that is left to the file system to copy, in bytes: it may share the blocks, and
no byte passes through this process. Shorter ones are looked at, and blocks of zeros become holes."""

_NOT_BY_FILE_SYSTEM = frozenset({errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
"""What a file system says that does not copy by itself, or not from the other one."""


class ViewOutputs:
    """One domain of a view as the source of a commit.

    Args:
        view: The view, which nobody changes any more.
        domain: Index of the domain.
    """

    def __init__(self, view: View, domain: int) -> None:
        self._view = view
        self._domain = domain

    def describe(self, path: bytes) -> Material:
        """Give owner, time and the rest of what the view says of a path."""
        node = self._node(path)
        return Material(
            uid=node.uid,
            gid=node.gid,
            mtime_ns=node.mtime,
            target=self._view.link_target(node) if isinstance(node, Symlink) else None,
            xattrs=tuple(sorted(self._view.xattrs_of(node).items())),
        )

    def copy_content(self, path: bytes, descriptor: int) -> None:
        """Write the whole content of a file to an empty one; blocks of zeros stay holes.

        Raises:
            OSError: when reading the view or writing the file fails.
        """
        node = self._node(path)
        assert isinstance(node, File)
        copied = self._copy_large_ranges(node, descriptor)
        for start, end, is_hole in self._view.runs(node):
            for offset in () if is_hole else range(start, end, _COPY_BYTES):
                length = min(_COPY_BYTES, end - offset)
                if any(first <= offset and offset + length <= last for first, last in copied):
                    continue
                block = self._view.read_content(node, offset, length)
                if block.count(0) < len(block):
                    _write(descriptor, offset, block)
        os.ftruncate(descriptor, node.size)

    def _copy_large_ranges(self, node: File, descriptor: int) -> list[tuple[int, int]]:
        """Let the file system copy the large ranges of new bytes; give where each starts and ends."""
        data = self._view.data.descriptor
        copied = []
        for offset, piece in own_extents(node).ranges():
            if piece.source is Source.DATA and piece.length >= _SHARED_BYTES_MIN:
                done = _copy_range(data, piece.position, descriptor, offset, piece.length)
                copied.append((offset, offset + done))
        return copied

    def _node(self, path: bytes) -> Node:
        node = self._view.resolve(self._domain, path)
        assert node is not None
        return node


def _write(descriptor: int, offset: int, block: bytes) -> None:
    written = 0
    while written < len(block):
        written += os.pwrite(descriptor, memoryview(block)[written:], offset + written)


def _copy_range(source: int, position: int, target: int, offset: int, length: int) -> int:
    """Copy a range from one file to another without reading it; give how many bytes could be copied so."""
    done = 0
    while done < length:
        try:
            count = os.copy_file_range(source, target, length - done, position + done, offset + done)
        except OSError as error:
            if error.errno not in _NOT_BY_FILE_SYSTEM:
                raise
            break
        if count == 0:
            break
        done += count
    return done
