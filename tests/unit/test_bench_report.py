"""What the benchmark prints and writes."""

import json
import sys
from pathlib import Path

import pytest

from catfs.errors import UsageError
from tools.bench.chart import chart_bars, import_pyplot
from tools.bench.machine import Machine
from tools.bench.model import DEVFUSE, FUSE_OVERLAYFS, NATIVE, Cell, Outcome, Place, Promise, Row, Sample
from tools.bench.report import FORMAT, amount, markdown, promises_text, ratio_text, row_text, to_json

MACHINE = Machine(2, 8_000_000_000, "6.1", "x86_64", "ext4", "solid", "3.11.2", {"git": "git version 2"}, 0.1)


def _never(peer: str, place: Place) -> Sample:
    raise AssertionError(f"{peer} is not measured here, in {place}")


def _nothing(lower: Path, assets: Path) -> None:
    del lower, assets


ROW = Row("create", "create files", _nothing, _never, promises=(Promise(1.0, peer=FUSE_OVERLAYFS),))
MEASURED = Outcome(
    ROW,
    {
        NATIVE: Cell([Sample(0.010), Sample(0.012), Sample(0.011)]),
        FUSE_OVERLAYFS: Cell([Sample(0.044, 0.02, 3_000_000)]),
        DEVFUSE: Cell([Sample(0.022, 0.01, 50_000_000)]),
    },
)
BROKEN = Outcome(
    ROW, {NATIVE: Cell(problem="took longer than 3 s"), FUSE_OVERLAYFS: Cell(unavailable="not installed")}
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12.345, "s", "12.3 s"),
        (0.0123, "s", "12.3 ms"),
        (0.000004, "s", "4 µs"),
        (150e6, "bytes", "150.0 MB"),
    ],
)
def test_amounts_have_three_digits_and_a_fitting_unit(value: float, unit: str, text: str) -> None:
    """Seconds become milliseconds or microseconds where that is easier to read."""
    assert amount(value, unit) == text


def test_small_ratios_keep_their_digits() -> None:
    """A ratio of a thousandth is not rounded to nothing; no ratio is a dash."""
    assert [ratio_text(ratio) for ratio in (1.234, 0.00123, None)] == ["1.23", "0.0012", "-"]


def test_a_row_shows_median_spread_ratios_and_server() -> None:
    """Each peer has one line."""
    head, native, fuse, ours = row_text(MEASURED)
    assert head == "create: create files"
    assert "11 ms" in native
    assert "(10 ms to 12 ms)" in native
    assert "4.00 x native" in fuse
    assert "2.00 x native" in ours
    assert "0.50 x fuse-overlayfs" in ours
    assert "server 0.01 s" in ours


def test_a_row_names_what_is_missing_and_what_failed() -> None:
    """Nothing is left out in silence."""
    _, native, fuse = row_text(BROKEN)
    assert "failed: took longer than 3 s" in native
    assert "missing: not installed" in fuse


def test_promises_are_judged_in_words() -> None:
    """The line says verdict, row, transport, what was got and the limit."""
    (line,) = promises_text([MEASURED])
    assert line.split() == [
        *("holds", "create", "catfs-devfuse", "0.50,", "at", "most", "1.00", "x", "fuse-overlayfs")
    ]


def test_the_markdown_table_has_one_width() -> None:
    """Each line has as many cells as the head, also for rows that failed."""
    lines = [line for line in markdown(MACHINE, [MEASURED, BROKEN], 3).splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert "| create | native 11 ms | 4.00 | 2.00 | 0.50 |" in lines[2]


def test_the_json_file_holds_values_ratios_and_verdicts() -> None:
    """What is written is plain JSON and says its format."""
    facts = json.loads(json.dumps(to_json(MACHINE, [MEASURED, BROKEN], 3, quick=True)))
    assert (facts["format"], facts["quick"], facts["machine"]["busy"]) == (FORMAT, True, False)
    cell = facts["rows"][0]["cells"][DEVFUSE]
    assert (cell["median"], cell["ratio_to_fuse_overlayfs"], cell["server_peak_bytes"]) == (
        *(0.022, 0.5, 50_000_000),
    )
    assert facts["rows"][1]["cells"][NATIVE]["problem"] == "took longer than 3 s"
    assert facts["promises"][0]["holds"] is True


def test_the_chart_has_a_bar_for_each_ratio() -> None:
    """Rows that failed have no bar, and the bare disk is the axis."""
    assert chart_bars([BROKEN, MEASURED]) == {FUSE_OVERLAYFS: [(1, 4.0)], DEVFUSE: [(1, 2.0)]}


def test_a_chart_without_matplotlib_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"needs matplotlib.*'catfs\[bench\]'"):
        import_pyplot()
