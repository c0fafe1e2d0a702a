"""What a mounted session answers, decoded."""

from pathlib import Path

import pytest

from catfs.errors import FormatError, UsageError
from catfs.records import Outcome
from catfs.runtime.live import LiveExamination, ask_examination, ask_log
from catfs.runtime.session import SessionKind
from catfs.runtime.sessions import SessionFacts

_ROOT = "0" * 64

_LEFT = {"change": "added", "path": "x", "before": None, "after": {"kind": "fifo", "mode": "0644"}}

ANSWER: dict[str, object] = {
    "outcome": "dirty",
    "exit_status": 1,
    "sentence": "something was left",
    "verdicts": {"isolated": True, "self_restored": False},
    "difference": {
        "schema": "restore-diff.v1",
        "run_id": "s-1",
        "domains": [
            {
                "path": "/d",
                "declared": [],
                "leftovers": [_LEFT],
            }
        ],
    },
    "roots": [{"base": _ROOT, "view": _ROOT, "replay": _ROOT}],
}


def test_an_examination_is_read() -> None:
    """Verdicts, difference and roots come out as types."""
    found = LiveExamination.from_dict(ANSWER)
    assert (found.outcome, found.isolated, found.self_restored) == (Outcome.DIRTY, True, False)
    assert found.difference.domains[0].leftovers[0].path == b"x"
    assert found.roots[0].view.hex == _ROOT


@pytest.mark.parametrize("key", ANSWER)
def test_a_missing_or_wrong_field_is_refused(key: str) -> None:
    """Every field must be there and be what it is called."""
    with pytest.raises(FormatError, match=r"missing|expected"):
        LiveExamination.from_dict({name: value for name, value in ANSWER.items() if name != key})
    with pytest.raises(FormatError, match="expected"):
        LiveExamination.from_dict({**ANSWER, key: 7.5})


def test_unknown_fields_and_roots_without_domains_are_refused() -> None:
    """Nothing is overlooked."""
    with pytest.raises(FormatError, match="unknown fields: more"):
        LiveExamination.from_dict({**ANSWER, "more": 1})
    with pytest.raises(FormatError, match="the roots of every domain"):
        LiveExamination.from_dict({**ANSWER, "roots": []})


def test_a_suspended_session_is_not_asked(tmp_path: Path) -> None:
    """Nobody serves it: that is said, with how to go on; its log is read where it lies."""
    facts = SessionFacts("s-1", tmp_path, SessionKind.MOUNT, 1, 1, (Path("/d"),), False)
    with pytest.raises(UsageError, match=r"suspended.*catfs mount /d"):
        ask_examination(facts)
    assert ask_log(facts).path == tmp_path / "log.jsonl"
