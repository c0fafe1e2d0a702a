"""A profile puts every sample down to whoever was running, and every request to whoever made it."""

import dataclasses
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.errors import MachineError, UsageError
from tools.bench.arguments import check_profile, make_parser
from tools.bench.material import QUICK
from tools.bench.model import Cell, Outcome, Place, Row, Sample
from tools.bench.perf import check_perf, events, read_profile, recordings_text, watched
from tools.bench.profile import IDLE, OTHERS, SERVER, THREADS, Profile, Requests, profile_text
from tools.bench.rows_files import file_rows
from tools.bench.rows_whole import build_row

_WORKER, _SERVER, _FIND, _STRANGER, _FLUSHER = 70, 71, 72, 90, 33


def _fork(child: int, parent: int) -> str:
    return f"         swapper     0     0.000000: PERF_RECORD_FORK({child}:{child}):({parent}:{parent})"


def _clock(comm: str, pid: int, symbol: str, place: str = "[kernel.kallsyms]") -> str:
    return f"  {comm:>14} {pid:5d}    10.500000:              cpu-clock:  ffffffff817ad9d9 {symbol} ({place})"


def _send(pid: int, number: int, name: str, seconds: float) -> str:
    return (
        f"            find {pid:5d} {seconds:9.6f}: fuse:fuse_request_send: connection 39 req {number} "
        f"opcode 44 (FUSE_{name}) len 80  ffffffff8183793b fuse_dev_queue_req ([kernel.kallsyms])"
    )


def _end(number: int, seconds: float) -> str:
    return (
        f"          python {_SERVER:5d} {seconds:9.6f}:  fuse:fuse_request_end: connection 39 req {number} "
        "len 16 error 0 ffffffff8183778a fuse_request_end ([kernel.kallsyms])"
    )


_LINES = [
    _fork(_FLUSHER, 2),
    _fork(_WORKER, 1),
    _fork(_SERVER, _WORKER),
    _fork(_FIND, _WORKER),
    _clock("python", _SERVER, "_PyEval_EvalFrameDefault", "/usr/lib/libpython3.11.so.1.0"),
    _clock("python", _SERVER, "vfs_statx"),
    _clock("python", _SERVER, "vfs_statx"),
    _clock("find", _FIND, "__d_lookup"),
    _clock("swapper", 0, "pv_native_safe_halt"),
    _clock("Web Content 1", _STRANGER, "[unknown]", "[unknown]"),
    _clock("kworker/0:0-eve", _FLUSHER, "process_one_work"),
    _send(_FIND, 6, "READDIRPLUS", 10.25),
    _send(_STRANGER, 8, "READ", 10.25),
    _end(8, 10.5),
    _end(6, 10.75),
    _send(_FIND, 12, "READDIRPLUS", 10.75),
    _end(12, 11.0),
    _send(_FIND, 14, "LOOKUP", 11.0),
]


def _profile() -> Profile:
    profile = Profile()
    profile.add(_LINES, _WORKER, _SERVER)
    return profile


def test_samples_are_put_down_to_who_was_running() -> None:
    """Server, programs of the row, threads of the kernel, strangers, and nobody are told apart."""
    usage = _profile().usage
    counted = {kind: (used.samples, used.in_kernel) for kind, used in usage.items()}
    assert counted == {SERVER: (3, 2), "find": (1, 1), IDLE: (1, 1), OTHERS: (1, 1), THREADS: (1, 1)}
    assert usage[SERVER].symbols.most_common(1) == [(("vfs_statx", "[kernel.kallsyms]"), 2)]


def test_a_server_without_a_number_goes_by_its_name() -> None:
    """In a build nobody knows the server's process before, so it is a program like the others."""
    profile = Profile()
    profile.add(_LINES, _WORKER, None)
    assert profile.usage["python"].samples == 3
    assert SERVER not in profile.usage


def test_requests_last_from_sending_to_the_reply() -> None:
    """Those of strangers do not count, and one without a reply has no time."""
    assert {name: (one.count, one.seconds) for name, one in _profile().requests.items()} == {
        "READDIRPLUS": (2, 0.75)
    }


def test_processes_that_seem_to_start_each_other_are_strangers() -> None:
    """A number that was used again leads nowhere, but not round and round."""
    profile = Profile()
    profile.add([_fork(80, 81), _fork(81, 80), _clock("sh", 80, "do_exit")], _WORKER, _SERVER)
    assert list(profile.usage) == [OTHERS]


@given(lines=st.lists(st.one_of(st.text(max_size=60), st.sampled_from(_LINES).map(lambda line: line[:-9]))))
def test_lines_of_another_form_do_not_count(lines: list[str]) -> None:
    """Whatever perf prints besides is passed over."""
    profile = Profile()
    profile.add(lines, _WORKER, _SERVER)
    assert sum(usage.samples for usage in profile.usage.values()) <= len(lines)


