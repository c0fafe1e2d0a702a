"""Runs and mounts with history: what they keep, where, and how it is vouched for."""

import subprocess

import pytest

from catfs.digest import Digest
from catfs.ledger import RunReader
from tests.support.commands import TIMEOUT_SECONDS, Project

pytestmark = pytest.mark.fuse

REWRITE = "for i in 1 2 3; do echo $i > out/f; done; echo gone > out/g; rm out/g out/old; echo new > out/kept"


def kept(run: RunReader, offset: int, size: int) -> bytes:
    """Give a part of what a run keeps."""
    return run.history_data.read_bytes()[offset : offset + size]


def rewrite(project: Project, *options: str) -> RunReader:
    """Run a program that overwrites, deletes and replaces, and give its run."""
    project.write("out/old", "old content\n")
    project.write("out/kept", "was\n")
    result = project.run(REWRITE, "--output", "out", *options)
    assert result.status == 0, result.stderr
    return project.last_run()


def test_a_run_with_history_keeps_every_byte(project: Project) -> None:
    """What was overwritten and deleted is there, and what the commit replaced in the original."""
    run = rewrite(project, "--history")
    data = run.history_data.read_bytes()
    assert data.startswith(b"1\n2\n3\ngone\nnew\n")
    history = run.history()
    assert history is not None
    assert (history.size, history.digest) == (len(data), Digest.of(data))
    originals = {item.path: kept(run, item.offset, item.size) for item in history.domains[0].originals}
    assert originals == {b"out/old": b"old content\n", b"out/kept": b"was\n"}


def test_a_run_without_history_keeps_none(project: Project) -> None:
    """The files of an ordinary run are what they were."""
    run = rewrite(project)
    assert run.history() is None
    assert not run.history_data.exists()


def test_the_proof_vouches_for_the_history(project: Project) -> None:
    """A changed byte of it is found, and that it was removed is no fault of the run."""
    run = rewrite(project, "--history")
    assert "HISTORY.json" in run.proof().files
    assert project.catfs("verify", "last").status == 0
    data = run.history_data.read_bytes()
    run.history_data.write_bytes(data.replace(b"gone", b"GONE"))
    refused = project.catfs("verify", "last")
    assert refused.status == 1
    assert b"HISTORY.data: the content: expected" in refused.stdout
    run.history_data.unlink()
    assert project.catfs("verify", "last").status == 0


def test_a_session_that_began_without_history_goes_on_without(project: Project) -> None:
    """What was overwritten before is gone, so nobody promises it afterwards."""
    project.write("domain/file", "x")
    assert project.catfs("mount", "domain").status == 0
    subprocess.run(["umount", project.path / "domain"], check=True, timeout=TIMEOUT_SECONDS)
    refused = project.catfs("mount", "domain", "--history")
    assert refused.status == 2
    assert "was begun without --history, and goes on without" in refused.stderr
    assert project.catfs("discard", "domain").status == 0
