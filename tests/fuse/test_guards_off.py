"""Each guard of a session is tried with and without: the same attempt fails with it, and succeeds without it.

A guard is taken away by a patch in a `catfs` process of its own. So no attempt counts as stopped that would
not have worked anyway. What the wall around a run stops has its own controls, in `test_run_confinement`.
"""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from catfs.commit import reach as reach_module
from catfs.errors import ConflictError
from tests.fuse.test_escape_mounts import ask_as
from tests.model.commit_tools import usual_scene
from tests.support.commands import TIMEOUT_SECONDS, Project, open_to_everybody, run_catfs

pytestmark = pytest.mark.fuse

_NOTHING = ""
_RUN_MAIN = "import sys; from catfs.cli.main import main; sys.exit(main())"
_OWN_OS = "import os, types; m.os = types.SimpleNamespace(**vars(os));"
_NODES = "m.os.mknod = lambda slot, _, dir_fd: os.mknod(slot, 0o020600, os.makedev(1, 5), dir_fd=dir_fd)"
"""Staging does not even know how to make a device node, so that is put in where the guard is taken away."""
_LEFTOVERS = ("--leftovers", "discard", "--confine", "off")

CAPABILITY = "0x0100000200200000000000000000000000000000"
"""What `setcap cap_net_raw+ep` writes."""


def _catfs(patch: str, *words: str | Path) -> list[str | Path]:
    """Give the command line of `catfs` with a patch."""
    return [sys.executable, "-c", f"{patch}\n{_RUN_MAIN}", *words]


def _run(patch: str, project: Project, script: str, *options: str, pass_fds: Sequence[int] = ()) -> bytes:
    """Run a script in a view and give what it printed."""
    command = _catfs(patch, "run", "--domain", project.path, *options, "--", "sh", "-c", script)
    ended = subprocess.run(
        command,
        cwd=project.path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        pass_fds=pass_fds,
    )
    assert b"Traceback" not in ended.stderr, ended.stderr
    return ended.stdout


def _see_the_workspace(project: Project, patch: str) -> bool:
    """Read the ledger of an earlier run from inside."""
    project.run("true")
    return b'"outcome"' in _run(patch, project, "cat .catfs/runs/*/PROOF.json", *_LEFTOVERS)


def _forge_a_workspace(project: Project, patch: str) -> bool:
    """Make a folder of that name from inside."""
    return b"made" in _run(patch, project, "mkdir .catfs && echo made", *_LEFTOVERS)


def _commit_a_set_id_file(project: Project, patch: str) -> bool:
    """Bring a set-id program into the domain."""
    _run(patch, project, "cp /bin/true out; chmod 6755 out", "--output", "out")
    return bool((project.path / "out").stat().st_mode & 0o6000)


def _commit_a_capability(project: Project, patch: str) -> bool:
    """Bring a program with a capability into the domain."""
    script = f"cp /bin/true out && setfattr -n security.capability -v {CAPABILITY} out"
    _run(patch, project, script, "--output", "out", "--confine", "off")
    return "security.capability" in os.listxattr(project.path / "out")


def _commit_a_device(project: Project, patch: str) -> bool:
    """Bring a node of a device into the domain."""
    _run(patch, project, "mknod out c 1 5", "--output", "out", "--confine", "off")
    out = project.path / "out"
    return out.exists() and out.stat().st_rdev == os.makedev(1, 5)


