"""Mounting a moment: the view of a session or run as it was after a record, read-only, at a place of its own.

The server of such a mount holds no session: it ends when the mount is taken away, and nothing is left of it.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path

import orjson
import trio

from catfs.errors import MachineError, UsageError
from catfs.overlay.transports import Transport
from catfs.runtime.background import start_server, wait_in_foreground
from catfs.runtime.launch import launch_mount
from catfs.runtime.moments import moment_of
from catfs.runtime.mounts import MOMENT_SOURCE, is_mount_point
from catfs.runtime.past import look_beneath, past_of
from catfs.runtime.subject import Subject
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class MomentMounted:
    """What mounting a moment came to.

    Args:
        name: The session or run.
        records: Number of records that there were at the moment.
        place: Where it is mounted.
        domains: Number of its domains; of several each is a directory of the mount, named by its place.
    """

    name: str
    records: int
    place: Path
    domains: int


def mount_moment(
    subject: Subject,
    moment: str,
    place: Path,
    transport: Transport,
    on_mounted: Callable[[MomentMounted], None],
    *,
    foreground: bool = False,
) -> None:
    """Mount a moment for everybody, served by a process in the background.

    Args:
        subject: The session or run; it must have a history.
        moment: The moment, as `moment_of` reads it.
        place: An existing directory.
        transport: Serves the view.
        on_mounted: Told what the mount came to, as soon as it is there.
        foreground: Whether to return only when the mount has ended.

    Raises:
        UsageError: when the place cannot be used.
        MachineError: when this user cannot mount.
        NotMountedError: when the server says why it could not: there is no such moment, or no history.
    """
    if os.geteuid():
        raise MachineError("mounting for everybody needs root", hint="`catfs cat` shows single files without")
    place = Path(os.path.realpath(place))
    if not place.is_dir():
        raise UsageError(f"expected a directory to mount at, got {place}", hint="make an empty one")
    if is_mount_point(place):
        raise UsageError(f"{place} is mounted already", hint="`catfs umount` ends that")
    server = MomentServer(subject, moment, place, transport)
    pid, facts = start_server(server, foreground=foreground)
    records, domains = int(str(facts["records"])), int(str(facts["domains"]))
    on_mounted(MomentMounted(str(facts["name"]), records, place, domains))
    if foreground:
        wait_in_foreground(pid, place)


@dataclass(frozen=True, slots=True)
class MomentServer:
    """The server of one mounted moment.

    Args:
        subject: The session or run.
        moment: The moment, as `moment_of` reads it.
        place: Where it is mounted.
        transport: Serves the view.
    """

    subject: Subject
    moment: str
    place: Path
    transport: Transport

    def run(self, answer: io.FileIO) -> None:
        """Mount, report that, and serve until the mount is taken away.

        Args:
            answer: Where the report goes; it is closed then.

        Raises:
            CatfsError, OSError: when the moment cannot be made or mounted.
        """
        # The child mounts where everybody sees it; this process goes where its own mount does not exist.
        child = launch_mount(self.place, MOMENT_SOURCE, read_only=True)
        look_beneath()
        with past_of(self.subject) as past:
            end = moment_of(self.moment, past.log.size)
            view = past.view_at(end)
            child.proceed()
            connection = child.receive_connection()
            child.proceed()
            os.waitpid(child.pid, 0)
            child.close()
            facts = {"name": past.name, "records": end, "domains": len(past.paths)}
            answer.write(orjson.dumps(facts))
            answer.close()
            trio.run(self.transport.serve, view, connection)
