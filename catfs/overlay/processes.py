"""Who a process is: asked of /proc at its first change, and again whenever it became another program.

A process keeps its id when it executes another program, and an id is given to another process once
the first is gone. Both show in /proc/PID/stat: the start time tells processes apart, the addresses
of code and stack move with every execution. Reading it takes the kernel longer than most changes take
us, so a cheaper question comes first: whether the memory that the process had is still in use. It ends
with the program. Only where somebody else uses the same memory does that say nothing: a process that
was forked by vfork runs in its parent's until it executes.

A change may come after the process behind it has ended, since a child writes on through what its
parent opened. What was said of a process while it ran stays true then, and nothing replaces it.

Who led to a change is asked at the same moment: most shells and drivers change nothing themselves, and
when the log is read they are gone.

The arguments of a process are read from its memory, under the lock that its own mmap and munmap
take. A process that unmaps a changed file holds that lock while it waits for this very server, so
the server must never wait for the arguments without end.
"""

import os
import threading
from collections import OrderedDict
from errno import EINVAL
from pathlib import Path

from catfs.limits import PROCESS_ANCESTORS_MAX, PROCESS_ARGUMENTS_SECONDS, PROCESS_DESCRIPTORS_MAX
from catfs.linux import share_memory
from catfs.overlay.nodes import Actor
from catfs.values import dataclass

_START_TIME, _CODE_START, _STACK_START, _PARENT, _SESSION, _FLAGS = 19, 23, 25, 1, 3, 6
"""Indexes of the fields of /proc/PID/stat behind the command name (proc_pid_stat(5))."""

_NOT_EXECUTED = 0x40
"""The flag of a process that has not executed anything since it was forked (PF_FORKNOEXEC)."""

_SAID_MAX = 64 * PROCESS_DESCRIPTORS_MAX
"""Most processes remembered after their descriptor was closed; of one forgotten everything is said again."""

