"""`catfs log` on finished runs."""

import json

from catfs.records import WRITE_LOG_FILE
from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.workspaces import LOG, SampleWorkspace, log_bytes


def _operations(stdout: bytes) -> list[str]:
    return [json.loads(line)["op"] for line in stdout.splitlines()]


def test_shows_who_changed_what(sample: SampleWorkspace) -> None:
    """A line names time, process, program, operation, paths and the range in the file."""
    sample.add_run()
    result = run_catfs(["log"], sample.root)
    assert result.status == 0
    lines = result.stdout.decode().splitlines()
    assert len(lines) == 7
    assert lines[0].split() == ["2026-02-02T02:40:00.124Z", "70", "make", "mkdir", "out"]
    assert lines[4].split() == ["2026-02-02T02:40:00.129Z", "70", "make", "write", "out/tmp", "4096+9"]
    assert lines[5].endswith("rename      out/tmp -> out/it.whl")
    assert lines[6].endswith("old\\xff")


def test_json_gives_the_lines_of_the_log(sample: SampleWorkspace) -> None:
    """Without conditions `--json` gives the log byte for byte, and every line fits its schema."""
    sample.add_run()
    result = run_catfs(["log", "run-1", "--json"], sample.root)
    records = {line: json.loads(line) for line in result.stdout.splitlines()}
    for record in records.values():
        validate(record, "write-record.v1")
    in_order = sorted(records, key=lambda line: int(records[line]["seq"]))
    assert b"".join(line + b"\n" for line in in_order) == log_bytes()


def test_a_process_comes_right_before_what_it_did(sample: SampleWorkspace) -> None:
    """With a condition, only processes that did something shown are told, each before its first change."""
    sample.add_run()
    result = run_catfs(["log", "--json", "--path", "build/*.o"], sample.root)
    assert _operations(result.stdout) == ["process", "create", "write"]
    assert json.loads(result.stdout.splitlines()[0])["exe"] == "/usr/bin/cc1"


def test_conditions_are_combined(sample: SampleWorkspace) -> None:
    """Path, process and operation must all fit; operations may be several."""
    sample.add_run()
    words = ["log", "--json", "--pid", "70", "--op", "create", "--op", "write", "--path", "out/**"]
    result = run_catfs(words, sample.root)
    assert _operations(result.stdout) == ["process", "create", "write"]
    assert run_catfs([*words, "--path", "src/**"], sample.root).stdout == b""


def test_a_process_is_found_by_the_id_of_its_thread_and_of_itself(sample: SampleWorkspace) -> None:
    """`--pid` takes the thread that made a change, and the process that the thread belongs to."""
    sample.add_run()
    by_thread = run_catfs(["log", "--pid", "72"], sample.root)
    by_process = run_catfs(["log", "--pid", "71"], sample.root)
    assert by_thread.stdout == by_process.stdout
    assert len(by_thread.stdout.splitlines()) == 2


def test_a_rename_is_found_by_both_paths(sample: SampleWorkspace) -> None:
    """A pattern is held against the old and the new path."""
    sample.add_run()
    for glob in ("out/t?p", "**/*.whl"):
        result = run_catfs(["log", "--op", "rename", "--path", glob], sample.root)
        assert b"out/tmp -> out/it.whl" in result.stdout


def test_a_name_that_is_no_text_is_found_by_its_bytes(sample: SampleWorkspace) -> None:
    """A pattern is bytes, like the names it is held against."""
    sample.add_run()
    result = run_catfs(["log", "--path", b"old\xff"], sample.root)
    assert result.stdout.count(b"\n") == 1


def test_processes_are_shown_when_asked_for(sample: SampleWorkspace) -> None:
    """`--op process` lists the programs with their arguments."""
    sample.add_run()
    result = run_catfs(["log", "--op", "process"], sample.root)
    assert [line.split()[3:6] for line in result.stdout.decode().splitlines()] == [
        ["process", "make", "all"],
        ["process", "cc1", "-O2"],
    ]


def test_the_last_run_is_shown_by_default(sample: SampleWorkspace) -> None:
    """Without a word the newest run is meant, with a domain the newest of that domain."""
    sample.add_run("run-1")
    sample.add_run("run-2", log=log_bytes(LOG[:2]))
    for words in (["log"], ["log", "last"], ["log", "run-2"], ["log", "domain"]):
        assert run_catfs(words, sample.root).stdout.count(b"\n") == 1
    assert run_catfs(["log", "run-1"], sample.root).stdout.count(b"\n") == 7


def test_a_damaged_log_is_shown_up_to_the_damage(sample: SampleWorkspace) -> None:
    """What is whole is printed, then the file and the place are named, exit status 2."""
    sample.add_run()
    path = sample.run_folder("run-1") / WRITE_LOG_FILE
    path.write_bytes(log_bytes()[:-50] + b"\n")
    result = run_catfs(["log"], sample.root)
    assert result.status == 2
    assert result.stdout.count(b"\n") == 6
    assert WRITE_LOG_FILE in result.stderr
    assert "after 8 whole records" in result.stderr


def test_the_log_of_a_run_that_was_killed_is_read_from_its_session(sample: SampleWorkspace) -> None:
    """A run without a ledger still has the log that its dead session wrote, a cut last line left out."""
    sample.add_incomplete_run("stopped")
    session = sample.add_dead_session("stopped")
    (session / "log.jsonl").write_bytes(log_bytes()[:-10])
    result = run_catfs(["log", "stopped"], sample.root)
    assert result.status == 0
    assert result.stdout.count(b"\n") == 6


def test_a_run_without_any_log_is_said_to_have_none(sample: SampleWorkspace) -> None:
    """A run that was stopped before it wrote anything is bad input."""
    sample.add_incomplete_run("stopped")
    result = run_catfs(["log", "stopped"], sample.root)
    assert result.status == 2
    assert "there is no such file" in result.stderr
