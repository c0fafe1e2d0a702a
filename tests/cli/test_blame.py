"""`catfs blame`: who wrote which bytes of a file last, and what led to it."""

from typing import Any

from catfs.records.schema import validate
from tests.support.commands import run_catfs
from tests.support.log_maker import LogMaker
from tests.support.workspaces import SampleWorkspace


def _two_writers() -> LogMaker:
    """Give a log in which a linker writes a file, another program a part of it, and a third renames it."""
    log = LogMaker()
    log.process(10, argv="make all")
    log.process(12, parent=10, argv="ld -o it")
    ino = log.create("out/tmp", 12)
    log.write("out/tmp", ino, 0, 60, 12)
    log.write("out/tmp", ino, 60, 40, 12)
    log.process(13, parent=10, start=200, argv="strip it")
    log.write("out/tmp", ino, 20, 10, 13)
    log.add("rename", "out/tmp", ino, 13, path2="out/it", flags=0)
    log.write("out/it", ino, 90, 10)
    log.add("content", "out/it", ino, length=100, digest="ab" * 32)
    return log


def _json(sample: SampleWorkspace, *words: str | bytes) -> dict[str, Any]:
    result = run_catfs(["blame", *words, "--json"], sample.root)
    assert result.status == 0, result.stderr
    value = result.json()
    assert isinstance(value, dict)
    validate(value, "cli-blame.v1")
    return value


def test_every_byte_has_the_program_that_wrote_it_last(sample: SampleWorkspace) -> None:
    """Ranges in order without a gap; neighbours of one program are one."""
    sample.add_run(log=_two_writers().data)
    found = _json(sample, "out/it")
    ranges = [(part["offset"], part["length"], part["writer"]) for part in found["ranges"]]
    assert ranges == [(0, 20, 0), (20, 10, 1), (30, 60, 0), (90, 10, None)]
    assert [(writer["pid"], writer["bytes"]) for writer in found["writers"]] == [(12, 80), (13, 10)]
    assert (found["file"]["size"], found["file"]["exists"]) == (100, True)


def test_the_chain_leads_to_the_first_process(sample: SampleWorkspace) -> None:
    """Each writer with the programs that led to it, and who made the file."""
    sample.add_run(log=_two_writers().data)
    found = _json(sample, "out/it")
    chain = [step["argv"] for step in found["writers"][0]["chain"]]
    assert chain == [["ld", "-o", "it"], ["make", "all"]]
    assert found["maker"]["pid"] == 12


def test_an_old_name_leads_to_the_file(sample: SampleWorkspace) -> None:
    """What a path was before a rename is still found; what is gone, too."""
    sample.add_run(log=_two_writers().data)
    assert _json(sample, "out/tmp")["file"]["names"] == ["out/it"]
    absolute = bytes(sample.domain) + b"/out/it"
    assert _json(sample, absolute)["file"]["path"] == "out/it"


def test_people_see_ranges_and_below_them_who_it_was(sample: SampleWorkspace) -> None:
    """Offset, length, time, process, program, records; then one indented line for each ancestor."""
    sample.add_run(log=_two_writers().data)
    lines = run_catfs(["blame", "out/it"], sample.root).stdout.decode().splitlines()
    assert lines[0] == "out/it: file, 100 bytes, made by record 2"
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["0", "20"],
        ["20", "10"],
        ["30", "60"],
        ["90", "10"],
    ]
    assert lines[1].split()[3:] == ["12", "ld", "#3"]
    assert lines[3].split()[3:] == ["12", "ld", "#3..4"]
    assert lines[4].split()[3:] == ["-", "kernel", "#8"]
    assert lines[6:8] == ["12 ld -o it (made it)", "  from 10 make all"]


def test_bytes_of_the_original_are_told_apart(sample: SampleWorkspace) -> None:
    """A patched file of the original: what was never written is counted."""
    log = LogMaker()
    log.process(10, argv="ed notes")
    log.write("notes", 7, 4, 2, 10)
    log.add("content", "notes", 7, length=10, digest="ab" * 32)
    sample.add_run(log=log.data)
    lines = run_catfs(["blame", "notes"], sample.root).stdout.decode().splitlines()
    assert lines[0] == "notes: file, 10 bytes, of the original"
    assert lines[2] == "8 bytes of the original were never written"


def test_a_path_without_a_record_is_said_to_have_none(sample: SampleWorkspace) -> None:
    """No result, a sentence on stderr, and exit status 0: nothing wrote to it."""
    sample.add_run()
    result = run_catfs(["blame", "never"], sample.root)
    assert (result.status, result.stdout) == (0, b"")
    assert "nothing in WRITE_LOG.jsonl.zst of run run-1 speaks of never" in result.stderr
    assert _json(sample, "never")["file"] is None


def test_a_path_outside_is_bad_input(sample: SampleWorkspace) -> None:
    """It lies in no domain of the run."""
    sample.add_run()
    for path in ("/elsewhere", "../x", ""):
        assert run_catfs(["blame", path], sample.root).status == 2


def test_what_was_undone_is_not_blamed(sample: SampleWorkspace) -> None:
    """After an undo the bytes are those of who wrote them before; the log still shows all of it."""
    log = _two_writers()
    first = len(log.data.splitlines())
    log.write("out/it", (1 << 40) + 1, 0, 100, 13)
    log.add("undo", "", 1, first=first)
    sample.add_run(log=log.data)
    found = _json(sample, "out/it")
    assert [(writer["pid"], writer["bytes"]) for writer in found["writers"]] == [(12, 80), (13, 10)]
    shown = run_catfs(["log", "--op", "undo"], sample.root).stdout.decode()
    assert shown.rstrip().endswith(f"undo        .  {first}..")
