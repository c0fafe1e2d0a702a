"""How much history runs keep, and how it is taken away."""

from pathlib import Path

import pytest

from catfs.errors import UsageError
from catfs.ledger import RunReader
from catfs.records.schema import validate
from catfs.runtime.histories import drop_history, list_histories
from catfs.runtime.verification import verify_target
from tests.support.commands import run_catfs
from tests.support.history import HistorySession
from tests.support.workspaces import SampleWorkspace


def test_histories_are_counted_and_dropped(tmp_path: Path) -> None:
    """Their size is that of their data; the run holds without."""
    session = HistorySession(tmp_path)
    run = session.conclude()
    size = run.history_data.stat().st_size
    assert [(item.run_id, item.size) for item in list_histories(session.workspace)] == [("s-1", size)]
    assert drop_history(run).size == size
    assert list_histories(session.workspace) == []
    assert verify_target(run, session.workspace, None).ok
    with pytest.raises(UsageError, match="run s-1 keeps no history"):
        drop_history(run)


def test_the_history_of_an_open_run_is_left_alone(tmp_path: Path) -> None:
    """It may still be needed."""
    sample = SampleWorkspace(tmp_path)
    run = RunReader(sample.add_incomplete_run())
    with pytest.raises(UsageError, match="has not ended"):
        drop_history(run)


def test_doctor_tells_of_histories_and_drops_them(tmp_path: Path) -> None:
    """They are no trouble, only space."""
    HistorySession(tmp_path).conclude()
    told = run_catfs(["doctor", "--json"], tmp_path).json()
    validate(told, "cli-doctor.v1")
    assert isinstance(told, dict)
    assert told["histories"][0]["run_id"] == "s-1"
    shown = run_catfs(["doctor"], tmp_path).stdout.decode()
    assert f"note     1 run keeps its history, {told['histories'][0]['size']} bytes" in shown
    dropped = run_catfs(["doctor", "--drop-history", "s-1"], tmp_path)
    assert "the history of run s-1 is removed" in dropped.stderr
    assert "keeps its history" not in dropped.stdout.decode()
    refused = run_catfs(["doctor", "--drop-history", "s-1"], tmp_path)
    assert refused.status == 2
    assert "run s-1 keeps no history" in refused.stderr
