"""`catfs log`: its conditions, its sums, and the files that are gone again."""

import json
from typing import Any

import pytest

from catfs.records.schema import validate
from tests.support.commands import Result, run_catfs
from tests.support.log_maker import LogMaker
from tests.support.workspaces import SampleWorkspace


def _build_log() -> LogMaker:
    """Give the log of a small build: make starts a shell, which starts a compiler and a linker."""
    log = LogMaker()
    log.process(10, argv="make all")
    log.process(11, parent=10, argv="sh -c cc")
    log.process(12, parent=11, argv="cc -c a.c")
    temporary = log.create("tmp/cc1.s", 12)
    log.write("tmp/cc1.s", temporary, 0, 5000, 12)
    made = log.create("a.o", 12)
    log.write("a.o", made, 0, 100, 12)
    log.add("unlink", "tmp/cc1.s", temporary, 12)
    log.process(20, parent=10, start=300, argv="ld -o out/it")
    linked = log.create("out/it", 20)
    log.write("out/it", linked, 0, 40, 20)
    log.write("out/it", linked, 0, 40, 20)
    log.add("content", "out/it", linked, length=40, digest="ab" * 32)
    return log


@pytest.fixture
def build(sample: SampleWorkspace) -> SampleWorkspace:
    """Give a workspace whose last run is a small build."""
    sample.add_run(log=_build_log().data)
    return sample


def _log(sample: SampleWorkspace, *words: str) -> Result:
    result = run_catfs(["log", *words], sample.root)
    assert result.status == 0, result.stderr
    return result


def _json(sample: SampleWorkspace, *words: str) -> dict[str, Any]:
    value = _log(sample, *words, "--json").json()
    assert isinstance(value, dict)
    validate(value, value["schema"])
    return value


def test_descendants_are_what_came_from_a_process(build: SampleWorkspace) -> None:
    """The process itself, what it started, and what that started; nothing of its siblings."""
    of_shell = _log(build, "--descendants-of", "11").stdout.decode()
    assert "tmp/cc1.s" in of_shell
    assert "out/it" not in of_shell
    of_make = _log(build, "--descendants-of", "10").stdout.decode()
    assert of_make.count("out/it") == 3


def test_times_may_be_counted_from_the_first_record(build: SampleWorkspace) -> None:
    """Records are a millisecond apart; both ends belong to the range."""
    lines = _log(build, "--since", "+0.004", "--until", "+0.006").stdout.decode().splitlines()
    assert [line.split()[3] for line in lines] == ["write", "create", "write"]


def test_a_printed_time_can_be_given_back(build: SampleWorkspace) -> None:
    """A time to the millisecond means the whole millisecond."""
    line = _log(build, "--op", "unlink").stdout.decode()
    time = line.split()[0]
    assert _log(build, "--since", time, "--until", time).stdout.decode() == line


