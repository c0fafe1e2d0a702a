"""The wall around a command: what leads outside fails, and would succeed without it.

Each escape is tried twice: with `--confine on`, where it must fail, and with `--confine off` as the
control, where it must succeed, so that no test passes because the attempt itself is broken.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.records import Confine
from tests.support.commands import Project, Result, kill_hard

pytestmark = pytest.mark.fuse


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a directory beside the domain with one file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("outside\n")
    return folder


@pytest.fixture
def victim() -> Iterator[int]:
    """Give the id of a process outside, which lives until something kills it."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process.pid
    process.kill()
    process.wait(timeout=10)


def _try(project: Project, script: str, confine: str, *options: str | Path) -> Result:
    """Run a script whose last command is the attempt; leftovers in the domain do not matter."""
    return project.run(script, "--confine", confine, "--leftovers", "discard", *options)


WRITES = {
    "new file": "echo escaped > {place}/new",
    "file that is there": "echo escaped > {place}/file",
    "mode": "chmod 777 {place}/file",
    "times": "touch -d 2001-01-01 {place}/file",
    "removal": "rm -f {place}/file",
    "rename over a file": "echo escaped > x; mv -f x {place}/file",
    "through a symlink": "ln -sfn {place} link; echo escaped > link/new",
    "through dot dot": "echo escaped > ../outside/{name}/new",
    "through /proc/self/cwd": "echo escaped > /proc/self/cwd/../outside/{name}/new",
    "through the root of another process": "for p in 1 {victim}; do echo x > /proc/$p/root{place}/new; done",
    "namespace of another process": "for p in 1 {victim}; do nsenter -t $p -m touch {place}/new; done",
    "hard link into the domain": "ln {place}/file linked && echo escaped > linked",
}
"""Ways to write outside. The last one fails without any wall too: a view is a file system of its own."""


@pytest.mark.parametrize("confine", ["on", "off"])
def test_nothing_outside_is_written(project: Project, outside: Path, victim: int, confine: str) -> None:
    """Whatever way a write takes, everything outside stays byte-identical; without the wall it does not."""
    places = {what: outside / f"place{number}" for number, what in enumerate(WRITES)}
    for place in places.values():
        place.mkdir()
        (place / "file").write_text("outside\n")
    before = {what: Project(place).seen() for what, place in places.items()}
    attempts = [
        WRITES[what].format(place=place, name=place.name, victim=victim) for what, place in places.items()
    ]
    _try(project, "\n".join(attempts), confine)
    changed = [what for what, place in places.items() if Project(place).seen() != before[what]]
    assert changed == ([] if confine == "on" else list(WRITES)[:-1])


def test_home_is_read_only(project: Project, tmp_path: Path) -> None:
    """A file in $HOME can be read and not written."""
    home = Path.home() / f".catfs-test-{tmp_path.name}-{os.getpid()}"
    script = f"test -r {Path.home()} && echo escaped > {home}"
    try:
        assert _try(project, script, "on").status != 0
        assert not home.exists()
        assert _try(project, script, "off").status == 0
        assert home.exists()
    finally:
        home.unlink(missing_ok=True)


def test_temporary_folder_is_private(project: Project, tmp_path: Path) -> None:
    """The command has a folder for temporary files of its own, which is gone with it."""
    path = Path(tempfile.gettempdir(), f"catfs-test-{tmp_path.name}-{os.getpid()}")
    script = f"echo escaped > {path} && cat {path}"
    try:
        assert _try(project, script, "on").stdout == b"escaped\n"
        assert not path.exists()
        _try(project, script, "off")
        assert path.exists()
    finally:
        path.unlink(missing_ok=True)


MOUNTS = (
    "umount -l {domain}",
    "mount -o remount,rw,bind /",
    "mount --bind {outside} {domain}",
    "mount -t tmpfs none {outside}",
    "unshare -m umount -l {domain}",
)


