"""Taking samples: turns, processes of their own, limits, cleaning up."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tools.bench.model import FUSE_OVERLAYFS, NATIVE, Place, Row, RowError, Sample, UnavailableError
from tools.bench.runner import Plan, chosen, run_row, run_rows, take_sample, turns

_LIMIT_SECONDS = 30.0


def _prepare(lower: Path, assets: Path) -> None:
    (lower / "prepared").write_text("yes")
    (assets / "prepared").write_text("yes")


def _say_nothing(text: str) -> None:
    del text


def _plan(directory: Path, rounds: int = 2) -> Plan:
    return Plan((NATIVE, FUSE_OVERLAYFS), rounds, _LIMIT_SECONDS, directory)


def test_every_round_has_every_peer_and_begins_with_another() -> None:
    """No peer always goes first, and none is measured twice in a row of rounds before the others."""
    assert list(turns(("a", "b", "c"), 2)) == [(0, "a"), (0, "b"), (0, "c"), (1, "b"), (1, "c"), (1, "a")]


def test_a_sample_is_taken_in_another_process() -> None:
    """What the measurement changes in its process is gone afterwards."""
    assert take_sample(lambda: Sample(float(os.getpid()), 0.5, 7), _LIMIT_SECONDS) != Sample(
        float(os.getpid()), 0.5, 7
    )


def test_a_sample_that_takes_too_long_is_ended_with_all_it_started() -> None:
    """The limit ends the process and its children."""
    reader, writer = os.pipe()

    def hang() -> Sample:
        with subprocess.Popen(["sleep", "600"], pass_fds=[writer]):
            signal.pause()
        return Sample(0.0)

    with pytest.raises(RowError, match=r"took longer than 0\.05 s"):
        take_sample(hang, 0.05)
    os.close(writer)
    assert os.read(reader, 1) == b""  # comes only when nobody holds the other end any more
    os.close(reader)


def test_a_failed_sample_says_what_went_wrong() -> None:
    """An expected error crosses the process boundary as a sentence."""

    def fail() -> Sample:
        raise FileNotFoundError(2, "No such file", "tool")

    with pytest.raises(RowError, match=r"FileNotFoundError: .*tool"):
        take_sample(fail, _LIMIT_SECONDS)


def test_a_defect_in_a_sample_is_a_problem_and_shows_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """An unexpected error is no time, and is not swallowed either."""

    def fail() -> Sample:
        raise KeyError("defect")

    with pytest.raises(RowError, match="ended without an answer"):
        take_sample(fail, _LIMIT_SECONDS)
    assert "KeyError: 'defect'" in capfd.readouterr().err


def test_an_unavailable_peer_is_no_failure() -> None:
    """It crosses the process boundary as what it is."""

    def refuse() -> Sample:
        raise UnavailableError("not here")

    with pytest.raises(UnavailableError, match="not here"):
        take_sample(refuse, _LIMIT_SECONDS)


def test_a_row_is_measured_in_all_rounds_and_leaves_nothing(tmp_path: Path) -> None:
    """Scratch is new for each sample, what is kept stays from round to round, and all is removed."""

    def measure(peer: str, place: Place) -> Sample:
        assert not list(place.scratch.iterdir())
        (place.scratch / "used").write_text(peer)
        before = len(list(place.kept.iterdir()))
        (place.kept / str(before)).write_text(peer)
        return Sample(float(before))

    outcome = run_row(Row("some", "work", _prepare, measure), _plan(tmp_path), _say_nothing)
    assert {peer: cell.values for peer, cell in outcome.cells.items()} == {
        NATIVE: [0.0, 1.0],
        FUSE_OVERLAYFS: [0.0, 1.0],
    }
    assert list(tmp_path.iterdir()) == []


def test_a_failing_peer_does_not_stop_the_others(tmp_path: Path) -> None:
    """The row goes on; an unavailable peer is asked once."""

    def measure(peer: str, place: Place) -> Sample:
        if peer == NATIVE:
            raise RowError(f"broken in {place.scratch.name}")
        (place.assets / "asked").open("a").write("x")
        raise UnavailableError(str((place.assets / "asked").stat().st_size))

    cells = run_row(Row("some", "work", _prepare, measure), _plan(tmp_path), _say_nothing).cells
    assert cells[NATIVE].problem == "RowError: broken in scratch"
    assert (cells[FUSE_OVERLAYFS].unavailable, cells[FUSE_OVERLAYFS].problem) == ("1", None)


def test_a_preparation_that_fails_fails_the_row(tmp_path: Path) -> None:
    """Every peer of the row says why, and nothing is left."""

    def prepare(lower: Path, assets: Path) -> None:
        raise FileExistsError(f"{lower} and {assets}")

    def measure(peer: str, place: Place) -> Sample:
        raise AssertionError(f"{peer} measured in {place}")

    cells = run_row(Row("some", "work", prepare, measure), _plan(tmp_path), _say_nothing).cells
    assert ["preparing failed" in str(cell.problem) for cell in cells.values()] == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_extra_rows_are_measured_only_when_named() -> None:
    """Without names, everything but them is chosen."""

    def measure(peer: str, place: Place) -> Sample:
        raise AssertionError(f"{peer} measured in {place}")

    usual = Row("usual", "work", _prepare, measure)
    extra = Row("extra", "work", _prepare, measure, extra=True)
    assert chosen([usual, extra], []) == [usual]
    assert chosen([usual, extra], ["extra"]) == [extra]


def test_a_row_that_cannot_be_prepared_here_is_no_failure(tmp_path: Path) -> None:
    """What a machine lacks is named in the row, and nobody is measured."""

    def prepare(lower: Path, assets: Path) -> None:
        raise UnavailableError(f"npm is not installed for {lower.name} and {assets.name}")

    def measure(peer: str, place: Place) -> Sample:
        raise AssertionError(f"{peer} was measured in {place.lower}")

    row = Row("npm", "", prepare, measure)
    outcome = run_row(row, _plan(tmp_path), _say_nothing)
    assert {cell.unavailable for cell in outcome.cells.values()} == {
        "npm is not installed for lower and assets"
    }
    assert not any(cell.problem or cell.samples for cell in outcome.cells.values())


def test_rows_of_one_material_are_prepared_once(tmp_path: Path) -> None:
    """The second row finds what the first one was given; a row of other material gets its own."""
    prepared: list[str] = []

    def prepare(lower: Path, assets: Path) -> None:
        assert lower.parent == assets.parent
        prepared.append(lower.parent.name)

    def measure(peer: str, place: Place) -> Sample:
        assert peer
        return Sample(float(place.lower.is_dir()))

    rows = [Row(name, "", prepare, measure, material=name[:1]) for name in ("a1", "a2", "b1")]
    told: list[str] = []
    outcomes = list(run_rows([*rows, Row("own", "", prepare, measure)], _plan(tmp_path, 1), told.append))
    assert prepared == ["a", "b", "own"]
    assert all(cell.values == [1.0] for outcome in outcomes for cell in outcome.cells.values())
    assert [text.partition(":")[0] for text in told if " took " in text] == ["a1", "a2", "b1", "own"]
    assert not any(tmp_path.iterdir())


def test_half_a_material_is_not_measured_by_the_next_row(tmp_path: Path) -> None:
    """A preparation that fails leaves nothing; the next row of the material makes it anew."""
    begun: list[Path] = []

    def prepare(lower: Path, assets: Path) -> None:
        begun.append(assets)
        (lower / "file").touch()
        if len(begun) == 1:
            raise OSError("the disk is full")
        (lower / "second").touch()

    def measure(peer: str, place: Place) -> Sample:
        assert peer
        return Sample(float(len(list(place.lower.iterdir()))))

    rows = [Row(name, "", prepare, measure, material="both") for name in ("first", "second")]
    first, second = run_rows(rows, _plan(tmp_path, 1), _say_nothing)
    assert {cell.problem for cell in first.cells.values()} == {"preparing failed: the disk is full"}
    assert all(cell.values == [2.0] for cell in second.cells.values())
