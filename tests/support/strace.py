"""An independent witness of a build: what strace saw in a domain, as changes with process and program."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Call(NamedTuple):
    """One change that strace saw.

    Args:
        op: The write log's word for it; `open` for an open that makes the file when it is not there.
        path: Path relative to the domain.
        path2: The new name of a rename or link, the target of a symlink; b"" for none.
        pid: Id of the process.
        exe: Path of its program, symlinks resolved.
        result: What the call gave: for a write the bytes written.
    """

    op: str
    path: bytes
    path2: bytes
    pid: int
    exe: bytes
    result: int


_FORKS = {"clone", "clone3", "fork", "vfork"}
_NAMES = {
    "mkdir": "mkdir",
    "rmdir": "rmdir",
    "unlink": "unlink",
    "chmod": "setattr",
    "fchmodat": "setattr",
    "truncate": "truncate",
    "mknod": "mknod",
    "rename": "rename",
    "link": "link",
    "symlink": "symlink",
    "creat": "open",
    "open": "open",
}
"""Calls that name their paths, without the ending `at` or `at2`, and what they are in the write log."""

_DESCRIPTORS = {"write": "write", "pwrite64": "write", "writev": "write", "fchmod": "setattr"}
"""Calls on one descriptor."""

_READS = {"read", "pread64", "readv", "preadv", "copy_file_range"}
"""Calls that read from the first descriptor among their arguments, and give the number of bytes."""

_TRACED = (
    *_FORKS,
    *_DESCRIPTORS,
    *_NAMES,
    *(f"{name}at" for name in _NAMES),
    "renameat2",
    "fchmodat2",
    "execve",
    "chdir",
    "fchdir",
    "copy_file_range",
)

OPTIONS = (
    "-f",
    "-y",
    "-xx",
    "-s",
    "4096",
    "-e",
    "signal=none",
    "-e",
    f"trace={','.join('?' + n for n in _TRACED)}",
)
"""Options under which `read_strace` can read the output: strings in hexadecimal, paths of descriptors; `?`
before a name that not every machine has."""

_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (\d+)")
_UNFINISHED = re.compile(r"^(\d+) +(.*?) *<unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FOLDER = re.compile(r"(?:AT_FDCWD|\b\d+)<((?:\\x[0-9a-f]{2})*)>")


def read_strace(output: Path, domain: Path) -> Iterator[Call]:
    """Give every change below a domain that succeeded, in the order in which the calls ended.

    Args:
        output: What strace wrote, under OPTIONS.
        domain: Absolute path of the domain, in which the traced program was started.
    """
    lines = [match for line in whole_lines(output) if (match := _LINE.match(line))]
    parents = {match[4]: match[1] for match in lines if match[2] in _FORKS}
    top = os.fsencode(domain)
    programs: dict[str, bytes] = {}
    folders = {lines[0][1]: top}
    for match in lines:
        pid, name, arguments, result = match.groups()
        if pid not in folders:
            folders[pid], programs[pid] = folders[parents[pid]], programs[parents[pid]]
        if name == "execve":
            program = decode_hex(_STRING.findall(arguments)[0])
            programs[pid] = os.path.realpath(os.path.join(folders[pid], program))
        elif name == "chdir":
            folders[pid] = os.path.join(folders[pid], decode_hex(_STRING.findall(arguments)[0]))
        elif name == "fchdir":
            folders[pid] = decode_hex(_FOLDER.findall(arguments)[0])
        for op, path, path2 in _changes(name, arguments, folders[pid]):
            if path.startswith(top + b"/"):
                inside, inside2 = path.removeprefix(top + b"/"), path2.removeprefix(top + b"/")
                yield Call(op, inside, inside2, int(pid), programs[pid], int(result))


def whole_lines(output: Path) -> Iterator[str]:
    """Join the two halves of a call during which another process was traced."""
    waiting: dict[str, str] = {}
    for line in output.read_text(errors="surrogateescape").splitlines():
        if match := _UNFINISHED.match(line):
            waiting[match[1]] = f"{match[1]} {match[2]}"
        elif match := _RESUMED.match(line):
            yield waiting.pop(match[1]) + match[2]
        else:
            yield line


def _changes(name: str, arguments: str, folder: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Give operation and absolute paths of one call; nothing for one that changes nothing."""
    folders = [decode_hex(text) for text in _FOLDER.findall(arguments)]
    names = [decode_hex(text) for text in _STRING.findall(arguments)]
    base = name if name in _NAMES else re.sub(r"at2?$", "", name)
    if name in _DESCRIPTORS:
        yield _DESCRIPTORS[name], folders[0], b""
    elif name == "copy_file_range":
        yield "write", folders[1], b""
    elif base in _NAMES and (base != "open" or "O_CREAT" in arguments):
        target = names.pop(0) if base == "symlink" else b""  # no path of the change, and kept as it is
        paths = [
            os.path.normpath(os.path.join(folders[index] if index < len(folders) else folder, text))
            for index, text in enumerate(names)
        ]
        op = "rmdir" if "AT_REMOVEDIR" in arguments else _NAMES[base]
        yield op, paths[0], paths[1] if len(paths) > 1 else target


def decode_hex(text: str) -> bytes:
    """Undo the hexadecimal form of `-xx`."""
    return bytes.fromhex(text.replace("\\x", ""))


READ_OPTIONS = (*OPTIONS[:-1], OPTIONS[-1] + "".join(f",?{name}" for name in sorted(_READS)))
"""Options under which `read_first_readers` can read the output."""


def read_first_readers(output: Path, domain: Path) -> dict[bytes, tuple[int, bytes]]:
    """Give each file below a domain that was read, and who was the first to get bytes of it.

    Args:
        output: What strace wrote, under READ_OPTIONS.
        domain: Absolute path of the domain, in which the traced program was started.

    Returns:
        Path relative to the domain -> process and path of its program, symlinks resolved.
    """
    lines = [match for line in whole_lines(output) if (match := _LINE.match(line))]
    parents = {match[4]: match[1] for match in lines if match[2] in _FORKS}
    top = os.fsencode(domain)
    programs: dict[str, bytes] = {}
    found: dict[bytes, tuple[int, bytes]] = {}
    for match in lines:
        pid, name, arguments, result = match.groups()
        if pid in parents and pid not in programs:
            programs[pid] = programs[parents[pid]]
        if name == "execve":
            programs[pid] = os.path.realpath(os.path.join(top, decode_hex(_STRING.findall(arguments)[0])))
        elif name in _READS and int(result) and (place := _FOLDER.search(arguments)):
            path = decode_hex(place[1])
            if path.startswith(top + b"/"):
                found.setdefault(path.removeprefix(top + b"/"), (int(pid), programs[pid]))
    return found