def test_a_profile_is_told_for_an_average_sample() -> None:
    """Two samples taken together are halved, strangers get no symbols, and trifles are left out."""
    profile = _profile()
    profile.requests["STATFS"] = Requests(1, 0.001)
    lines = list(profile_text("catfs-devfuse", [0.010, 0.030], profile))
    assert lines[0] == "  catfs-devfuse: 20 ms on the average of 2, watched"
    assert lines[1].split(maxsplit=3) == [
        *("server", "375", "µs"),
        "67% in the kernel; vfs_statx 67%, _PyEval_EvalFrameDefault 33%",
    ]
    assert "    others              125 µs" in lines
    assert lines[-1].split() == ["READDIRPLUS", "1", "x", "375", "ms", "=", "375", "ms"]


_FAKE_PERF = """\
#!/bin/sh
if [ "$1" = script ]; then cat "$3"; exit; fi
for word; do
    case "$word" in
    --control=fd:*) fds=${word#--control=fd:};;
    -o) next=output;;
    *) [ "$next" = output ] && output=$word; next=;;
    esac
    case "$word" in fuse:*) [ -e "$FAKE_PERF_OLD" ] && exit 1;; esac
done
[ -n "$fds" ] || exit 0
[ -e "$FAKE_PERF_FAILS" ] && { echo "no such event" >&2; exit 1; }
exec 8<"/proc/self/fd/${fds%,*}" 9>"/proc/self/fd/${fds#*,}"
while read -r order <&8; do echo "$order" >> "$output.orders"; printf 'ack\\n' >&9; done
"""
"""Stands in for perf: carries out orders, and prints as its script what was put into its file."""


@pytest.fixture
def fake_perf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder; `old` in it means a kernel without FUSE events, `fails` a perf that ends at once."""
    (tmp_path / "perf").write_text(_FAKE_PERF, "ascii")
    (tmp_path / "perf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PERF_OLD", str(tmp_path / "old"))
    monkeypatch.setenv("FAKE_PERF_FAILS", str(tmp_path / "fails"))
    return tmp_path


def _place(folder: Path) -> Place:
    return Place(folder, folder, folder, folder)


def _row() -> Row:
    """Give a row that does nothing but let itself be watched by way of its place."""

    def measure(peer: str, place: Place) -> Sample:
        del peer
        with place.watch(_SERVER):
            pass
        return Sample(0.5)

    return dataclasses.replace(build_row(QUICK), measure=measure)


def test_the_timed_part_is_recorded(fake_perf: Path) -> None:
    """Perf is switched on before it and off after it, and what it recorded is the profile of the peer."""
    row = watched(_row(), fake_perf / "recordings/build", events())
    assert row.measure("native", _place(fake_perf)) == Sample(0.5)
    [recording] = (fake_perf / "recordings/build/native").iterdir()
    assert (recording / "data.orders").read_text("ascii") == "enable\ndisable\n"
    parents = [_fork(_SERVER, os.getpid()), _fork(_FIND, os.getpid())]
    (recording / "data").write_text("\n".join([*_LINES[4:], *parents]), "ascii")
    outcome = Outcome(row, {"native": Cell([Sample(0.5)]), "fuse-overlayfs": Cell(unavailable="not there")})
    lines = list(recordings_text(fake_perf / "recordings", outcome))
    assert lines[1] == "  native: 500 ms on the average of 1, watched"
    assert lines[2].split()[0] == SERVER
    assert lines[-1] == "  fuse-overlayfs: not there"


def test_a_kernel_without_fuse_events_is_recorded_without_them(fake_perf: Path) -> None:
    """Then the profile has processors alone."""
    assert "fuse:fuse_request_end" in events()
    (fake_perf / "old").touch()
    assert events() == ["-e", "cpu-clock", "-c", "250000"]


def test_a_perf_that_cannot_record_is_told(fake_perf: Path) -> None:
    """The row fails with what perf said, and nothing was measured unseen."""
    (fake_perf / "fails").touch()
    with pytest.raises(MachineError, match="perf ended instead of recording: no such event"):
        watched(_row(), fake_perf / "recordings/build", events()).measure("native", _place(fake_perf))
    assert read_profile(fake_perf / "recordings/build/native") == Profile()


def test_a_missing_perf_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an argument that this machine cannot take: exit status 2."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"perf is not installed.*apt-get install linux-perf") as caught:
        check_perf()
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("option", [["--json", "a"], ["--check"], ["--markdown"], ["--rows", "find"]])
def test_a_profile_takes_no_options_on_times(option: list[str]) -> None:
    """Nothing is compared, so that nothing can be written down or judged."""
    check_profile(make_parser().parse_args(option))
    with pytest.raises(UsageError, match=f"{option[0]} cannot be given with --profile"):
        check_profile(make_parser().parse_args(["--profile", "find", *option]))


def test_rows_inside_a_mount_can_be_watched(tmp_path: Path) -> None:
    """The watcher comes right before the timed part and leaves right behind it."""
    seen: list[int | None] = []

    class _Watcher(AbstractContextManager[None]):
        def __exit__(self, *reasons: object) -> None:
            seen.append(len(list(tmp_path.glob("scratch/native/new/*"))))

    def watch(server: int | None) -> AbstractContextManager[None]:
        seen.append(server)
        return _Watcher()

    row = file_rows(QUICK)[0]
    place = Place(tmp_path / "lower", tmp_path, tmp_path / "scratch", tmp_path, watch)
    for folder in (place.lower, place.scratch):
        folder.mkdir()
    row.measure("native", place)
    assert seen == [None, QUICK.files]
