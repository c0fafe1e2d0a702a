"""`catfs export`: the write log of a session or a run in a format that other programs read."""

import argparse
import os
from pathlib import Path

from catfs.cli.output import Progress, human_bytes, print_json, print_result, tell
from catfs.cli.words import add_json, add_subject, add_target, plain
from catfs.errors import counted
from catfs.ledger import RunReader
from catfs.records import put_bytes
from catfs.runtime.exporting import Export, ExportFormat, export_log
from catfs.runtime.live import log_of_subject
from catfs.runtime.subject import find_subject

_EPILOG = """\
Without DOMAIN or RUN the log of the mounted session is exported, or, if there is none, that of the last run.

formats (docs/formats/exports.md has every column, and queries to begin with):
  perfetto  one JSON file of trace events for ui.perfetto.dev: processes as tracks, files as slices
  parquet   a folder with records.parquet, processes.parquet, files.parquet; needs catfs[parquet]
  sqlite    one database with the tables records, processes, files
  csv       a folder with records.csv, processes.csv, files.csv
  in-toto   one JSON statement with the predicate runtime-trace v0.1; of finished runs only

What is exported appears whole or not at all. A log that is damaged, cut off, out of order, or not the one
that the proof of its run seals is refused, and the first record that is wrong is named.

exit status: 0 exported; 2 bad arguments, or the log cannot be relied on: nothing is written

examples:
  catfs export last --format sqlite -o last.db
  catfs export project --format parquet -o log
  catfs export last --format perfetto -o trace.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    forms = [form.value for form in ExportFormat]
    parser.add_argument("--format", required=True, choices=forms, help="what to make: " + ", ".join(forms))
    add_target(parser, "where to: a file, in place of what is there, or a new folder")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    subject = find_subject(arguments.subject, Path.cwd())
    with Progress() as progress:
        made = export_log(
            log_of_subject(subject),
            subject if isinstance(subject, RunReader) else None,
            ExportFormat(arguments.format),
            arguments.output,
            lambda count: progress.show(f"{count} records"),
        )
    if made.cut_off:
        tell("the log ends in the middle of a record, as that of a killed run may; all before it is there")
    if arguments.json:
        print_json(_fields(made, arguments.format))
    else:
        counts = made.counts
        print_result(
            f"{plain(str(made.path))}: {counted(counts.records, 'record')}, "
            f"{counts.processes} processes, {counted(counts.files, 'file')}, {human_bytes(made.size)}"
        )
    return 0


def _fields(made: Export, form: str) -> dict[str, object]:
    record: dict[str, object] = {
        "schema": "cli-export.v1",
        "format": form,
        "records": made.counts.records,
        "processes": made.counts.processes,
        "files": made.counts.files,
        "size": made.size,
        "sealed": made.sealed,
        "cut_off": made.cut_off,
    }
    put_bytes(record, "path", os.fsencode(made.path.absolute()))
    return record
