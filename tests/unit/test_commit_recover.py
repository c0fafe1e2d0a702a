"""After an interruption: what recovery finishes, clears away, and leaves for people to decide."""

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from catfs.commit import Outcome, Recovery, UnfinishedCommitError, list_journals, recover
from catfs.commit import steps as steps_module
from catfs.errors import ConflictError
from catfs.linux import renameat2
from tests.model.commit_tools import (
    BASE,
    NEW_FILE,
    NEW_TIME,
    OLD_TIME,
    CrashError,
    Disk,
    Model,
    Scene,
    assert_untouched,
    count_calls,
    crash,
    folder,
    scene_of,
    usual_scene,
)


def _interrupted(scene: Scene, copies: Scene, offset: int) -> None:
    """Let a commit stop so many calls after its decision."""
    total = count_calls(iter([copies]), Scene.commit)
    for number in range(1, total):
        with pytest.raises(CrashError) as caught, Disk(number, crash, lasting=True).installed():
            scene.commit()
        assert caught.value.args == ()
        if scene.is_decided:
            break
        recover(scene.control)
    if offset:
        with pytest.raises(CrashError) as caught, Disk(offset, crash, lasting=True).installed():
            recover(scene.control)
        assert caught.value.args == ()


def _decided(tmp_path: Path, offset: int = 0) -> Scene:
    """Give the usual scene, stopped right after the decision or so many calls later."""
    scene = usual_scene(tmp_path)
    _interrupted(scene, usual_scene(tmp_path / "copies"), offset)
    assert list_journals(scene.control) == ("c1",)
    return scene


def test_no_commit_goes_on_top_of_an_unfinished_one(tmp_path: Path) -> None:
    """The second commit is refused by the name of the first, and works after the recovery."""
    scene = _decided(tmp_path)
    with pytest.raises(UnfinishedCommitError, match="commit c1 is decided but not finished") as caught:
        scene.commit(commit_id="c2")
    assert caught.value.commit_id == "c1"
    assert recover(scene.control) == (Recovery("c1", Outcome.FINISHED),)
    assert scene.read() == scene.expected


def test_recovery_never_overwrites_what_somebody_wrote_meanwhile(tmp_path: Path) -> None:
    """Neither old nor new: a conflict that names the path; repeated until somebody decides."""
    scene = _decided(tmp_path)
    target = scene.domains[0] / "out/a"
    target.write_bytes(b"third")
    for _ in range(2):
        (report,) = recover(scene.control)
        assert (report.commit_id, report.outcome, report.path) == ("c1", Outcome.CONFLICT, b"out/a")
        assert "out/a was changed meanwhile: expected file, mode 0644, 3 bytes" in report.message
        assert target.read_bytes() == b"third"
    target.write_bytes(b"old")
    assert recover(scene.control) == (Recovery("c1", Outcome.FINISHED),)
    assert scene.read() == scene.expected


def test_recovery_reports_a_stranger_in_a_directory_that_is_to_go(tmp_path: Path) -> None:
    """What nobody planned to remove is not removed."""
    before: Model = {b"": folder(), b"out": folder()}
    scene = scene_of(tmp_path, before, {b"": folder()})
    _interrupted(scene, scene_of(tmp_path / "copies", before, {b"": folder()}), 0)
    (scene.domains[0] / "out/stranger").touch()
    (report,) = recover(scene.control)
    assert (report.outcome, report.path) == (Outcome.CONFLICT, b"out")
    assert (scene.domains[0] / "out/stranger").exists()


def test_a_damaged_journal_is_reported_and_never_believed(tmp_path: Path) -> None:
    """Domain, stage and journal stay as they are."""
    scene = _decided(tmp_path)
    journal = scene.folder / ".catfs/journal/c1.journal"
    data = bytearray(journal.read_bytes())
    data[100] ^= 1
    journal.write_bytes(data)
    now = scene.leftovers()
    (report,) = recover(scene.control)
    assert report.outcome is Outcome.DAMAGED
    assert "expected SHA-256" in report.message
    assert scene.read() == scene.before
    assert scene.leftovers() == now


