"""Outputs: the part of a view that a commit may take, as the commit reads it."""

import os

from catfs.commit import Material
from catfs.overlay import View
from catfs.overlay.nodes import File, Node, Symlink

_COPY_BYTES = 1 << 20


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
        for start, end, is_hole in self._view.runs(node):
            for offset in () if is_hole else range(start, end, _COPY_BYTES):
                block = self._view.read_content(node, offset, min(_COPY_BYTES, end - offset))
                if block.count(0) < len(block):
                    _write(descriptor, offset, block)
        os.ftruncate(descriptor, node.size)

    def _node(self, path: bytes) -> Node:
        node = self._view.resolve(self._domain, path)
        assert node is not None
        return node


def _write(descriptor: int, offset: int, block: bytes) -> None:
    written = 0
    while written < len(block):
        written += os.pwrite(descriptor, memoryview(block)[written:], offset + written)
