"""What was committed since a domain was read whole."""

from pathlib import Path

import pytest

from catfs.clock import system_clock
from catfs.ledger import RunReader
from catfs.records import RESTORE_DIFF_FILE, RestoreDiff
from catfs.runtime import since
from catfs.runtime.since import CommittedPaths
from tests.support.workspaces import SampleWorkspace


@pytest.fixture
def sample(tmp_path: Path) -> SampleWorkspace:
    """A workspace with a domain."""
    return SampleWorkspace(tmp_path)


def test_committed_paths_are_given(sample: SampleWorkspace) -> None:
    """They are those of runs that committed, in this domain and since that time."""
    sample.add_run("run-1", changes={b"out/a": b"1"})
    sample.add_run("run-2", changes={b"left": b"2"})
    assert CommittedPaths(sample.workspace.runs).since(sample.domain_bytes, 0) == {b"out", b"out/a"}
    assert CommittedPaths(sample.workspace.runs).since(b"/elsewhere", 0) == set()
    assert CommittedPaths(sample.workspace.runs).since(sample.domain_bytes, system_clock()) == set()


def test_damaged_records_vouch_for_nothing(sample: SampleWorkspace) -> None:
    """A run whose difference cannot be read may have committed anything."""
    sample.add_run("run-1", changes={b"out/a": b"1"})
    (sample.run_folder("run-1") / RESTORE_DIFF_FILE).write_bytes(b"{}")
    assert CommittedPaths(sample.workspace.runs).since(sample.domain_bytes, 0) is None


def test_many_runs_are_not_looked_through(sample: SampleWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the domain again is cheaper then."""
    monkeypatch.setattr(since, "RUNS_SINCE_MAX", 1)
    sample.add_run("run-1", changes={b"out/a": b"1"})
    assert CommittedPaths(sample.workspace.runs).since(sample.domain_bytes, 0) is not None
    sample.add_run("run-2", changes={b"out/b": b"1"})
    assert CommittedPaths(sample.workspace.runs).since(sample.domain_bytes, 0) is None


def test_each_record_is_read_once(sample: SampleWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later question reads the records of later runs alone, and gives what all of them committed."""
    read: list[str] = []
    restore_diff = RunReader.restore_diff

    def noted(run: RunReader) -> RestoreDiff:
        read.append(run.run_id)
        return restore_diff(run)

    monkeypatch.setattr(RunReader, "restore_diff", noted)
    committed = CommittedPaths(sample.workspace.runs)
    sample.add_run("run-1", changes={b"out/a": b"1"})
    assert committed.since(sample.domain_bytes, 0) == {b"out", b"out/a"}
    sample.add_run("run-2", changes={b"out/b": b"1"})
    for _ in range(2):
        assert committed.since(sample.domain_bytes, 0) == {b"out", b"out/a", b"out/b"}
    assert read == ["run-1", "run-2"]
