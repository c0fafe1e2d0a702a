"""Processes: who made a change is said once, anew after exec, and never taken back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from catfs.limits import PROCESS_DESCRIPTORS_MAX
from catfs.overlay import Processes, WriteLog
from catfs.overlay.nodes import Actor
from catfs.overlay.processes import is_member
from catfs.records.write_record import ProcessRecord, WriteRecord
from tests.support.memory_lower import MemoryLower
from tests.support.trees import build_sample
from tests.support.views import create_file, make_view, node_at, read_lines


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Give what tells processes of the real /proc."""
    processes = Processes()
    yield processes
    processes.close()


class FakeProc:
    """A folder that looks like /proc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = Processes(str(folder))

    def put(
        self,
        pid: int,
        start: int = 100,
        code: int = 4096,
        argv: bytes = b"cc\0-c\0",
        parent: int = 5,
        session: int = 1,
    ) -> None:
        """Let a process be there, in place of what had its id."""
        base = self.folder / str(pid)
        base.mkdir(exist_ok=True)
        numbers = [b"0"] * 49
        numbers[0], numbers[1], numbers[19] = b"R", b"%d" % parent, b"%d" % start
        numbers[3] = b"%d" % session
        numbers[23], numbers[25] = b"%d" % code, b"77"
        text = b"%d (c) c (x) " % pid + b" ".join(numbers) + b"\n"
        (base / "stat").write_bytes(text)
        (base / "status").write_bytes(b"Name:\tc\nTgid:\t%d\nUid:\t12\t13\t14\t15\n" % (pid - 1))
        (base / "cmdline").write_bytes(argv)
        for link in ("exe", "cwd"):
            (base / link).unlink(missing_ok=True)
            os.symlink(b"/bin/" + argv.split(b"\0")[0], base / link)

    def end(self, pid: int) -> None:
        """Let a process be gone: an open descriptor of it gives nothing any more."""
        (self.folder / str(pid) / "stat").write_bytes(b"")
        (self.folder / str(pid) / "stat").unlink()


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[FakeProc]:
    """Give a folder that looks like /proc."""
    proc = FakeProc(tmp_path)
    yield proc
    proc.processes.close()


def test_a_process_is_described_at_its_first_change(proc: FakeProc) -> None:
    """All facts come from /proc, whatever its name looks like, and only once."""
    proc.put(42)
    facts = proc.processes.news(42)
    assert facts is not None
    assert (facts.pid, facts.process, facts.parent, facts.start, facts.uid) == (42, 41, 5, 100, 12)
    assert (facts.exe, facts.argv, facts.cwd) == (b"/bin/cc", (b"cc", b"-c"), b"/bin/cc")
    assert proc.processes.news(42) is None


def test_members_of_a_group_are_known() -> None:
    """Somebody is of the group that it acts with and of its further ones; what is gone has none."""
    pid, groups = os.getpid(), os.getgroups()
    assert is_member(Actor(0, 0, 77), 77)
    assert all(is_member(Actor(pid, 0, 2**31), group) for group in groups)
    assert not is_member(Actor(pid, 0, 2**31), 2**31 - 1)
    assert not is_member(Actor(2**30, 0, 5), 0)


def test_the_kernel_is_no_process(proc: FakeProc) -> None:
    """Id 0 stands for the kernel, and nothing is said of it."""
    assert proc.processes.news(0) is None


def test_a_process_that_runs_another_program_is_described_again(proc: FakeProc) -> None:
    """After exec the same id has other code, and its new arguments are told."""
    proc.put(42)
    proc.processes.news(42)
    proc.put(42, code=8192, argv=b"ld\0")
    facts = proc.processes.news(42)
    assert facts is not None
    assert facts.argv == (b"ld",)


@pytest.mark.parametrize("seen_gone", [True, False])
def test_an_id_given_to_another_process_is_noticed(proc: FakeProc, seen_gone: bool) -> None:
    """A new start time is a new process, whether or not the end of the first was seen."""
    proc.put(42)
    proc.processes.news(42)
    proc.end(42)
    if seen_gone:
        assert proc.processes.news(42) is None
    proc.put(42, start=200, argv=b"rm\0")
    facts = proc.processes.news(42)
    assert facts is not None
    assert (facts.start, facts.argv) == (200, (b"rm",))
    assert proc.processes.news(42) is None


def test_what_was_said_of_a_process_outlives_it(proc: FakeProc) -> None:
    """A change made after its end, by a child that writes on, brings no empty second description."""
    proc.put(42)
    assert proc.processes.news(42) is not None
    proc.put(42, code=0, argv=b"")  # ended, not reaped: no memory any more
    assert proc.processes.news(42) is None
    proc.end(42)
    assert proc.processes.news(42) is None
    assert proc.processes.news(42) is None


def test_a_process_that_was_gone_before_anyone_looked_has_its_id_only(proc: FakeProc) -> None:
    """That is said once; when the id turns up again the process that has it is described."""
    facts = proc.processes.news(42)
    assert facts is not None
    assert (facts.pid, facts.start, facts.exe, facts.argv) == (42, 0, b"", ())
    assert proc.processes.news(42) is None
    proc.put(42)
    facts = proc.processes.news(42)
    assert facts is not None
    assert facts.exe == b"/bin/cc"


def _ancestors(proc: FakeProc, pid: int) -> list[int]:
    """Describe a process and give the ids of the ancestors that are described with it."""
    facts = proc.processes.news(pid)
    assert facts is not None
    return [ancestor.pid for ancestor in proc.processes.ancestors_news(facts)]


def test_ancestors_are_described_once(proc: FakeProc) -> None:
    """From the parent up, to the first that was described before or to the first process of all."""
    for pid, parent in ((20, 1), (21, 20), (22, 21), (23, 21)):
        proc.put(pid, parent=parent)
    assert _ancestors(proc, 22) == [21, 20]
    assert _ancestors(proc, 23) == []
    proc.put(21, code=8192, argv=b"sh\0", parent=20)
    proc.put(24, parent=21)
    assert _ancestors(proc, 24) == [21]


def test_ancestors_end_at_the_server_and_at_one_that_is_gone(proc: FakeProc) -> None:
    """The server is no part of what it watches, and of a parent that has ended nothing is known."""
    proc.put(os.getpid(), parent=1)
    proc.put(30, parent=os.getpid())
    assert _ancestors(proc, 30) == []
    proc.put(31, parent=40)
    assert _ancestors(proc, 31) == []


@pytest.mark.parametrize(("beyond", "expected"), [(True, [62, 61, 60]), (False, [62, 61])])
def test_ancestors_of_a_mount_end_at_the_leader_of_the_login_session(
    proc: FakeProc, beyond: bool, expected: list[int]
) -> None:
    """Whatever opened somebody's terminal led to nothing, and what it was told is nobody's business."""
    processes = Processes(str(proc.folder), beyond_sessions=beyond)
    proc.put(60, parent=1)
    for pid, parent in ((61, 60), (62, 61), (63, 62)):
        proc.put(pid, parent=parent, session=60)  # the process behind thread 61 is 60, which leads
    facts = processes.news(63)
    assert facts is not None
    assert [ancestor.pid for ancestor in processes.ancestors_news(facts)] == expected
    processes.close()


def test_ancestors_that_lead_back_to_each_other_end(proc: FakeProc) -> None:
    """Ids that were given away while somebody looked make no endless chain."""
    proc.put(50, parent=51)
    proc.put(51, parent=50)
    assert _ancestors(proc, 50) == [51]


def test_more_processes_than_descriptors_are_not_described_twice(proc: FakeProc) -> None:
    """Many writers that take turns are described once each, with few descriptors open."""
    pids = range(100, 100 + PROCESS_DESCRIPTORS_MAX + 10)
    for pid in pids:
        proc.put(pid)
    before = len(os.listdir("/proc/self/fd"))
    assert all(proc.processes.news(pid) is not None for pid in pids)
    assert not any(proc.processes.news(pid) for pid in pids)
    assert len(os.listdir("/proc/self/fd")) - before <= PROCESS_DESCRIPTORS_MAX


def test_a_real_child_is_described_and_again_after_it_executes(processes: Processes) -> None:
    """A shell that becomes cat has two descriptions, each with its own program and arguments."""
    child = subprocess.Popen(
        ["/bin/sh", "-c", "read line; exec cat -u -"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    )
    assert child.stdin is not None
    assert child.stdout is not None
    shell = processes.news(child.pid)
    assert shell is not None
    assert (shell.process, shell.parent, shell.uid) == (child.pid, os.getpid(), os.getuid())
    assert (shell.argv, shell.cwd) == ((b"/bin/sh", b"-c", b"read line; exec cat -u -"), b"/")
    assert shell.start > 0
    child.stdin.write(b"go\nping\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"ping\n"  # so it is cat by now
    cat = processes.news(child.pid)
    assert cat is not None
    assert cat.argv == (b"cat", b"-u", b"-")
    assert cat.start == shell.start
    assert cat.exe != shell.exe
    child.stdin.close()
    child.wait()
    child.stdout.close()
    assert processes.news(child.pid) is None


_SPAWN = """
import os, sys
fifo, = sys.argv[1:]
os.posix_spawn("/bin/sh", ["sh", "-c", "echo ready; read line"], {},
    file_actions=[(os.POSIX_SPAWN_OPEN, 1, fifo, os.O_WRONLY, 0)])