def test_sizes_are_bounds_on_the_bytes_of_a_record(build: SampleWorkspace) -> None:
    """What speaks of no bytes does not fit."""
    assert _log(build, "--min-bytes", "101").stdout.count(b"\n") == 1
    assert _log(build, "--min-bytes", "41", "--max-bytes", "100").stdout.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "yesterday"], "expected a time, got 'yesterday'"),
        (["--since", "2026-13-01"], "expected a time"),
        (["--since", "+2", "--until", "+1"], "--since is later than --until"),
        (["--min-bytes", "2", "--max-bytes", "1"], "--min-bytes is more than --max-bytes"),
        (["--min-bytes", "-1"], "expected"),
        (["--descendants-of", "make"], "expected the id of a process, got 'make'"),
        (["--by", "process", "--temporary"], "not allowed with"),
        (["--follow"], "nothing goes on here"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(
    build: SampleWorkspace, words: list[str], said: str
) -> None:
    """Exit status 2, and nothing on stdout."""
    result = run_catfs(["log", *words], build.root)
    assert (result.status, result.stdout) == (2, b"")
    assert said in result.stderr


def test_nothing_that_fits_is_said(build: SampleWorkspace) -> None:
    """An empty result says so on stderr, in every form."""
    for form in ([], ["--by", "kind"], ["--temporary"], ["--json"]):
        result = _log(build, "--path", "nowhere/**", *form)
        assert result.stdout == b""
        assert "no record of WRITE_LOG.jsonl.zst of run run-1 fits" in result.stderr


def test_what_the_session_notes_itself_is_not_put_down_to_the_kernel(build: SampleWorkspace) -> None:
    """Digests at the end come from catfs and from no process."""
    line = _log(build, "--op", "content").stdout.decode()
    assert line.split()[1:4] == ["-", "catfs", "content"]


def test_sums_by_process_name_what_is_left(build: SampleWorkspace) -> None:
    """The compiler's temporary file is gone, and what the linker wrote first is written over."""
    groups = _json(build, "--by", "process")["groups"]
    compiler, linker = groups
    assert compiler["programs"][0]["argv"] == ["cc", "-c", "a.c"]
    assert (compiler["written"], compiler["left"], compiler["amplification"]) == (5100, 100, 51)
    assert (linker["written"], linker["left"], linker["amplification"]) == (80, 40, 2)


def test_sums_are_a_table_for_people(build: SampleWorkspace) -> None:
    """One line each, those that wrote most first, and one for all together."""
    lines = _log(build, "--by", "directory").stdout.decode().splitlines()
    assert lines[0].split() == ["changes", "files", "written", "left", "amplif.", "directory"]
    assert [line.split()[-1] for line in lines[1:]] == ["tmp", ".", "out", "together"]
    assert lines[1].split() == ["3", "1", "4.9", "KiB", "0", "bytes", "-", "tmp"]


def test_sums_by_kind_and_by_ending(build: SampleWorkspace) -> None:
    """Operations, and endings of names; what is not a change of a program is left out."""
    kinds = {group["key"]: group["changes"] for group in _json(build, "--by", "kind")["groups"]}
    assert kinds == {"write": 4, "create": 3, "unlink": 1}
    endings = {group["key"]: group["written"] for group in _json(build, "--by", "ending")["groups"]}
    assert endings == {".s": 5000, ".o": 100, "": 80}


def test_sums_respect_conditions(build: SampleWorkspace) -> None:
    """Only what fits is counted."""
    found = _json(build, "--by", "process", "--path", "*.o")
    assert [group["written"] for group in found["groups"]] == [100]
    assert found["total"]["changes"] == 2


def test_temporary_files_are_told_with_lifetime_and_bytes(build: SampleWorkspace) -> None:
    """A file that was made and is gone again: when, by whom, for how long, how much."""
    (line, together) = _log(build, "--temporary").stdout.decode().splitlines()
    assert line.split()[1:] == ["12", "cc", "4.0", "ms", "4.9", "KiB", "file", "tmp/cc1.s"]
    assert together == "1 temporary file, 4.9 KiB written"
    (file,) = _json(build, "--temporary")["files"]
    assert (file["lifetime_ns"], file["written"], file["maker"]["pid"]) == (4 * 10**6, 5000, 12)


def test_sums_of_a_damaged_log_are_not_told(sample: SampleWorkspace) -> None:
    """A sum over the part that is whole would pass for one over everything."""
    sample.add_run(log=_build_log().data)
    path = sample.run_folder("run-1") / "WRITE_LOG.jsonl.zst"
    path.write_bytes(_build_log().data[:-30] + b"\n")
    for form in (["--by", "kind"], ["--temporary"]):
        result = run_catfs(["log", *form], sample.root)
        assert (result.status, result.stdout) == (2, b"")
        assert "after 12 whole records" in result.stderr


def test_a_reordered_log_is_refused_with_the_first_bad_record(sample: SampleWorkspace) -> None:
    """The place of a record is its number: swapped lines are noticed at the first of them."""
    lines = _build_log().data.splitlines(keepends=True)
    sample.add_run(log=b"".join([*lines[:4], lines[5], lines[4], *lines[6:]]))
    result = run_catfs(["log", "--json"], sample.root)
    assert result.status == 2
    assert "expected sequence number 4, got 5" in result.stderr
    assert [json.loads(line)["seq"] for line in result.stdout.splitlines()][-1] == 3


def test_what_was_undone_does_not_count(sample: SampleWorkspace) -> None:
    """Sums and temporary files are those of the records that are left, and no undo is among them."""
    log = _build_log()
    sums = [["--by", by] for by in ("process", "kind")]
    sample.add_run("before", log=log.data)
    first = log.write("a.o", (1 << 40) + 2, 0, 7000, 12)
    made = log.create("tmp/more", 12)
    log.add("unlink", "tmp/more", made, 12)
    log.add("undo", "", 1, 99, first=first)
    sample.add_run("after", log=log.data)
    for form in (*sums, ["--temporary"]):
        assert _json(sample, "after", *form) == _json(sample, "before", *form)


def test_a_list_marks_what_was_undone(sample: SampleWorkspace) -> None:
    """Every record is shown; those that an undo took back end in a word that says so."""
    log = _build_log()
    first = log.write("a.o", (1 << 40) + 2, 0, 7000, 12)
    log.add("undo", "", 1, 99, first=first)
    log.create("after", 12)
    sample.add_run(log=log.data)
    lines = _log(sample).stdout.decode().splitlines()
    assert [line for line in lines if "(undone)" in line] == [
        line for line in lines if line.endswith("a.o  0+7000  (undone)")
    ]
    assert lines[-2].endswith(f"undo        .  {first}..")
    assert _log(sample, "--record", str(first)).stdout.decode().endswith("(undone)\n")
    assert not _log(sample, "--record", str(first + 2)).stdout.decode().endswith("(undone)\n")
