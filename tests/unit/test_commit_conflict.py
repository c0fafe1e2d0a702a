"""What changed underneath a session, or stands in the way, makes its commit give up."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from catfs.commit import Material, RefusedChangeError, recover
from catfs.commit import workspace as workspace_module
from catfs.commit.reach import read_entry
from catfs.errors import CommitError, ConflictError, FormatError
from catfs.records import Entry, Kind
from catfs.records.entry import device_digest
from tests.model.commit_tools import (
    BASE,
    NEW_FILE,
    NEW_TIME,
    Item,
    Model,
    ModelSource,
    Scene,
    assert_untouched,
    file,
    folder,
    scene_of,
    usual_scene,
)

# What may have happened to a domain underneath a session, and which path the conflict names.


def _rewrite(domain: Path) -> None:
    """Write other content of the same length."""
    (domain / "out/a").write_bytes(b"OLD")


def _chmod(domain: Path) -> None:
    """Change the permission bits."""
    (domain / "out/a").chmod(0o600)


def _remove(domain: Path) -> None:
    """Remove the file."""
    (domain / "out/a").unlink()


def _replace_by_link(domain: Path) -> None:
    """Put a link in its place."""
    (domain / "out/a").unlink()
    (domain / "out/a").symlink_to("../keep")


def _replace_by_pipe(domain: Path) -> None:
    """Put a fifo in its place: opening it must not wait."""
    (domain / "out/a").unlink()
    os.mkfifo(domain / "out/a")


@pytest.mark.parametrize("happened", [_rewrite, _chmod, _remove, _replace_by_link, _replace_by_pipe])
def test_a_changed_target_is_a_conflict(tmp_path: Path, happened: Callable[[Path], None]) -> None:
    """Whatever became of the old file, it is not overwritten, and nothing is left over."""
    scene = usual_scene(tmp_path)
    happened(scene.domains[0])
    now = scene.read()
    with pytest.raises(ConflictError, match="changed underneath") as caught:
        scene.commit()
    assert caught.value.path == b"out/a"
    assert caught.value.expected.startswith("file, mode 0644, 3 bytes, SHA-256 ")
    assert scene.read() == now
    assert scene.leftovers() == []


def test_a_name_that_appeared_is_a_conflict(tmp_path: Path) -> None:
    """Where the session saw nothing, somebody's file is not replaced, even by the same content."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out/b": NEW_FILE})
    (scene.domains[0] / "out/b").write_bytes(b"new")
    with pytest.raises(ConflictError, match=r"out/b changed .* expected nothing, got file") as caught:
        scene.commit()
    assert (caught.value.path, caught.value.expected) == (b"out/b", "nothing")


@pytest.mark.parametrize("replacement", [None, NEW_FILE])
def test_a_stranger_in_a_directory_that_goes_is_a_conflict(tmp_path: Path, replacement: Item | None) -> None:
    """A directory is removed or replaced only with exactly the names that the session saw in it."""
    after: Model = {b"": folder(), b"keep": file(b"kept")}
    if replacement:
        after[b"out"] = replacement
    scene = scene_of(tmp_path, BASE, after)
    (scene.domains[0] / "out/stranger").touch()
    with pytest.raises(ConflictError, match="the name stranger") as caught:
        scene.commit()
    assert caught.value.path == b"out"
    assert (scene.domains[0] / "out/a").read_bytes() == b"old"


def test_a_changed_mode_of_a_directory_is_a_conflict(tmp_path: Path) -> None:
    """Also where only the mode is to be committed, also for the domain itself."""
    for number, (path, output) in enumerate([("out", b"out"), ("", b"")]):
        after = {**BASE, path.encode(): folder(0o700, NEW_TIME)}
        scene = Scene(tmp_path / str(number), [BASE], [after], [[output]])
        (scene.domains[0] / path).chmod(0o711)
        with pytest.raises(ConflictError, match="expected directory, mode 0755, got directory, mode 0711"):
            scene.commit()


