"""`catfs runs`: the runs of the workspace, one to a line."""

import argparse

from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, command_text, find_workspace, plain, time_text
from catfs.errors import printable
from catfs.records import format_time, put_bytes_list
from catfs.runtime.runs import RunSummary, summarize_runs
from catfs.runtime.subject import live_sessions

_TITLES = ("RUN", "WHEN (UTC)", "OUTCOME", "TIME", "OUTPUTS", "DOMAINS", "COMMAND")

_EPILOG = """\
The oldest run stands first. The outcome is `restored`, `dirty`, `failed`, `missing_output`, `conflict` or
`internal`; `running` for a run under way, `incomplete` for one that was stopped and has no proof, `damaged`
for one whose records cannot be read. OUTPUTS counts what was committed.

examples:
  catfs runs
  catfs runs --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    workspace = find_workspace()
    found = summarize_runs(workspace, live_sessions(workspace))
    if arguments.json:
        print_json({"schema": "cli-runs.v1", "runs": [run_fields(summary) for summary in found]})
        return 0
    if not found:
        tell("there are no runs yet; `catfs run` makes one")
        return 0
    rows = [_TITLES, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_result("  ".join(cells).rstrip())
    for summary in found:
        if summary.problem is not None and summary.outcome == "damaged":
            tell(summary.problem)
    return 0


def run_fields(summary: RunSummary) -> dict[str, object]:
    """Give the JSON form of a run in a list."""
    record: dict[str, object] = {
        "run_id": plain(summary.run_id),
        "when": format_time(summary.when),
        "outcome": summary.outcome,
        "exit_status": summary.exit_status,
        "duration_ns": summary.duration,
        "problem": None if summary.problem is None else plain(summary.problem),
    }
    put_bytes_list(record, "command", summary.command)
    put_bytes_list(record, "domains", summary.domains)
    put_bytes_list(record, "committed", summary.committed)
    return record


def _row(summary: RunSummary) -> tuple[str, ...]:
    duration = "-" if summary.duration is None else f"{summary.duration / 10**9:.2f} s"
    domains = " ".join(map(printable, summary.domains)) or "-"
    return (
        plain(summary.run_id),
        time_text(summary.when),
        summary.outcome,
        duration,
        str(len(summary.committed)),
        domains,
        _command(summary),
    )


def _command(summary: RunSummary) -> str:
    """Give the first command, and how many steps come after it."""
    more = summary.steps - 1
    words = command_text(summary.command) or "-"
    return f"{words} (+ {more} step{'s' * (more > 1)})" if more > 0 else words
