"""A commit that is broken off at any call leaves, after recovery, exactly the old or the new state."""

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catfs.commit import Outcome, UnfinishedCommitError, list_journals, recover
from catfs.commit import workspace as workspace_module
from catfs.errors import CommitError
from tests.model.commit_tools import (
    NEW_TIME,
    CrashError,
    Disk,
    Model,
    Scene,
    count_calls,
    crash,
    fail_with,
    fifo,
    file,
    folder,
    link,
)

SceneMaker = Callable[[Path], Scene]


def _everything(path: Path) -> Scene:
    """Give a scene with every kind of change, in two domains."""
    before: Model = {
        b"": folder(),
        b"keep": file(b"kept"),
        b"out": folder(),
        b"out/changed": file(b"old"),
        b"out/closed": folder(0o555),
        b"out/closed/x": file(b"x"),
        b"out/gone": folder(),
        b"out/gone/deep": folder(),
        b"out/gone/deep/file": file(b"gone"),
        b"out/to_file": folder(),
        b"out/to_file/child": file(b"child"),
        b"out/to_folder": file(b"file"),
        b"out/link": link(b"old target"),
        b"out/mode": folder(0o755),
    }
    after: Model = {
        b"": folder(),
        b"keep": file(b"kept"),
        b"new": folder(0o750, NEW_TIME),
        b"new/parent": folder(0o755, NEW_TIME),
        b"new/parent/result": file(b"result", 0o600, NEW_TIME),
        b"out": folder(0o755, NEW_TIME),
        b"out/changed": file(b"new", 0o755, NEW_TIME),
        b"out/closed": folder(0o555, NEW_TIME),
        b"out/link": link(b"new target", NEW_TIME),
        b"out/mode": folder(0o500, NEW_TIME),
        b"out/pipe": fifo(0o640, NEW_TIME),
        b"out/to_file": file(b"now a file", 0o644, NEW_TIME),
        b"out/to_folder": folder(0o711, NEW_TIME),
        b"out/to_folder/a\xff": file(b"inside", 0o644, NEW_TIME),
    }
    second_before: Model = {b"": folder(), b"log": file(b"1\n")}
    second_after: Model = {b"": folder(), b"log": file(b"1\n2\n", 0o644, NEW_TIME)}
    return Scene(
        path, [before, second_before], [after, second_after], [[b"out", b"new/parent/result"], [b"log"]]
    )


def _small(path: Path) -> Scene:
    """Give a scene with one change of each action."""
    before: Model = {b"": folder(), b"out": folder(), b"out/a": file(b"old"), b"out/b": file(b"b")}
    after: Model = {
        b"": folder(),
        b"out": folder(0o700, NEW_TIME),
        b"out/a": file(b"new", 0o644, NEW_TIME),
        b"out/c": folder(0o755, NEW_TIME),
    }
    return Scene(path, [before], [after], [[b"out"]])


