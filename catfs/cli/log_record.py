"""One record of a write log, alone or with the proof that it stands there: `catfs log --record`."""

import argparse
import sys
from pathlib import Path

from catfs.cli.log_words import change_line, process_line
from catfs.cli.output import print_json, print_result
from catfs.errors import UsageError
from catfs.forensics import ProcessTable
from catfs.ledger import RunReader
from catfs.records.write_record import WriteRecord
from catfs.runtime.live import log_of_subject
from catfs.runtime.log_reading import LogFilter, LogItem, LogSource, counts_of, read_whole_log
from catfs.runtime.moments import record_of
from catfs.runtime.record_proofs import make_record_proof
from catfs.runtime.subject import Subject, find_subject


def show_record(arguments: argparse.Namespace) -> int:
    """Print the record that is asked for, or the file that proves it; give the exit status.

    Raises:
        UsageError: when there is no such record, or nothing that it could be proven under.
        FormatError: when the log is damaged, or not the one that the proof of its run states.
    """
    subject = find_subject(arguments.subject, Path.cwd())
    if arguments.proof:
        return _print_proof(subject, arguments.record)
    source = log_of_subject(subject)
    item = _find(source, arguments.record)
    if arguments.json:
        sys.stdout.write(item.line.decode() + "\n")
    elif isinstance(item.record, WriteRecord):
        print_result(change_line(item, item.record, source.domains, counts_of(source)))
    else:
        print_result(process_line(item.record))
    return 0


def _print_proof(subject: Subject, word: str) -> int:
    if not isinstance(subject, RunReader) or not subject.is_complete:
        hint = "the log of a session that goes on has none yet"
        raise UsageError("a record is proven under the root in the proof of a finished run", hint=hint)
    seq = record_of(word, subject.proof().log.records)
    print_json(make_record_proof(subject, seq).to_dict())
    return 0


def _find(source: LogSource, word: str) -> LogItem:
    """Find a record by its number; the rest of the log is looked at only when it is not there."""
    count = 0
    for item in read_whole_log(source, LogFilter(), ProcessTable()):
        count = item.record.seq + 1
        if str(item.record.seq) == word:
            return item
    record_of(word, count)
    raise UsageError(f"expected the number of a record without leading zeros, got {word!r}")