os.wait()
"""
"""Starts a shell in the way of vfork; before it executes, it waits for the reader of the fifo."""


def test_a_child_in_its_parents_memory_is_described_again_after_it_executes(
    processes: Processes, tmp_path: Path
) -> None:
    """The memory that such a child had before is its parent's, and stays in use after it has left it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    parent = subprocess.Popen([sys.executable, "-c", _SPAWN, str(fifo)], stdin=subprocess.PIPE)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    while not (found := children.read_text("ascii").split()):
        os.sched_yield()
    before = processes.news(int(found[0]))
    with fifo.open("rb") as stream:
        assert stream.readline() == b"ready\n"  # so it is a shell by now
        after = processes.news(int(found[0]))
        parent.communicate()
    assert before is not None
    assert before.argv[1:] == (b"-c", _SPAWN.encode(), os.fsencode(fifo))
    assert after is not None
    assert after.argv == (b"sh", b"-c", b"echo ready; read line")


def test_a_forked_process_is_described_once(processes: Processes) -> None:
    """A child that executes nothing has memory of its own, and is not taken for another one."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        first = processes.news(pid)
        again = [processes.news(pid) for _ in range(3)]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert first is not None
    assert again == [None, None, None]
    assert processes.news(pid) is None


def test_changes_stand_behind_the_process_that_made_them(processes: Processes, tmp_path: Path) -> None:
    """In the log, the record of a process comes before its first change and names its program."""
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"\n")
    child.stdin.flush()
    child.stdout.readline()
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    lower = MemoryLower()
    build_sample(lower)
    log = WriteLog(descriptor, processes)
    view = make_view(lower, log)
    create_file(view, b"mine")
    handle = view.open(node_at(view, b"mine").ino, os.O_WRONLY, Actor(child.pid, 0, 0))
    view.write(handle, 0, b"theirs")
    view.write(handle, 6, b"too")
    log.flush()
    records = read_lines((tmp_path / "log").read_bytes().splitlines())
    child.communicate()
    os.close(descriptor)
    os.close(view.data.descriptor)
    assert [(type(record), record.pid) for record in records] == [
        (ProcessRecord, os.getpid()),
        (WriteRecord, os.getpid()),
        (ProcessRecord, child.pid),
        (WriteRecord, child.pid),
        (WriteRecord, child.pid),
    ]
    described = records[2]
    assert isinstance(described, ProcessRecord)
    assert described.argv == (b"/bin/cat",)
    assert described.exe.endswith((b"/cat", b"/coreutils", b"/busybox"))
    assert orjson.loads((tmp_path / "log").read_bytes().splitlines()[2])["op"] == "process"
