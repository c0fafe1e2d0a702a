"""Objects in files of their own: `ab/cd/<hash>`, or `ab/cd/<hash>.zst` when compressed.

A file gets such a name only when all its bytes are written, by rename from `tmp/`, and never changes
afterwards. So whatever has a valid name is whole while the machine runs, and many writers need no lock.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from catfs.digest import Digest
from catfs.durable import fsync_directory, write_fully
from catfs.store.encoding import (
    FRAME_BYTES,
    SEEK_FOOTER_BYTES,
    EncodingError,
    SeekTable,
    compressed_frame,
    compressed_if_it_pays,
    decompressed,
    sample_pays,
    table_bytes,
)
from catfs.store.interface import DamagedObjectError, StreamSource, read_pieces
from catfs.values import dataclass

TEMPORARY_FOLDER: Final = "tmp"
"""Where files are written before they get their names. Nothing in it is ever read as an object."""

COMPRESSED_SUFFIX: Final = ".zst"
"""Ends the name of a compressed object."""

_FILE_NAME = re.compile(r"([0-9a-f]{64})(\.zst)?")
_SHARD_NAME = re.compile(r"[0-9a-f]{2}")


def object_path(root: Path, digest: Digest, *, compressed: bool = False) -> Path:
    """Give where an object has its file."""
    name = digest.hex
    return root / name[:2] / name[2:4] / (name + COMPRESSED_SUFFIX if compressed else name)


class LooseObject:
    """An object in a file of its own, open for reading; a context manager that closes it.

    Args:
        path: The file.
        digest: The object.
        compressed: Whether its bytes are compressed.

    Raises:
        OSError: when the file cannot be opened.
        DamagedObjectError: when it is compressed and its seek table is damaged.
    """

    def __init__(self, path: Path, digest: Digest, *, compressed: bool) -> None:
        self.path = path
        self.digest = digest
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._table: SeekTable | None = None
        try:
            self.stored_size = os.fstat(self._descriptor).st_size
            if compressed:
                self._table = self._read_table()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    @property
    def size(self) -> int:
        """Length of the object in bytes."""
        return self.stored_size if self._table is None else self._table.size

    def read(self, offset: int, length: int) -> bytes:
        """Give a range, fewer bytes only at the end.

        Raises:
            DamagedObjectError: when a frame of it is damaged.
        """
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        if self._table is None:
            return _read_exactly(self._descriptor, offset, end - offset)
        first = offset // FRAME_BYTES
        content = b"".join(self._frame(number) for number in range(first, (end - 1) // FRAME_BYTES + 1))
        return content[offset - first * FRAME_BYTES : end - first * FRAME_BYTES]

    def pieces(self) -> Iterator[bytes]:
        """Give the whole object a piece at a time; after the last piece it is held against the digest.

        Raises:
            DamagedObjectError: when it is damaged, at the latest after the last piece.
        """
        hasher = hashlib.sha256()
        for offset in range(0, self.size, FRAME_BYTES):
            piece = self.read(offset, FRAME_BYTES)
            hasher.update(piece)
            yield piece
        if hasher.digest() != self.digest.raw:
            raise self._damaged(f"expected content with the digest of its name, got {hasher.hexdigest()}")

    def _frame(self, number: int) -> bytes:
        assert self._table is not None
        start, end = self._table.starts[number : number + 2]
        try:
            return decompressed(
                _read_exactly(self._descriptor, start, end - start), self._table.content_length(number)
            )
        except EncodingError as error:
            raise self._damaged(f"{error} at byte {start}") from error

    def _read_table(self) -> SeekTable:
        try:
            footer_at = max(0, self.stored_size - SEEK_FOOTER_BYTES)
            width = table_bytes(_read_exactly(self._descriptor, footer_at, SEEK_FOOTER_BYTES))
            table_at = max(0, self.stored_size - width)
            table = _read_exactly(self._descriptor, table_at, self.stored_size - table_at)
            return SeekTable.decode(table, self.stored_size)
        except EncodingError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, problem: str) -> DamagedObjectError:
        return DamagedObjectError(str(self.path), problem, self.digest)


def _read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    """Read a range, fewer bytes only at the end of the file."""
    data = os.pread(descriptor, length, offset)
    while len(data) < length and (more := os.pread(descriptor, length - len(data), offset + len(data))):
        data += more
    return data


def open_loose(root: Path, digest: Digest) -> LooseObject | None:
    """Open the file of an object, plain or compressed; None when there is neither.

    Raises:
        OSError: when a file that is there cannot be opened.
        DamagedObjectError: when it is compressed and its seek table is damaged.
    """
    for compressed in (False, True):
        with suppress(FileNotFoundError):
            path = object_path(root, digest, compressed=compressed)
            return LooseObject(path, digest, compressed=compressed)
    return None


def iterate_loose(root: Path) -> Iterator[tuple[Path, Digest | None]]:
    """Give every file in the folders of objects with its object; None for what does not belong there."""
    for first in _sub_folders(root):
        for second in _sub_folders(first):
            for item in sorted(os.scandir(second), key=lambda entry: entry.name):
                match = _FILE_NAME.fullmatch(item.name)
                belongs = (
                    match is not None
                    and item.name[:4] == first.name + second.name
                    and item.is_file(follow_symlinks=False)
                )
                digest = Digest.from_hex(match[1]) if match is not None and belongs else None
                yield Path(item.path), digest


def _sub_folders(folder: Path) -> list[Path]:
    names = sorted(
        item.name for item in os.scandir(folder) if _SHARD_NAME.fullmatch(item.name) and item.is_dir()
    )
    return [folder / name for name in names]


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object whose bytes are written under a temporary name.

    Args:
        temporary: Where they are.
        digest: The object.
        size: Its length in bytes.
        compressed: Whether they are compressed.
    """

    temporary: Path
    digest: Digest
    size: int
    compressed: bool

    def publish(self, root: Path, *, durable: bool) -> None:
        """Give it its name.

        Args:
            root: The store's folder.
            durable: Whether the name must survive a power cut; the bytes must be durable already.

        Raises:
            OSError: when a step fails.
        """
        target = object_path(root, self.digest, compressed=self.compressed)
        try:
            os.rename(self.temporary, target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.temporary, target)
            if durable:
                fsync_directory(target.parent.parent)
                fsync_directory(root)
        if durable:
            fsync_directory(target.parent)

    def discard(self) -> None:
        """Remove it, if it has no name yet."""
        with suppress(FileNotFoundError):
            self.temporary.unlink()


