"""More ways out of a view, and into a session, besides those of `test_run_confinement`."""

import errno
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from catfs.errors import CatfsError
from catfs.linux import RENAME_EXCHANGE, renameat2
from tests.model.commit_tools import usual_scene
from tests.support.commands import CATFS, TIMEOUT_SECONDS, Project, kill_hard, open_to_everybody, run_catfs

pytestmark = pytest.mark.fuse


class Mount:
    """A mounted domain in a workspace of its own.

    Args:
        root: An existing folder.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.domain = root, root / "domain"
        self.domain.mkdir()
        (self.domain / "file").write_text("old\n")
        result = run_catfs(["mount", "domain", "--output", "domain/out"], root)
        assert result.status == 0, result.stderr

    @property
    def session(self) -> Path:
        """The folder of its session."""
        [folder] = (self.root / ".catfs" / "sessions").iterdir()
        return folder

    def server(self) -> int:
        """Give the process that serves it."""
        pid = json.loads((self.session / "session.json").read_bytes())["pid"]
        assert isinstance(pid, int)
        return pid


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Give a mounted domain, and take its server away."""
    made = Mount(tmp_path)
    yield made
    for facts in (tmp_path / ".catfs" / "sessions").glob("*/session.json"):
        kill_hard(json.loads(facts.read_bytes())["pid"])
    subprocess.run(["umount", "-l", made.domain], stderr=subprocess.DEVNULL, timeout=30, check=False)


