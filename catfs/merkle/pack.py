"""Many nodes in one file, by which one process hands a tree to another (docs/formats/node-pack.md).

The file only grows. It is finished by its trailer, written last, so a reader never takes a file whose
writer was stopped for a whole one. Each node is stored once.

Two guards, against two dangers: a checksum over the whole file finds damage when it is opened, and each
node is held against its digest when it is first read, so that no file, however made, gives a wrong node.
"""

import mmap
import os
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

import xxhash

from catfs.digest import DIGEST_BYTES, Digest, checksum
from catfs.durable import fsync_directory, write_fully
from catfs.errors import FormatError, UsageError, printable
from catfs.merkle.node_store import LayeredNodes, MemoryNodes, MissingNodeError, NodeSource
from catfs.merkle.nodes import decode_domain_root, encode_domain_root
from catfs.merkle.tree import Tree
from catfs.records import Entry, Kind

PACK_MAGIC = b"catfspak"
"""First bytes of every pack."""

PACK_END_MAGIC = b"catfsend"
"""Last bytes of a finished pack."""

PACK_VERSION = 1
"""Version of the layout."""

_HEADER = struct.Struct("<8sI4x")
_LENGTH = struct.Struct("<I")
_SLOT = struct.Struct("<32sQ")
_TRAILER = struct.Struct("<QQH32s")
_CHECKSUM = struct.Struct("<Q8s")
_TAIL_BYTES = _TRAILER.size + _CHECKSUM.size

_BUFFER_BYTES = 1 << 20
"""Bytes collected before a write: large enough that the number of writes does not matter."""


def _name_of(path: str | bytes | os.PathLike[str]) -> str:
    return f"node pack {printable(os.fsencode(path))}"


