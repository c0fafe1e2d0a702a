"""The chart: ratios to the base as bars on a logarithmic axis, drawn by matplotlib when it is installed."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catfs.errors import UsageError
from tools.bench.model import CATFS, FUSE_OVERLAYFS, OVERLAYFS, PEERS, Outcome

_SHOWN = (OVERLAYFS, FUSE_OVERLAYFS, *CATFS)
_COLORS = {OVERLAYFS: "#9aa5b1", FUSE_OVERLAYFS: "#d98c5f", CATFS[0]: "#8fbf9f", CATFS[1]: "#2f7d5b"}


def import_pyplot() -> Any:
    """Give matplotlib's module for drawing into files; it is optional and has its own types.

    Raises:
        UsageError: when it is not installed.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("Agg")
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise UsageError(
            "--chart needs matplotlib, which is not installed", hint="pip install 'catfs[bench]'"
        ) from error


def chart_bars(outcomes: Sequence[Outcome]) -> dict[str, list[tuple[int, float]]]:
    """Give the bars of each peer: number of the row, ratio to its base.

    Args:
        outcomes: All rows; those without a base have no bars.
    """
    bars: dict[str, list[tuple[int, float]]] = {peer: [] for peer in PEERS if peer in _SHOWN}
    for index, outcome in enumerate(outcomes):
        for peer, found in bars.items():
            if (ratio := outcome.ratio(peer, outcome.base)) is not None:
                found.append((index, ratio))
    return {peer: found for peer, found in bars.items() if found}


def draw_chart(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw the chart into a PNG file.

    Args:
        outcomes: All rows.
        path: The file.

    Raises:
        UsageError: without matplotlib, or when nothing can be drawn.
        OSError: when the file cannot be written.
    """
    pyplot = import_pyplot()
    rows = [outcome for outcome in outcomes if outcome.base is not None]
    bars = chart_bars(rows)
    if not bars:
        raise UsageError("--chart has nothing to draw", hint="measure native or fuse-overlayfs beside catfs")
    height = 0.8 / len(bars)
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.42 * len(rows)), layout="constrained")
    for number, (peer, found) in enumerate(bars.items()):
        places = [index + (number - (len(bars) - 1) / 2) * height for index, _ in found]
        ratios = [ratio for _, ratio in found]
        axes.barh(places, [r - 1 for r in ratios], height, left=1, label=peer, color=_COLORS[peer])
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{outcome.row.name} (/ {outcome.base})" for outcome in rows])
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel("median time as a multiple of the base; to the left is faster")
    axes.legend(loc="best", fontsize="small")
    figure.savefig(path, dpi=120, format="png")
    pyplot.close(figure)