def test_the_mode_of_the_domain_itself_is_committed_when_declared(tmp_path: Path) -> None:
    """The whole domain as an output includes its own directory."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"": folder(0o700, NEW_TIME)}, [b""])
    scene.commit()
    assert scene.read() == scene.expected


def test_a_symlink_on_the_way_is_never_followed(tmp_path: Path) -> None:
    """A directory that became a link elsewhere is a conflict, and elsewhere nothing happens."""
    scene = usual_scene(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (scene.domains[0] / "out").rename(elsewhere)
    (scene.domains[0] / "out").symlink_to(elsewhere)
    with pytest.raises(ConflictError, match="out/a changed"):
        scene.commit()
    assert (elsewhere / "a").read_bytes() == b"old"
    assert scene.leftovers() == []


def test_a_vanished_parent_is_a_conflict(tmp_path: Path) -> None:
    """A new file has no place to go when its directory was removed meanwhile."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out/b": NEW_FILE})
    (scene.domains[0] / "out/a").unlink()
    (scene.domains[0] / "out").rmdir()
    with pytest.raises(ConflictError, match="expected a directory, got none") as caught:
        scene.commit()
    assert caught.value.path == b"out"


def test_only_the_owner_commits_into_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of somebody else is refused while it is still possible to give up."""
    scene = usual_scene(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(RefusedChangeError, match="only its owner") as caught:
        scene.commit([ModelSource(scene.after[0], {b"out/a": Material(0, 0, NEW_TIME)})])
    assert caught.value.path == b"out"
    assert_untouched(scene)


def test_a_directory_on_another_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rename leads there; said before anything is decided."""
    scene = usual_scene(tmp_path)
    real = os.fstat

    def other_device(descriptor: int) -> os.stat_result:
        """Give the directory `out` a device number of its own."""
        status = real(descriptor)
        if status.st_ino == (scene.domains[0] / "out").stat().st_ino:
            return os.stat_result([*status[:2], status.st_dev + 1, *status[3:]])
        return status

    monkeypatch.setattr(os, "fstat", other_device)
    with pytest.raises(RefusedChangeError, match="another file system than its domain"):
        scene.commit()
    monkeypatch.undo()
    assert_untouched(scene)


def test_an_identity_that_is_no_file_name_is_refused(tmp_path: Path) -> None:
    """It would become a path in the workspace."""
    with pytest.raises(FormatError, match="commit identity"):
        usual_scene(tmp_path).commit(commit_id="../../x")


def test_something_under_the_name_of_the_stage_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of the user that looks like a stage is neither used nor removed."""
    monkeypatch.setattr(workspace_module, "_mount_number", lambda descriptor: b"%d" % descriptor)
    scene = usual_scene(tmp_path)
    theirs = scene.domains[0] / ".catfs-stage.c1/file"
    theirs.parent.mkdir()
    theirs.write_bytes(b"theirs")
    with pytest.raises(CommitError, match=r"\.catfs-stage\.c1 is in the way"):
        scene.commit()
    assert theirs.read_bytes() == b"theirs"
    assert recover(scene.control) == ()
    assert theirs.read_bytes() == b"theirs"


def test_a_mount_inside_the_domain_stops_the_commit_before_it_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXDEV on the way to a name becomes a sentence that says what to do."""
    scene = usual_scene(tmp_path)

    def crosses(_directory: int, path: bytes, *_rest: int) -> int:
        """Say that the path leads into another mount."""
        raise OSError(18, "openat2: Invalid cross-device link", path)

    monkeypatch.setattr("catfs.beneath.openat2", crosses)
    with pytest.raises(CommitError, match="lies on another mount than its domain") as caught:
        scene.commit()
    assert caught.value.hint == "declare the mounted directory as a domain of its own"
    monkeypatch.undo()
    assert_untouched(scene)


def test_a_device_is_read_as_the_tree_of_a_domain_has_it(tmp_path: Path) -> None:
    """The device 0:0, which overlayfs uses for deletions, gets the digest that a capture gives it."""
    os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert read_entry(folder, b"device") == Entry(Kind.CHARACTER_DEVICE, 0o600, 0, device_digest(0))
    finally:
        os.close(folder)