class PackWriter:
    """A node store that writes a new pack.

    Use it as a context manager: leaving it without `close` leaves no file.

    Args:
        path: Where the pack is to be; the file must not exist.

    Raises:
        FileExistsError: when the file exists.
        OSError: when the file cannot be created.
    """

    def __init__(self, path: str | bytes | os.PathLike[str]) -> None:
        self._path = os.fsencode(path)
        self._name = _name_of(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._offsets: dict[bytes, int] = {}
        self._hasher = xxhash.xxh3_64()
        self._buffer: list[bytes] = []
        self._end = 0
        self._written = 0
        self._is_open = True
        self._append(_HEADER.pack(PACK_MAGIC, PACK_VERSION))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def __len__(self) -> int:
        return len(self._offsets)

    def put(self, node: bytes) -> Digest:
        """Keep a node and give its digest; a node that is in the pack already is not written again.

        Raises:
            OSError: when a write fails; then only `abort` is left.
        """
        self._check_open()
        digest = Digest.of(node)
        if digest.raw not in self._offsets:
            self._offsets[digest.raw] = self._end
            self._append(_LENGTH.pack(len(node)))
            self._append(node)
        return digest

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node that was put.

        Raises:
            MissingNodeError: when it was not put into this pack.
            FormatError: when the file no longer holds what was written.
            OSError: when the file cannot be written or read.
        """
        self._check_open()
        offset = self._offsets.get(digest.raw)
        if offset is None:
            raise MissingNodeError(digest, self._name)
        if self._buffer:
            self._flush()
        (length,) = _LENGTH.unpack(os.pread(self._descriptor, _LENGTH.size, offset))
        node = os.pread(self._descriptor, length, offset + _LENGTH.size)
        if Digest.of(node) != digest:
            raise FormatError(
                self._name, f"expected node {digest.hex} at byte {offset}, got {Digest.of(node)}"
            )
        return node

    def close(self, root_entry: Entry, *, durable: bool = False) -> None:
        """Finish the pack: from here on it can be opened.

        Args:
            root_entry: The entry of the domain's own directory.
            durable: Whether the pack must survive a power cut, by fsync of the file and its folder.

        Raises:
            FormatError: when the root entry is not a directory with a node digest.
            OSError: when a write or an fsync fails; then only `abort` is left.
        """
        self._check_open()
        self.put(encode_domain_root(root_entry))
        index_at = self._end
        for raw, offset in sorted(self._offsets.items()):
            self._append(_SLOT.pack(raw, offset))
        trailer = _TRAILER.pack(len(self._offsets), index_at, root_entry.mode, root_entry.digest.raw)
        self._append(trailer)
        self._append(_CHECKSUM.pack(self._hasher.intdigest(), PACK_END_MAGIC))
        self._flush()
        if durable:
            os.fsync(self._descriptor)
            fsync_directory(os.path.dirname(self._path) or b".")
        os.close(self._descriptor)
        self._is_open = False

    def abort(self) -> None:
        """Remove the unfinished file; after `close` this does nothing."""
        if self._is_open:
            self._is_open = False
            os.close(self._descriptor)
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def _check_open(self) -> None:
        if not self._is_open:
            raise UsageError(f"{self._name} is closed, so nothing can be read from or put into its writer")

    def _append(self, data: bytes) -> None:
        self._hasher.update(data)
        self._buffer.append(data)
        self._end += len(data)
        if self._end - self._written >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        write_fully(self._descriptor, b"".join(self._buffer))
        self._buffer.clear()
        self._written = self._end


class PackReader:
    """Reads nodes out of a finished pack, which is mapped into memory.

    The file must stay as it is while it is open here; removing its name does no harm.

    Args:
        path: Where the pack is.

    Raises:
        OSError: when the file cannot be opened.
        FormatError: when it is not a whole and undamaged pack.
    """

    def __init__(self, path: str | bytes | os.PathLike[str]) -> None:
        self._name = _name_of(path)
        self._map = self._mapped(path)
        self._checked: set[bytes] = set()
        try:
            self._count, self._index_at, self._root_entry = self._read_frame()
        except FormatError:
            self._map.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    @property
    def root_entry(self) -> Entry:
        """The entry of the domain's own directory."""
        return self._root_entry

    @property
    def root(self) -> Digest:
        """The domain root."""
        return Digest.of(encode_domain_root(self._root_entry))

    def tree(self, *below: NodeSource) -> Tree:
        """Give the tree of the pack; what is updated in it stays in memory.

        Args:
            below: Hold the nodes that the pack leaves out, when it has only those that changed.
        """
        return Tree(LayeredNodes(MemoryNodes(), self, *below), self._root_entry)

    def get(self, digest: Digest) -> bytes:
        """Give the bytes of a node, held against its digest when it is first read.

        Raises:
            MissingNodeError: when the pack does not hold it.
            FormatError: when the pack is damaged at that node.
        """
        offset = self._find(digest)
        if offset is None:
            raise MissingNodeError(digest, self._name)
        start = offset + _LENGTH.size
        if offset < _HEADER.size or start > self._index_at:
            raise self._damaged(f"expected a node before byte {self._index_at}, got one at {offset}")
        (length,) = _LENGTH.unpack_from(self._map, offset)
        if start + length > self._index_at:
            raise self._damaged(f"expected the node at byte {offset} to end before the index")
        node = self._map[start : start + length]
        if digest.raw not in self._checked:
            got = Digest.of(node)
            if got != digest:
                raise self._damaged(f"expected node {digest.hex} at byte {offset}, got {got.hex}")
            self._checked.add(digest.raw)
        return node

    def close(self) -> None:
        """Give the memory back; the reader cannot be used any more."""
        self._map.close()

    def _find(self, digest: Digest) -> int | None:
        """Search the index, which ascends by digest."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            at = self._index_at + middle * _SLOT.size
            raw = self._map[at : at + DIGEST_BYTES]
            if raw == digest.raw:
                offset: int = _SLOT.unpack_from(self._map, at)[1]
                return offset
            if raw < digest.raw:
                low = middle + 1
            else:
                high = middle
        return None

    def _mapped(self, path: str | bytes | os.PathLike[str]) -> mmap.mmap:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size < _HEADER.size + _TAIL_BYTES:
                raise self._damaged(f"expected at least {_HEADER.size + _TAIL_BYTES} bytes, got {size}")
            return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)

    def _read_frame(self) -> tuple[int, int, Entry]:
        """Check header, trailer and checksum; give count, start of the index and root entry."""
        magic, version = _HEADER.unpack_from(self._map)
        if magic != PACK_MAGIC:
            raise self._damaged(f"expected it to begin with {PACK_MAGIC!r}, got {magic!r}")
        if version != PACK_VERSION:
            raise self._damaged(f"expected version {PACK_VERSION}, got {version}")
        tail_at = len(self._map) - _TAIL_BYTES
        checksum_at = tail_at + _TRAILER.size
        expected, end_magic = _CHECKSUM.unpack_from(self._map, checksum_at)
        if end_magic != PACK_END_MAGIC:
            raise self._damaged(
                f"expected it to end with {PACK_END_MAGIC!r}: it was not finished, or cut off"
            )
        with memoryview(self._map) as view, view[:checksum_at] as covered:
            got = checksum(covered)
        if got != expected:
            raise self._damaged(f"expected checksum {expected:016x}, got {got:016x}")
        count, index_at, mode, raw = _TRAILER.unpack_from(self._map, tail_at)
        if index_at < _HEADER.size or index_at + count * _SLOT.size != tail_at:
            raise self._damaged(f"expected an index of {count} nodes at byte {index_at} up to byte {tail_at}")
        if mode > 0o7777:
            raise self._damaged(f"expected a root mode up to 0o7777, got {mode:#o}")
        # Encoded and read back, so that the root entry passes the checks of a domain root.
        entry = Entry(Kind.DIRECTORY, mode, 0, Digest(raw))
        return count, index_at, decode_domain_root(encode_domain_root(entry))

    def _damaged(self, problem: str) -> FormatError:
        return FormatError(self._name, problem)


def write_pack(path: str | bytes | os.PathLike[str], tree: Tree, *, durable: bool = False) -> None:
    """Write a pack with every node of a tree.

    Args:
        path: Where the pack is to be; the file must not exist.
        tree: The tree.
        durable: Whether the pack must survive a power cut.

    Raises:
        FileExistsError: when the file exists.
        OSError: when a step fails; then no file is left.
        MissingNodeError: when the tree is not whole.
        FormatError: when a node of the tree is damaged.
    """
    with PackWriter(path) as writer:
        for _, node in tree.walk_nodes():
            writer.put(node)
        writer.close(tree.root_entry, durable=durable)
