"""What a word on the command line stands for."""

import fcntl
from pathlib import Path

import pytest

from catfs.errors import UsageError
from catfs.ledger import RunReader
from catfs.records import JOBSPEC_FILE
from catfs.runtime.sessions import SessionFacts
from catfs.runtime.subject import find_subject, live_mounts
from tests.support.workspaces import SampleWorkspace


@pytest.fixture
def sample(tmp_path: Path) -> SampleWorkspace:
    """Give a workspace with one domain and no run."""
    return SampleWorkspace(tmp_path)


def _run_id(sample: SampleWorkspace, word: str | None) -> str:
    subject = find_subject(word, sample.root)
    assert isinstance(subject, RunReader)
    return subject.run_id


def test_runs_are_found_by_id_beginning_last_and_folder(
    sample: SampleWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every way to name a run leads to it."""
    monkeypatch.chdir(sample.root)
    sample.add_run("abc-1")
    sample.add_run("abd-2")
    assert _run_id(sample, None) == "abd-2"
    assert _run_id(sample, "last") == "abd-2"
    assert _run_id(sample, "abc") == "abc-1"
    assert _run_id(sample, str(sample.run_folder("abc-1"))) == "abc-1"
    assert _run_id(sample, "domain") == "abd-2"
    with pytest.raises(UsageError, match="beginning of 2 runs"):
        find_subject("ab", sample.root)


def test_an_exact_id_goes_before_a_directory(
    sample: SampleWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run called like the domain is found by its plain name, the domain by a path."""
    monkeypatch.chdir(sample.root)
    sample.add_run("domain")
    sample.add_run("newer")
    assert _run_id(sample, "domain") == "domain"
    assert _run_id(sample, "./domain") == "newer"


def test_a_mounted_session_goes_before_runs(sample: SampleWorkspace) -> None:
    """A live mount is what no word means, and what its domain means."""
    sample.add_run("run-1")
    folder = sample.add_dead_session("s-1", "mount")
    with (folder / "lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for word in (None, str(sample.domain)):
            subject = find_subject(word, sample.root)
            assert isinstance(subject, SessionFacts)
            assert subject.identity == "s-1"
    assert _run_id(sample, None) == "run-1"


def test_a_suspended_session_is_found_by_its_domain_only(sample: SampleWorkspace) -> None:
    """Without a word a session that nobody serves is not meant."""
    sample.add_run("run-1")
    folder = sample.add_dead_session("s-1", "mount")
    (folder / JOBSPEC_FILE).touch()
    assert isinstance(find_subject(str(sample.domain), sample.root), SessionFacts)
    assert _run_id(sample, None) == "run-1"


def test_several_mounts_must_be_told_apart(sample: SampleWorkspace) -> None:
    """The error names their domains."""
    other = sample.root / "other"
    other.mkdir()
    folders = [sample.add_dead_session("s-1", "mount"), sample.add_dead_session("s-2", "mount", (other,))]
    with (folders[0] / "lock").open("rb+") as first, (folders[1] / "lock").open("rb+") as second:
        for lock in (first, second):
            fcntl.flock(lock, fcntl.LOCK_EX)
        assert len(live_mounts(sample.workspace)) == 2
        with pytest.raises(UsageError, match=rf"name one of {sample.domain}, {other}"):
            find_subject(None, sample.root)
        found = find_subject(str(other), sample.root)
        assert isinstance(found, SessionFacts)
        assert found.identity == "s-2"


@pytest.mark.parametrize("word", ["", "\0", "a\0"])
def test_what_can_name_nothing_is_bad_input(sample: SampleWorkspace, word: str) -> None:
    """Empty words and zero bytes are refused before anything is looked up."""
    with pytest.raises(UsageError, match="expected the name of a DOMAIN or RUN"):
        find_subject(word, sample.root)
