"""The base of a session: each domain read whole by a helper process, while the command already runs.

A process and not a thread, because reading and hashing would keep the interpreter of the server from
answering requests. It leaves a pack of tree nodes and a small file of facts per domain.
"""

import base64
import mmap
import os
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from catfs.errors import CatfsError, ExitStatus, FormatError, MachineError
from catfs.linux import set_parent_death_signal
from catfs.merkle import PackReader, PackWriter
from catfs.overlay import HardLinks
from catfs.proof.capture import Capture, CaptureError, capture
from catfs.runtime.stopping import leave_stopping_to_the_parent

_COUNTERS = struct.Struct("=QQ")
_READINGS_MAX = 5
"""How often a domain is read that does not hold still. Commits of other runs take moments; what changes for
longer than that cannot be vouched for."""

_PROBLEM_HINT = "every path of a domain must be readable; take it out of the domain, or run as its owner"

_NICENESS = 5
"""The command has the machine first; the base only has to be there when the command ends."""


@dataclass(frozen=True, slots=True)
class Base:
    """What a domain was when the session began.

    Args:
        pack: The nodes of its tree.
        hard_links: Its files with several names.
        files: Number of its regular files.
        size: Bytes in them.
    """

    pack: PackReader
    hard_links: HardLinks
    files: int
    size: int


class BaseReader:
    """The helper process that reads the domains of a session.

    Args:
        folder: The session's folder, where the results go.
        roots: Descriptor of each domain's directory.
        hidden: (device, inode) of directories that are not part of any domain.
    """

    def __init__(self, folder: Path, roots: Sequence[int], hidden: Sequence[tuple[int, int]]) -> None:
        self._folder = folder
        self._count = len(roots)
        self._counters = mmap.mmap(-1, mmap.PAGESIZE)
        parent = os.getpid()
        self._pid = os.fork()
        self._bases: list[Base] | None = None
        self._ended = False
        if self._pid:
            self.descriptor = os.pidfd_open(self._pid)
            return
        status = ExitStatus.INTERNAL
        try:
            set_parent_death_signal(signal.SIGKILL)
            leave_stopping_to_the_parent()
            os.nice(_NICENESS)
            if os.getppid() == parent:
                self._read_all(roots, hidden)
                status = ExitStatus.RESTORED
        except (CatfsError, OSError) as error:
            _problem_path(folder).write_text(str(error), encoding="utf-8", errors="backslashreplace")
        finally:
            os._exit(status)

    def progress(self) -> tuple[int, int]:
        """Give how many files and how many bytes have been read so far."""
        files, size = _COUNTERS.unpack_from(self._counters, 0)
        return files, size

    def finish(self) -> list[Base]:
        """Wait for the process and give what it found, one base per domain.

        Raises:
            MachineError: when a domain could not be read whole.
            FormatError: when the results are damaged.
        """
        if self._bases is None:
            if self._wait():
                raise MachineError(_problem(self._folder), hint=_PROBLEM_HINT)
            self._bases = [_load(self._folder, index) for index in range(self._count)]
        return self._bases

    def stop(self) -> None:
        """End the process, whatever it is doing, and close what was loaded."""
        if not self._ended:
            os.kill(self._pid, signal.SIGKILL)
            self._wait()
        for base in self._bases or ():
            base.pack.close()

    def _wait(self) -> int:
        """Wait for the process once and give its wait status; 0 when it succeeded."""
        if self._ended:
            return 1
        _, status = os.waitpid(self._pid, 0)
        self._ended = True
        os.close(self.descriptor)
        return status

    def _read_all(self, roots: Sequence[int], hidden: Sequence[tuple[int, int]]) -> None:
        for index, root in enumerate(roots):
            found = self._read_one(index, root, hidden)
            facts = {
                "files": found.files,
                "size": found.size,
                "hard_links": [
                    [device, inode, [base64.b64encode(path).decode() for path in paths]]
                    for (device, inode), paths in found.hard_links.items()
                ],
            }
            _facts_path(self._folder, index).write_bytes(orjson.dumps(facts))

    def _read_one(self, index: int, root: int, hidden: Sequence[tuple[int, int]]) -> Capture:
        """Read one domain, again when others change it meanwhile: other runs may be committing to it."""
        for _ in range(_READINGS_MAX - 1):
            with suppress(CaptureError):
                return self._read_once(index, root, hidden)
        return self._read_once(index, root, hidden)

    def _read_once(self, index: int, root: int, hidden: Sequence[tuple[int, int]]) -> Capture:
        with PackWriter(_pack_path(self._folder, index)) as pack:
            found = capture(root, pack, hidden, self._note)
            pack.close(found.root_entry)
        return found

    def _note(self, files: int, size: int) -> None:
        _COUNTERS.pack_into(self._counters, 0, files, size)


class KeptBase:
    """The base of a resumed session, read whole when the session began.

    Args:
        bases: One base per domain.
    """

    def __init__(self, bases: list[Base]) -> None:
        self._bases = bases

    def progress(self) -> tuple[int, int]:
        """Give how many files and how many bytes were read."""
        return sum(base.files for base in self._bases), sum(base.size for base in self._bases)

    def finish(self) -> list[Base]:
        """Give one base per domain."""
        return self._bases

    def stop(self) -> None:
        """Close what was loaded."""
        for base in self._bases:
            base.pack.close()


def open_base(folder: Path, roots: Sequence[int], hidden: Sequence[tuple[int, int]]) -> BaseReader | KeptBase:
    """Give the base of a session: the one that its folder holds whole, or a reader that reads it now.

    Arguments as of BaseReader.
    """
    try:
        return KeptBase([_load(folder, index) for index in range(len(roots))])
    except (OSError, FormatError):
        forget_base(folder, len(roots))
        return BaseReader(folder, roots, hidden)


def forget_base(folder: Path, count: int) -> None:
    """Remove what was read of the domains of a session, so that they are read again.

    Args:
        folder: The session's folder.
        count: Number of its domains.

    Raises:
        OSError: when something cannot be removed.
    """
    for index in range(count):
        _pack_path(folder, index).unlink(missing_ok=True)
        _facts_path(folder, index).unlink(missing_ok=True)


def _load(folder: Path, index: int) -> Base:
    path = _facts_path(folder, index)
    try:
        facts = orjson.loads(path.read_bytes())
        links = {
            (device, inode): [base64.b64decode(item) for item in paths]
            for device, inode, paths in facts["hard_links"]
        }
        files, size = facts["files"], facts["size"]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(str(path), f"cannot be read back: {error}") from error
    return Base(PackReader(_pack_path(folder, index)), links, files, size)


def _problem(folder: Path) -> str:
    try:
        return _problem_path(folder).read_text(encoding="utf-8")
    except OSError:
        return "the process that reads the domain ended before it was done"


def _pack_path(folder: Path, index: int) -> Path:
    return folder / f"base-{index}.nodes"


def _facts_path(folder: Path, index: int) -> Path:
    return folder / f"base-{index}.json"


def _problem_path(folder: Path) -> Path:
    return folder / "base.problem"
