"""Writing a run folder: every record, the compressed log, and last of all the proof.

A run folder is complete when PROOF.json is there, which is published only after everything else is on
the disk. So a run that was stopped leaves a folder that says of itself that it proves nothing. The proof of a
commit is written before the commit is decided, under another name, and is published with it: by a rename,
which a recovery can do as well.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

import zstandard

from catfs.digest import Digest
from catfs.durable import create_exclusively, fsync_directory, write_fully
from catfs.errors import FormatError, UsageError, printable
from catfs.limits import HASH_CHUNK_BYTES
from catfs.linux import RENAME_NOREPLACE, renameat2
from catfs.merkle import LogTree
from catfs.records import (
    HISTORY_DATA_FILE,
    PENDING_PROOF_FILE,
    PROOF_FILE,
    WRITE_LOG_FILE,
    FileRecord,
    LogSummary,
    Proof,
    file_bytes,
    schemas_of,
)
from catfs.records.log_lines import log_lines
from catfs.records.run_files import STEPS_FOLDER

Path = str | bytes | os.PathLike[str]

LOG_COMPRESSION_LEVEL: Final = 3
"""Level of zstd for the log: about a tenth of the size at several hundred MB/s."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RunWriter:
    """Writes one run folder, up to a proof that `publish_proof` lets count.

    Use it as a context manager; leaving it closes descriptors and removes nothing.

    Args:
        folder: Where the run folder is to be; its parent exists.

    Raises:
        UsageError: when it exists: the run id is taken.
        OSError: when it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = os.fsencode(folder)
        try:
            os.mkdir(self.folder, 0o755)
        except FileExistsError:
            name = printable(os.path.basename(self.folder))
            raise UsageError(f"the run id {name} is taken", hint="choose another with --run-id") from None
        self._descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._steps: int | None = None
        self._files: dict[str, Digest] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptors; the files stay as they are."""
        for descriptor in (self._descriptor, self._steps):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self._descriptor, self._steps = -1, None

    @property
    def files(self) -> Mapping[str, Digest]:
        """Name and SHA-256 of every file so far: what the proof must list."""
        return dict(self._files)

    def write_record(self, name: str, record: FileRecord) -> None:
        """Write a record. It is durable once the proof is prepared.

        Args:
            name: One of the names of a run folder, such as JOBSPEC.json or steps/01.json; not the proof.
            record: What it holds.

        Raises:
            FormatError: when the name is none, or the record cannot be said in canonical JSON.
            FileExistsError: when it was written already.
            OSError: when it cannot be written.
        """
        schemas = schemas_of(name)
        if record.to_dict().get("schema") not in schemas:
            expected = " or ".join(schemas) or "no schema"
            raise FormatError(name, f"expected a record of {expected}, got one of another kind")
        self.write_bytes(name, file_bytes(record))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file of a step, such as steps/01.stdout, or any other but the proof.

        Raises:
            FormatError: when the name is none of a run folder.
            FileExistsError: when it was written already.
            OSError: when it cannot be written.
        """
        folder, last = self._place(name)
        create_exclusively(folder, last, data, durable=False)
        self._files[name] = Digest.of(data)

    def add_file(self, name: str, source: Path) -> tuple[int, Digest]:
        """Copy a file into the folder, whatever its size.

        Args:
            name: One of the names of a run folder; not the proof.
            source: The file to copy.

        Returns:
            Its size in bytes, and its SHA-256.

        Raises:
            FormatError: when the name is none.
            FileExistsError: when it was written already.
            OSError: when it cannot be read or written.
        """
        size = 0
        hasher = hashlib.sha256()
        with self._new_file(name) as target, open(source, "rb", buffering=0) as stream:
            while chunk := stream.read(HASH_CHUNK_BYTES):
                write_fully(target, chunk)
                hasher.update(chunk)
                size += len(chunk)
        self._files[name] = Digest(hasher.digest())
        return size, self._files[name]

    def add_history(self, source: Path, *, linked: bool) -> tuple[int, Digest]:
        """Bring the data of a history into the folder, durably. The proof does not list it.

        Args:
            source: The data file of the session, which is on the same file system.
            linked: Whether the file itself becomes part of the folder: nobody writes to it any more.

        Returns:
            Its size in bytes, and its SHA-256.

        Raises:
            FileExistsError: when it was added already.
            OSError: when it cannot be read or written.
        """
        size, hasher = 0, hashlib.sha256()
        if linked:
            os.link(source, HISTORY_DATA_FILE, dst_dir_fd=self._descriptor)
            target = os.open(HISTORY_DATA_FILE, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._descriptor)
        else:
            target = os.open(HISTORY_DATA_FILE, _NEW_FILE, 0o600, dir_fd=self._descriptor)
        try:
            with open(source, "rb", buffering=0) as stream:
                while chunk := stream.read(HASH_CHUNK_BYTES):
                    if not linked:
                        write_fully(target, chunk)
                    hasher.update(chunk)
                    size += len(chunk)
            os.fsync(target)
        finally:
            os.close(target)
        return size, Digest(hasher.digest())

    def add_log(self, source: Path) -> LogSummary:
        """Compress the write log of a session into the folder.

        Args:
            source: The log as the session wrote it, plain and whole.

        Returns:
            What the proof says of it.

        Raises:
            LogDamageError: when its last line is cut off.
            FileExistsError: when it was added already.
            OSError: when it cannot be read or written.
        """
        tree, size, hasher = LogTree(), 0, hashlib.sha256()
        compressor = zstandard.ZstdCompressor(level=LOG_COMPRESSION_LEVEL, write_checksum=True).compressobj()
        with self._new_file(WRITE_LOG_FILE) as target, open(source, "rb") as stream:
            for line in log_lines(stream, printable(os.fsencode(source))):
                tree.append(line)
                size += len(line) + 1
                if packed := compressor.compress(line + b"\n"):
                    write_fully(target, packed)
                    hasher.update(packed)
            packed = compressor.flush()
            write_fully(target, packed)
            hasher.update(packed)
        self._files[WRITE_LOG_FILE] = Digest(hasher.digest())
        return LogSummary(tree.size, size, tree.root)

    def prepare(self, proof: Proof) -> None:
        """Make everything durable, the proof included, which does not count before it is published.

        Args:
            proof: Lists exactly the files of this folder.

        Raises:
            FormatError: when it lists others.
            OSError: when the disk refuses; then the run stays incomplete.
        """
        if dict(proof.files) != self._files:
            odd = sorted(set(proof.files.items()) ^ set(self._files.items()))
            problem = f"expected the files of the folder, but {odd[0][0]} differs"
            raise FormatError(PROOF_FILE, problem)
        for name in self._files:
            folder, last = self._place(name)
            descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if self._steps is not None:
            fsync_directory(self._steps)
        create_exclusively(self._descriptor, PENDING_PROOF_FILE.encode(), file_bytes(proof))
        fsync_directory(os.path.dirname(self.folder) or b".")

    def restart(self, kept: Collection[str]) -> None:
        """Take away a proof that was prepared, and all files but some, to write them anew.

        Args:
            kept: Names of the files that stay.

        Raises:
            OSError: when a file cannot be removed.
        """
        for folder, prefix in ((self._descriptor, ""), (self._steps, f"{STEPS_FOLDER}/")):
            for last in [] if folder is None else os.listdir(folder):
                if last != STEPS_FOLDER and prefix + last not in kept:
                    os.unlink(last, dir_fd=folder)
        self._files = {name: digest for name, digest in self._files.items() if name in kept}

    @contextmanager
    def _new_file(self, name: str) -> Iterator[int]:
        """Give the descriptor of a new file."""
        folder, last = self._place(name)
        descriptor = os.open(last, _NEW_FILE, 0o644, dir_fd=folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _place(self, name: str) -> tuple[int, bytes]:
        """Give the folder of a file, made at first use, and its name there."""
        schemas_of(name)
        if name == PROOF_FILE:
            raise FormatError(name, "the proof is written by prepare, last of all")
        above, _, last = name.rpartition("/")
        if not above:
            return self._descriptor, last.encode()
        if self._steps is None:
            os.mkdir(STEPS_FOLDER, 0o755, dir_fd=self._descriptor)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._steps = os.open(STEPS_FOLDER, flags, dir_fd=self._descriptor)
        return self._steps, last.encode()


def publish_proof(folder: Path) -> bool:
    """Let the proof of a run count that was prepared, durably; nothing happens when it counts already.

    Args:
        folder: The run folder.

    Returns:
        Whether there is a proof that counts now; False when none was prepared, or there is no such folder.

    Raises:
        OSError: when the disk refuses.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        pending, proof = PENDING_PROOF_FILE.encode(), PROOF_FILE.encode()
        with suppress(FileNotFoundError, FileExistsError):
            renameat2(descriptor, pending, descriptor, proof, RENAME_NOREPLACE)
        # Also after a rename that a stopped process did: it may not be durable yet.
        os.fsync(descriptor)
        return PROOF_FILE in os.listdir(descriptor)
    finally:
        os.close(descriptor)