@pytest.mark.parametrize("confine", ["on", "off"])
def test_mounts_cannot_be_changed(project: Project, outside: Path, confine: str) -> None:
    """No mount can be taken away, changed or laid over another; without the wall root can do each."""
    attempts = [attempt.format(domain=project.path, outside=outside) for attempt in MOUNTS]
    # Each gets a namespace of its own where that is possible, so that none is in the way of the next.
    apart = "" if confine == "on" else "unshare -m "
    result = _try(project, "\n".join(f"{apart}{attempt}; echo $?" for attempt in attempts), confine)
    succeeded = [status == b"0" for status in result.stdout.split()]
    assert succeeded == [confine == "off"] * len(MOUNTS), result.stderr


def test_user_namespace_does_not_free_the_mounts(project: Project, outside: Path) -> None:
    """As root of a new user namespace the mounts of the wall are still locked, and the view stays on top."""
    before = project.seen()
    inner = f"umount -l {project.path}; mount -o remount,rw,bind /; echo x > {outside}/new; echo x > escaped"
    _try(project, f"unshare -Urm sh -c 'cd /; {inner}; cd {project.path}; {inner}'", "on")
    assert not (outside / "new").exists()
    assert project.seen() == before


def test_device_node_cannot_be_opened(project: Project) -> None:
    """A device made in the domain gives no access to the device."""
    script = "mknod disk c 1 5 && head -c 1 disk"
    result = _try(project, script, "on")
    assert "Permission denied" in result.stderr
    assert project.run("head -c 1 /dev/zero | wc -c", "--confine", "on").stdout.strip() == b"1"


def test_processes_outside_are_out_of_reach(project: Project, victim: int) -> None:
    """A process outside cannot be seen, signalled or traced."""
    script = f"test -e /proc/{victim}/stat || kill -0 {victim}"
    assert _try(project, script, "on").status != 0
    assert _try(project, script, "off").status == 0
    assert _try(project, f"kill -9 {victim}", "on").status != 0
    os.kill(victim, 0)
    attach = f"strace -o /dev/null -p {victim} & sleep 0.2; kill $! 2>/dev/null"
    assert "No such process" in _try(project, attach, "on").stderr


def test_workspace_is_invisible(project: Project) -> None:
    """`.catfs` is not listed, not opened by name, and cannot be made."""
    project.run("true")
    for confine in ("on", "off"):
        result = _try(project, "ls -A; cat .catfs/runs/*/PROOF.json; mkdir .catfs", confine)
        assert result.stdout == b"", confine
        assert result.status == 1
        assert _try(project, "mkdir x; mv x .catfs", confine).status == 1
        assert _try(project, "touch .catfs", confine).status == 1


def test_workspace_above_the_domain_is_out_of_reach(project: Project) -> None:
    """A workspace that lies outside the domain can be neither read nor written."""
    (project.path.parent / ".catfs").mkdir()
    project.run("true")
    script = "ls -A ../.catfs && cat ../.catfs/runs/*/PROOF.json"
    result = _try(project, script, "on")
    assert (result.status == 0, result.stdout) == (False, b"")
    assert b"proof.v" in _try(project, script, "off").stdout


def test_no_descriptor_is_inherited_but_stdio(project: Project) -> None:
    """Neither /dev/fuse nor a file of the session is open in the command."""
    script = "for d in /proc/self/fd/*; do readlink $d; done"
    for confine in ("on", "off"):
        links = _try(project, script, confine).stdout.decode().split()
        assert len(links) == 3, links
        assert not [link for link in links if "fuse" in link or ".catfs" in link or str(project.path) in link]


def test_terminal_cannot_be_typed_into(project: Project) -> None:
    """The command has no controlling terminal, so it cannot push characters into that of the caller."""
    script = "exec 3</dev/tty"
    for confine in ("on", "off"):
        assert _try(project, script, confine).status != 0


def test_capabilities_are_gone(project: Project) -> None:
    """Even as root the command cannot administer the system."""
    script = "grep CapEff /proc/self/status"
    mask = int(_try(project, script, "on").stdout.split()[1], 16)
    admin, raw_disk, ptrace = 1 << 21, 1 << 17, 1 << 19
    assert mask & (admin | raw_disk | ptrace) == 0
    assert int(_try(project, script, "off").stdout.split()[1], 16) & admin


