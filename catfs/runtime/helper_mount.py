"""Mounting through fusermount3, the setuid program of the fuse package, for users who may not mount.

A user who may make user namespaces needs no help: the view is mounted in a private one. Where the machine
forbids them, the mount is seen from everywhere, from this very process too, which would wait for itself
if it touched it. So whatever this process needs must lie outside of the domain.

A watcher waits for as long as its standard input is open, and then lets fusermount3 take the mount away:
so the mount goes with this process, however that ends. The auto_unmount of fusermount3 does not do that
here: it only takes away what cannot be opened any more, and opening a directory asks this server nothing.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import catfs
from catfs.errors import ExitStatus, MachineError
from catfs.linux import CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC, mount, unshare

FUSE: Final = "/dev/fuse"
"""Where a connection to the kernel is opened."""

_PROGRAM: Final = "fusermount3"


def needs_helper() -> bool:
    """Say whether this user can mount through fusermount3 only.

    Who may not open /dev/fuse cannot mount that way either: fusermount3 opens it as its caller.
    """
    return os.geteuid() != 0 and os.access(FUSE, os.R_OK | os.W_OK) and not _may_use_namespaces()


def _may_use_namespaces() -> bool:
    """Try in a child whether this user may make a user namespace and change mounts there."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    status = int(ExitStatus.INTERNAL)
    with suppress(OSError):
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        mount(b"none", b"/", None, MS_REC | MS_PRIVATE)
        status = 0
    os._exit(status)


class HelperMount:
    """A view that fusermount3 has mounted.

    Args:
        connection: Descriptor of the connection to the kernel.
        channel: Our end of the socket that is the standard input of the watcher.
        watcher: Takes the mount away once that is closed.
    """

    def __init__(self, connection: int, channel: socket.socket, watcher: subprocess.Popen[bytes]) -> None:
        self._connection = connection
        self._channel = channel
        self._watcher = watcher

    def take_connection(self) -> int:
        """Give the descriptor of the connection, which the caller closes."""
        return self._connection

    def leave(self) -> None:
        """Close the descriptors, in a forked child, where they would keep the mount alive."""
        os.close(self._connection)
        self._channel.close()

    def unmount(self) -> None:
        """Ask for the mount to be taken away. It happens a moment later; asking again changes nothing.

        Nobody may wait for that who serves the view: others may still wait for an answer from it.
        """
        with suppress(OSError):  # asked before
            self._channel.shutdown(socket.SHUT_RDWR)  # also where a forked child still has it open
        self._channel.close()

    def close(self) -> None:
        """Wait until the mount is gone, once the view is not served any more."""
        self.unmount()
        self._watcher.wait()


def mount_by_helper(domain: Path, source: bytes, staging: Path, *, read_only: bool) -> HelperMount:
    """Mount a view over a domain through fusermount3.

    Args:
        domain: Where it appears.
        source: What the kernel's table of mounts says that it is mounted from.
        staging: A folder of the workspace.
        read_only: Whether the kernel refuses every change.

    Raises:
        MachineError: when there is no fusermount3, when it refuses, or when this process would depend on
            its own mount.
    """
    _check_apart(domain, staging)
    program = shutil.which(_PROGRAM)
    if program is None:
        raise MachineError(
            f"this user may not make user namespaces, and there is no {_PROGRAM} to mount without them",
            hint="install the package fuse3",
        )
    name = source.replace(b"\\", b"\\\\").replace(b",", b"\\,")
    options = (
        b"ro" if read_only else b"rw",
        b"nosuid,nodev,noatime,default_permissions,subtype=catfs,fsname=" + name,
    )
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [program, "-o", b",".join(options), "--", os.fsencode(domain)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env=_environment(theirs.fileno()),
        )
    with ours:
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    said = process.communicate()[1].decode(errors="backslashreplace").strip()
    if not descriptors:
        raise MachineError(f"{_PROGRAM} could not mount: {said or 'it did not say why'}")
    os.set_inheritable(descriptors[0], False)
    return HelperMount(descriptors[0], *_watch(program, domain))


def _watch(program: str, domain: Path) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the watcher of a mount, and give our end of its standard input with it."""
    ours, theirs = socket.socketpair()
    with theirs:
        script = 'read line; exec "$0" -u -z -- "$1"'
        watcher = subprocess.Popen(
            ["/bin/sh", "-c", script, program, domain],
            cwd="/",
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return ours, watcher


def _environment(channel: int) -> Mapping[str, str]:
    """Give the environment of fusermount3, which names the socket on which it answers."""
    return {**os.environ, "_FUSE_COMMFD": str(channel)}


def _check_apart(domain: Path, staging: Path) -> None:
    """Refuse a domain that holds what this process needs while a view hides it.

    Raises:
        MachineError: naming that.
    """
    needed = {
        "the workspace": staging,
        "catfs itself": Path(catfs.__file__),
        "the packages of catfs": Path(sys.prefix),
        "the Python of catfs": Path(sys.base_prefix),
    }
    for what, place in needed.items():
        if Path(os.path.realpath(place)).is_relative_to(domain):
            raise MachineError(
                "this user may not make user namespaces, so the view would be mounted where everybody sees "
                f"it and hide {what}, which lies inside the domain {domain}",
                hint="move it out; a folder .catfs above the domain makes the one above it the workspace",
            )