def test_lost_staged_content_before_the_first_step_means_given_up(tmp_path: Path) -> None:
    """A power cut can bring back a journal that was being taken away: the old state is kept."""
    scene = _decided(tmp_path)
    (scene.folder / ".catfs/stage/c1/0").unlink()
    assert recover(scene.control) == (Recovery("c1", Outcome.GIVEN_UP),)
    assert_untouched(scene)


def test_lost_staged_content_after_the_first_step_is_reported(tmp_path: Path) -> None:
    """Between old and new nothing is guessed."""
    after: Model = {**BASE, b"out/a": NEW_FILE, b"out/b": NEW_FILE}
    scene = scene_of(tmp_path, BASE, after)
    _interrupted(scene, scene_of(tmp_path / "copies", BASE, after), 2)
    assert not (scene.folder / ".catfs/stage/c1/0").exists()
    (scene.folder / ".catfs/stage/c1/1").unlink()
    (report,) = recover(scene.control)
    assert report.outcome is Outcome.FAILED
    assert "the staged content of out/b is gone" in report.message


def test_a_domain_that_is_gone_is_reported(tmp_path: Path) -> None:
    """Its journal waits until the domain is back, for example mounted again."""
    scene = _decided(tmp_path)
    away = scene.folder / "away"
    scene.domains[0].rename(away)
    (report,) = recover(scene.control)
    assert report.outcome is Outcome.FAILED
    assert "domain0" in report.message
    away.rename(scene.domains[0])
    assert recover(scene.control) == (Recovery("c1", Outcome.FINISHED),)


def test_stages_and_temporary_files_without_a_record_are_removed(tmp_path: Path) -> None:
    """What no record knows is of no use to anybody."""
    scene = usual_scene(tmp_path)
    scene.commit()
    control = scene.folder / ".catfs"
    (control / "stage/c0").mkdir()
    (control / "stage/c0/0").write_bytes(b"staged")
    (control / "stage/c0/1").mkdir()
    (control / "journal/.publish-0123").write_bytes(b"half")
    assert recover(scene.control) == (Recovery("c0", Outcome.GIVEN_UP),)
    assert scene.leftovers() == []


def test_an_orphan_that_holds_more_than_a_stage_is_reported(tmp_path: Path) -> None:
    """A directory with something in it was not staged: it is kept."""
    scene = usual_scene(tmp_path)
    scene.commit()
    kept = scene.folder / ".catfs/stage/c0/1/file"
    kept.parent.mkdir(parents=True)
    kept.touch()
    (report,) = recover(scene.control)
    assert (report.commit_id, report.outcome) == ("c0", Outcome.FAILED)
    assert kept.exists()


