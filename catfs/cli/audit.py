"""`catfs audit`: suspicious patterns in a write log, each with its rule and the processes behind it."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from catfs.cli.log_words import head_text, program_fields, program_name, program_text, without_wall
from catfs.cli.output import print_json, print_result, tell
from catfs.cli.words import add_json, add_subject
from catfs.errors import counted
from catfs.forensics import RULES, Auditor, Finding, ProcessTable, Rule, Severity
from catfs.records import format_time
from catfs.records.fields import put_bytes
from catfs.runtime.live import log_of_subject
from catfs.runtime.log_reading import LogFilter, counting_items, shown_path
from catfs.runtime.subject import find_subject

_NAMES = [rule.name for rule in RULES]

_EPILOG = (
    """\
Without DOMAIN or RUN the mounted session is looked at, or, if there is none, the last run. docs/audit.md
says what each rule finds, and when that is nothing to worry about.

PROGRAM is a pattern: of the name of an executable (`cc1`, `x86_64-*-ld*`), or with a slash of its whole path.

What `catfs undo` took back is not looked at.

exit status: 0 no warning (there may be notices); 1 a warning; 2 bad arguments, or the log is damaged

rules:
"""
    + "".join(f"  {rule.name:<16} {rule.severity.value:<8} {rule.summary}\n" for rule in RULES)
    + """
examples:
  catfs audit
  catfs audit last --without hidden --expect make --expect sh --expect cc1 --expect as --expect 'ld*'
  catfs audit project --rule git-history --json
"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_subject(parser)
    for option, text in (("--rule", "look with this rule only"), ("--without", "look without this rule")):
        parser.add_argument(
            option, action="append", default=[], choices=_NAMES, metavar="RULE", help=f"{text} (repeatable)"
        )
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="PROGRAM",
        help="a program that is expected to change things; others are a finding (repeatable)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    rules = _rules(arguments.rule, arguments.without)
    source = log_of_subject(find_subject(arguments.subject, Path.cwd()))
    auditor, table = Auditor(rules, [os.fsencode(word) for word in arguments.expect]), ProcessTable()
    findings, records = list[Finding](), 0
    for item in counting_items(source, LogFilter(), table):
        findings += auditor.note(item.record, item.process)
        records += 1
    if arguments.json:
        print_json(_fields(findings, rules, records, table))
    for finding in () if arguments.json else findings:
        print_result(_line(finding, source.domains))
        _print_chain(finding, table)
    warnings = sum(finding.rule.severity is Severity.WARNING for finding in findings)
    notices = len(findings) - warnings
    tell(f"{counted(warnings, 'warning')} and {counted(notices, 'notice')} in {counted(records, 'record')}")
    return 1 if warnings else 0


def _rules(only: Sequence[str], without: Sequence[str]) -> list[Rule]:
    return [rule for rule in RULES if (not only or rule.name in only) and rule.name not in without]


def _line(finding: Finding, domains: tuple[bytes, ...]) -> str:
    program = None if finding.process is None else finding.process.program_at(finding.record.seq)
    head = head_text(finding.record, program)
    path = shown_path(finding.path, finding.record.domain, domains)
    return f"{head} {finding.rule.severity.value:<7} {finding.rule.name:<15} {path}: {finding.detail}"


def _print_chain(finding: Finding, table: ProcessTable) -> None:
    """Print who it was, and what led to them."""
    if finding.process is None:
        return
    first, *rest = table.chain(finding.process, finding.record.seq)
    print_result(f"  by {first.process or first.pid} {program_text(first, 100)}")
    names = [f"{program_name(step)} {step.process or step.pid}" for step in without_wall(rest)]
    if names:
        print_result(f"  from {', '.join(names)}")


def _fields(
    findings: Sequence[Finding], rules: Sequence[Rule], records: int, table: ProcessTable
) -> dict[str, object]:
    counts = Counter(finding.rule.name for finding in findings)
    return {
        "schema": "cli-audit.v1",
        "findings": [_finding_fields(finding, table) for finding in findings],
        "rules": [
            {
                "name": rule.name,
                "severity": rule.severity.value,
                "summary": rule.summary,
                "findings": counts[rule.name],
            }
            for rule in rules
        ],
        "records": records,
    }


def _finding_fields(finding: Finding, table: ProcessTable) -> dict[str, object]:
    record = finding.record
    chain = [] if finding.process is None else table.chain(finding.process, record.seq)
    fields: dict[str, object] = {
        "rule": finding.rule.name,
        "severity": finding.rule.severity.value,
        "seq": record.seq,
        "time": format_time(record.t),
        "pid": record.pid,
        "domain": record.domain,
        "operation": record.op,
        "detail": finding.detail,
        "chain": [{"pid": step.process or step.pid} | program_fields(step) for step in chain],
    }
    put_bytes(fields, "path", finding.path)
    return fields