def temporary_path(root: Path) -> Path:
    """Give a temporary name that nobody else has."""
    return root / TEMPORARY_FOLDER / secrets.token_hex(16)


def write_object(root: Path, source: StreamSource, *, durable: bool, compress: bool = True) -> WrittenObject:
    """Write everything up to the end of a stream under a temporary name.

    Args:
        root: The store's folder.
        source: The stream.
        durable: Whether the bytes must survive a power cut once this returns.
        compress: False when it is known that compression does not pay.

    Raises:
        OSError: when the stream cannot be read or a write fails; then nothing is left.
    """
    temporary = temporary_path(root)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        try:
            digest, size, compressed = _write_stream(descriptor, source, compress)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return WrittenObject(temporary, digest, size, compressed)


def _write_stream(descriptor: int, source: StreamSource, compress: bool) -> tuple[Digest, int, bool]:
    """Write a stream; the next piece is written while the one before is still being hashed."""
    hasher = hashlib.sha256()
    stored: list[int] = []
    size = 0
    with ThreadPoolExecutor(1) as executor:
        hashing: Future[None] | None = None
        for piece in read_pieces(source, FRAME_BYTES):
            if not size:
                compress = compress and _pays_from(piece)
            if hashing is not None:
                hashing.result()
            hashing = executor.submit(hasher.update, piece) if len(piece) == FRAME_BYTES else None
            if hashing is None:
                hasher.update(piece)
            size += len(piece)
            kept = compressed_frame(piece) if compress else piece
            write_fully(descriptor, kept)
            stored.append(len(kept))
    compress = compress and size > 0
    if compress:
        write_fully(descriptor, SeekTable.of_frames(stored, size).encode())
    return Digest(hasher.digest()), size, compress


def _pays_from(first: bytes) -> bool:
    """Say whether to compress an object, from its first piece, which may be all of it."""
    return sample_pays(first) if len(first) == FRAME_BYTES else compressed_if_it_pays(first) is not None
