"""A session with history goes back: exactly, again and again, and forward too."""

from pathlib import Path

import pytest

from catfs.errors import UsageError
from catfs.overlay import Undone
from catfs.runtime.declaration import declare
from catfs.runtime.moments import moment_of, record_of, split_range
from catfs.runtime.session import Session, SessionKind
from catfs.runtime.workspace import Workspace
from tests.support.history import HistorySession
from tests.support.views import ACTOR


def undo(history: HistorySession, first: int) -> None:
    """Let the session go back to before a record."""
    with history.open() as session:
        session.suspend()
        session.undo(first)


def test_an_undo_restores_the_exact_earlier_root(tmp_path: Path) -> None:
    """Whatever was written, deleted and moved since: the root is the one of that moment."""
    history = HistorySession(tmp_path)
    for first in sorted(history.roots, reverse=True):
        undo(history, first)
        assert history.root() == history.roots[first]


def test_an_undo_is_undone(tmp_path: Path) -> None:
    """What was undone comes back by going back to before the undo."""
    history = HistorySession(tmp_path)
    moments = sorted(history.roots)
    undo(history, moments[1])
    lines = (history.facts.folder / "log.jsonl").read_bytes().splitlines()
    [(seq, stop)] = [(run.start - 1, run.stop) for run in Undone.of_lines(lines).ranges(len(lines) + 1)[1:]]
    assert stop == len(lines) + 1
    undo(history, seq)
    assert history.root() == history.roots[moments[-1]]


def test_work_goes_on_after_an_undo(tmp_path: Path) -> None:
    """New changes count on top of the earlier state, and bytes written since then are not in the way."""
    history = HistorySession(tmp_path)
    first = sorted(history.roots)[1]
    undo(history, first)
    with history.open() as session:
        session.suspend()
        node = session.view.resolve(0, b"new")
        assert node is not None
        handle = session.view.open(node.ino, 0, ACTOR)
        session.view.write(handle, 5, b", and more")
        assert session.view.read(handle, 0, 100) == b"first, and more"
        [state] = session.states()
        assert state.view == state.replayed


def test_a_session_without_history_does_not_go_back(tmp_path: Path) -> None:
    """Its overwritten bytes are gone."""
    (tmp_path / "d").mkdir()
    workspace = Workspace.find_or_create(tmp_path)
    with (
        Session(workspace, "s", declare([tmp_path / "d"], [], []), SessionKind.MOUNT) as session,
        pytest.raises(UsageError, match="keeps no history, so it cannot go back"),
    ):
        session.undo(0)


def test_a_record_that_is_not_there_is_not_undone(tmp_path: Path) -> None:
    """The log stays as it was."""
    history = HistorySession(tmp_path)
    before = history.root()
    with history.open() as session:
        session.suspend()
        with pytest.raises(UsageError, match="there is no record 9999: the log has"):
            session.undo(9999)
    assert history.root() == before


@pytest.mark.parametrize(("word", "moment"), [("base", 0), ("end", 5), ("0", 1), ("4", 5)])
def test_words_name_moments(word: str, moment: int) -> None:
    """A number is the moment right after that record."""
    assert moment_of(word, 5) == moment


@pytest.mark.parametrize("word", ["5", "-1", "x", "", "\udcff", "1" * 40])
def test_other_words_name_none(word: str) -> None:
    """What is no record of the log is refused."""
    with pytest.raises(UsageError, match=r"expected the number of a record|there is no record"):
        moment_of(word, 5)


def test_an_empty_log_has_no_record() -> None:
    """The sentence then names no last one."""
    with pytest.raises(UsageError, match=r"there is no record 0: the log has 0 records \("):
        record_of("0", 0)


@pytest.mark.parametrize(
    ("word", "moments"),
    [
        ("3..9", ("3", "9")),
        ("..9", ("base", "9")),
        ("3..", ("3", "end")),
        ("base..end", ("base", "end")),
        ("..end", ("base", "end")),
        ("..", None),
        ("../other", None),
        ("a..b", None),
        ("3...9", None),
    ],
)
def test_ranges_are_told_from_directories(word: str, moments: tuple[str, str] | None) -> None:
    """Two dots alone, and whatever is no pair of moments, are a path."""
    assert split_range(word) == moments
