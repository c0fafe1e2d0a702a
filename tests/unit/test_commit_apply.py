"""Carrying out a commit: what arrives, what stays behind, what is never committed."""

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from catfs.commit import Material, NoteKind
from catfs.commit import stage as stage_module
from catfs.errors import CommitError
from catfs.records import Kind
from tests.model.commit_tools import (
    BASE,
    NEW_FILE,
    NEW_TIME,
    OLD_TIME,
    Disk,
    Item,
    Model,
    ModelSource,
    assert_untouched,
    crash,
    file,
    folder,
    link,
    scene_of,
    usual_scene,
)


def test_outputs_arrive_and_all_else_keeps_content_mode_and_time(tmp_path: Path) -> None:
    """The plain case: new content with the view's time, the domain's own directory untouched."""
    scene = usual_scene(tmp_path)
    report = scene.commit()
    assert scene.read() == scene.expected
    assert (report.commit_id, report.steps, report.notes) == ("c1", 1, ())
    assert scene.read()[0][b""].mtime_ns == OLD_TIME
    assert scene.leftovers() == []


def test_a_new_output_leaves_the_time_of_its_parent(tmp_path: Path) -> None:
    """The directory above an output gets a name and keeps its time."""
    scene = scene_of(tmp_path, {b"": folder()}, {b"": folder(), b"out": NEW_FILE})
    scene.commit()
    assert scene.read() == [{b"": folder(), b"out": NEW_FILE}]


def test_nothing_to_commit_touches_nothing(tmp_path: Path) -> None:
    """Without steps not even the journal folder is made."""
    scene = scene_of(tmp_path, BASE, BASE)
    assert scene.commit().steps == 0
    assert list((scene.folder / ".catfs").iterdir()) == []


def test_a_hard_link_outside_the_outputs_keeps_its_content(tmp_path: Path) -> None:
    """A committed file replaces its name; other names of the old file still have the old file."""
    scene = usual_scene(tmp_path)
    inside = scene.domains[0] / "out/a"
    os.link(inside, scene.domains[0] / "other")
    scene.commit()
    assert (scene.domains[0] / "other").read_bytes() == b"old"
    assert inside.read_bytes() == b"new"


def test_a_changed_mode_reaches_no_hard_link(tmp_path: Path) -> None:
    """A file that only has another mode is replaced as well."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out/a": file(b"old", 0o755, NEW_TIME)})
    os.link(scene.domains[0] / "out/a", scene.domains[0] / "other")
    scene.commit()
    assert (scene.domains[0] / "other").stat().st_mode & 0o7777 == 0o644
    assert (scene.domains[0] / "out/a").stat().st_mode & 0o7777 == 0o755


def test_user_attributes_arrive_and_security_attributes_do_not(tmp_path: Path) -> None:
    """File capabilities grant rights: they stay behind, with a note."""
    scene = usual_scene(tmp_path)
    xattrs = ((b"security.capability", b"\1\0\0\2"), (b"trusted.x", b"1"), (b"user.origin", b"here"))
    material = Material(os.geteuid(), os.getegid(), NEW_TIME, xattrs=xattrs)
    report = scene.commit([ModelSource(scene.after[0], {b"out/a": material})])
    assert [(note.kind, note.path, note.detail) for note in report.notes] == [
        (NoteKind.XATTR_DROPPED, b"out/a", "security.capability"),
        (NoteKind.XATTR_DROPPED, b"out/a", "trusted.x"),
    ]
    assert os.listxattr(scene.domains[0] / "out/a") == ["user.origin"]


def test_an_access_list_that_cannot_be_kept_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode that stays would let the group do what its entry in the list forbade."""
    scene = usual_scene(tmp_path)
    setxattr = os.setxattr

    def refuse(target: int, name: bytes, value: bytes) -> None:
        if name == b"system.posix_acl_access":
            raise OSError(errno.ENOTSUP, "Operation not supported")
        setxattr(target, name, value)

    monkeypatch.setattr(os, "setxattr", refuse)
    xattrs = ((b"system.posix_acl_access", b"list"), (b"user.origin", b"here"))
    material = Material(os.geteuid(), os.getegid(), NEW_TIME, xattrs=xattrs)
    with pytest.raises(CommitError, match="out/a cannot be committed: it has an access list"):
        scene.commit([ModelSource(scene.after[0], {b"out/a": material})])
    assert_untouched(scene)


def test_a_link_loses_attributes_with_a_note(tmp_path: Path) -> None:
    """Symlinks have privileged attributes only."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out/l": link(b"to")})
    material = Material(os.geteuid(), os.getegid(), NEW_TIME, b"to", ((b"trusted.x", b"1"),))
    report = scene.commit([ModelSource(scene.after[0], {b"out/l": material})])
    assert [note.kind for note in report.notes] == [NoteKind.XATTR_DROPPED]


def test_an_owner_that_may_not_be_set_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the right to give files away, the commit goes on with the own user."""
    scene = usual_scene(tmp_path)

    def refuse(*_args: object, **_rest: object) -> None:
        """Say no."""
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    material = Material(os.geteuid() + 1, os.getegid(), NEW_TIME)
    report = scene.commit([ModelSource(scene.after[0], {b"out/a": material})])
    assert [(note.kind, note.path) for note in report.notes] == [(NoteKind.OWNER_DROPPED, b"out/a")]
    assert (scene.domains[0] / "out/a").read_bytes() == b"new"


