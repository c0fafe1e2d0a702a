"""Processes that read and hash the files of a domain, while another one walks through it.

Processes and not threads, because for small files the interpreter does more work than the hashing. A
message is small enough that two of them fit into a pipe in either direction: so neither side ever waits
for the other to read, whatever the order of events.
"""

import hashlib
import os
import signal
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from errno import EACCES, EIO, EPERM
from selectors import EVENT_READ, DefaultSelector
from typing import Generic, TypeVar

from catfs.beneath import open_directory_beneath
from catfs.digest import DIGEST_BYTES, digest_descriptor
from catfs.errors import CatfsError, ExitStatus, MachineError, printable
from catfs.linux import set_parent_death_signal
from catfs.merkle import STAT, stat_row
from catfs.values import dataclass

JOB_FILES_MAX = 384
"""Most files of one job: their digests and attributes are 30 KiB."""

JOB_NAME_BYTES_MAX = 24 * 1024
"""Most bytes of paths and names in one job, besides the last directory's."""

JOB_BYTES_MAX = 8 << 20
"""Bytes of content after which a job is closed, so that all workers are busy with large files too."""

JOBS_WAITING_MAX = 2
"""Most jobs that one worker has been given: one that it works on, one so that it never waits."""

_PIPE_BYTES = 256 * 1024
_SMALL_BYTES = 64 * 1024
_PART = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_PROBLEM = struct.Struct("<I")
_RESULT_BYTES = DIGEST_BYTES + STAT.size
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_REFUSALS = tuple(map(os.strerror, (EACCES, EPERM, EIO)))

K = TypeVar("K")


class CaptureError(CatfsError):
    """A domain cannot be read whole.

    Args:
        path: What could not be read, relative to the domain.
        problem: Why.
    """

    def __init__(self, path: bytes, problem: str) -> None:
        super().__init__(f"the domain cannot be proven, because {printable(path) or 'it'} {problem}")
        self.path = path
        self.problem = problem

    @property
    def is_lasting(self) -> bool:
        """Whether trying again is in vain: the system refuses the file, and it is not just changing."""
        return self.problem.endswith(_REFUSALS)


JobPart = tuple[bytes, list[bytes]]
"""A directory, relative to the domain, and names of regular files in it."""


@dataclass(frozen=True, slots=True)
class HashResult(Generic[K]):
    """What a worker found out about the files of a job.

    Args:
        key: What the job was submitted with.
        digests: 32 bytes for each file, in the order of the job.
        rows: The row of attributes of each file, taken after it was read.
    """

    key: K
    digests: bytes
    rows: bytes


def hash_files(root: int, parts: Sequence[JobPart]) -> tuple[bytes, bytes]:
    """Read files and give their digests and, taken afterwards, their rows of attributes.

    Args:
        root: Descriptor of the domain's directory.
        parts: The files.

    Raises:
        CaptureError: when one of them cannot be read.
    """
    digests: list[bytes] = []
    rows: list[bytes] = []
    buffer = bytearray(_SMALL_BYTES)
    for path, names in parts:
        try:
            directory = open_directory_beneath(root, path.split(b"/") if path else [])
        except OSError as error:
            raise CaptureError(path, f"cannot be opened: {error.strerror}") from error
        try:
            for name in names:
                digest, row = _hash_file(directory, path, name, buffer)
                digests.append(digest)
                rows.append(row)
        finally:
            os.close(directory)
    return b"".join(digests), b"".join(rows)


