"""Each row does its work, notices when it was not done, and promises what the design promises."""

import contextlib
from pathlib import Path
from types import MethodType

import pytest

from tools.bench.inside import Work, nothing
from tools.bench.material import QUICK
from tools.bench.model import FILE_SYSTEMS, PEERS, Row, RowError
from tools.bench.rows_files import file_rows
from tools.bench.rows_programs import program_rows
from tools.bench.rows_whole import whole_rows

INSIDE = [row for row in (*file_rows(QUICK), *program_rows(QUICK)) if row.name not in {"pip", "npm"}]
"""Rows on work inside a file system. pip and npm take too long for a unit test, even on little."""
ROWS = [*file_rows(QUICK), *program_rows(QUICK), *whole_rows(QUICK)]
CHANGING = [
    row for row in INSIDE if not row.name.startswith(("stat", "open", "read", "find", "cat", "git-s"))
]


def _work(row: Row) -> Work:
    assert isinstance(row.measure, MethodType)
    work = row.measure.__self__
    assert isinstance(work, Work)
    return work


def _prepared(row: Row, folder: Path) -> tuple[Path, Path]:
    root, assets = folder / "root", folder / "assets"
    root.mkdir()
    assets.mkdir()
    row.prepare(root, assets)
    return root, assets


@pytest.mark.parametrize("row", INSIDE, ids=lambda row: row.name)
def test_a_row_does_its_work_in_a_plain_directory(row: Row, tmp_path: Path) -> None:
    """Preparation, warming up, the timed part and its check fit together."""
    root, assets = _prepared(row, tmp_path)
    work = _work(row)
    with contextlib.chdir(root):
        work.warm(root, assets)
        work.run(root, assets)
        work.verify(root, assets)


@pytest.mark.parametrize(
    "row", [row for row in CHANGING if _work(row).verify is not nothing], ids=lambda row: row.name
)
def test_a_row_whose_work_was_not_done_is_refused(row: Row, tmp_path: Path) -> None:
    """A file system that drops changes gets an error and no time."""
    root, assets = _prepared(row, tmp_path)
    work = _work(row)
    with contextlib.chdir(root):
        work.warm(root, assets)
        with pytest.raises((RowError, FileNotFoundError), match=r"expected|lacks|still there|No such file"):
            work.verify(root, assets)


def test_every_row_that_changes_something_checks_it() -> None:
    """Only rows that look at files do without a check after the timed part."""
    assert [row.name for row in CHANGING if _work(row).verify is nothing] == []


def test_rows_have_names_of_their_own() -> None:
    """The command line can tell them apart."""
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_promises_compare_with_something_that_is_measured() -> None:
    """A peer that a promise names takes part in the row; a row that it names exists."""
    names = {row.name for row in ROWS}
    for row in ROWS:
        assert set(row.peers) <= set(PEERS)
        for promise in row.promises:
            assert promise.peer is None or promise.peer in row.peers
            assert promise.row is None or promise.row in names


def test_every_kind_of_work_of_the_design_has_a_promise() -> None:
    """No row of the speed contract can be forgotten."""
    promised = {row.name for row in ROWS if row.promises}
    assert promised >= {
        *("build", "create", "stat-cold", "stat-warm", "stat-negative", "open-read", "readdir", "rename"),
        *("unlink", "find", "cat", "git-status", "git-checkout", "cp", "rm", "append", "pip", "npm", "untar"),
        *("sqlite", "patch-big", "write-big", "read-big", "many-clients", "proof-large", "memory-large"),
        *("run-true", "help"),
    }


def test_rows_inside_a_mount_are_measured_on_all_file_systems() -> None:
    """The bare disk, both overlayfs, fuse-overlayfs and both transports take part."""
    assert {row.peers for row in INSIDE} == {FILE_SYSTEMS}
