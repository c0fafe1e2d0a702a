"""The file systems that are compared: each one shows a prepared directory and lets it be changed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from catfs.errors import MachineError
from catfs.linux import MNT_DETACH, mount, umount2
from tools.bench.machine import mounts_below
from tools.bench.material import copy_tree
from tools.bench.model import (
    DEVFUSE,
    FUSE_OVERLAYFS,
    NATIVE,
    OVERLAYFS,
    PYFUSE3,
    VOLATILE,
    Place,
    UnavailableError,
)

CHECKOUT = Path(__file__).resolve().parents[2]
"""Where `python -m tools.bench.serve` can be started."""

_LOOK_SECONDS = 0.002
"""Time between two looks for a mount whose server does not say when it is there."""

_LEAVE_SECONDS = 20.0
"""How long a server may take to end after its mount was taken away."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file system that is ready to be worked in.

    Args:
        root: Its root directory.
        server: Process id of its server, or None when it has none.
    """

    root: Path
    server: int | None = None


@contextmanager
def _open_native(place: Place) -> Iterator[Opened]:
    root = place.scratch / "native"
    copy_tree(place.lower, root)
    yield Opened(root)


@contextmanager
def _open_overlayfs(place: Place, *, options: str = "") -> Iterator[Opened]:
    point, data = _layers(place)
    try:
        mount(b"overlay", os.fsencode(point), b"overlay", 0, os.fsencode(data + options))
    except OSError as error:
        raise UnavailableError(f"the kernel mounts no overlayfs here: {error.strerror}") from error
    try:
        yield Opened(point)
    finally:
        _unmount(point)


@contextmanager
def _open_fuse_overlayfs(place: Place) -> Iterator[Opened]:
    point, data = _layers(place)
    # setpriv lets the server end with this process, however this process ends.
    command = ["setpriv", "--pdeathsig", "KILL", "fuse-overlayfs", "-f", "-o", data, str(point)]
    with _server(command, place.scratch / "server.log", point) as server:
        while not mounts_below(point):
            if server.poll() is not None:
                raise MachineError(f"fuse-overlayfs ended: {_tail(place.scratch / 'server.log')}")
            time.sleep(_LOOK_SECONDS)
        yield Opened(point, server.pid)


@contextmanager
def open_catfs(place: Place, *, transport: str, module: str = "tools.bench.serve") -> Iterator[Opened]:
    """Show `place.lower` through catfs.

    Args:
        place: Where.
        transport: Name of the transport.
        module: What serves it.

    Raises:
        MachineError: when the server ended instead of serving.
    """
    workspace = place.scratch / "workspace"
    (workspace / ".catfs").mkdir(parents=True)
    command = [sys.executable, "-m", module, transport, str(workspace), str(place.lower)]
    with _server(command, place.scratch / "server.log", place.lower) as server:
        assert server.stdout is not None
        if server.stdout.readline() != b"served\n":
            raise MachineError(f"the server of catfs ended: {_tail(place.scratch / 'server.log')}")
        yield Opened(place.lower, server.pid)


_OPENERS: Final[Mapping[str, Callable[[Place], AbstractContextManager[Opened]]]] = {
    NATIVE: _open_native,
    OVERLAYFS: _open_overlayfs,
    VOLATILE: partial(_open_overlayfs, options=",volatile"),
    FUSE_OVERLAYFS: _open_fuse_overlayfs,
    PYFUSE3: partial(open_catfs, transport="pyfuse3"),
    DEVFUSE: partial(open_catfs, transport="devfuse"),
}


def open_peer(peer: str, place: Place) -> AbstractContextManager[Opened]:
    """Show `place.lower` through a file system; leaving takes it away and ends its server.

    The bare disk shows a copy. Everything else lives in `place.scratch`.

    Args:
        peer: One of FILE_SYSTEMS.
        place: Where.

    Raises:
        UnavailableError: when this machine cannot do it.
        MachineError: when the server ended instead of serving.
    """
    return _OPENERS[peer](place)


def _layers(place: Place) -> tuple[Path, str]:
    """Make the folders of an overlay; give the mount point and the options that name the rest."""
    point, upper, work = (place.scratch / name for name in ("merged", "upper", "work"))
    for folder in (point, upper, work):
        folder.mkdir()
    return point, f"lowerdir={place.lower},upperdir={upper},workdir={work}"


@contextmanager
def _server(command: list[str], log: Path, point: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server of a mount; in the end unmount and see it off."""
    with log.open("wb") as errors:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=CHECKOUT
        )
    try:
        yield server
    finally:
        if mounts_below(point):
            _unmount(point)
        try:
            server.communicate(timeout=_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGKILL)
            server.communicate()


def _unmount(point: Path) -> None:
    try:
        umount2(os.fsencode(point))
    except OSError:
        umount2(os.fsencode(point), MNT_DETACH)  # somebody still looks at it; it goes when they end


def _tail(log: Path) -> str:
    text = log.read_text("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else "without a word"


def problem_of(peer: str) -> str | None:
    """Give what a peer lacks on this machine, or None when it can be tried."""
    if peer == FUSE_OVERLAYFS and shutil.which("fuse-overlayfs") is None:
        return "fuse-overlayfs is not installed; run again with --install"
    if peer in (FUSE_OVERLAYFS, PYFUSE3, DEVFUSE) and not os.path.exists("/dev/fuse"):
        return "/dev/fuse is missing; load the kernel module fuse"
    return None