@pytest.fixture(name="inside", params=[False, True], ids=["staged-in-workspace", "staged-in-domain"])
def _inside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test of this file also run as if the workspace were on another mount."""
    if request.param:
        numbers = itertools.count()
        monkeypatch.setattr(workspace_module, "_mount_number", lambda _descriptor: b"%d" % next(numbers))


def _scenes(path: Path, make: SceneMaker) -> Iterator[Scene]:
    """Give fresh copies of a scene without end."""
    for number in itertools.count():
        yield make(path / f"{make.__name__}{number}")


def _check_settled(scene: Scene, *, decided: bool) -> None:
    """Check that exactly the old or the new state holds and nothing is left over."""
    assert scene.read() == (scene.expected if decided else scene.before)
    assert scene.leftovers() == []
    assert list_journals(scene.control) == ()


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("make", [_everything, _small])
def test_a_commit_without_faults_gives_the_new_state(tmp_path: Path, make: SceneMaker) -> None:
    """The scenes are what they say they are."""
    scene = make(tmp_path / "scene")
    assert scene.expected != scene.before
    scene.commit()
    _check_settled(scene, decided=True)


@pytest.mark.usefixtures("inside")
def test_every_crash_of_a_commit_is_recovered(tmp_path: Path) -> None:
    """At every call that changes the disk: old state before the journal, new state after it."""
    scenes = _scenes(tmp_path, _everything)
    total = count_calls(scenes, Scene.commit)
    decisions = []
    for number in range(1, total + 1):
        scene = next(scenes)
        with pytest.raises(CrashError) as caught, Disk(number, crash, lasting=True).installed():
            scene.commit()
        assert caught.value.args == ()
        decisions.append(_is_decided(scene, number, total))
        reports = recover(scene.control)
        assert all(report.outcome in (Outcome.FINISHED, Outcome.GIVEN_UP) for report in reports), reports
        _check_settled(scene, decided=decisions[-1])
    # One decision: never taken back once taken.
    assert decisions == sorted(decisions)
    assert {True, False} <= set(decisions)


def _is_decided(scene: Scene, number: int, total: int) -> bool:
    """Say whether the new state must hold: there is a journal, or only the fsync of its removal was left."""
    return scene.is_decided or number == total


@pytest.mark.usefixtures("inside")
def test_every_crash_of_every_recovery_is_recovered(tmp_path: Path) -> None:
    """A recovery broken off at any call is finished by the next one, to the same state."""
    scenes = _scenes(tmp_path, _small)
    total = count_calls(scenes, Scene.commit)
    for number in range(1, total):
        for second in itertools.count(1):
            scene = next(scenes)
            with pytest.raises(CrashError) as caught, Disk(number, crash, lasting=True).installed():
                scene.commit()
            assert caught.value.args == ()
            decided = scene.is_decided
            disk = Disk(second, crash, lasting=True)
            if not _breaks_off(disk, scene):
                break
            recover(scene.control)
            _check_settled(scene, decided=decided)


def _breaks_off(disk: Disk, scene: Scene) -> bool:
    """Recover on a disk that dies; say whether it died before the recovery was through."""
    try:
        with disk.installed():
            recover(scene.control)
    except CrashError:
        return True
    return False


@pytest.mark.usefixtures("inside")
def test_a_process_that_is_killed_at_any_call_is_recovered(tmp_path: Path) -> None:
    """The same with real processes: a child ends without any clean-up, its locks end with it."""
    scenes = _scenes(tmp_path, _everything)
    total = count_calls(scenes, Scene.commit)
    for number in range(1, total + 1):
        scene = next(scenes)
        child = os.fork()
        if child == 0:
            with Disk(number, lambda: os._exit(9), lasting=True).installed():
                scene.commit()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 9
        decided = _is_decided(scene, number, total)
        recover(scene.control)
        _check_settled(scene, decided=decided)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_every_failing_call_leaves_old_or_recoverable(tmp_path: Path, number: int) -> None:
    """A full or broken disk: before the decision the old state and no leftovers, after it recoverable."""
    scenes = _scenes(tmp_path, _everything)
    total = count_calls(scenes, Scene.commit)
    unfinished = 0
    for call in range(1, total + 1):
        scene = next(scenes)
        disk = Disk(call, fail_with(number), lasting=False)
        with pytest.raises(CommitError, match=os.strerror(number)) as caught, disk.installed():
            scene.commit()
        decided = isinstance(caught.value, UnfinishedCommitError)
        if decided:
            unfinished += 1
            recover(scene.control)
        _check_settled(scene, decided=decided)
    assert 0 < unfinished < total


def test_recovery_reports_a_failing_disk_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """EIO at any call of a recovery: a report, never a wrong state; then a sound disk finishes."""
    scenes = _scenes(tmp_path, _small)
    total = count_calls(scenes, Scene.commit)
    for call in itertools.count(1):
        scene = next(scenes)
        with pytest.raises(CrashError) as caught, Disk(total - 6, crash, lasting=True).installed():
            scene.commit()
        assert caught.value.args == ()
        disk = Disk(call, fail_with(errno.EIO), lasting=False)
        with disk.installed():
            reports = recover(scene.control)
        if len(disk.calls) < call:
            break
        assert [report.outcome for report in reports] == [Outcome.FAILED]
        assert os.strerror(errno.EIO) in reports[0].message
        recover(scene.control)
        _check_settled(scene, decided=True)
    assert call > 3


def test_new_content_is_durable_before_the_journal_and_names_before_it_goes(tmp_path: Path) -> None:
    """The order of fsyncs: staged objects and their folder, journal, changed folders, end of the journal."""
    scene = _small(tmp_path / "scene")
    disk = Disk(0, crash, lasting=False)
    with disk.installed():
        scene.commit()
    calls = disk.calls
    # Two records are published (staging, journal), one directory of one domain is put in place.
    publications = [index for index, name in enumerate(calls) if name == "renameat2"]
    journal = publications[1]
    assert calls[journal + 1] == "fsync"
    # Staged objects (file, directory), the stage, and the journal itself: four in a row of importance.
    assert calls[publications[0] + 2 : journal].count("fsync") == 5
    # Records go last, each followed by the fsync of its folder.
    assert calls[-4:] == ["unlink", "fsync", "unlink", "fsync"]
    assert calls[journal + 2 : -4].count("fsync") == 2


def test_a_stage_in_the_domain_is_gone_for_good_before_its_records_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed, time of the domain put back, both durable; only then is it forgotten."""
    monkeypatch.setattr(workspace_module, "_mount_number", lambda descriptor: b"%d" % descriptor)
    scene = _small(tmp_path / "scene")
    disk = Disk(0, crash, lasting=False)
    with disk.installed():
        scene.commit()
    assert disk.calls[-7:] == ["rmdir", "utime", "fsync", "unlink", "fsync", "unlink", "fsync"]