@pytest.mark.parametrize("place", ["journal", "domain"])
def test_recovery_can_do_without_waiting(tmp_path: Path, place: str) -> None:
    """While somebody else holds a lock, the answer is BUSY and nothing is touched."""
    scene = _decided(tmp_path)
    locked = scene.folder / ".catfs/journal" if place == "journal" else scene.domains[0]
    descriptor = os.open(locked, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    (report,) = recover(scene.control, wait=False)
    os.close(descriptor)
    assert report.outcome is Outcome.BUSY
    assert scene.read() == scene.before
    assert recover(scene.control, wait=False) == (Recovery("c1", Outcome.FINISHED),)


def test_a_workspace_without_journals_has_nothing_to_recover(tmp_path: Path) -> None:
    """Looking makes no folders."""
    assert recover(os.fsencode(tmp_path)) == ()
    assert list_journals(os.fsencode(tmp_path)) == ()
    assert list(tmp_path.iterdir()) == []


def test_the_second_of_two_commits_on_one_base_gets_a_conflict(tmp_path: Path) -> None:
    """Two runs saw the same base: the first wins, the second changes nothing."""
    scene = usual_scene(tmp_path)
    scene.commit()
    with pytest.raises(ConflictError, match="out/a changed underneath"):
        scene.commit(commit_id="c2")
    assert scene.read() == scene.expected
    assert scene.leftovers() == []


def test_a_commit_waits_for_another_one_on_the_same_domain(tmp_path: Path) -> None:
    """A child commits while its parent holds the domain; it is through only after the parent lets go."""
    scene = usual_scene(tmp_path)
    lock = os.open(scene.domains[0], os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        # The inherited descriptor shares the lock of the parent: it must not keep it.
        os.close(lock)
        theirs.send(b"s")
        scene.commit()
        theirs.send(b"d")
        os._exit(0)
    assert ours.recv(1) == b"s"
    ours.settimeout(0.1)
    with pytest.raises(TimeoutError, match="timed out"):
        ours.recv(1)
    assert scene.read() == scene.before
    os.close(lock)
    ours.settimeout(30)
    assert ours.recv(1) == b"d"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert scene.read() == scene.expected
    ours.close()
    theirs.close()


def test_somebody_who_writes_right_after_the_decision_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is looked at once more right before its step."""
    scene = usual_scene(tmp_path)
    real = steps_module.step_state

    def interfere(*args: object) -> object:
        """Write into the target just before the step looks at it."""
        (scene.domains[0] / "out/a").write_bytes(b"third")
        return real(*args)  # type: ignore[arg-type] # the arguments are passed on as they came

    monkeypatch.setattr(steps_module, "step_state", interfere)
    with pytest.raises(UnfinishedCommitError, match="out/a changed underneath") as caught:
        scene.commit()
    assert caught.value.commit_id == "c1"
    assert (scene.domains[0] / "out/a").read_bytes() == b"third"
    monkeypatch.undo()
    (report,) = recover(scene.control)
    assert report.outcome is Outcome.CONFLICT


def test_a_commit_of_two_domains_is_one_decision(tmp_path: Path) -> None:
    """A conflict in the second domain leaves the first as it was."""
    changed = {**BASE, b"out": folder(0o755, NEW_TIME), b"out/a": NEW_FILE}
    scene = Scene(tmp_path / "scene", [BASE, BASE], [changed, changed], [[b"out"], [b"out"]])
    (scene.domains[1] / "out/a").write_bytes(b"OLD")
    with pytest.raises(ConflictError, match="out/a changed"):
        scene.commit()
    assert scene.read()[0] == BASE
    (scene.domains[1] / "out/a").write_bytes(b"old")
    os.utime(scene.domains[1] / "out/a", ns=(OLD_TIME, OLD_TIME))
    scene.commit()
    assert scene.read() == scene.expected


def _interfere(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Let something happen right before each step that renames, when all checks are over."""

    def interfered(stage: int, slot: bytes, parent: int, name: bytes, flags: int) -> None:
        """Let it happen, then rename."""
        action()
        renameat2(stage, slot, parent, name, flags)

    monkeypatch.setattr(steps_module, "renameat2", interfered)


def test_a_name_that_appears_at_the_last_moment_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was, the rename itself refuses to replace; once the name is free, recovery goes on."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out": folder(0o755, NEW_TIME), b"out/b": NEW_FILE})
    theirs = scene.domains[0] / "out/b"
    _interfere(monkeypatch, lambda: theirs.write_bytes(b"theirs"))
    with pytest.raises(UnfinishedCommitError, match="File exists"):
        scene.commit()
    monkeypatch.undo()
    assert theirs.read_bytes() == b"theirs"
    assert [report.outcome for report in recover(scene.control)] == [Outcome.CONFLICT]
    theirs.unlink()
    assert recover(scene.control) == (Recovery("c1", Outcome.FINISHED),)
    assert scene.read() == scene.expected


def test_a_name_put_into_a_replaced_directory_at_the_last_moment_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory waits in the stage, with what was put into it, until somebody takes that out."""
    before: Model = {b"": folder(), b"out": folder()}
    scene = scene_of(tmp_path, before, {b"": folder(), b"out": NEW_FILE})
    stranger = scene.domains[0] / "out/stranger"
    _interfere(monkeypatch, stranger.touch)
    with pytest.raises(UnfinishedCommitError, match="not empty"):
        scene.commit()
    monkeypatch.undo()
    assert [report.outcome for report in recover(scene.control)] == [Outcome.FAILED]
    (scene.folder / ".catfs/stage/c1/0/stranger").rename(tmp_path / "saved")
    assert recover(scene.control) == (Recovery("c1", Outcome.FINISHED),)
    assert scene.read() == scene.expected