def _hash_file(directory: int, path: bytes, name: bytes, buffer: bytearray) -> tuple[bytes, bytes]:
    try:
        descriptor = _open_file(directory, name)
    except OSError as error:
        raise CaptureError(_joined(path, name), f"cannot be opened: {error.strerror}") from error
    try:
        # Nearly all files are small: one read, and the size afterwards tells whether it was all.
        count = os.readv(descriptor, [buffer])
        if count < len(buffer):
            digest = hashlib.sha256(memoryview(buffer)[:count]).digest()
        else:
            digest = digest_descriptor(descriptor).raw
        status = os.fstat(descriptor)
    except OSError as error:
        raise CaptureError(_joined(path, name), f"cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if count < len(buffer) and count != status.st_size:
        raise CaptureError(_joined(path, name), "changed while it was read")
    return digest, stat_row(status)


def _open_file(directory: int, name: bytes) -> int:
    """Open a file so that its access time stays as it is, where that is allowed."""
    try:
        return os.open(name, _FLAGS | os.O_NOATIME, dir_fd=directory)
    except PermissionError:
        return os.open(name, _FLAGS, dir_fd=directory)


def _joined(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name


class HashWorkers(Generic[K]):
    """Worker processes; they end when this process closes them, or dies.

    Args:
        root: Descriptor of the domain's directory.
        count: How many processes.

    Raises:
        OSError: when a process cannot be started.
    """

    def __init__(self, root: int, count: int) -> None:
        self._workers: list[_Worker[K]] = []
        self._selector = DefaultSelector()
        for _ in range(count):
            worker = _Worker[K](root, [other.socket for other in self._workers])
            self._workers.append(worker)
            self._selector.register(worker.socket, EVENT_READ, worker)

    @property
    def is_ready(self) -> bool:
        """Whether another job can be submitted now."""
        return any(len(worker.keys) < JOBS_WAITING_MAX for worker in self._workers)

    @property
    def is_idle(self) -> bool:
        """Whether no result is outstanding."""
        return not any(worker.keys for worker in self._workers)

    def submit(self, key: K, parts: Sequence[JobPart]) -> None:
        """Give a job to the worker that has the least to do; only when `is_ready`.

        Args:
            key: Comes back with the result.
            parts: The files.

        Raises:
            MachineError: when the worker is gone.
        """
        worker = min(self._workers, key=lambda item: len(item.keys))
        assert len(worker.keys) < JOBS_WAITING_MAX
        worker.keys.append(key)
        message = b"".join(
            piece
            for path, names in parts
            for joined in (b"\0".join(names),)
            for piece in (_PART.pack(len(path), len(joined)), path, joined)
        )
        try:
            worker.socket.sendall(_LENGTH.pack(len(message)) + message)
        except OSError as error:
            raise _gone() from error

    def results(self, *, wait: bool) -> Iterator[HashResult[K]]:
        """Give the results that are there.

        Args:
            wait: Whether to wait for at least one.

        Raises:
            CaptureError: when a file could not be read.
            MachineError: when a worker is gone.
        """
        for found, _ in self._selector.select(None if wait else 0):
            yield found.data.receive()

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        self._selector.close()
        for worker in self._workers:
            worker.stop()
        self._workers = []


class _Worker(Generic[K]):
    """One process and the jobs that it was given."""

    def __init__(self, root: int, others: Sequence[socket.socket]) -> None:
        self.keys: list[K] = []
        self.socket, theirs = socket.socketpair()
        for end in (self.socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIPE_BYTES)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid:
            theirs.close()
            return
        try:
            set_parent_death_signal(signal.SIGKILL)
            # An end of another worker's pipe that is open here would hide the death of this process from it.
            for other in (self.socket, *others):
                other.close()
            if os.getppid() == parent:
                _work(root, theirs)
        finally:
            os._exit(ExitStatus.RESTORED)

    def receive(self) -> HashResult[K]:
        size = _read_length(self.socket)
        if size is None:
            raise _gone()
        message = _read_exactly(self.socket, size)
        (path_length,) = _PROBLEM.unpack_from(message)
        body = message[_PROBLEM.size :]
        if path_length:
            text = body[path_length - 1 :].decode("utf-8", "backslashreplace")
            raise CaptureError(body[: path_length - 1], text)
        count = len(body) // _RESULT_BYTES
        return HashResult(self.keys.pop(0), body[: count * DIGEST_BYTES], body[count * DIGEST_BYTES :])

    def stop(self) -> None:
        self.socket.close()
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _work(root: int, jobs: socket.socket) -> None:
    """Do jobs until there are no more: the other end was closed."""
    while (size := _read_length(jobs)) is not None:
        try:
            digests, rows = hash_files(root, _parts(_read_exactly(jobs, size)))
            message = _PROBLEM.pack(0) + digests + rows
        except CaptureError as error:
            # One more than the length, so that 0 says that there is no problem.
            text = error.problem.encode("utf-8", "backslashreplace")
            message = _PROBLEM.pack(len(error.path) + 1) + error.path + text
        jobs.sendall(_LENGTH.pack(len(message)) + message)


def _parts(message: bytes) -> list[JobPart]:
    parts: list[JobPart] = []
    at = 0
    while at < len(message):
        path_length, names_length = _PART.unpack_from(message, at)
        at += _PART.size
        path = message[at : at + path_length]
        at += path_length
        parts.append((path, message[at : at + names_length].split(b"\0")))
        at += names_length
    return parts


def _read_length(source: socket.socket) -> int | None:
    """Give the length of the next message, or None when the other end was closed, or died."""
    try:
        head = source.recv(_LENGTH.size, socket.MSG_WAITALL)
    except ConnectionError:
        return None
    if len(head) < _LENGTH.size:
        return None
    length: int = _LENGTH.unpack(head)[0]
    return length


def _read_exactly(source: socket.socket, size: int) -> bytes:
    try:
        data = source.recv(size, socket.MSG_WAITALL)
    except ConnectionError as error:
        raise _gone() from error
    if len(data) < size:
        raise _gone()
    return data


def _gone() -> MachineError:
    return MachineError("a process that reads the domain ended before it was done")
