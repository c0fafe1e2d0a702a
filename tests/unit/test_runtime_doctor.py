"""Dead mounts, and what of the doctor needs no command."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from catfs.commit import Outcome, Recovery
from catfs.runtime import doctor
from catfs.runtime.doctor import clean, examine_workspace, find_dead_mounts
from catfs.runtime.findings import Finding, NotCleanedError, Trouble
from catfs.runtime.machine import check_kernel, check_machine
from catfs.runtime.session import SessionKind
from catfs.runtime.sessions import SessionFacts
from catfs.runtime.workspace import Workspace


def _mounts(tmp_path: Path, points: Sequence[str]) -> Path:
    lines = [f"catfs {point} fuse.catfs rw,nosuid 0 0\n" for point in points]
    file = tmp_path / "mounts"
    file.write_text("".join(["proc /proc proc rw 0 0\n", *lines, "broken\n"]))
    return file


def _facts(folder: Path, domain: Path, *, live: bool, kind: SessionKind = SessionKind.MOUNT) -> SessionFacts:
    return SessionFacts("s-1", folder, kind, 1, 1, (domain,), live)


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """Give the mount points that have no server; others answer, but for one that is silent."""
    points: set[bytes] = set()

    def answers(point: bytes) -> bool | None:
        return None if point.endswith(b"/silent") else point not in points

    monkeypatch.setattr(doctor, "_answers", answers)
    return points


def test_dead_mounts_below_a_folder_are_found(tmp_path: Path, dead: set[bytes]) -> None:
    """Names with spaces are read from the kernel's table; mounts elsewhere are left to others."""
    dead |= {b"/w/a b", b"/w/c", b"/other/d", b"/w2/e"}
    mounts = _mounts(tmp_path, ["/w/a\\040b", "/w/c", "/w/fine", "/other/d", "/w2/e"])
    found = find_dead_mounts(Path("/w"), (), mounts)
    assert [(finding.trouble, finding.subject) for finding in found] == [
        (Trouble.DEAD_MOUNT, "/w/a b"),
        (Trouble.DEAD_MOUNT, "/w/c"),
    ]


def test_a_mount_that_does_not_answer_is_told_and_not_touched(tmp_path: Path, dead: set[bytes]) -> None:
    """A server that hangs may come back."""
    del dead
    (finding,) = find_dead_mounts(Path("/w"), (), _mounts(tmp_path, ["/w/silent"]))
    assert (finding.trouble, finding.clean) == (Trouble.SILENT_MOUNT, None)
    (treatment,) = clean([finding])
    assert not treatment.cleaned


def test_mounts_of_sessions_are_judged_by_their_sessions(tmp_path: Path, dead: set[bytes]) -> None:
    """Those of live and dead sessions are theirs; that of a suspended one is found wherever it is."""
    dead |= {b"/w/a", b"/far/b"}
    mounts = _mounts(tmp_path, ["/w/a", "/far/b"])
    suspended = tmp_path / "suspended"
    suspended.mkdir()
    (suspended / "JOBSPEC.json").touch()
    sessions = [
        _facts(tmp_path, Path("/w/a"), live=True),
        _facts(suspended, Path("/far/b"), live=False),
    ]
    assert [finding.subject for finding in find_dead_mounts(Path("/w"), sessions, mounts)] == ["/far/b"]
    a_run = _facts(tmp_path, Path("/w/a"), live=False, kind=SessionKind.RUN)
    assert [finding.subject for finding in find_dead_mounts(Path("/w"), [a_run], mounts)] == ["/w/a"]


def test_each_commit_is_told_what_became_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One recovery does all of them; a commit that it finished is not said to be undone."""
    workspace = Workspace.find_or_create(tmp_path)
    for name in ("a", "b", "c"):
        (workspace.journal / f"{name}.journal").touch()
    answers = [[Recovery("a", Outcome.GIVEN_UP), Recovery("b", Outcome.FINISHED)]]

    def recover(place: Workspace, *, wait: bool) -> list[Recovery]:
        del wait
        for journal in place.journal.iterdir():
            journal.unlink()
        return answers.pop() if answers else []

    monkeypatch.setattr(doctor, "recover_workspace", recover)
    reports = [treatment.report for treatment in clean(examine_workspace(workspace))]
    assert reports == [
        "the old state holds; what was staged is removed",
        "it was decided, so it is finished now: all its outputs are in place, and its run is recorded",
        "another command has finished or undone it meanwhile",
    ]


def test_run_whose_commit_is_decided_is_not_taken_away(tmp_path: Path) -> None:
    """The end of the commit completes it; a run that was stopped before its decision is left behind."""
    workspace = Workspace.find_or_create(tmp_path)
    for name in ("decided", "staged"):
        (workspace.runs / name).mkdir()
    (workspace.journal / "decided.journal").touch()
    (workspace.journal / "staged.staging").touch()
    later = os.stat(workspace.runs / "staged").st_mtime_ns + (doctor.SETTLE_SECONDS + 1) * 10**9
    found = examine_workspace(workspace, lambda: later)
    runs = [item.subject for item in found if item.trouble is Trouble.INCOMPLETE_RUN]
    assert runs == ["staged"]


def test_one_failure_stops_no_other_treatment() -> None:
    """Each finding is treated on its own, and what stood in the way is said."""

    def refuse() -> str:
        raise NotCleanedError("somebody changed it")

    def fail() -> str:
        raise PermissionError(1, "Operation not permitted")

    findings = [
        Finding(Trouble.INTERRUPTED_COMMIT, "a", "", "", refuse),
        Finding(Trouble.DEAD_SESSION, "b", "", "", fail),
        Finding(Trouble.DEAD_SESSION, "c", "", "", lambda: "gone"),
    ]
    assert [(treatment.cleaned, treatment.report) for treatment in clean(findings)] == [
        (False, "somebody changed it"),
        (False, "it cannot be removed: Operation not permitted"),
        (True, "gone"),
    ]


@pytest.mark.parametrize(
    ("release", "ok"),
    [("5.6.0", True), ("6.1.0-18-amd64", True), ("5.5.19-x", False), ("4.19", False), ("odd", False)],
)
def test_the_kernel_must_have_openat2(release: str, ok: bool) -> None:
    """5.6 is the first that will do."""
    assert check_kernel(release).ok is ok


def test_the_machine_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    """Device, wall, kernel and disk each have a line."""
    names = [check.name for check in check_machine(tmp_path)]
    assert names == ["/dev/fuse", "bubblewrap", "kernel", "disk"]