def test_set_id_bits_do_not_reach_the_domain(tmp_path: Path) -> None:
    """The plan drops them, and so does the disk."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out/tool": file(b"#!", 0o6755, NEW_TIME)})
    report = scene.commit()
    assert (scene.domains[0] / "out/tool").stat().st_mode & 0o7777 == 0o755
    assert [note.kind for note in report.notes] == [NoteKind.SET_ID_DROPPED]


def test_a_socket_is_committed_as_a_name(tmp_path: Path) -> None:
    """Nobody listens on it, but it is what the view has."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out/s": Item(Kind.SOCKET, 0o600, b"", NEW_TIME)})
    scene.commit()
    assert stat.S_ISSOCK((scene.domains[0] / "out/s").stat().st_mode)


def test_content_that_is_not_what_was_proven_is_never_committed(tmp_path: Path) -> None:
    """The digest is checked on the staged bytes; the error has both."""
    scene = usual_scene(tmp_path)
    with pytest.raises(CommitError, match=r"out/a is not what was proven: expected 3 bytes .* got 4 bytes"):
        scene.commit([ModelSource(scene.after[0], contents={b"out/a": b"evil"})])
    assert_untouched(scene)


def test_a_link_target_that_is_not_what_was_proven_is_never_committed(tmp_path: Path) -> None:
    """Links are checked like content, and a missing target is an error of its own."""
    scene = scene_of(tmp_path, BASE, {**BASE, b"out/l": link(b"to")})
    for target, problem in ((b"elsewhere", "not what was proven"), (None, "does not say where")):
        material = Material(0, 0, NEW_TIME, target)
        with pytest.raises(CommitError, match=problem):
            scene.commit([ModelSource(scene.after[0], {b"out/l": material})])
        assert_untouched(scene)


def test_long_paths_and_odd_names_are_committed(tmp_path: Path) -> None:
    """A path of more than 4096 bytes, names of 255 bytes, newlines and bytes that are no text."""
    names = [b"\xff\n" + b"%03d" % number + b"x" * 250 for number in range(17)]
    after: Model = {b"": folder()}
    for depth in range(1, len(names)):
        after[b"/".join(names[:depth])] = folder(0o755, NEW_TIME)
    path = b"/".join(names)
    assert len(path) > 4200
    after[path] = NEW_FILE
    scene = scene_of(tmp_path, {b"": folder()}, after, [names[0]])
    scene.commit()
    descriptor = os.open(scene.domains[0], os.O_RDONLY)
    for name in names[:-1]:
        following = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = following
    last = os.open(names[-1], os.O_RDONLY, dir_fd=descriptor)
    assert os.read(last, 100) == b"new"
    os.close(last)
    os.close(descriptor)


def test_many_outputs_are_made_durable_at_once(tmp_path: Path) -> None:
    """Beyond a few files one syncfs takes the place of an fsync for each."""
    count = stage_module.FSYNC_CALLS_MAX + 1
    files = {b"out/d%d" % n: folder(0o755, NEW_TIME) for n in range(count)}
    after: Model = {**BASE, b"out": folder(0o755, NEW_TIME), **files}
    scene = scene_of(tmp_path, BASE, after)
    disk = Disk(0, crash, lasting=False)
    with disk.installed():
        scene.commit()
    assert disk.calls.count("syncfs") == 2
    assert disk.calls.count("fsync") < 12
    assert scene.read() == scene.expected


def test_an_ordinary_user_commits_into_directories_that_forbid_writing() -> None:
    """Root may always write; the owner opens a closed directory for the commit and closes it again."""
    # Not below tmp_path, which other users cannot enter.
    place = Path(tempfile.mkdtemp(prefix="commit-"))
    place.chmod(0o755)
    before: Model = {b"": folder(), b"out": folder(0o555), b"out/a": file(b"old")}
    after: Model = {
        b"": folder(),
        b"out": folder(0o555, NEW_TIME),
        b"out/a": NEW_FILE,
        b"out/b": folder(0o500, NEW_TIME),
        b"out/b/c": NEW_FILE,
    }
    scene = scene_of(place, before, after)
    child = os.fork()
    if child == 0:
        _become_ordinary(place)
        scene.commit()
        os._exit(0)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert scene.read() == scene.expected
        assert scene.leftovers() == []
    finally:
        for path in (scene.domains[0] / "out", scene.domains[0] / "out/b"):
            path.chmod(0o755)
        shutil.rmtree(place)


def _become_ordinary(place: Path) -> None:
    """Give a tree to a user without rights and become that user; an ordinary user stays what it is."""
    if os.geteuid() != 0:
        return
    for parent, folders, files in os.walk(place):
        for name in (".", *folders, *files):
            os.chown(os.path.join(parent, name), 65534, 65534, follow_symlinks=False)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