def test_set_id_program_gives_nothing(project: Project) -> None:
    """`no_new_privs` is set, and a set-id bit in the domain is without effect."""
    result = _try(project, "grep NoNewPrivs /proc/self/status", "on")
    assert result.stdout.split() == [b"NoNewPrivs:", b"1"]


def test_allowed_place_is_writable_and_in_the_proof(project: Project, outside: Path) -> None:
    """`--allow-write` opens exactly one place, and the proof names it."""
    (project.path.parent / "other").mkdir()
    script = f"echo allowed > {outside}/new; echo escaped > ../other/new"
    _try(project, script, "on", "--allow-write", outside)
    assert (outside / "new").read_text() == "allowed\n"
    assert list((project.path.parent / "other").iterdir()) == []
    proof = project.last_run().proof()
    assert proof.confine is Confine.ON
    assert proof.allow_write == (os.fsencode(outside),)


def test_allowed_place_around_domain_and_workspace_opens_neither(project: Project) -> None:
    """Below an allowed place the domain is still a view, and the workspace still out of reach."""
    above = project.path.parent
    (above / ".catfs").mkdir()
    project.run("true")
    runs = sorted((above / ".catfs" / "runs").rglob("*"))
    script = (
        f"echo x > made; echo x > ../beside; ls -A ../.catfs; rm -rf ../.catfs/runs; touch {above}/.catfs/x"
    )
    result = _try(project, script, "on", "--allow-write", above)
    assert result.stdout == b""
    assert (above / "beside").read_text() == "x\n"
    assert list(project.path.iterdir()) == []
    assert set(runs) < set((above / ".catfs" / "runs").rglob("*"))


def test_wall_that_cannot_be_built_is_no_failure_of_the_command(project: Project, tmp_path: Path) -> None:
    """When bubblewrap fails the status is 125 and the command did not run; 1 is the command's own."""
    program = tmp_path / "programs" / "bwrap"
    program.parent.mkdir()
    real = shutil.which("bwrap")
    program.write_text(f'#!/bin/sh\nexec {real} --bind /no/such/place /no/such/place "$@"\n')
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    result = project.run("echo ran", environment=path)
    assert result.status == 125, result.stderr
    assert "the command did not run" in result.stderr
    assert "/no/such/place" in result.stderr
    assert project.run("exit 1").status == 1
    assert project.sessions() == []


def test_unconfined_run_says_so(project: Project) -> None:
    """`--confine off` is recorded in the proof."""
    project.run("true", "--confine", "off")
    assert project.last_run().proof().confine is Confine.OFF


def test_killed_wall_ends_the_command(project: Project) -> None:
    """When the wall itself is killed, nothing of the command lives on."""
    with project.start("echo $PPID; echo ready; sleep 1000") as started:
        started.read_line()
        assert started.read_line() == b"ready"
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        wall = next(pid for pid in children if b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes())
        kill_hard(int(wall))
        assert started.end().status == 128 + signal.SIGKILL


def test_sockets_of_services_are_out_of_reach(project: Project) -> None:
    """A read-only mount does not keep anybody from connecting to a socket, so services are hidden."""
    with tempfile.TemporaryDirectory(dir="/run") as folder, socket.socket(socket.AF_UNIX) as service:
        path = f"{folder}/service"
        service.bind(path)
        service.listen()
        connect = f'import socket; socket.socket(socket.AF_UNIX).connect("{path}")'
        script = f"{sys.executable} -c '{connect}' 2>/dev/null"
        assert project.run(script, "--confine", "off").status == 0
        assert project.run(script).status == 1


def test_a_command_that_fails_at_the_wall_is_told_of_the_way_through(project: Project) -> None:
    """A build sees a read-only file system where its cache is; other failures are not the wall's."""
    failed = _try(project, "touch /usr/catfs-cache", "on")
    assert failed.status == 1
    assert "--allow-write PATH opens a place" in failed.stderr
    assert "--allow-write" not in _try(project, "exit 7", "on").stderr
