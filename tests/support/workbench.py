"""A workbench: the same commands are run in a mount and in a plain directory, and the results compared.

The plain directory is bound over the mount point in a private mount namespace while commands run in
it, so both have the same absolute paths, which many tools write into what they make.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.support.mounted import Mounted
from tests.support.walk import walk

TRANSPORTS = ("pyfuse3", "devfuse")
"""The transports that every tool is tried over."""

STEP_SECONDS = 60.0
"""How long the commands of one test may take on each side, in seconds."""

_SERVER_SECONDS = 240
_BIND = 'mount --bind -- "$1" "$2" && cd -- "$3" && shift 3 && exec "$@"'


class Look(NamedTuple):
    """What can be seen of one name, from outside of catfs.

    Args:
        mode: Kind and permission bits.
        owner: User and group id.
        device: Device number of a device node.
        names: All names of a file in this tree, so that hard links are compared; (name,) for most.
        content: SHA-256 of the content of a file, target of a symlink.
        xattrs: Extended attributes, sorted.
        mtime_ns: Time of the last change in nanoseconds since 1970; 0 where it is not compared.
    """

    mode: int
    owner: tuple[int, int]
    device: int
    names: tuple[bytes, ...]
    content: bytes
    xattrs: tuple[tuple[str, bytes], ...]
    mtime_ns: int


Timed = Callable[[bytes, int], bool]
"""Says by path and mode whether the time of something is to be compared: tools keep some, not all."""


def no_times(path: bytes, mode: int) -> bool:
    """Compare no times."""
    del path, mode
    return False


def all_times(path: bytes, mode: int) -> bool:
    """Compare all times."""
    del path, mode
    return True


def times_of_files(path: bytes, mode: int) -> bool:
    """Compare the times of files, not those of directories and symlinks."""
    del path
    return stat.S_ISREG(mode)


def look_at(top: Path, leave_out: Collection[str] = (), timed: Timed = no_times) -> dict[bytes, Look]:
    """Give everything below a directory by its path.

    Args:
        top: The directory.
        leave_out: Relative paths that are left out, with all below them.
        timed: Whose times are compared.
    """
    root = os.fsencode(top)
    left_out = {os.fsencode(path) for path in leave_out}
    status: dict[bytes, os.stat_result] = {}
    names: dict[int, list[bytes]] = {}
    for folder, directories, files in os.walk(root):
        here = folder[len(root) + 1 :]
        for name in sorted((*directories, *files)):
            path = os.path.join(here, name)
            if path in left_out:
                directories[:] = [kept for kept in directories if kept != name]
                continue
            status[path] = os.lstat(os.path.join(root, path))
            names.setdefault(status[path].st_ino, []).append(path)
    return {
        path: _look(root, path, found, tuple(sorted(names[found.st_ino])), timed(path, found.st_mode))
        for path, found in status.items()
    }


def _look(root: bytes, path: bytes, found: os.stat_result, names: tuple[bytes, ...], is_timed: bool) -> Look:
    place = os.path.join(root, path)
    content = b""
    if stat.S_ISREG(found.st_mode):
        with open(place, "rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
    elif stat.S_ISLNK(found.st_mode):
        content = os.readlink(place)
    attributes = {name: os.getxattr(place, name, follow_symlinks=False) for name in _xattr_names(place)}
    return Look(
        mode=found.st_mode,
        owner=(found.st_uid, found.st_gid),
        device=found.st_rdev,
        names=names,
        content=content,
        xattrs=tuple(sorted(attributes.items())),
        mtime_ns=found.st_mtime_ns if is_timed else 0,
    )


def _xattr_names(place: bytes) -> list[str]:
    # What a machine's policy puts on every file says nothing about a tool.
    return [n for n in os.listxattr(place, follow_symlinks=False) if n != "security.selinux"]


def describe_differences(left: dict[bytes, Look], right: dict[bytes, Look]) -> list[str]:
    """Give one line for each path that is not the same on both sides."""
    return [
        f"{path!r}: {left.get(path)} in the mount, {right.get(path)} outside"
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]


@dataclass(frozen=True, slots=True)
class Workbench:
    """A mount, and a plain directory that had the same content at first.

    Args:
        server: Serves the mount.
        plain: The plain directory.
        scratch: A folder for what tools need outside.
    """

    server: Mounted
    plain: Path
    scratch: Path

    def run(self, script: str, folder: str, *arguments: str | Path) -> bytes:
        """Run a shell script in a folder of the mount and of the plain directory, and compare what it says.

        Args:
            script: Stops at the first command that fails.
            folder: Relative path of an existing folder.
            arguments: `$1` and so on.

        Returns:
            The output, the same on both sides.
        """
        shell = ("sh", "-euc", script, "sh", *arguments)
        mount = self.server.mount
        bound = ("unshare", "-m", "sh", "-c", _BIND, "sh", self.plain, mount, mount / folder, *shell)
        sides = [self._start("mount", shell, mount / folder), self._start("plain", bound, None)]
        outputs = []
        try:
            for side in sides:
                output, errors = side.communicate(timeout=STEP_SECONDS)
                assert side.returncode == 0, (side.args, output[-4000:], errors[-4000:])
                outputs.append(output)
        finally:
            for side in sides:
                side.kill()
                side.communicate()
        assert outputs[0] == outputs[1]
        return outputs[0]

    def _start(
        self, side: str, command: tuple[str | Path, ...], folder: Path | None
    ) -> subprocess.Popen[bytes]:
        own = self.scratch / side
        own.mkdir(exist_ok=True)
        home = os.environ.get("HOME", "")
        environment = {
            "CARGO_HOME": os.environ.get("CARGO_HOME", f"{home}/.cargo"),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", f"{home}/.rustup"),
            "PATH": os.environ["PATH"],
            "HOME": str(self.scratch),
            "LC_ALL": "C.UTF-8",
            "PYTHON": sys.executable,
            "SOURCE_DATE_EPOCH": "1700000000",
            "TMPDIR": str(own),
            "TZ": "UTC",
        }
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=0o022,
        )

    def compare(
        self, folder: str, leave_out: Collection[str] = (), timed: Timed = no_times
    ) -> dict[bytes, Look]:
        """Compare a folder of the mount with the same one of the plain directory.

        Args:
            folder: Its relative path.
            leave_out: As `look_at`.
            timed: As `look_at`.

        Returns:
            What is in both.

        Raises:
            AssertionError: when they differ in anything.
        """
        seen = look_at(self.server.mount / folder, leave_out, timed)
        expected = look_at(self.plain / folder, leave_out, timed)
        problems = describe_differences(seen, expected)
        assert not problems, "\n".join(problems[:20])
        assert seen, f"nothing is in {folder}"
        return seen


def open_workbench(
    transport: str, folder: Path, fill: Callable[[Path], None], seconds: int = _SERVER_SECONDS
) -> Iterator[Workbench]:
    """Give a workbench; afterwards check that nothing was lost and nothing was written below.

    Args:
        transport: What serves the mount.
        folder: An empty folder.
        fill: Fills the lower.
        seconds: How long the server may live.

    Raises:
        AssertionError: when a full walk of the mount, the view and the replay of its log have not one
            root, the lower is not what it was, or the server complained.
    """
    server = Mounted(transport, folder, seconds)
    fill(server.lower)
    bench = Workbench(server, folder / "plain", folder / "scratch")
    subprocess.run(["cp", "-a", server.lower, bench.plain], timeout=STEP_SECONDS, check=True)
    bench.scratch.mkdir()
    before = walk(server.lower)
    with server:
        yield bench
        server.check_roots()
    assert walk(server.lower) == before
    assert server.errors == ""


def absent(*programs: str) -> list[str]:
    """Give the programs that this machine does not have, or that do not even tell their version."""
    return [
        program
        for program in programs
        if shutil.which(program) is None
        or subprocess.run([program, "--version"], capture_output=True, timeout=30, check=False).returncode
    ]
