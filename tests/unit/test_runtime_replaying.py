"""A finished run is followed from base and log alone, and where it leads elsewhere that is named."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from catfs.ledger import RunReader
from catfs.records import WRITE_LOG_FILE
from catfs.records.log_lines import LogDamageError, log_lines
from catfs.runtime.replaying import replay_run
from tests.support.history import HistorySession

Fields = dict[str, object]


@pytest.fixture(scope="module", params=[True, False], ids=["history", "plain"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunReader:
    """Give a run with and one without history, whose original has a file with two names."""
    return HistorySession(tmp_path_factory.mktemp("w"), history=request.param).conclude()


def changed_copy(run: RunReader, place: Path, change: Callable[[list[Fields]], list[Fields]]) -> RunReader:
    """Give a copy of a run with another log, whose records are numbered without gaps.

    The copy lies beside the run: its trees are in the store of the workspace.
    """
    folder = shutil.copytree(run.folder, run.folder.parent / place.name)
    log = folder / WRITE_LOG_FILE
    with log.open("rb") as stream:
        records: list[Fields] = [orjson.loads(line) for line in log_lines(stream, log.name)]
    lines = [orjson.dumps({**record, "seq": seq}) + b"\n" for seq, record in enumerate(change(records))]
    log.write_bytes(b"".join(lines))
    return RunReader(folder)


def at(records: list[Fields], op: str, path: str) -> int:
    """Give the place of the first record of an operation on a path."""
    return next(i for i, record in enumerate(records) if (record["op"], record.get("path")) == (op, path))


def test_the_log_leads_to_the_view(run: RunReader) -> None:
    """Roots agree, hard links of the original included; with history the content is recomputed."""
    report = replay_run(run)
    assert report.ok
    assert [domain.replay_root for domain in report.domains] == [
        domain.roots.view_root for domain in run.proof().domains
    ]
    assert (report.recomputed > 0, report.stated > 0) == (run.history() is not None, run.history() is None)


@pytest.mark.parametrize("history", [True, False])
def test_neither_domain_nor_history_is_needed(tmp_path: Path, history: bool) -> None:
    """What lies in a domain that is gone, or in a history that was removed, is taken from the log."""
    session = HistorySession(tmp_path, history=history)
    run = session.conclude()
    shutil.rmtree(session.domain)
    report = replay_run(run)
    assert report.ok
    assert report.stated > 0
    run.history_data.unlink(missing_ok=True)
    report = replay_run(run)
    assert report.ok
    assert report.recomputed == 0


def test_a_record_that_does_not_fit_is_named(run: RunReader, tmp_path: Path) -> None:
    """The first one, and why; the log is told from the proven one too."""

    def change(records: list[Fields]) -> list[Fields]:
        place = at(records, "rename", "a")
        return [*records[:place], {**records[place], "path": "nobody", "ino": 999}, *records[place + 1 :]]

    report = replay_run(changed_copy(run, tmp_path, change))
    assert not report.ok
    assert report.divergence is not None
    assert report.divergence.record is not None
    assert report.divergence.record.path == b"nobody"
    assert "there is no such file at this point of the log" in report.divergence.problem
    assert report.log_problem is not None
    assert "expected records with the root" in report.log_problem
    assert report.domains[0].replay_root is None


def test_a_missing_change_is_found_at_its_path(run: RunReader, tmp_path: Path) -> None:
    """Every record fits, and yet they lead elsewhere: the path and the records that touched it are named."""

    def change(records: list[Fields]) -> list[Fields]:
        place = at(records, "unlink", "new")
        return [*records[:place], *records[place + 1 :]]

    report = replay_run(changed_copy(run, tmp_path, change))
    assert report.log_problem is not None
    assert "is missing: the proof states" in report.log_problem
    found = report.divergence
    assert found is not None
    assert found.change is not None
    assert (found.change.path, found.change.before) == (b"new", None)
    assert {record.path for record in found.touching} == {b"new"}
    assert [record.op for record in found.touching][:2] == ["create", "write"]


def test_a_wrong_statement_of_content_is_found(run: RunReader, tmp_path: Path) -> None:
    """With a history by its bytes, which name the record; without one by the root that it leads to."""

    def change(records: list[Fields]) -> list[Fields]:
        place = at(records, "content", "moved/b")
        return [*records[:place], {**records[place], "digest": "0" * 64}, *records[place + 1 :]]

    found = replay_run(changed_copy(run, tmp_path, change)).divergence
    assert found is not None
    if run.history() is None:
        assert found.change is not None
        assert found.change.path == b"moved/b"
    else:
        assert found.record is not None
        assert found.record.path == b"moved/b"
        assert f"states the SHA-256 {'0' * 64}, the bytes of the history give" in found.problem


def test_content_of_what_is_no_file_is_found(run: RunReader, tmp_path: Path) -> None:
    """A statement about a directory fits nothing."""

    def change(records: list[Fields]) -> list[Fields]:
        place = at(records, "content", "moved/b")
        return [*records[:place], {**records[place], "path": "moved"}, *records[place + 1 :]]

    found = replay_run(changed_copy(run, tmp_path, change)).divergence
    assert found is not None
    assert "states content of moved, which is no file there" in found.problem


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ino": None}, "states content of inode .*, which is no file"),
        ({"domain": 9}, "one of 1 domains, got 9"),
    ],
)
def test_content_stated_of_the_wrong_inode_or_domain_is_found(
    run: RunReader, tmp_path: Path, changed: Fields, said: str
) -> None:
    """A directory is no further name of a file, and a domain that the run has not is none."""

    def change(records: list[Fields]) -> list[Fields]:
        place = at(records, "content", "moved/b")
        directory = records[at(records, "rename", "sub")]["ino"] if "ino" in changed else None
        wrong = {**records[place], **changed, **({"ino": directory} if directory else {})}
        return [*records[:place], wrong, *records[place + 1 :]]

    found = replay_run(changed_copy(run, tmp_path, change)).divergence
    assert found is not None
    assert re.search(said, found.problem)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "expected sequence number 1, got 2"),
        (lambda lines: [*lines[:4], b"{", *lines[5:]], "line 5 is no JSON"),
        (lambda lines: [*lines[:4], *lines[5:]], "expected sequence number 4, got 5"),
    ],
)
def test_damage_ends_it(
    run: RunReader, tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    """A damaged or reordered log is refused, with the first bad record."""
    copy = changed_copy(run, tmp_path, lambda records: records)
    log = copy.folder / WRITE_LOG_FILE
    log.write_bytes(b"".join(line + b"\n" for line in damage(log.read_bytes().splitlines())))
    with pytest.raises(LogDamageError, match=said):
        replay_run(copy)
