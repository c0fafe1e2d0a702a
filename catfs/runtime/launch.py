"""Launching: the child process that mounts the view and becomes the command.

The child is forked while this process has one thread. It enters a mount namespace of its own, opens
/dev/fuse there, mounts, hands the descriptor to the server over a socket and waits until the view is
served; only then it touches the mount. The server stays outside, where its mount does not exist.

For a user who may not do that, the server mounts through fusermount3 before it forks (`helper_mount`).
"""

import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path

from catfs.errors import ExitStatus, MachineError
from catfs.linux import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MNT_DETACH,
    MS_BIND,
    MS_NOATIME,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    mount,
    set_parent_death_signal,
    umount2,
    unshare,
)
from catfs.runtime.helper_mount import FUSE, HelperMount, mount_by_helper, needs_helper
from catfs.runtime.mounts import view_source
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class Mounts:
    """Where a view appears.

    Args:
        domains: The path of each domain, in the order of the session.
        labels: The name of each domain in the joined root; only used when there are several.
        staging: An empty folder where a joined root is mounted for a moment.
        source: What the kernel's table of mounts says that the view is mounted from.
        read_only: Whether the kernel refuses every change.
    """

    domains: tuple[Path, ...]
    labels: tuple[bytes, ...]
    staging: Path
    source: bytes = field(default_factory=view_source)
    read_only: bool = False


class Child:
    """The forked process, seen from the server.

    Args:
        pid: Its process id.
        channel: The server's end of the socket between the two.
        helped: The mount, when it was not the child that made it.
    """

    def __init__(self, pid: int, channel: socket.socket, helped: HelperMount | None = None) -> None:
        self.pid = pid
        self._channel = channel
        self._helped = helped

    def receive_connection(self) -> int:
        """Wait until the child has mounted and give the descriptor of its connection.

        Raises:
            MachineError: when it could not mount.
        """
        if self._helped is not None:
            return self._helped.take_connection()
        data, descriptors, _, _ = socket.recv_fds(self._channel, 4096, 1)
        if descriptors:
            os.set_inheritable(descriptors[0], False)
            return descriptors[0]
        raise MachineError(_problem(data, "the mounting process ended before it mounted"))

    def proceed(self) -> None:
        """Let the child go on: for one that has mounted this means that the view is being served."""
        self._channel.sendall(b"go")

    def problem(self) -> str | None:
        """Give what kept the child from executing its command, once it has ended or executed."""
        data = self._channel.recv(4096)
        return _problem(data, "") if data else None

    @property
    def channel(self) -> socket.socket:
        """The socket, which reads as ended once the child has executed the command."""
        return self._channel

    def unmount(self) -> None:
        """Let the mount go that does not go with the child by itself; it is gone a moment later."""
        if self._helped is not None:
            self._helped.unmount()

    def close(self) -> None:
        """Close the socket, and see off who has mounted."""
        self._channel.close()
        if self._helped is not None:
            self._helped.close()


def _problem(data: bytes, default: str) -> str:
    return str(json.loads(data)["problem"]) if data else default


def launch_command(
    mounts: Mounts,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    output: int,
    errors: int,
    report: int | None,
    given: int | None = None,
) -> Child:
    """Fork the child that mounts privately and executes a command.

    Args:
        mounts: Where the view appears, for the command only.
        arguments: What to execute.
        environment: Its environment.
        cwd: Its working directory, entered anew inside the mount.
        output: Descriptor that becomes its standard output.
        errors: Descriptor that becomes its standard error.
        report: Descriptor that it inherits besides, or None.
        given: Descriptor that becomes its standard input; None for the caller's.
    """

    def become(channel: socket.socket) -> int:
        if given is not None:
            os.dup2(given, 0)
        return become_command(channel, arguments, environment, (output, errors), report)

    return launch(mounts, cwd, become)


def launch(mounts: Mounts, cwd: Path, work: Callable[[socket.socket], int]) -> Child:
    """Fork the child that mounts privately and does some work there.

    Args:
        mounts: Where the view appears, for the child and its children only.
        cwd: Its working directory, entered anew inside the mount.
        work: What it does then, given its end of the socket to the server; gives its exit status. An
            OSError is reported over the socket.

    Raises:
        MachineError: when this user can mount through fusermount3 only, and that cannot be.
    """
    helped = _mount_helped(mounts) if needs_helper() else None
    # A socket that keeps messages apart: what the two say to each other is read one by one.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(pid, ours, helped)
    status = int(ExitStatus.INTERNAL)
    try:
        ours.close()
        _die_with(server)
        os.setsid()  # no way to the caller's terminal, and a process group that signals can be sent to
        if helped is not None:
            helped.leave()
            _wait_until_served(theirs)
        else:
            _enter_namespace()
            _mount_and_hand_over(mounts, theirs)
            _bind_domains(mounts)
        os.chdir(cwd)
        status = work(theirs)
    except OSError as error:
        _report(theirs, error)
    finally:
        os._exit(status)


