"""Cleaning the store takes nothing that runs and sessions rest on."""

import pytest

from tests.support.commands import Project, run_catfs

pytestmark = pytest.mark.fuse


def test_runs_hold_and_go_on_after_a_cleaning(project: Project) -> None:
    """Without any grace: verification, proofs of paths, and the next run work as before."""
    project.write("src/main.c", "int main;\n")
    assert project.run("mkdir -p out && cp src/main.c out/a", "--output", "out").status == 0
    put = project.catfs("cas", "put", stdin=b"of no run").stdout
    cleaned = project.catfs("cas", "gc", "--grace", "0", "--json").json()
    assert isinstance(cleaned, dict)
    assert put[:64].decode() in cleaned["removed"]
    assert project.catfs("verify", "last").status == 0
    assert project.catfs("proof", "last", "--path", "out/a").status == 0
    assert project.run("cp src/main.c out/b", "--output", "out").status == 0
    assert project.catfs("verify", "--all").status == 0


def test_a_mounted_session_survives_a_cleaning(project: Project) -> None:
    """The tree that it began with stays, and its changes are committed."""
    project.write("keep", "as it was\n")
    outside = project.path.parent
    assert run_catfs(["mount", project.path, "--output", project.path / "made"], outside).status == 0
    (project.path / "made").write_text("made in the mount\n")
    assert run_catfs(["cas", "gc", "--grace", "0"], outside).status == 0
    ended = run_catfs(["umount", project.path, "--commit"], outside)
    assert ended.status == 0, ended.stderr
    assert (project.path / "made").read_text() == "made in the mount\n"
    assert run_catfs(["verify", "last"], outside).status == 0
