"""What catfs needs of the machine, looked at before anything fails for the lack of it."""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from catfs.values import dataclass

KERNEL_MIN: Final = (5, 6)
"""Oldest kernel: the first that has openat2, with which every path stays beneath its domain."""

FREE_BYTES_MIN: Final = 256 * 1024 * 1024
"""Free space below which the workspace's disk is called full, in bytes: a small build fits into it."""


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """One thing that was looked at.

    Args:
        name: What.
        ok: Whether it is as catfs needs it.
        detail: What is there, or what to do.
    """

    name: str
    ok: bool
    detail: str


def check_machine(place: Path) -> list[MachineCheck]:
    """Look at everything that catfs needs.

    Args:
        place: A folder on the disk that sessions are kept on.

    Raises:
        OSError: when the place cannot be looked at.
    """
    return [_check_fuse(), _check_bubblewrap(), check_kernel(os.uname().release), _check_space(place)]


def check_kernel(release: str) -> MachineCheck:
    """Check the release of the kernel.

    Args:
        release: As uname gives it.
    """
    match = re.match(r"(\d+)\.(\d+)", release)
    ok = match is not None and (int(match[1]), int(match[2])) >= KERNEL_MIN
    least = ".".join(map(str, KERNEL_MIN))
    return MachineCheck("kernel", ok, release if ok else f"expected {least} or newer, got {release}")


def _check_fuse() -> MachineCheck:
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        detail = f"cannot be opened ({error.strerror}); load the kernel module fuse, or grant the device"
        return MachineCheck("/dev/fuse", ok=False, detail=detail)
    return MachineCheck("/dev/fuse", ok=True, detail="can be opened")


def _check_bubblewrap() -> MachineCheck:
    program = shutil.which("bwrap")
    if program is None:
        detail = "not installed; install the package bubblewrap, or run with --confine off"
        return MachineCheck("bubblewrap", ok=False, detail=detail)
    return MachineCheck("bubblewrap", ok=True, detail=program)


def _check_space(place: Path) -> MachineCheck:
    facts = os.statvfs(place)
    free = facts.f_bavail * facts.f_frsize
    detail = f"{free // (1 << 20)} MiB free for new content"
    return MachineCheck("disk", free >= FREE_BYTES_MIN, detail)
