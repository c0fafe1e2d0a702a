"""File content and open handles: reading, writing, cutting and punching by ranges.

A file of the lower is never copied: as long as it is unchanged it is read there, and once it is
changed only the changed ranges lie in the data file.
"""

import os
import stat
from errno import EBADF, EFBIG, EINVAL, EISDIR, ENOSPC, EOPNOTSUPP, ESTALE

from catfs.limits import SHARED_SWEEP_BYTES, VIEW_FILE_BYTES_MAX
from catfs.linux import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
)
from catfs.overlay.extents import Extents, Source
from catfs.overlay.nodes import Actor, Directory, File, Node, error_of
from catfs.overlay.state import Handle, ViewState


class Files(ViewState):
    """The operations on content. Each one is applied whole, or raises OSError and changes nothing."""

    def open(self, ino: int, flags: int, actor: Actor) -> int:
        """Open a regular file.

        Args:
            flags: The flags of open(2); with O_TRUNC the file is emptied.

        Returns:
            The number of the handle.

        Raises:
            OSError: EISDIR, EINVAL for other kinds, ESTALE.
        """
        node = self._file(ino)
        if flags & os.O_TRUNC:  # an empty file too: its times must move
            self.truncate(node, 0, actor)
        return self.open_handle(node, actor)

    def release(self, number: int) -> None:
        """Close a handle of any kind.

        Raises:
            OSError: ESTALE when it is not open.
        """
        handle = self.handle(number)
        del self.handles[number]
        handle.node.opens -= 1
        self.drop_if_unused(handle.node)

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Read through a handle; fewer bytes than wanted only at the end of the file.

        Raises:
            OSError: ESTALE, or as reading the lower or the data file raises.
        """
        handle = self.handle(number)
        return self.read_file(self._file_of(handle), offset, length, handle.actor)

    def read_file(self, node: File, offset: int, length: int, actor: Actor) -> bytes:
        """Read a file without a handle; otherwise as `read`."""
        if not node.was_read and node.origin is not None:
            node.was_read = True
            self.use(node.origin)
            self.record("read", self.place_of(node), node, actor, self.clock())
        return self.read_content(node, offset, length)

    def read_content(self, node: File, offset: int, length: int) -> bytes:
        """Read a file of the view without a handle and without a trace."""
        if node.extents is None:
            return self._read_lower(node, offset, max(0, min(length, node.size - offset)))
        parts = [self._read_piece(node, *piece) for piece in node.extents.pieces(offset, length)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_piece(self, node: File, source: Source, position: int, length: int) -> bytes:
        if source is Source.HOLE:
            return bytes(length)
        if source is Source.DATA:
            return self.data.read(position, length)
        return self._read_lower(node, position, length)

    def _read_lower(self, node: File, position: int, length: int) -> bytes:
        """Read bytes that the lower file had when it was scanned."""
        assert node.origin is not None
        data = self.domains[node.origin.domain].lower.read(node.origin, position, length)
        if len(data) < length:
            raise OSError(ESTALE, "the lower file was cut underneath the session", node.origin.path())
        return data

    def write(self, number: int, offset: int, data: bytes, actor: Actor | None = None) -> int:
        """Write through a handle.

        Args:
            actor: On whose behalf, where the transport knows; else who opened the handle.

        Returns:
            The number of bytes written: all of them.

        Raises:
            OSError: ESTALE, EFBIG, ENOSPC and others of the data file's file system.
        """
        handle = self.handle(number)
        node = self._file_of(handle)
        return self.write_file(node, offset, data, actor or handle.actor, bool(handle.actor.uid))

    def write_file(
        self, node: File, offset: int, data: bytes | memoryview, actor: Actor, clear_set_id: bool
    ) -> int:
        """Write to a file without a handle; otherwise as `write`.

        Args:
            clear_set_id: Whether the writer lacks the privilege to keep set-id bits.
        """
        length = len(data)
        if offset + length > VIEW_FILE_BYTES_MAX:
            raise error_of(EFBIG)
        if not length:
            return 0
        position = None if node.extents is None else node.extents.data_position(offset, length)
        if position is None or self.data.keeps_all or self.shared.overlaps(position, length):
            position = self._append(data)
        else:
            self.data.write(position, data)
        now = self.clock()
        self.place_data(node, offset, length, position, now)
        place = self.place_of(node)
        self.record("write", place, node, actor, now, offset=offset, length=length, data=position)
        if clear_set_id and node.mode & 0o6000:
            self._clear_set_id_bits(node, actor, now)
        return length

    def _append(self, data: bytes | memoryview) -> int:
        """Add bytes to the data file; where the disk is full, behind giving back what is due to it."""
        try:
            return self.data.append(data)
        except OSError as error:
            if error.errno != ENOSPC or not self.freed.release():
                raise
            return self.data.append(data)

    def place_data(self, node: File, offset: int, length: int, position: int, now: int) -> None:
        """Let a range of a file lie at a position of the data file."""
        if node.extents is None:
            node.extents = own_extents(node)
        if node.extents.data_position(offset, length) == position:
            node.rewrites += 1
        else:
            self._free(node.extents, offset, offset + length)
        node.extents.replace(offset, length, Source.DATA, position)
        node.mtime = node.ctime = now
        self.touch_node(node)

    def _clear_set_id_bits(self, node: File, actor: Actor, now: int) -> None:
        """Take the set-id bits from a file that somebody without privilege changed."""
        mode = self.mode_without_set_id(node, actor)
        if mode != node.mode:
            node.mode = mode
            self.record("setattr", self.place_of(node), node, actor, now, mode=mode)
            self.forget_attributes(node.ino)

    def mode_without_set_id(self, node: Node, actor: Actor) -> int:
        """Give the mode that a file has after somebody without privilege changed it.

        Set-gid without group execution once meant mandatory locking, and stays for members of the group.
        """
        mode = without_set_id_bits(node.mode)
        if mode & stat.S_ISGID and not self.is_member(actor, node.gid):
            mode &= ~stat.S_ISGID
        return mode

    def truncate(self, node: File, size: int, actor: Actor) -> None:
        """Cut or extend a file.

        Raises:
            OSError: EFBIG, EINVAL for a negative size.
        """
        if size < 0:
            raise error_of(EINVAL)
        if size > VIEW_FILE_BYTES_MAX:
            raise error_of(EFBIG)
        now = self.clock()
        if node.extents is None:
            node.extents = own_extents(node)
        self._free(node.extents, size, node.extents.size)
        node.extents.resize(size)
        node.mtime = node.ctime = now
        self.touch_node(node)
        self.record("truncate", self.place_of(node), node, actor, now, length=size)
        if node.mode & 0o6000 and actor.uid:
            self._clear_set_id_bits(node, actor, now)

    def fallocate(self, node: File, mode: int, offset: int, length: int, actor: Actor) -> None:
        """Reserve, zero or punch a range. Reserved space is a hole: nothing is promised to fit later.

        Args:
            mode: 0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, or ZERO_RANGE with or without KEEP_SIZE.

        Raises:
            OSError: EINVAL, EFBIG, EOPNOTSUPP for other modes.
        """
        if offset < 0 or length <= 0:
            raise error_of(EINVAL)
        if offset + length > VIEW_FILE_BYTES_MAX:
            raise error_of(EFBIG)
        keep = bool(mode & FALLOC_FL_KEEP_SIZE)
        kind = mode & ~FALLOC_FL_KEEP_SIZE
        if kind not in {0, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE} or (
            kind == FALLOC_FL_PUNCH_HOLE and not keep
        ):
            raise error_of(EOPNOTSUPP)
        now = self.clock()
        extents = node.extents = node.extents or own_extents(node)
        end = offset + length
        if kind and offset < extents.size:
            self._free(extents, offset, end)
            extents.replace(offset, min(end, extents.size) - offset, Source.HOLE)
        if not keep and end > extents.size:
            extents.resize(end)
        node.mtime = node.ctime = now
        self.touch_node(node)
        place = self.place_of(node)
        self.record("fallocate", place, node, actor, now, offset=offset, length=length, mode=mode)
        if node.mode & 0o6000 and actor.uid:
            self._clear_set_id_bits(node, actor, now)

    def check_room(self, node: File, offset: int, length: int) -> None:
        """Refuse to reserve what the disk of the data file has not at the moment.

        Bytes that lie in the data file have their room already; those of the lower get theirs once they are
        written. It is no promise that a later write finds room: what others take meanwhile is not known here.

        Raises:
            OSError: EFBIG, ENOSPC.
        """
        if offset + length > VIEW_FILE_BYTES_MAX:
            raise error_of(EFBIG)
        space = self.space()
        available = space.f_bavail * space.f_frsize
        if not space.f_blocks or length <= available:  # some file systems have no limit
            return
        pieces = () if node.extents is None else node.extents.pieces(offset, length)
        if length - sum(piece.length for piece in pieces if piece.source is Source.DATA) > available:
            raise error_of(ENOSPC)

    def space(self) -> os.statvfs_result:
        """Give the space of the file system that new bytes go to; what is due to it is free."""
        below = os.fstatvfs(self.data.descriptor)
        due = self.freed.due_bytes // (below.f_frsize or 1)
        fields = list(below)
        fields[3] += due  # f_bfree
        fields[4] += due  # f_bavail
        return os.statvfs_result(fields)

    def discard_content(self, node: Node) -> None:
        """Give the space of a dropped file back."""
        if isinstance(node, File) and node.extents is not None:
            self._free(node.extents, 0, node.extents.size)

    def _free(self, extents: Extents, offset: int, end: int) -> None:
        """Let go of the bytes that a range of a file has in the data file, before it gets others or none.

        A durable session gives them back only once the log that drops them is on the disk: until then
        whoever continues the session from an earlier moment may still need them.
        """
        if offset >= extents.size or not self.gives_back or self.data.keeps_all:
            return
        if self.shared_dropped_bytes >= SHARED_SWEEP_BYTES:
            self._free_unshared()
        for piece in extents.pieces(offset, end - offset):
            if piece.source is not Source.DATA:
                continue
            if self.shared.overlaps(piece.position, piece.length):
                self.shared_dropped_bytes += piece.length
            else:
                self.freed.add(piece.position, piece.length)
        if not self.durable:
            self.freed.give_back()

    def _free_unshared(self) -> None:
        """Let go of what was shared once and no file has any more."""
        files = (node for node in self.nodes.values() if isinstance(node, File))
        pieces = (piece for node in files if node.extents is not None for _, piece in node.extents.ranges())
        used = [(piece.position, piece.length) for piece in pieces if piece.source is Source.DATA]
        for position, length in self.shared.keep_only(used):
            self.freed.add(position, length)
        self.shared_dropped_bytes = 0

    def opendir(self, ino: int, actor: Actor) -> int:
        """Open a directory and give the number of the handle.

        Raises:
            OSError: ENOTDIR, ESTALE.
        """
        return self.open_handle(self.directory(ino), actor)

    def read_directory(
        self, number: int, start: int, most: int | None = None
    ) -> list[tuple[int, bytes, Node]]:
        """Give the rest of a directory stream, or its next entries.

        The names of a stream are fixed when it is read from its start, so that no change in between
        makes it skip or repeat one; names that have gone since are left out.

        Args:
            number: The handle.
            start: 0, or the position behind the last entry that was taken.
            most: Most entries to give; None for all. None at all means the end of the stream.

        Returns:
            (position behind the entry, name, node), `.` and `..` first.

        Raises:
            OSError: ESTALE, ENOTDIR, or what loading from the lower raises.
        """
        handle = self.handle(number)
        directory = self.directory(handle.node.ino)
        entries = self.entries(directory)
        if start == 0 or handle.names is None:
            handle.names = [b".", b"..", *entries] if directory.nlink else []
        found: list[tuple[int, bytes, Node]] = []
        for position in range(start, len(handle.names)):
            name = handle.names[position]
            node = _dot_entry(directory, position) if position < 2 else entries.get(name)
            if node is not None:
                found.append((position + 1, name, node))
                if len(found) == most:
                    break
        return found

    def _file(self, ino: int) -> File:
        node = self.node(ino)
        if isinstance(node, File):
            return node
        raise error_of(EISDIR if isinstance(node, Directory) else EINVAL)

    @staticmethod
    def _file_of(handle: Handle) -> File:
        if not isinstance(handle.node, File):
            raise error_of(EBADF)
        return handle.node


def _dot_entry(directory: Directory, position: int) -> Node:
    return directory if position == 0 else directory.parent or directory


def own_extents(node: File) -> Extents:
    """Give the ranges of a file whose content is still exactly the lower's."""
    if node.extents is not None:
        return node.extents
    assert node.origin is not None
    return Extents(node.origin.lower_stat.size, Source.LOWER)


def without_set_id_bits(mode: int) -> int:
    """Take the set-id bits from a mode, as a change by somebody without privilege does.

    Set-gid without group execution means mandatory locking, and stays.
    """
    mode &= ~stat.S_ISUID
    return mode & ~stat.S_ISGID if mode & stat.S_IXGRP else mode
