"""What people and programs read: the text table, the Markdown table of ratios, the JSON file."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from tools.bench.machine import Machine
from tools.bench.model import (
    CATFS,
    FUSE_OVERLAYFS,
    NATIVE,
    Cell,
    Outcome,
    Promise,
    Verdict,
    verdicts,
)

FORMAT = "catfs-bench/1"
"""The value of `format` in the JSON file; docs/performance.md describes it."""


def amount(value: float, unit: str) -> str:
    """Give a number with three digits and a unit that fits.

    Args:
        value: Seconds or bytes.
        unit: `s`, `bytes` or `ratio`.
    """
    if unit == "ratio":
        return f"{value:.3f} x"
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value:.1f} bytes"
    for factor, name in ((1.0, "s"), (1e-3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {name}"
    return f"{value / 1e-6:.3g} µs"


def ratio_text(ratio: float | None) -> str:
    """Give a ratio with as many digits as it deserves; a dash for none."""
    if ratio is None:
        return "-"
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def row_text(outcome: Outcome) -> Iterator[str]:
    """Give the lines of one row of the text table.

    Args:
        outcome: The row and what was measured.
    """
    yield f"{outcome.row.name}: {outcome.row.what}"
    for peer, cell in outcome.cells.items():
        yield f"  {peer:<19}{_cell_text(outcome, peer, cell)}"


def _cell_text(outcome: Outcome, peer: str, cell: Cell) -> str:
    unit = outcome.row.unit
    median = cell.median
    if median is None:
        return f"missing: {cell.unavailable}" if cell.unavailable else f"failed: {cell.problem}"
    spread = f"({amount(min(cell.values), unit)} to {amount(max(cell.values), unit)})"
    parts = [f"{amount(median, unit):>10}  {spread:<24}"]
    if outcome.base is not None:
        parts.append(f"{ratio_text(outcome.ratio(peer, outcome.base)):>7} x {outcome.base}")
    if peer in CATFS and outcome.base != FUSE_OVERLAYFS and FUSE_OVERLAYFS in outcome.cells:
        parts.append(f"{ratio_text(outcome.ratio(peer, FUSE_OVERLAYFS)):>7} x {FUSE_OVERLAYFS}")
    if cell.server_cpu is not None:
        parts.append(f"server {cell.server_cpu:.2f} s of processor")
    if cell.problem:
        parts.append(f"a round failed: {cell.problem}")
    return "  ".join(parts)


def promise_text(promise: Promise, unit: str) -> str:
    """Give a promise in words: `at most 0.50 x fuse-overlayfs`."""
    other = promise.peer or promise.row
    limit = amount(promise.limit, unit) if other is None else f"{ratio_text(promise.limit)} x {other}"
    return f"at most {limit}"


def verdict_text(verdict: Verdict, unit: str) -> str:
    """Give one line on one promise."""
    word = {True: "holds", False: "BROKEN", None: "unknown"}[verdict.holds]
    bare = verdict.promise.peer is None and verdict.promise.row is None
    if verdict.got is None:
        got = "not measured"
    else:
        got = amount(verdict.got, unit) if bare else ratio_text(verdict.got)
    note = "" if verdict.binding else "  (not the transport that auto takes)"
    limit = promise_text(verdict.promise, unit)
    return f"{word:<8}{verdict.row:<18}{verdict.peer:<15}{got:>9}, {limit}{note}"


def promises_text(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Give one line for each promise and transport."""
    units = {outcome.row.name: outcome.row.unit for outcome in outcomes}
    yield from (verdict_text(verdict, units[verdict.row]) for verdict in verdicts(outcomes))


def machine_text(machine: Machine) -> str:
    """Describe the machine in one sentence, in general terms."""
    tools = "".join(f", {line}" for line in machine.tools.values())
    return (
        f"{machine.processors} processors ({machine.architecture}), "
        f"{machine.memory_bytes / 1e9:.0f} GB of memory, Linux {machine.kernel}, "
        f"{machine.file_system} on a {machine.disk} disk, Python {machine.python}{tools}; "
        f"load at the start {machine.load:.2f}"
    )