def _commit_into_another_directory(project: Project, patch: str) -> bool:
    """Let the folder above the domain be another one by the time of the commit."""
    above = project.path.parent / "above"
    domain = above / "domain"
    domain.mkdir(parents=True)
    script = f"echo mine > {domain}/output; echo ready; read line"
    words = _catfs(patch, "run", "--domain", domain, "--output", domain / "output", "--", "sh", "-c", script)
    with subprocess.Popen(
        words, cwd=project.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        above.rename(above.with_name("moved"))
        domain.mkdir(parents=True)
        started.communicate(b"\n", timeout=TIMEOUT_SECONDS)
    return (domain / "output").exists()


def _write_through_the_old_working_directory(project: Project, patch: str) -> bool:
    """Write to `.`, which was entered before there was a view."""
    _run(patch, project, "echo escaped > new", *_LEFTOVERS)
    return (project.path / "new").exists()


def _write_through_an_old_descriptor(project: Project, patch: str) -> bool:
    """Write through a descriptor of the original that the caller left open."""
    descriptor = os.open(project.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _run(
            patch,
            project,
            f"echo escaped > /proc/self/fd/{descriptor}/new",
            *_LEFTOVERS,
            pass_fds=[descriptor],
        )
    finally:
        os.close(descriptor)
    return (project.path / "new").exists()


def _gain_rights_by_a_set_id_program(project: Project, patch: str) -> bool:
    """Run a set-id program that lies in the domain; whoever it belongs to shows whether that helps."""
    open_to_everybody(project.path)
    project.write("id", "")
    subprocess.run(["cp", "/usr/bin/id", project.path / "id"], check=True, timeout=TIMEOUT_SECONDS)
    os.chown(project.path / "id", 65534, 65534)
    (project.path / "id").chmod(0o4755)
    return _run(patch, project, "./id -u", *_LEFTOVERS) == b"65534\n"


def _open_a_device(project: Project, patch: str) -> bool:
    """Read a device by a node that was made in the domain."""
    return _run(patch, project, "mknod disk c 1 5 && head -c 3 disk", *_LEFTOVERS) == bytes(3)


def _open_the_terminal(project: Project, patch: str) -> bool:
    """Open the terminal of the caller, into which characters could be typed then."""
    ours, theirs = pty.openpty()
    script = "exec 3</dev/tty && touch opened"
    words = _catfs(patch, "run", "--domain", project.path, "--output", "opened", "--confine", "off")
    try:
        subprocess.run(
            ["setsid", "--ctty", "--wait", *words, "--", "sh", "-c", script],
            cwd=project.path,
            stdin=theirs,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return (project.path / "opened").exists()


def _command_the_session_of_another_user(project: Project, patch: str) -> bool:
    """Ask the control socket as somebody else, when nothing but the question of who asks is in the way."""
    domain = project.path / "domain"
    domain.mkdir()
    words = _catfs(patch, "mount", domain)
    subprocess.run(words, cwd=project.path, check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
    try:
        [session] = (project.path / ".catfs" / "sessions").iterdir()
        open_to_everybody(session)
        (session / "control").chmod(0o777)
        return b"new_bytes" in ask_as(65534, session)
    finally:
        assert run_catfs(["umount", domain, "--discard"], project.path).status == 0


GUARDS: dict[str, tuple[Callable[[Project, str], bool], str]] = {
    "workspace is hidden": (
        _see_the_workspace,
        "import catfs.runtime.session as m; m.hidden_folders = lambda *_: ()",
    ),
    "name of a workspace is reserved": (
        _forge_a_workspace,
        "import catfs.runtime.session as m; m._reserved = lambda *_: b'none'",
    ),
    "set-id bits are left out": (
        _commit_a_set_id_file,
        "import catfs.commit.plan as m; m._SET_ID_BITS = 0",
    ),
    "capabilities are left out": (
        _commit_a_capability,
        "import catfs.commit.stage as m; m._KEPT_XATTRS = (b'security.',)",
    ),
    "device nodes are refused": (
        _commit_a_device,
        f"import catfs.commit.plan as p; p._DEVICES = (); import catfs.commit.stage as m; {_OWN_OS} {_NODES}",
    ),
    "directory is the one of the session": (
        _commit_into_another_directory,
        "import catfs.runtime.originals as m; m.Originals._moved = lambda *_: []",
    ),
    "working directory is entered anew": (
        _write_through_the_old_working_directory,
        f"import catfs.runtime.launch as m; {_OWN_OS} m.os.chdir = lambda _: None",
    ),
    "descriptors are not passed on": (
        _write_through_an_old_descriptor,
        "import catfs.runtime.launch as m; m._keep_to_ourselves = lambda: None",
    ),
    "nosuid": (
        _gain_rights_by_a_set_id_program,
        "import catfs.runtime.launch as m; m.MS_NOSUID = 0",
    ),
    "nodev": (
        _open_a_device,
        "import catfs.runtime.launch as m; m.MS_NODEV = 0",
    ),
    "new terminal session": (
        _open_the_terminal,
        f"import catfs.runtime.launch as m; {_OWN_OS} m.os.setsid = lambda: None",
    ),
    "socket asks who it talks to": (
        _command_the_session_of_another_user,
        f"import catfs.runtime.control as m; {_OWN_OS} m.os.geteuid = lambda: 65534",
    ),
}
"""Guard to the attempt that it stops, and to the patch that takes it away."""


@pytest.mark.parametrize("guard", GUARDS)
def test_attempt_fails_with_its_guard_and_succeeds_without(project: Project, guard: str) -> None:
    """The attempt is a real one, and it is this guard that stops it."""
    attempt, patch = GUARDS[guard]
    assert not attempt(project, _NOTHING)
    for path in (*project.path.parent.glob("above"), *project.path.parent.glob("moved")):
        path.rename(path.with_name(f"{path.name}-guarded"))
    subprocess.run(["rm", "-rf", project.path], check=True, timeout=TIMEOUT_SECONDS)
    project.path.mkdir()
    assert attempt(project, patch)


def test_symlink_on_the_way_would_be_followed_by_a_commit_that_opens_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder above an output has become a link: refused; opened as programs do, it leads outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"old")
    for guarded in (True, False):
        scene = usual_scene(tmp_path / str(guarded))
        place = scene.domains[0] / "out"
        place.rename(tmp_path / f"away-{guarded}")
        place.symlink_to(outside)
        if guarded:
            with pytest.raises(ConflictError, match="out"):
                scene.commit()
            assert (outside / "a").read_bytes() == b"old"
        else:
            monkeypatch.setattr(
                reach_module,
                "_open_beneath",
                lambda domain, path, flags: os.open(path or b".", flags, dir_fd=domain),
            )
            scene.commit()
            assert (outside / "a").read_bytes() == b"new"


def test_hard_link_out_of_the_domain_is_followed_where_there_is_no_view(project: Project) -> None:
    """In the plain directory a write through such a link goes outside; in a view none can be made."""
    outside = project.path.parent / "outside"
    script = f"ln {outside} linked && echo escaped > linked"
    for guarded in (True, False):
        outside.write_text("as it was\n")
        if guarded:
            project.run(script, "--allow-write", outside.parent, *_LEFTOVERS)
        else:
            subprocess.run(["sh", "-c", script], cwd=project.path, check=True, timeout=TIMEOUT_SECONDS)
        assert (outside.read_text() == "as it was\n") is guarded


def test_user_namespace_makes_nobody_write_where_the_wall_is(project: Project) -> None:
    """The control: without the wall the same namespace of a user writes outside."""
    outside = project.path.parent / "outside"
    outside.mkdir()
    script = f"unshare -Urm sh -c 'echo x > {outside}/new'"
    project.run(script, "--leftovers", "discard")
    assert not (outside / "new").exists()
    project.run(script, *_LEFTOVERS)
    assert (outside / "new").exists()
