"""What the benchmark works on, and what it asks of machine and command line."""

import argparse
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from catfs.errors import MachineError, UsageError
from tools.bench.arguments import check_directory, check_words, make_parser
from tools.bench.machine import (
    Machine,
    describe_machine,
    file_system_of,
    mounts_below,
    peak_bytes,
    processor_seconds,
)
from tools.bench.material import (
    make_archive,
    make_big_file,
    make_c_project,
    make_flat,
    make_npm_package,
    make_tree,
    make_wheel,
)
from tools.bench.model import RowError, UnavailableError
from tools.bench.profile_lookup import lookup_seconds
from tools.bench.snapshots import import_nono, spread_files, take_snapshot, touch_files, two_snapshots


def test_material_is_the_same_in_every_run(tmp_path: Path) -> None:
    """Two trees of one size have the same names and bytes; no two files are equal."""
    make_tree(tmp_path / "one", 2, 3, 100)
    make_tree(tmp_path / "two", 2, 3, 100)
    assert take_snapshot(tmp_path / "one") == take_snapshot(tmp_path / "two")
    contents = {path.read_bytes() for path in (tmp_path / "one/d0000").iterdir()}
    assert [len(content) for content in contents] == [100, 100, 100]


def test_the_big_file_has_its_size(tmp_path: Path) -> None:
    """Sizes are exact."""
    make_big_file(tmp_path / "big", 3 << 20)
    assert (tmp_path / "big").stat().st_size == 3 << 20


def test_archive_and_packages_can_be_read(tmp_path: Path) -> None:
    """All hold as many files as were asked for, and the wheel lists all of its own."""
    with tarfile.open(make_archive(tmp_path, 100)) as archive:
        assert sum(member.isfile() for member in archive) == 100
    with tarfile.open(make_npm_package(tmp_path, 5)) as archive:
        assert sum("/module" in name for name in archive.getnames()) == 5
    with zipfile.ZipFile(make_wheel(tmp_path, 5)) as wheel:
        names = wheel.namelist()
        record = wheel.read("bench_material-1.0.dist-info/RECORD").decode().splitlines()
    assert sum("/module" in name for name in names) == 5
    assert {line.split(",")[0] for line in record} == set(names)


def test_the_c_project_names_what_it_includes(tmp_path: Path) -> None:
    """Every header that a source includes exists in one of the include folders."""
    make_c_project(tmp_path, 2)
    headers = {path.name for path in (tmp_path / "include").rglob("*.h")}
    text = (tmp_path / "src/unit1.c").read_text("ascii")
    used = {line[len("#include <") : -1] for line in text.splitlines() if line.startswith("#include <part")}
    assert used
    assert used <= headers


def test_touching_spreads_evenly_and_takes_all_when_there_are_few(tmp_path: Path) -> None:
    """As many files grow by one byte as were asked for."""
    make_flat(tmp_path / "flat", 10, 5)
    touch_files(spread_files(tmp_path, 3))
    grown = [path.name for path in sorted((tmp_path / "flat").iterdir()) if path.stat().st_size == 6]
    assert grown == ["f000000", "f000003", "f000006"]
    touch_files(spread_files(tmp_path, 100))
    assert all(path.stat().st_size > 5 for path in (tmp_path / "flat").iterdir())


def test_two_snapshots_see_content_mode_and_links(tmp_path: Path) -> None:
    """What a proof would see makes the snapshots differ."""
    make_flat(tmp_path / "flat", 2, 5)
    (tmp_path / "link").symlink_to("flat")
    snapshots = [take_snapshot(tmp_path)]
    (tmp_path / "flat/f000000").write_bytes(b"other")
    snapshots.append(take_snapshot(tmp_path))
    (tmp_path / "flat/f000001").chmod(0o600)
    snapshots.append(take_snapshot(tmp_path))
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("away")
    snapshots.append(take_snapshot(tmp_path))
    assert all(snapshots.count(snapshot) == 1 for snapshot in snapshots)


def test_two_equal_snapshots_are_refused(tmp_path: Path) -> None:
    """A method that finds nothing has proven nothing."""
    with pytest.raises(RowError, match="are equal"):
        two_snapshots(tmp_path, tmp_path, lambda: None)


def test_nono_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where to get it."""
    monkeypatch.setitem(sys.modules, "nono_py", None)
    with pytest.raises(UnavailableError, match="nono-py is not installed"):
        import_nono()


def test_a_process_is_measured_by_its_id() -> None:
    """Processor time and memory of this process are known; of none, they are an error."""
    assert processor_seconds(os.getpid()) > 0
    assert peak_bytes(os.getpid()) > 1 << 20
    with pytest.raises(OSError, match="No such file or directory"):
        processor_seconds(2**22 + 1)


def test_memory_of_an_ended_process_is_unknown() -> None:
    """Its times can still be read as long as nobody waited for it, its memory cannot."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert processor_seconds(pid) >= 0
    with pytest.raises(MachineError, match="has ended"):
        peak_bytes(pid)
    os.waitpid(pid, 0)


def test_a_plain_folder_holds_no_mount(tmp_path: Path) -> None:
    """Mounts are found by their place, the root of everything among them."""
    assert mounts_below(tmp_path) == []
    assert b"/proc" in mounts_below(Path("/proc"))
    assert file_system_of(Path("/proc")) == "proc"


def test_a_machine_with_waiting_processes_is_busy(tmp_path: Path) -> None:
    """The warning depends on the load for each processor."""
    machine = describe_machine(tmp_path)
    assert machine.processors >= 1
    assert machine.python.startswith("3.")
    idle, busy = (Machine(4, 1, "6.1", "x86_64", "ext4", "solid", "3.11.2", {}, load) for load in (0.9, 1.1))
    assert (idle.busy, busy.busy) == (False, True)


def test_unknown_rows_and_peers_are_refused() -> None:
    """The message names what is known."""
    with pytest.raises(UsageError, match=r"there is no row 'c' .*known are a, b"):
        check_words("row", ["a", "c"], ["a", "b"])


def test_a_directory_that_overlays_cannot_name_is_refused(tmp_path: Path) -> None:
    """A comma would end the option that names it."""
    (tmp_path / "a,b").mkdir()
    with pytest.raises(UsageError, match="has a comma"):
        check_directory(tmp_path / "a,b")
    with pytest.raises(UsageError, match="is no directory"):
        check_directory(tmp_path / "absent")


def test_the_command_line_has_working_defaults() -> None:
    """Without options everything is measured in five rounds; zero rounds are refused."""
    arguments = make_parser().parse_args([])
    assert (arguments.rows, arguments.rounds, arguments.markdown) == ([], 5, False)
    assert make_parser().parse_args(["--rows", "a,b"]).rows == ["a", "b"]
    rounds = next(a for a in make_parser()._actions if a.dest == "rounds")
    assert callable(rounds.type)
    with pytest.raises(argparse.ArgumentTypeError, match="expected 1 or more, got 0"):
        rounds.type("0")


def test_a_lookup_is_profiled_without_a_kernel(tmp_path: Path) -> None:
    """The profile of one request answers them all and gives a time."""
    assert lookup_seconds(tmp_path) > 0
