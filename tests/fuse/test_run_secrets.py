"""Secrets of programs do not reach the ledger: no environment at all, and redacted arguments."""

import pytest

from tests.support.commands import Project

pytestmark = pytest.mark.fuse

SCRIPT = 'sh -c "echo made > out" helper --token s3cret-argument'


def _records(project: Project) -> bytes:
    """Give everything that the ledger says of processes."""
    result = project.catfs("log", "last", "--op", "process", "--json")
    assert result.status == 0, result.stderr
    return result.stdout


def test_environment_and_secret_arguments_are_not_recorded(project: Project) -> None:
    """The helper is in the log with its arguments, and the two secrets are not."""
    project.run(SCRIPT, "--output", "out", environment={"HIDDEN": "s3cret-environment"})
    records = _records(project)
    assert b"helper" in records
    assert b'"--token","[redacted]"' in records
    assert b"s3cret" not in records


def test_configuration_changes_the_words(project: Project) -> None:
    """`redact` in config.toml takes the place of the usual words."""
    project.write(".catfs/config.toml", 'redact = ["pin"]\n')
    project.run('sh -c "echo made > out" helper --token kept --pin 1234', "--output", "out")
    records = _records(project)
    assert b'"--token","kept","--pin","[redacted]"' in records