def markdown(machine: Machine, outcomes: Sequence[Outcome], rounds: int) -> str:
    """Give the table of ratios in Markdown.

    Args:
        machine: Where it was measured.
        outcomes: All rows.
        rounds: Samples of each peer in each row.
    """
    peers = [
        peer for peer in _peers(outcomes) if any(o.cells[peer].samples for o in outcomes if peer in o.cells)
    ]
    head = ["row", "base", *(peer for peer in peers if peer != NATIVE)]
    head += [f"{peer} / {FUSE_OVERLAYFS}" for peer in CATFS if peer in peers]
    head.append("promise")
    lines = [
        f"{machine_text(machine)}. Medians of {rounds} rounds; columns of peers are multiples of the base.",
        "",
        _markdown_row(head),
        _markdown_row(["---"] * len(head)),
    ]
    judged = list(verdicts(outcomes))
    lines += [_markdown_row(_markdown_cells(outcome, peers, judged)) for outcome in outcomes]
    return "\n".join(lines) + "\n"


def _peers(outcomes: Sequence[Outcome]) -> list[str]:
    found: dict[str, None] = {}
    for outcome in outcomes:
        found.update(dict.fromkeys(outcome.cells))
    return list(found)


def _markdown_cells(outcome: Outcome, peers: Sequence[str], judged: Sequence[Verdict]) -> list[str]:
    base, unit = outcome.base, outcome.row.unit
    median = outcome.cells[base].median if base is not None else None
    cells = [outcome.row.name, "-" if median is None else f"{base} {amount(median, unit)}"]
    cells += [_markdown_ratio(outcome, peer) for peer in peers if peer != NATIVE]
    cells += [ratio_text(outcome.ratio(peer, FUSE_OVERLAYFS)) for peer in CATFS if peer in peers]
    binding = [verdict for verdict in judged if verdict.row == outcome.row.name and verdict.binding]
    words = {True: "holds", False: "**broken**", None: "unknown"}
    cells.append("; ".join(f"{promise_text(v.promise, unit)}: {words[v.holds]}" for v in binding) or "-")
    return cells


def _markdown_ratio(outcome: Outcome, peer: str) -> str:
    """Give the ratio to the base; where the row has no base among the others, the value itself."""
    cell = outcome.cells.get(peer)
    if cell is None or cell.median is None:
        return "failed" if cell is not None and cell.problem else "-"
    if outcome.base is None:
        return amount(cell.median, outcome.row.unit)
    return ratio_text(outcome.ratio(peer, outcome.base))


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def to_json(machine: Machine, outcomes: Sequence[Outcome], rounds: int, *, quick: bool) -> dict[str, object]:
    """Give everything that was measured, in the form of the JSON file.

    Args:
        machine: Where it was measured.
        outcomes: All rows.
        rounds: Samples of each peer in each row.
        quick: Whether the amounts were too small to mean anything.
    """
    return {
        "format": FORMAT,
        "machine": {**asdict(machine), "busy": machine.busy},
        "rounds": rounds,
        "quick": quick,
        "rows": [_json_row(outcome) for outcome in outcomes],
        "promises": [
            {
                "row": verdict.row,
                "peer": verdict.peer,
                "limit": verdict.promise.limit,
                "of_peer": verdict.promise.peer,
                "of_row": verdict.promise.row,
                "got": verdict.got,
                "holds": verdict.holds,
                "binding": verdict.binding,
            }
            for verdict in verdicts(outcomes)
        ],
    }


def _json_row(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.row.name,
        "what": outcome.row.what,
        "unit": outcome.row.unit,
        "base": outcome.base,
        "cells": {
            peer: {
                "values": cell.values,
                "median": cell.median,
                "min": min(cell.values, default=None),
                "max": max(cell.values, default=None),
                "ratio_to_base": outcome.ratio(peer, outcome.base),
                "ratio_to_fuse_overlayfs": outcome.ratio(peer, FUSE_OVERLAYFS),
                "server_processor_seconds": cell.server_cpu,
                "server_peak_bytes": cell.server_bytes,
                "problem": cell.problem,
                "unavailable": cell.unavailable,
            }
            for peer, cell in outcome.cells.items()
        },
    }