def become_command(
    channel: socket.socket,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    outputs: tuple[int, int],
    report: int | None,
) -> int:
    """Become a command; come back only when that fails, with the exit status that says so.

    Args:
        channel: Where the failure is reported.
        arguments: What to execute.
        environment: Its environment.
        outputs: Descriptors that become its standard output and error.
        report: Descriptor that it inherits besides, or None.
    """
    os.dup2(outputs[0], 1)
    os.dup2(outputs[1], 2)
    _keep_to_ourselves()
    if report is not None:
        os.set_inheritable(report, True)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return _execute(channel, arguments, environment)


def launch_mount(domain: Path, source: bytes, *, read_only: bool = False) -> Child:
    """Fork the child that mounts for everybody, in the namespace that the caller has now, and ends.

    It waits for `Child.proceed` before it mounts: the caller enters a namespace of its own first, which
    would have the mount in it too if that came later. A second `Child.proceed` lets it end.

    Args:
        domain: Where the view appears.
        source: What it is mounted from, as `view_source` gives it.
        read_only: Whether the kernel refuses every change.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(pid, ours)
    status = ExitStatus.INTERNAL
    try:
        ours.close()
        if theirs.recv(2) != b"go":
            os._exit(status)
        _mount_and_hand_over(Mounts((domain,), (b"0",), domain, source, read_only), theirs)
        status = ExitStatus.RESTORED
    except OSError as error:
        _report(theirs, error)
    finally:
        os._exit(status)


def enter_private_namespace() -> None:
    """Leave the mount namespace of the others, so that what they mount from now on is not seen here.

    Raises:
        OSError: when that is not permitted.
    """
    unshare(CLONE_NEWNS)
    mount(b"none", b"/", None, MS_REC | MS_PRIVATE)


def _execute(channel: socket.socket, arguments: Sequence[str], environment: Mapping[str, str]) -> ExitStatus:
    """Become the command; come back only when that fails, with the status that says so."""
    try:
        os.execvpe(arguments[0], list(arguments), dict(environment))
    except OSError as error:
        error.filename = arguments[0]  # and not the last place where it was looked for
        _report(channel, error)
        os.write(2, os.fsencode(f"catfs: cannot execute {arguments[0]}: {error.strerror}\n"))
        return ExitStatus.NOT_FOUND if isinstance(error, FileNotFoundError) else ExitStatus.NOT_EXECUTABLE


def _report(channel: socket.socket, error: OSError) -> None:
    place = f" {os.fsdecode(error.filename)}" if error.filename else ""
    channel.sendall(json.dumps({"problem": f"{error.strerror or error}{place}"}).encode())


def _keep_to_ourselves() -> None:
    """Let no descriptor but the standard ones reach the command: one that a caller left open may lead out."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with suppress(OSError):  # the one that listed them is closed by now
                os.set_inheritable(int(name), False)


def _die_with(server: int) -> None:
    """End this process when the server ends, however it ends."""
    set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != server:
        os._exit(ExitStatus.INTERNAL)


def _enter_namespace() -> None:
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        enter_private_namespace()
        return
    unshare(CLONE_NEWUSER | CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    mount(b"none", b"/", None, MS_REC | MS_PRIVATE)


def _mount_and_hand_over(mounts: Mounts, channel: socket.socket) -> None:
    try:
        connection = os.open(FUSE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        text = f"{FUSE} cannot be opened: {error.strerror} (`catfs doctor` says what this machine lacks)"
        raise OSError(error.errno, text) from error
    place = mounts.domains[0] if len(mounts.domains) == 1 else mounts.staging
    options = (
        f"fd={connection},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},default_permissions"
    )
    if os.getuid() == 0:
        options += ",allow_other"
    flags = MS_NOSUID | MS_NODEV | MS_NOATIME | (MS_RDONLY if mounts.read_only else 0)
    mount(mounts.source, os.fsencode(place), b"fuse.catfs", flags, options.encode())
    socket.send_fds(channel, [b"mounted"], [connection])
    os.close(connection)
    _wait_until_served(channel)


def _wait_until_served(channel: socket.socket) -> None:
    """Wait for the server's word; without it, end."""
    if channel.recv(2) != b"go":
        os._exit(ExitStatus.INTERNAL)


def _mount_helped(mounts: Mounts) -> HelperMount:
    """Mount through fusermount3, which mounts one domain and binds none.

    Raises:
        MachineError: as `mount_by_helper`, and for several domains.
    """
    if len(mounts.domains) > 1:
        raise MachineError(
            "this user may not make user namespaces, and without them a session has one domain",
            hint="take a directory above all of them as the domain",
        )
    return mount_by_helper(mounts.domains[0], mounts.source, mounts.staging, read_only=mounts.read_only)


def _bind_domains(mounts: Mounts) -> None:
    """Put each domain of a joined root at its own path."""
    if len(mounts.domains) == 1:
        return
    staging = os.fsencode(mounts.staging)
    for domain, label in zip(mounts.domains, mounts.labels, strict=True):
        mount(staging + b"/" + label, os.fsencode(domain), None, MS_BIND)
    umount2(staging, MNT_DETACH)
