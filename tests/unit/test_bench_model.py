"""The benchmark's arithmetic: medians, ratios, promises."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.bench.model import (
    DEVFUSE,
    FUSE_OVERLAYFS,
    NATIVE,
    PYFUSE3,
    Cell,
    Outcome,
    Place,
    Promise,
    Row,
    Sample,
    verdicts,
)


def _nothing(lower: Path, assets: Path) -> None:
    del lower, assets


def _never(peer: str, place: Place) -> Sample:
    raise AssertionError(f"{peer} is not measured here, in {place}")


def _row(name: str, *promises: Promise) -> Row:
    return Row(name, "some work", _nothing, _never, promises=promises)


def _outcome(name: str, values: Mapping[str, Sequence[float]], *promises: Promise) -> Outcome:
    cells = {peer: Cell([Sample(value) for value in found]) for peer, found in values.items()}
    return Outcome(_row(name, *promises), cells)


def test_the_median_is_the_middle_value_and_not_the_mean() -> None:
    """One slow round does not move the result."""
    assert Cell([Sample(1.0), Sample(100.0), Sample(2.0)]).median == 2.0


def test_an_empty_cell_has_no_median() -> None:
    """What was not measured has no value, not the value 0."""
    cell = Cell()
    assert (cell.median, cell.server_cpu, cell.server_bytes) == (None, None, None)


def test_a_server_is_reported_by_its_middle_time_and_largest_memory() -> None:
    """Processor time is a median over the rounds, memory the worst of them."""
    cell = Cell([Sample(1.0, 0.1, 10), Sample(1.0, 0.3, 30), Sample(1.0, 0.2, 20)])
    assert (cell.server_cpu, cell.server_bytes) == (0.2, 30)


def test_the_base_is_the_first_peer_of_the_row_that_was_measured() -> None:
    """Without the bare disk, ratios are to the next one; never to catfs itself."""
    assert _outcome("a", {FUSE_OVERLAYFS: [1.0], NATIVE: [1.0]}).base == NATIVE
    assert _outcome("a", {NATIVE: [], FUSE_OVERLAYFS: [1.0]}).base == FUSE_OVERLAYFS
    assert _outcome("a", {DEVFUSE: [1.0]}).base is None


def test_a_promise_on_a_peer_compares_medians_of_one_row() -> None:
    """The limit is a factor on the other's median, and reaching it exactly is enough."""
    promise = Promise(0.5, peer=FUSE_OVERLAYFS)
    (verdict,) = verdicts([_outcome("a", {FUSE_OVERLAYFS: [4.0], DEVFUSE: [2.0]}, promise)])
    assert (verdict.got, verdict.holds) == (0.5, True)
    (verdict,) = verdicts([_outcome("a", {FUSE_OVERLAYFS: [4.0], DEVFUSE: [2.1]}, promise)])
    assert verdict.holds is False


def test_a_promise_on_a_row_compares_one_peer_with_itself() -> None:
    """What another row took for the same transport is the measure."""
    outcomes = [
        _outcome("one", {DEVFUSE: [2.0], NATIVE: [9.0]}),
        _outcome("many", {DEVFUSE: [3.0], NATIVE: [1.0]}, Promise(1.0, row="one")),
    ]
    (verdict,) = verdicts(outcomes)
    assert (verdict.got, verdict.holds) == (1.5, False)


def test_a_bare_promise_is_a_value() -> None:
    """Seconds and bytes can be promised without any other peer."""
    (verdict,) = verdicts([_outcome("a", {DEVFUSE: [0.3]}, Promise(0.35))])
    assert (verdict.got, verdict.holds) == (0.3, True)


def test_a_promise_that_cannot_be_judged_is_unknown_and_not_kept() -> None:
    """A missing peer or row gives no verdict."""
    promises = Promise(1.0, peer=FUSE_OVERLAYFS), Promise(1.0, row="absent")
    judged = list(verdicts([_outcome("a", {DEVFUSE: [1.0]}, *promises)]))
    assert [verdict.holds for verdict in judged] == [None, None]


def test_promises_bind_the_transport_that_auto_takes() -> None:
    """Devfuse is judged for good where it was measured, pyfuse3 where it is alone."""
    both = verdicts([_outcome("a", {PYFUSE3: [1.0], DEVFUSE: [1.0]}, Promise(2.0))])
    assert [(verdict.peer, verdict.binding) for verdict in both] == [(PYFUSE3, False), (DEVFUSE, True)]
    alone = verdicts([_outcome("a", {PYFUSE3: [1.0], DEVFUSE: []}, Promise(2.0))])
    assert [(verdict.peer, verdict.binding) for verdict in alone] == [(PYFUSE3, True)]
