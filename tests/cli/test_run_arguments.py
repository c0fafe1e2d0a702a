"""`catfs run` and bad arguments: exit 2, one sentence that says what is wrong, and nothing is mounted."""

from pathlib import Path

import pytest

from tests.support.commands import Project, Result


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Give a domain with a directory in it, in a folder with a directory beside it."""
    (tmp_path / "domain" / "inner").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return Project(tmp_path / "domain")


BAD = {
    "no command": ([], "there is no command to run"),
    "only the separator": (["--"], "there is no command to run"),
    "domain missing": (["--domain", "nowhere", "--", "true"], "nowhere does not exist"),
    "domain is a file": (["--domain", "file", "--", "true"], "file is not a directory"),
    "domain is the root": (["--domain", "/", "--", "true"], "cannot be a domain"),
    "domain twice": (["--domain", ".", "--domain", ".", "--", "true"], "named twice"),
    "domain twice by another name": (["--domain", ".", "--domain", "inner/..", "--", "true"], "named twice"),
    "domain in a domain": (["--domain", ".", "--domain", "inner", "--", "true"], "overlap"),
    "domain around a domain": (["--domain", "inner", "--domain", ".", "--", "true"], "overlap"),
    "output outside": (["--output", "../outside/x", "--", "true"], "lies in no domain"),
    "output outside by dots": (["--output", "inner/../../outside", "--", "true"], "lies in no domain"),
    "output is the domain": (["--output", ".", "--", "true"], "is the whole domain"),
    "output is the domain by dots": (["--output", "inner/..", "--", "true"], "is the whole domain"),
    "output in no allowed root": (
        ["--allowed-root", "inner", "--output", "x", "--", "true"],
        "outside the allowed roots",
    ),
    "run id with a slash": (["--run-id", "a/b", "--", "true"], "a/b"),
    "run id that leads upward": (["--run-id", "..", "--", "true"], ".."),
    "run id that is hidden": (["--run-id", ".x", "--", "true"], ".x"),
    "run id that is empty": (["--run-id", "", "--", "true"], "id"),
    "run id that is too long": (["--run-id", "x" * 300, "--", "true"], "x"),
    "run id that stands for the newest run": (["--run-id", "last", "--", "true"], "that word means"),
    "run id with a newline": (["--run-id", "a\nb", "--", "true"], "a"),
    "unknown option": (["--no-such-option", "--", "true"], "--no-such-option"),
    "abbreviated option": (["--out", "x", "--", "true"], "--out"),
    "unknown policy": (["--leftovers", "keep", "--", "true"], "keep"),
    "unknown confinement": (["--confine", "maybe", "--", "true"], "maybe"),
    "unknown transport": (["--transport", "pigeon", "--", "true"], "pigeon"),
    "option without value": (["--output"], "--output"),
    "empty domain": (["--domain", "", "--", "true"], "got an empty word"),
    "empty output": (["--output", "", "--", "true"], "got an empty word"),
    "empty allowed place": (["--allow-write", "", "--", "true"], "got an empty word"),
    "allowed place that is missing": (["--allow-write", "nowhere", "--", "true"], "nowhere"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_arguments_exit_2_with_a_sentence(project: Project, what: str) -> None:
    """The sentence names what is wrong; no session and no run is left, and the domain is as it was."""
    project.write("file")
    arguments, sentence = BAD[what]
    before = project.seen()
    result = project.catfs("run", *arguments)
    assert result.status == 2, result.stderr
    assert sentence in result.stderr
    assert _is_short(result)
    assert project.sessions() == []
    assert not list((project.path / ".catfs").glob("runs/*"))
    assert project.seen() == before


def _is_short(result: Result) -> bool:
    """Say whether the message is one line, perhaps after a usage."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("catfs")]
    return len(lines) == 1 and result.stdout == b""


def test_configuration_that_is_no_toml_exits_2(project: Project) -> None:
    """A damaged .catfs/config.toml is named."""
    project.write(".catfs/config.toml", "allowed_roots = [\n")
    result = project.catfs("run", "--", "true")
    assert result.status == 2
    assert "config.toml" in result.stderr


def test_unknown_key_of_the_configuration_exits_2(project: Project) -> None:
    """A misspelled key is told instead of being ignored."""
    project.write(".catfs/config.toml", 'alowed_roots = ["x"]\n')
    result = project.catfs("run", "--", "true")
    assert result.status == 2
    assert "alowed_roots" in result.stderr


@pytest.mark.fuse
def test_run_id_that_is_taken_exits_2(project: Project) -> None:
    """A run is never recorded over another one."""
    assert project.catfs("run", "--run-id", "once", "--", "true").status == 0
    proof = (project.path / ".catfs" / "runs" / "once" / "PROOF.json").read_bytes()
    result = project.catfs("run", "--run-id", "once", "--", "true")
    assert result.status == 2
    assert "once" in result.stderr
    assert (project.path / ".catfs" / "runs" / "once" / "PROOF.json").read_bytes() == proof


@pytest.mark.fuse
def test_options_behind_the_command_belong_to_the_command(project: Project) -> None:
    """What stands after the separator is passed on as it is, options and empty words included."""
    result = project.catfs("run", "--", "printf", "%s|", "--json", "--", "", "--output", "x y")
    assert (result.status, result.stdout) == (0, b"--json|--||--output|x y|")


@pytest.mark.fuse
def test_allowed_roots_of_the_configuration_count(project: Project) -> None:
    """Outputs are declared under the configured roots only."""
    project.write(".catfs/config.toml", 'allowed_roots = ["inner"]\n')
    assert project.run("echo x > inner/x", "--output", "inner/x").status == 0
    assert project.run("echo x > x", "--output", "x").status == 2


@pytest.mark.fuse
def test_missing_bubblewrap_is_told(project: Project, tmp_path: Path) -> None:
    """Without bubblewrap a confined run says what to install, and does not run unconfined."""
    (tmp_path / "programs").mkdir()
    result = project.run("echo ran", environment={"PATH": str(tmp_path / "programs")})
    assert result.status == 125
    assert "bubblewrap" in result.stderr
    assert result.stdout == b""
    assert project.sessions() == []