def test_descriptor_of_the_original_from_before_is_not_passed_on(project: Project) -> None:
    """A descriptor that the caller left open leads to the original; the command does not get it."""
    descriptor = os.open(project.path, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(descriptor, True)
    script = f"echo escaped > /proc/self/fd/{descriptor}/new"
    try:
        subprocess.run(["sh", "-c", script], close_fds=False, check=True, timeout=TIMEOUT_SECONDS)
        (project.path / "new").unlink()
        for confine in ("on", "off"):
            words: list[str | Path] = [CATFS, "run", "--confine", confine, "--", "sh", "-c", script]
            ended = subprocess.run(
                words,
                cwd=project.path,
                close_fds=False,
                capture_output=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
            assert ended.returncode != 0
            assert not (project.path / "new").exists()
    finally:
        os.close(descriptor)


def test_working_directory_from_before_is_entered_anew(project: Project) -> None:
    """`.` is the view and not the directory below it, however the command was started."""
    (project.path / "inner").mkdir()
    before = project.seen()
    words: list[str | Path] = [
        CATFS,
        "run",
        "--domain",
        project.path,
        "--leftovers",
        "discard",
        "--confine",
        "off",
    ]
    script = "echo escaped > new; echo escaped > ../new; echo escaped > /proc/self/cwd/third"
    ended = subprocess.run(
        [*words, "--", "sh", "-c", script], cwd=project.path / "inner", timeout=TIMEOUT_SECONDS, check=False
    )
    assert ended.returncode == 0
    assert not (project.path / "inner" / "new").exists()
    after = project.seen()
    assert {path: item for path, item in after.items() if b".catfs" not in path}.keys() == before.keys()


def test_renamed_parent_of_the_domain_leads_no_commit_elsewhere(project: Project) -> None:
    """When the folder above the domain is another one by the end, nothing is written into it."""
    above = project.path.parent / "above"
    domain = Project(above / "domain")
    domain.path.mkdir(parents=True)
    words: list[str | Path] = ["--domain", domain.path, "--output", domain.path / "output"]
    with project.start(f"echo mine > {domain.path}/output; echo ready; read line", *words) as started:
        assert started.read_line() == b"ready"
        above.rename(above.with_name("moved"))
        domain.path.mkdir(parents=True)
        started.say()
        result = started.end()
    assert result.status in {3, 125}, result.stderr
    assert list(domain.path.iterdir()) == []
    assert list(above.with_name("moved").joinpath("domain").iterdir()) == []


def test_racing_symlinks_lead_no_commit_outside(tmp_path: Path) -> None:
    """While somebody swaps a folder for a symlink that leads out, commits go into the folder or fail."""
    outside = tmp_path / "outside"
    outside.mkdir()
    escaped_naively = 0
    for number in range(12):
        scene = usual_scene(tmp_path / str(number))
        domain = scene.domains[0]
        (domain / "swap").symlink_to(outside)
        descriptor = os.open(domain, os.O_RDONLY | os.O_DIRECTORY)
        stop = threading.Event()

        def race(descriptor: int = descriptor, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                renameat2(descriptor, b"out", descriptor, b"swap", RENAME_EXCHANGE)

        racer = threading.Thread(target=race)
        racer.start()
        try:
            with suppress(CatfsError, OSError):  # refused, or to be recovered: all but an escape
                scene.commit()
            assert list(outside.iterdir()) == []
            for _ in range(200):  # the control: open by path, as programs do
                with suppress(OSError):
                    (domain / "out" / "naive").write_text("x")
            escaped_naively += (outside / "naive").exists()
            (outside / "naive").unlink(missing_ok=True)
        finally:
            stop.set()
            racer.join()
            os.close(descriptor)
    assert escaped_naively > 0


_INJECT = """
import fcntl, sys, termios
for character in b"x":
    try:
        fcntl.ioctl(0, termios.TIOCSTI, bytes([character]))
    except OSError as error:
        sys.exit(3)
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_terminal_of_the_caller_takes_no_injected_characters(project: Project, *, guarded: bool) -> None:
    """Even with the caller's terminal as its input, the confined command cannot type into it."""
    inject = [sys.executable, "-c", _INJECT]
    words: list[str | Path] = [CATFS, "run", "--", *inject] if guarded else [*inject]
    ours, theirs = pty.openpty()
    try:
        ended = subprocess.run(
            words,
            cwd=project.path,
            stdin=theirs,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert ended.returncode == (3 if guarded else 0), ended.stderr


@pytest.mark.parametrize("net", ["on", "off"])
def test_network_is_kept_from_a_run_that_needs_none(project: Project, net: str) -> None:
    """With `--net off` not even this machine is reached; without it, it is."""
    connect = "import socket, sys; sys.exit(socket.socket().connect_ex(('127.0.0.1', int(sys.argv[1]))) != 0)"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        words = ["run", "--net", net, "--", sys.executable, "-c", connect, port]
        status = run_catfs(words, project.path).status
    assert (status == 0) == (net == "on")


def test_network_cannot_be_kept_from_an_unconfined_run(project: Project) -> None:
    """Without a wall there is nothing that could keep it."""
    result = project.run("true", "--net", "off", "--confine", "off")
    assert result.status == 2
    assert "confined" in result.stderr


def ask_as(user: int, session: Path) -> bytes:
    """Ask a session for its status as another user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            os.chdir(session)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect("control")
                connection.sendall(b'{"ask":"status"}\n')
                os.write(writing, connection.makefile("rb").readline())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer


def test_control_socket_answers_no_other_user(mount: Mount) -> None:
    """Even when the folders and the socket were opened to everybody, somebody else is refused."""
    open_to_everybody(mount.session)
    (mount.session / "control").chmod(0o777)
    answers = [ask_as(user, mount.session) for user in (0, 65534)]
    assert b"new_bytes" in answers[0]
    assert b"belongs to somebody else" in answers[1]
    assert b"new_bytes" not in answers[1]


@pytest.mark.parametrize("remedy", ["kill", "doctor --fix"])
def test_callers_of_a_hung_server_are_released_and_nothing_is_lost(mount: Mount, remedy: str) -> None:
    """The doctor says who hangs; killing or cutting it off releases the caller; the session goes on."""
    (mount.domain / "out").write_text("written\n")
    server = mount.server()
    os.kill(server, signal.SIGSTOP)
    caller = subprocess.Popen(["cat", mount.domain / "unheard of"], stderr=subprocess.PIPE)
    try:
        report = run_catfs(["doctor"], mount.root)
        assert report.status == 1
        assert "does not answer" in report.stdout.decode()
        assert f"kill -9 {server}" in report.stdout.decode()
        assert caller.poll() is None
        if remedy == "kill":
            kill_hard(server)
        else:
            treated = run_catfs(["doctor", "--fix"], mount.root).stdout.decode()
            assert "its connection is aborted" in treated
        _, said = caller.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        caller.kill()
        caller.wait()
    assert any(os.strerror(code).encode() in said for code in (errno.ENOTCONN, errno.ECONNABORTED)), said
    if remedy != "kill":  # it finds that it serves nobody, and leaves the session in good order
        os.kill(server, signal.SIGCONT)
    resumed = run_catfs(["mount", "domain"], mount.root)
    assert resumed.status == 0, resumed.stderr
    assert (mount.domain / "out").read_text() == "written\n"
    assert run_catfs(["umount", "domain", "--discard"], mount.root).status == 0


def test_file_capabilities_never_reach_a_commit(project: Project) -> None:
    """A capability that the command put on an output is left out; the file is committed without it."""
    value = "0x0100000200200000000000000000000000000000"
    script = f"cp /bin/true out && setfattr -n security.capability -v {value} out"
    control = project.path.parent / "control"
    control.write_bytes(b"")
    os.setxattr(control, "security.capability", bytes.fromhex(value[2:]))
    assert "security.capability" in os.listxattr(control)
    result = project.run(script, "--output", "out", "--confine", "off")
    if result.status == 0:
        assert "security.capability" not in os.listxattr(project.path / "out")
    else:
        assert not (project.path / "out").exists()
