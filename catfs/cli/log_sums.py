"""What `catfs log --by` and `catfs log --temporary` print: a log in sums, and files that are gone again."""

from collections.abc import Iterable

from catfs.cli.log_words import duration_text, process_fields, program_fields, program_name, program_text
from catfs.cli.output import human_bytes, print_json, print_result
from catfs.errors import counted, printable
from catfs.forensics import FileLife, FileTable, Group, Grouping, Process, ProcessTable, Sum, Summary
from catfs.records import format_time
from catfs.records.fields import put_bytes
from catfs.records.write_record import ProcessRecord, WriteRecord
from catfs.runtime.log_reading import LogItem, LogSource, shown_path

_HEAD = f"{'changes':>9} {'files':>7} {'written':>11} {'left':>11} {'amplif.':>8}"


def print_sums(items: Iterable[LogItem], table: ProcessTable, by: Grouping, *, as_json: bool) -> bool:
    """Print the wanted changes of a log, summed up, and say whether there was one.

    Raises:
        LogDamageError, FormatError, OSError: as the items do; then nothing is printed.
    """
    summary = Summary(by)
    for item in items:
        summary.note(item.record, item.process, wanted=item.wanted)
    groups, total = summary.groups(table.processes.__getitem__), summary.total()
    if as_json:
        fields = [_group_fields(group, by) for group in groups]
        print_json(
            {"schema": "cli-log-sums.v1", "by": by.value, "groups": fields, "total": sum_fields(total)}
        )
    elif groups:
        print_result(f"{_HEAD}  {by.value}")
        for group in groups:
            print_result(f"{_columns(group.sum)}  {_key_text(group, by)}")
        print_result(f"{_columns(total)}  together")
    return bool(groups)


def sum_fields(found: Sum) -> dict[str, object]:
    """Give the JSON form of a sum."""
    return {
        "changes": found.changes,
        "reads": found.reads,
        "files": found.files,
        "written": found.written,
        "left": found.left,
        "amplification": found.amplification,
    }


def print_temporary(
    items: Iterable[LogItem], table: ProcessTable, source: LogSource, *, as_json: bool
) -> bool:
    """Print the files that were made and are gone again, and say whether there was one.

    A file is listed when a record about it is wanted.

    Raises:
        LogDamageError, FormatError, OSError: as the items do; then nothing is printed.
    """
    files, wanted = FileTable(), set[int]()
    for item in items:
        files.note(item.record, None if item.process is None else item.process.number)
        if item.wanted and isinstance(item.record, WriteRecord):
            wanted.add(item.record.ino)
    found = [life for life in files.lives() if life.is_temporary and life.ino in wanted]
    if as_json:
        fields = [_life_fields(life, table) for life in found]
        print_json({"schema": "cli-log-temporary.v1", "files": fields, "written": _written(found)})
    elif found:
        for life in found:
            print_result(_life_line(life, table, source))
        print_result(f"{counted(len(found), 'temporary file')}, {human_bytes(_written(found))} written")
    return bool(found)


def _written(lives: Iterable[FileLife]) -> int:
    return sum(life.written for life in lives)


def _columns(found: Sum) -> str:
    factor = "-" if found.amplification is None else f"{found.amplification:.2f}"
    written, left = human_bytes(found.written), human_bytes(found.left)
    return f"{found.changes:>9} {found.files:>7} {written:>11} {left:>11} {factor:>8}"


def _key_text(group: Group, by: Grouping) -> str:
    if by is Grouping.PROCESS:
        if group.process is None:
            return "the kernel, or unknown"
        return f"{group.process.pid} {program_text(group.process.last)}"
    if by is Grouping.DIRECTORY:
        return printable(group.key) or "."
    return printable(group.key) or "(none)"


def _group_fields(group: Group, by: Grouping) -> dict[str, object]:
    fields: dict[str, object] = sum_fields(group.sum)
    if by is not Grouping.PROCESS:
        put_bytes(fields, "key", group.key)
    elif group.process is None:
        fields["process"] = None
    else:
        fields |= process_fields(group.process)
        fields["programs"] = [program_fields(program) for program in group.process.programs]
    return fields


def _maker(life: FileLife, table: ProcessTable) -> tuple[Process, ProcessRecord] | None:
    """Give the process and program that made a file."""
    if life.born is None or life.born.process is None:
        return None
    process = table.processes[life.born.process]
    return process, process.program_at(life.born.seq)


def _life_line(life: FileLife, table: ProcessTable, source: LogSource) -> str:
    born = life.born or life.first
    maker = _maker(life, table)
    who = f"{'-':>7} {'?':<14}" if maker is None else f"{maker[0].pid:>7} {program_name(maker[1]):<14}"
    lived, kind = duration_text(life.lifetime_ns or 0), life.kind.value
    path = shown_path(life.path, life.domain, source.domains)
    return f"{format_time(born.t)[:23]}Z {who} {lived:>12} {human_bytes(life.written):>11} {kind:<9} {path}"


def _life_fields(life: FileLife, table: ProcessTable) -> dict[str, object]:
    born, maker = life.born or life.first, _maker(life, table)
    fields: dict[str, object] = {
        "domain": life.domain,
        "ino": life.ino,
        "kind": life.kind.value,
        "born": {"seq": born.seq, "time": format_time(born.t)},
        "died": None if life.died is None else {"seq": life.died.seq, "time": format_time(life.died.t)},
        "lifetime_ns": life.lifetime_ns,
        "writes": life.writes,
        "written": life.written,
        "maker": None if maker is None else process_fields(maker[0]) | {"program": program_fields(maker[1])},
    }
    put_bytes(fields, "path", life.path)
    return fields
