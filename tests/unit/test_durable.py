"""Publishing a file is all or nothing, in the order that survives a power cut."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from catfs import durable
from catfs.errors import UsageError

Write = Callable[..., None]
BOTH = pytest.mark.parametrize("write", [durable.publish, durable.create_exclusively])
WATCHED = ("open", "write", "fsync", "rename", "unlink")


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the list that the names of the disk-changing calls of durable.py are appended to."""
    calls: list[str] = []
    for name in WATCHED:
        real: Callable[..., object] = getattr(os, name)

        def record(
            *args: object, _name: str = name, _real: Callable[..., object] = real, **rest: object
        ) -> object:
            """Note the call and make it."""
            calls.append(_name)
            return _real(*args, **rest)

        monkeypatch.setattr(os, name, record)
    return calls


def _fail(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Let one call of `os` fail with the given errno."""

    def refuse(*_args: object, **_rest: object) -> None:
        """Fail."""
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, refuse)


@BOTH
def test_the_file_appears_whole_with_its_mode(tmp_path: Path, write: Write) -> None:
    """Content and mode are as asked for, and no temporary name is left."""
    write(tmp_path, b"name\xff\n", b"content", mode=0o600)
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/name\xff\n"))
    assert file.read_bytes() == b"content"
    assert file.stat().st_mode & 0o7777 == 0o600
    assert len(os.listdir(tmp_path)) == 1


@BOTH
@pytest.mark.parametrize("kind", ["descriptor", "bytes", "text"])
def test_a_folder_is_named_by_descriptor_or_path(tmp_path: Path, write: Write, kind: str) -> None:
    """All ways to name the folder work, and a descriptor handed in stays open."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    ways: dict[str, object] = {
        "descriptor": descriptor,
        "bytes": os.fsencode(tmp_path),
        "text": str(tmp_path),
    }
    write(ways[kind], b"name", b"content")
    assert (tmp_path / "name").read_bytes() == b"content"
    os.close(descriptor)


def test_publishing_replaces_the_old_file(tmp_path: Path) -> None:
    """The old file goes away in the same step."""
    (tmp_path / "name").write_bytes(b"old")
    durable.publish(tmp_path, b"name", b"new")
    assert (tmp_path / "name").read_bytes() == b"new"


def test_the_second_exclusive_writer_fails(tmp_path: Path) -> None:
    """What the first writer put there stays, and the second leaves nothing behind."""
    durable.create_exclusively(tmp_path, b"name", b"first")
    with pytest.raises(FileExistsError, match="renameat2: "):
        durable.create_exclusively(tmp_path, b"name", b"second")
    assert (tmp_path / "name").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["name"]


def test_durable_publishing_syncs_file_before_and_folder_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of calls is the promise."""
    calls = _watch(monkeypatch)
    durable.publish(tmp_path, b"name", b"content")
    assert calls == ["open", "open", "write", "fsync", "rename", "fsync"]


def test_a_cache_is_published_without_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Atomic but not durable: no fsync at all."""
    calls = _watch(monkeypatch)
    durable.publish(tmp_path, b"name", b"content", durable=False)
    assert calls == ["open", "open", "write", "rename"]


@pytest.mark.parametrize(
    ("call", "number"),
    [("write", errno.ENOSPC), ("fsync", errno.EIO), ("rename", errno.EIO)],
)
def test_a_failed_step_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A full or broken disk is reported as it is, and the old content stays."""
    (tmp_path / "name").write_bytes(b"old")
    _fail(monkeypatch, call, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        durable.publish(tmp_path, b"name", b"new")
    assert (tmp_path / "name").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["name"]


def test_a_failed_fsync_is_not_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One failure ends it: a second fsync would wrongly succeed."""
    attempts: list[int] = []

    def refuse(descriptor: int) -> None:
        """Fail and count."""
        attempts.append(descriptor)
        raise OSError(errno.EIO, "lost pages")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="lost pages"):
        durable.publish(tmp_path, b"name", b"content")
    assert len(attempts) == 1


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes one byte at a time still writes all of them."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:1])))
    durable.publish(tmp_path, b"name", b"content")
    assert (tmp_path / "name").read_bytes() == b"content"


@BOTH
@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0b", b"x" * 256])
def test_what_is_not_one_file_name_is_refused(tmp_path: Path, write: Write, name: bytes) -> None:
    """No name can lead out of the folder."""
    with pytest.raises(UsageError, match="expected one file name"):
        write(tmp_path, name, b"content")
    assert os.listdir(tmp_path) == []


def test_the_longest_file_name_can_be_published(tmp_path: Path) -> None:
    """The temporary name does not grow with the name."""
    durable.publish(tmp_path, b"x" * 255, b"content")
    assert os.listdir(tmp_path) == ["x" * 255]


def test_removing_durably_syncs_the_folder_after_the_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is gone, then the folder is made durable."""
    (tmp_path / "name").touch()
    calls = _watch(monkeypatch)
    durable.remove_durably(tmp_path, b"name")
    assert calls == ["open", "unlink", "fsync"]
    assert os.listdir(tmp_path) == []


def test_removing_what_is_not_there_fails(tmp_path: Path) -> None:
    """A missing name is an error of the caller."""
    with pytest.raises(FileNotFoundError, match="name"):
        durable.remove_durably(tmp_path, b"name")


def test_syncing_a_folder_takes_a_path_or_a_descriptor(tmp_path: Path) -> None:
    """Both work; a file is refused."""
    durable.fsync_directory(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        durable.fsync_directory(tmp_path / "file")


def _made(path: Path, content: bytes) -> None:
    with durable.publish_made(path.parent, os.fsencode(path.name)) as temporary:
        temporary.write_bytes(content)


def test_a_file_that_was_made_takes_the_place_of_another(tmp_path: Path) -> None:
    """What a library wrote under a temporary path appears under its name in one step."""
    for content in (b"first", b"second"):
        _made(tmp_path / "name", content)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"name": content}


def test_a_folder_that_was_made_needs_a_free_name(tmp_path: Path) -> None:
    """A folder appears whole, and never in place of what is there."""
    with durable.publish_made(tmp_path, b"folder") as temporary:
        temporary.mkdir()
        (temporary / "inside").write_bytes(b"1")
    with (
        pytest.raises(FileExistsError, match="folder"),
        durable.publish_made(tmp_path, b"folder") as temporary,
    ):
        temporary.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "inside"]


def test_what_was_made_is_brought_to_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, rename, folder, in this order; for a folder its files come first."""
    with durable.publish_made(tmp_path, b"file") as temporary:
        temporary.write_bytes(b"1")
        calls = _watch(monkeypatch)
    assert calls == ["open", "fsync", "rename", "open", "fsync"]


def _make_half(folder: Path, kind: str) -> None:
    """Begin to make something under the name `name`, and fail."""
    with durable.publish_made(folder, b"name") as temporary:
        if kind == "file":
            temporary.write_bytes(b"half")
        elif kind == "folder":
            temporary.mkdir()
            (temporary / "half").write_bytes(b"")
        raise KeyError("stop")


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_an_error_while_making_leaves_nothing(tmp_path: Path, kind: str) -> None:
    """Whatever was begun is taken away, and what had the name stays."""
    (tmp_path / "name").write_bytes(b"old")
    with pytest.raises(KeyError, match="stop"):
        _make_half(tmp_path, kind)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"name": b"old"}