_Signature = tuple[bytes, ...]
"""(start time, code start, stack start); empty when the process is gone."""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What is known of a process.

    Args:
        pid: Id of the thread that asked, as the kernel reports it.
        process: Id of the process that the thread belongs to.
        parent: Id of its parent process.
        start: When it started, in clock ticks since boot; 0 when it was gone already.
        exe: Path of its executable; b"" when it cannot be read.
        argv: Its arguments; none when its memory was busy.
        cwd: Its working directory; b"" when it cannot be read.
        uid: Its user id.
        session: Id of the process that leads its login session.
    """

    pid: int
    process: int = 0
    parent: int = 0
    start: int = 0
    exe: bytes = b""
    argv: tuple[bytes, ...] = ()
    cwd: bytes = b""
    uid: int = 0
    session: int = 0


class _Watch:
    """What is held open of a process.

    Args:
        stat: Descriptor of its /proc/PID/stat.
        memory: Descriptor of its /proc/PID/pagemap, which belongs to the memory that the process had when
            it was opened; None where that would tell nothing.
    """

    __slots__ = ("memory", "stat")

    def __init__(self, stat: int, memory: int | None) -> None:
        self.stat = stat
        self.memory = memory

    def runs_on(self) -> bool:
        """Say whether the process certainly still runs the program that it ran when this was opened."""
        if self.memory is None:
            return False
        try:
            # One byte is no whole entry: the kernel refuses that, but only while the memory is in use.
            os.pread(self.memory, 1, 0)
        except OSError as error:
            return error.errno == EINVAL
        return False

    def close(self) -> None:
        """Close both."""
        os.close(self.stat)
        if self.memory is not None:
            os.close(self.memory)


class Processes:
    """Tells when a process is new or has become another program.

    Args:
        proc: Where procfs is mounted.
        beyond_sessions: Whether ancestors beyond the leader of a login session are of interest. They are
            where all processes descend from the server; elsewhere they are programs of the machine, such as
            the one that opened somebody's terminal, and their arguments nobody's business.
    """

    def __init__(self, proc: str = "/proc", *, beyond_sessions: bool = True) -> None:
        self._proc = proc
        self._beyond_sessions = beyond_sessions
        self._own_pid = os.getpid()
        self._open: OrderedDict[int, _Watch] = OrderedDict()
        self._said: OrderedDict[int, _Signature] = OrderedDict()

    def close(self) -> None:
        """Close every descriptor."""
        while self._open:
            self._open.popitem()[1].close()

    def news(self, pid: int) -> ProcessFacts | None:
        """Say who a process is, if that was not said before.

        Args:
            pid: A thread id; 0 stands for the kernel and is no process.

        Returns:
            The facts when it is new or runs another program than last time; else None.
        """
        if pid <= 0:
            return None
        watch = self._open.get(pid)
        if watch is not None:
            if watch.runs_on() or _signature_of(_stat_fields(watch.stat)) == self._said.get(pid):
                self._open.move_to_end(pid)
                return None
            # Ended, or another program, or its id was given to another process: only a new look tells.
            self._open.pop(pid).close()
        fields = self._look(pid)
        signature = _signature_of(fields)
        said = self._said.get(pid)
        if said is not None and (signature == said or _has_ended(signature, said)):
            return None
        self._said[pid] = signature
        self._said.move_to_end(pid)
        if len(self._said) > _SAID_MAX:
            self._said.popitem(last=False)
        return self._facts(pid, fields) if fields else ProcessFacts(pid)

    def ancestors_news(self, facts: ProcessFacts) -> list[ProcessFacts]:
        """Say who led to a process, as far as that was not said before.

        Args:
            facts: What `news` gave for it.

        Returns:
            Its parent, the parent of that, and so on, up to the first one that is known already, to this
            very server, to the leader of the login session, or to where everything begins.
        """
        found: list[ProcessFacts] = []
        pid = 0 if facts.process == self._own_pid or self._is_last(facts) else facts.parent
        while pid > 1 and pid != self._own_pid and len(found) < PROCESS_ANCESTORS_MAX:
            ancestor = self.news(pid)
            if ancestor is None or not ancestor.start:
                break
            found.append(ancestor)
            pid = 0 if self._is_last(ancestor) else ancestor.parent
        return found

    def _is_last(self, facts: ProcessFacts) -> bool:
        """Say whether nobody above a process is of interest."""
        return not self._beyond_sessions and facts.session == facts.process

    def _look(self, pid: int) -> list[bytes]:
        """Give the fields of a process, and keep its descriptor as long as it lives; none when it is gone."""
        descriptor = self._open_fact(pid, "stat")
        if descriptor is None:
            return []
        # First the memory, then what runs in it: if it executes in between, the memory is no longer in use.
        watch = _Watch(descriptor, self._open_fact(pid, "pagemap"))
        fields = _stat_fields(descriptor)
        if not fields:
            watch.close()
            return []
        if watch.memory is not None and _may_share_memory(pid, fields):
            os.close(watch.memory)
            watch.memory = None
        self._open[pid] = watch
        if len(self._open) > PROCESS_DESCRIPTORS_MAX:
            self._open.popitem(last=False)[1].close()
        return fields

    def _open_fact(self, pid: int, name: str) -> int | None:
        """Open a file of a process; None when it is gone or may not be looked at."""
        try:
            return os.open(f"{self._proc}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None

    def _facts(self, pid: int, fields: list[bytes]) -> ProcessFacts:
        base = Path(self._proc, str(pid))
        status = _read(base / "status")
        arguments = _read_in_time(base / "cmdline")
        return ProcessFacts(
            pid=pid,
            process=_status_number(status, b"Tgid:", pid),
            parent=int(fields[_PARENT]) if len(fields) > _PARENT else 0,
            start=int(fields[_START_TIME]) if len(fields) > _START_TIME else 0,
            exe=_link(base / "exe"),
            argv=tuple(arguments.removesuffix(b"\0").split(b"\0")) if arguments else (),
            cwd=_link(base / "cwd"),
            uid=_status_number(status, b"Uid:", 0),
            session=int(fields[_SESSION]) if len(fields) > _SESSION else 0,
        )


def _stat_fields(descriptor: int) -> list[bytes]:
    """Give the fields of /proc/PID/stat behind the command name; none when the process is gone."""
    try:
        text = os.pread(descriptor, 1024, 0)
    except OSError:  # ESRCH, or whatever else: the change is made and must be logged
        return []
    return text[text.rfind(b")") + 2 :].split()


def _may_share_memory(pid: int, fields: list[bytes]) -> bool:
    """Say whether a process may run in the memory of its parent, which is only so before it executes."""
    if not _signature_of(fields) or not int(fields[_FLAGS]) & _NOT_EXECUTED:
        return False
    try:
        return share_memory(pid, int(fields[_PARENT]))
    except OSError:  # without the right to ask, or without the call
        return True


def _signature_of(fields: list[bytes]) -> _Signature:
    if len(fields) <= _STACK_START:
        return ()
    return (fields[_START_TIME], fields[_CODE_START], fields[_STACK_START])


def _has_ended(signature: _Signature, said: _Signature) -> bool:
    """Say whether a process of which something was said is gone, or waits without memory to be reaped."""
    if not signature:
        return True
    start, code, _ = signature
    return said[:1] == (start,) and code == b"0"


def _status_number(status: bytes, key: bytes, default: int) -> int:
    for line in status.splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return default


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read_in_time(path: Path) -> bytes:
    """Read a file that may not answer before this server has answered somebody else."""
    answer: list[bytes] = []
    reader = threading.Thread(target=lambda: answer.append(_read(path)), daemon=True)
    reader.start()
    reader.join(PROCESS_ARGUMENTS_SECONDS)
    return answer[0] if answer else b""


def _link(path: Path) -> bytes:
    try:
        return os.readlink(os.fsencode(path))
    except OSError:
        return b""


def is_member(actor: Actor, gid: int) -> bool:
    """Say whether a process acts for a group: with its own, or one of its further ones."""
    if actor.gid == gid:
        return True
    try:
        lines = Path(f"/proc/{actor.pid}/status").read_bytes().splitlines()
    except OSError:
        return False
    groups = next((line for line in lines if line.startswith(b"Groups:")), b"")
    return b"%d" % gid in groups.split()[1:]
