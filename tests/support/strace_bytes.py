"""An independent witness of bytes: who wrote each byte of each file last, worked out from strace alone.

Follows descriptors, their positions and the names of files through a trace, and knows nothing of catfs.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.strace import decode_hex, whole_lines

OPTIONS = (
    "-f",
    "-y",
    "-xx",
    "-v",
    "-s",
    "65536",
    "-e",
    "signal=none",
    "-e",
    "trace="
    + ",".join(
        "?" + name
        for name in (
            *("clone", "clone3", "fork", "vfork", "execve", "chdir", "fchdir"),
            *("open", "openat", "creat", "dup", "dup2", "dup3", "fcntl", "close", "lseek"),
            *("read", "pread64", "write", "pwrite64", "writev", "copy_file_range", "sendfile"),
            *("ftruncate", "truncate", "rename", "renameat", "renameat2", "unlink", "unlinkat"),
            *("link", "linkat"),
        )
    ),
)
"""Options under which `watch_bytes` can read the output."""

_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (\d+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FOLDER = re.compile(r"(?:AT_FDCWD|\b\d+)<((?:\\x[0-9a-f]{2})*)>")
_VECTOR = re.compile(r'"[^"]*", \[([^\]]*)\]')
_DESCRIPTOR = re.compile(r"^(\d+)<")


@dataclass(eq=False)
class SeenFile:
    """A file that the trace speaks of.

    Args:
        path: Its name when it was first seen.
        made: Whether the trace saw it being made.
        owners: For each byte the process that wrote it last; None for a byte of the original, or a gap.
        names: Its names now.
        written: Bytes of all writes.
    """

    path: bytes
    made: bool
    owners: list[int | None] = field(default_factory=list)
    names: set[bytes] = field(default_factory=set)
    written: int = 0

    def write(self, offset: int, length: int, pid: int) -> None:
        """Let a process write a range."""
        self.owners += [pid] * (offset + length - len(self.owners))
        self.owners[offset : offset + length] = [pid] * length
        self.written += length


@dataclass(eq=False)
class _Open:
    """An open file: what descriptors share after dup and fork."""

    file: SeenFile
    appends: bool
    position: int = 0


@dataclass(eq=False)
class _Process:
    folder: bytes
    parent: int
    open: dict[int, _Open]
    argv: tuple[bytes, ...] = ()


class Witness:
    """What strace saw of a domain.

    Args:
        output: What strace wrote, under OPTIONS.
        domain: The domain, in which the traced program was started.
    """

    def __init__(self, output: Path, domain: Path) -> None:
        self.top = os.fsencode(domain) + b"/"
        """The domain, with a slash behind it."""
        self.files: list[SeenFile] = []
        """Every file of the domain that was opened for writing or made."""
        self.processes: dict[int, _Process] = {}
        """Every process by its id; the trace is short, so that no id comes twice."""
        self._names: dict[bytes, SeenFile] = {}
        self._before: set[bytes] = set()
        self._output = output

    def read(self, existed: set[bytes]) -> "Witness":
        """Read the trace.

        Args:
            existed: Paths relative to the domain that were there before.
        """
        self._before = {self.top + path for path in existed}
        lines = [match for line in whole_lines(self._output) if (match := _LINE.match(line))]
        forks = {"clone", "clone3", "fork", "vfork"}
        parents = {int(match[4]): int(match[1]) for match in lines if match[2] in forks}
        self._process(int(lines[0][1]), parents)
        for match in lines:
            pid, name, arguments, result = int(match[1]), match[2], match[3], int(match[4])
            process = self._process(pid, parents)
            if name in forks:
                self._process(result, parents)
            else:
                self._call(pid, process, name, arguments, result)
        return self

    def at(self, path: bytes) -> SeenFile:
        """Give the file that has a path at the end."""
        return self._names[self.top + path]

    def temporary(self) -> Iterator[SeenFile]:
        """Give the files that were made and have no name at the end."""
        return (file for file in self.files if file.made and not file.names)

    def _process(self, pid: int, parents: dict[int, int]) -> _Process:
        if pid not in self.processes:
            parent = self.processes.get(parents.get(pid, 0))
            if parent is None:
                self.processes[pid] = _Process(self.top.rstrip(b"/"), 0, {})
            else:
                self.processes[pid] = _Process(parent.folder, parents[pid], dict(parent.open), parent.argv)
        return self.processes[pid]

    def _call(self, pid: int, process: _Process, name: str, arguments: str, result: int) -> None:
        strings = [decode_hex(text) for text in _STRING.findall(arguments)]
        match = _DESCRIPTOR.match(arguments)
        number = int(match[1]) if match else -1
        if name == "execve":
            vector = _VECTOR.match(arguments)
            assert vector is not None, arguments
            process.argv = tuple(decode_hex(text) for text in _STRING.findall(vector[1]))
        elif name in {"chdir", "fchdir"}:
            place = strings[0] if strings else decode_hex(_FOLDER.findall(arguments)[0])
            process.folder = os.path.normpath(os.path.join(process.folder, place))
        elif name in {"open", "openat", "creat"}:
            self._open(process, name, self._paths(process, arguments, strings)[0], arguments, result)
        elif name in {"dup", "dup2", "dup3"} or (name == "fcntl" and "F_DUPFD" in arguments):
            process.open.pop(result, None)
            if number in process.open:
                process.open[result] = process.open[number]
        elif name == "close":
            process.open.pop(number, None)
        elif name in {"rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "truncate"}:
            self._rename(
                name.removesuffix("2").removesuffix("at"), self._paths(process, arguments, strings), arguments
            )
        elif number in process.open:
            self._move(pid, process, process.open[number], name, arguments, result)

    def _move(
        self, pid: int, process: _Process, opened: _Open, name: str, arguments: str, result: int
    ) -> None:
        """Take in a call on one open file."""
        if name == "lseek":
            opened.position = result
        elif name == "read":
            opened.position += result
        elif name in {"write", "writev"}:
            self._write(pid, opened, result)
        elif name == "pwrite64":
            opened.file.write(int(arguments.rsplit(",", 1)[1]), result, pid)
        elif name == "ftruncate":
            self._cut(opened.file, int(arguments.rsplit(",", 1)[1]), pid)
        elif name in {"copy_file_range", "sendfile"}:
            numbers = [int(text) for text in re.findall(r"(?:^|, )(\d+)<", arguments)]
            source, target = (
                (numbers[0], numbers[1]) if name == "copy_file_range" else (numbers[1], numbers[0])
            )
            if source in process.open:
                process.open[source].position += result
            if target in process.open:
                self._write(pid, process.open[target], result)

    def _write(self, pid: int, opened: _Open, length: int) -> None:
        if opened.appends:
            opened.position = len(opened.file.owners)
        opened.file.write(opened.position, length, pid)
        opened.position += length

    @staticmethod
    def _cut(file: SeenFile, size: int, pid: int) -> None:
        file.owners = file.owners[:size] + [pid] * (size - len(file.owners))

    def _open(self, process: _Process, name: str, path: bytes, arguments: str, result: int) -> None:
        process.open.pop(result, None)
        if not path.startswith(self.top) or "O_DIRECTORY" in arguments:
            return
        known = self._names.get(path)
        writes = name == "creat" or "O_WRONLY" in arguments or "O_RDWR" in arguments
        if known is None:
            if not writes and path not in self._before:
                return
            known = SeenFile(path.removeprefix(self.top), path not in self._before, [], {path})
            self._names[path] = known
            self.files.append(known)
        if name == "creat" or "O_TRUNC" in arguments:
            known.owners = []
        process.open[result] = _Open(known, "O_APPEND" in arguments)

    def _paths(self, process: _Process, arguments: str, strings: list[bytes]) -> list[bytes]:
        folders = [decode_hex(text) for text in _FOLDER.findall(arguments)]
        return [
            os.path.normpath(os.path.join(folders[place] if place < len(folders) else process.folder, text))
            for place, text in enumerate(strings)
        ]

    def _rename(self, name: str, paths: list[bytes], arguments: str) -> None:
        """Take in a call that changes names, or one that cuts a file by its name."""
        if "AT_REMOVEDIR" in arguments:
            return
        file = self._names.get(paths[0])
        if name == "truncate" or (file is None and name == "unlink"):
            return
        if name == "link" and file is not None:
            self._names[paths[1]] = file
            file.names.add(paths[1])
            return
        moved = self._names.pop(paths[0], None)
        if moved is not None:
            moved.names.discard(paths[0])
        if name == "rename":
            replaced = self._names.pop(paths[1], None)
            if replaced is not None:
                replaced.names.discard(paths[1])
            if moved is not None:
                self._names[paths[1]] = moved
                moved.names.add(paths[1])
