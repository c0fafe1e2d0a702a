"""What the machine is, how busy it is, and what the kernel says about processes, caches and mounts."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from catfs.errors import MachineError
from catfs.linux import MNT_DETACH, umount2

BUSY_SHARE = 0.25
"""Load per processor, averaged over a minute, above which times are not to be trusted."""

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine in general terms.

    Args:
        processors: Number of processors that may be used.
        memory_bytes: Memory of the machine.
        kernel: Its release.
        architecture: Of the processors.
        file_system: Kind of the file system that the work is done on.
        disk: `solid`, `rotating` or `virtual`, or `unknown`.
        python: Version of the interpreter.
        tools: Version line of each program that takes part, by name.
        load: Average of waiting processes over the last minute, when the run began.
    """

    processors: int
    memory_bytes: int
    kernel: str
    architecture: str
    file_system: str
    disk: str
    python: str
    tools: dict[str, str]
    load: float

    @property
    def busy(self) -> bool:
        """Whether others used the machine when the run began."""
        return self.load > BUSY_SHARE * self.processors


def describe_machine(directory: Path) -> Machine:
    """Give the machine in general terms.

    Args:
        directory: Where the work is done.
    """
    tools = {
        name: line
        for name, command in _VERSIONS.items()
        if shutil.which(name) and (line := _version_line(command))
    }
    return Machine(
        processors=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=".".join(platform.release().split(".")[:2]),
        architecture=platform.machine(),
        file_system=file_system_of(directory),
        disk=_disk_of(directory),
        python=platform.python_version(),
        tools=tools,
        load=os.getloadavg()[0],
    )


_VERSIONS = {
    "fuse-overlayfs": ["fuse-overlayfs", "--version"],
    "git": ["git", "--version"],
    "gcc": ["gcc", "--version"],
    "make": ["make", "--version"],
}


def _version_line(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    lines = [line for line in said.splitlines() if any(digit.isdigit() for digit in line)]
    named = [line for line in lines if line.startswith(command[0])]
    return (named or lines or [""])[0]


def file_system_of(directory: Path) -> str:
    """Give the kind of file system that holds a directory, such as `ext4`.

    Raises:
        MachineError: when the kernel does not list it.
    """
    device = os.stat(directory).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        fields = line.split(" ")
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    raise MachineError(f"the file system of {directory} is in no mount of this process")


def _disk_of(directory: Path) -> str:
    device = os.stat(directory).st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    for folder in (block, block.resolve().parent):
        try:
            rotational = (folder / "queue/rotational").read_text("ascii").strip()
        except OSError:
            continue
        if folder.resolve().name.startswith(("vd", "xvd")):
            return "virtual"  # whatever it says of itself: only the host knows
        return "rotating" if rotational == "1" else "solid"
    return "unknown"


def forget_entries(*, contents: bool = False) -> None:
    """Write everything back, then let the kernel forget names and attributes.

    Args:
        contents: Whether it forgets what files hold too.

    Raises:
        MachineError: without the right to do so.
    """
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3" if contents else "2", "ascii")
    except OSError as error:
        raise MachineError(
            f"cannot drop the kernel's caches: {error.strerror}", hint="run as root"
        ) from error


def processor_seconds(pid: int) -> float:
    """Give the processor seconds that a process itself has used, all its threads together.

    Works for a process that has ended too, as long as nobody has waited for it.

    Raises:
        OSError: when there is no such process.
    """
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def peak_bytes(pid: int) -> int:
    """Give the most memory that a process ever had resident.

    Raises:
        OSError: when there is no such process.
        MachineError: when it has ended.
    """
    for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise MachineError(f"process {pid} has ended, and its memory is not known any more")


def mounts_below(folder: Path) -> list[bytes]:
    """Give every mount point at or below a folder, the outermost first."""
    top = os.fsencode(folder)
    found = []
    for line in Path("/proc/self/mounts").read_bytes().splitlines():
        point = line.split(b" ")[1].replace(b"\\040", b" ")
        if point == top or point.startswith(top + b"/"):
            found.append(point)
    return found


def unmount_below(folder: Path) -> None:
    """Take away every mount at or below a folder, the innermost first.

    Raises:
        OSError: when the kernel refuses.
    """
    for point in reversed(mounts_below(folder)):
        umount2(point, MNT_DETACH)


def catfs_command() -> list[str]:
    """Give the beginning of a `catfs` command: the installed program of this interpreter."""
    script = Path(sys.executable).with_name("catfs")
    return [str(script)] if script.exists() else [sys.executable, "-m", "catfs"]
