"""Trees as plain dictionaries, on disk and back, and a disk that fails or dies at a chosen call."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from catfs import durable as durable_module
from catfs.commit import (
    NO_RECORD,
    CommitRecord,
    CommitReport,
    DomainChanges,
    Material,
    Note,
    apply_commit,
    plan_commit,
)
from catfs.commit import apply as apply_module
from catfs.commit import steps as steps_module
from catfs.digest import EMPTY_DIGEST, Digest
from catfs.records import Change, Entry, Kind, kind_of_mode

OLD_TIME = 1_500_000_000_123_456_789
"""Time of everything in a base tree, in nanoseconds."""
NEW_TIME = 1_600_000_000_987_654_321
"""Time of everything that a view has changed, in nanoseconds."""


@dataclass(frozen=True)
class Item:
    """One name of a tree.

    Args:
        kind: What it is.
        mode: Permission bits.
        content: Content of a file or target of a symlink.
        mtime_ns: Time of the last change, in nanoseconds.
    """

    kind: Kind
    mode: int
    content: bytes = b""
    mtime_ns: int = OLD_TIME

    @property
    def entry(self) -> Entry:
        """Its entry; for a directory with a digest that says nothing."""
        has_content = self.kind in (Kind.FILE, Kind.SYMLINK)
        digest = Digest.of(self.content) if has_content else EMPTY_DIGEST
        return Entry(self.kind, self.mode, len(self.content), digest)


Model = dict[bytes, Item]
"""A tree: path to item; b"" is the root."""


def file(content: bytes, mode: int = 0o644, mtime_ns: int = OLD_TIME) -> Item:
    """Give a file."""
    return Item(Kind.FILE, mode, content, mtime_ns)


def folder(mode: int = 0o755, mtime_ns: int = OLD_TIME) -> Item:
    """Give a directory."""
    return Item(Kind.DIRECTORY, mode, b"", mtime_ns)


def link(target: bytes, mtime_ns: int = OLD_TIME) -> Item:
    """Give a symlink."""
    return Item(Kind.SYMLINK, 0o777, target, mtime_ns)


def fifo(mode: int = 0o600, mtime_ns: int = OLD_TIME) -> Item:
    """Give a fifo."""
    return Item(Kind.FIFO, mode, b"", mtime_ns)


def write_tree(root: Path, model: Model) -> None:
    """Make a tree on disk; the root must not exist yet."""
    base = os.fsencode(root)
    for path, item in sorted(model.items()):
        place = base + b"/" + path if path else base
        if item.kind is Kind.DIRECTORY:
            os.mkdir(place)
        elif item.kind is Kind.SYMLINK:
            os.symlink(item.content, place)
        elif item.kind is Kind.FIFO:
            os.mkfifo(place)
        else:
            Path(os.fsdecode(place)).write_bytes(item.content)
    for path, item in sorted(model.items(), reverse=True):
        place = base + b"/" + path if path else base
        if item.kind is not Kind.SYMLINK:
            os.chmod(place, item.mode)
        os.utime(place, ns=(item.mtime_ns, item.mtime_ns), follow_symlinks=False)


def read_tree(root: Path) -> Model:
    """Give what is on disk, every name of it."""
    base = os.fsencode(root)
    model = {b"": _read_item(base)}
    for parent, folders, files in os.walk(base):
        for name in (*folders, *files):
            place = os.path.join(parent, name)
            model[place[len(base) + 1 :]] = _read_item(place)
    return model


def _read_item(place: bytes) -> Item:
    """Give one name on disk."""
    status = os.lstat(place)
    kind = kind_of_mode(status.st_mode)
    content = b""
    if kind is Kind.FILE:
        content = Path(os.fsdecode(place)).read_bytes()
    elif kind is Kind.SYMLINK:
        content = os.readlink(place)
    return Item(kind, stat.S_IMODE(status.st_mode), content, status.st_mtime_ns)


def changes_between(before: Model, after: Model) -> list[Change]:
    """Give every path at which two trees differ in more than time."""
    found = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        before_entry, after_entry = old.entry if old else None, new.entry if new else None
        if before_entry != after_entry:
            found.append(Change(path, before_entry, after_entry))
    return found


def expected_tree(before: Model, after: Model, outputs: Sequence[bytes]) -> Model:
    """Give what a commit must leave: the new tree, with the old times wherever nothing was committed.

    Set-id bits of everything but directories are gone from what was committed.
    """
    result: Model = {}
    changed = {change.path for change in changes_between(before, after)}
    parents = {path.rpartition(b"/")[0] for path in changed if path}
    for path, item in after.items():
        inside = any(not o or path == o or path.startswith(o + b"/") for o in outputs)
        touched = path in changed or (item.kind is Kind.DIRECTORY and path in parents and inside)
        if not touched:
            result[path] = before[path]
        elif item.kind is Kind.DIRECTORY:
            result[path] = item
        else:
            stripped = replace(item, mode=item.mode & ~0o6000)
            old = before.get(path)
            result[path] = old if old and old.entry == stripped.entry else stripped
    return result


@dataclass
class ModelSource:
    """A view that holds a tree in memory.

    Args:
        model: The tree.
        materials: What to say of a path instead of the usual.
        contents: What to give as content of a path instead of what the tree says.
    """

    model: Model
    materials: Mapping[bytes, Material] = field(default_factory=dict)
    contents: Mapping[bytes, bytes] = field(default_factory=dict)

    def describe(self, path: bytes) -> Material:
        """Give owner, time and link target."""
        if path in self.materials:
            return self.materials[path]
        item = self.model[path]
        target = item.content if item.kind is Kind.SYMLINK else None
        return Material(os.geteuid(), os.getegid(), item.mtime_ns, target)

    def copy_content(self, path: bytes, descriptor: int) -> None:
        """Write the content of a file."""
        durable_module.write_fully(descriptor, self.contents.get(path, self.model[path].content))


@dataclass
class Scene:
    """A workspace with domains on disk, and the views that are to be committed.

    Args:
        folder: An empty folder.
        before: The base trees, one for each domain.
        after: The views.
        outputs: The declared outputs of each domain.
    """

    folder: Path
    before: Sequence[Model]
    after: Sequence[Model]
    outputs: Sequence[Sequence[bytes]]

    def __post_init__(self) -> None:
        (self.folder / ".catfs").mkdir(parents=True)
        for path, model in zip(self.domains, self.before, strict=True):
            write_tree(path, model)

    @property
    def domains(self) -> list[Path]:
        """Where the domains are."""
        return [self.folder / f"domain{number}" for number in range(len(self.before))]

    @property
    def control(self) -> bytes:
        """Path of the `.catfs` folder."""
        return os.fsencode(self.folder / ".catfs")

    @property
    def expected(self) -> list[Model]:
        """What a commit must leave."""
        triples = zip(self.before, self.after, self.outputs, strict=True)
        return [expected_tree(before, after, outputs) for before, after, outputs in triples]

    @property
    def is_decided(self) -> bool:
        """Whether a journal is there."""
        return any((self.folder / ".catfs").glob("journal/*.journal"))

    def changes(self) -> list[DomainChanges]:
        """Give what changes in each domain."""
        return [
            DomainChanges(os.fsencode(path), changes_between(before, after), tuple(outputs))
            for path, before, after, outputs in zip(
                self.domains, self.before, self.after, self.outputs, strict=True
            )
        ]

    def commit(
        self,
        sources: Sequence[ModelSource] | None = None,
        commit_id: str = "c1",
        *,
        recorded: bool = False,
    ) -> CommitReport:
        """Plan and carry out the commit, and keep a record of it if asked for."""
        used = sources or [ModelSource(after) for after in self.after]
        record = CommitRecord(self._prepare, self.publish) if recorded else NO_RECORD
        return apply_commit(
            plan_commit(self.changes()), used, catfs_folder=self.control, commit_id=commit_id, record=record
        )

    def _prepare(self, notes: Sequence[Note]) -> None:
        """Write the record of the commit, which says how much it left out."""
        durable_module.create_exclusively(self.control, b"record.pending", b"%d" % len(notes))

    def publish(self, commit_id: str) -> None:
        """Let the record count, which is all the same for every commit."""
        assert commit_id
        with suppress(FileNotFoundError):
            os.rename(self.control + b"/record.pending", self.control + b"/record")
        durable_module.fsync_directory(self.control)

    @property
    def is_recorded(self) -> bool:
        """Whether the record counts."""
        return (self.folder / ".catfs" / "record").exists()

    def read(self) -> list[Model]:
        """Give what the domains hold now."""
        return [read_tree(path) for path in self.domains]

    def leftovers(self) -> list[str]:
        """Give what is left of records and stages, anywhere."""
        control = self.folder / ".catfs"
        found = [*control.glob("journal/*"), *control.glob("journal/.*"), *control.glob("stage/*")]
        for domain in self.domains:
            found += domain.glob(".catfs-stage*")
        return sorted(str(path.relative_to(self.folder)) for path in found)


class CrashError(BaseException):
    """The machine stops here: nothing after it reaches the disk."""


WATCHED = (
    *("mkdir", "write", "fsync", "rename", "unlink", "rmdir", "symlink", "mknod"),
    *("chown", "fchown", "chmod", "fchmod", "utime", "setxattr"),
)
"""Functions of `os` that change the disk, apart from `open` with O_CREAT."""


class Disk:
    """Counts the calls that change the disk and lets one of them go wrong.

    Args:
        number: Which call goes wrong, from 1; 0 for none.
        fault: Raises or ends the process.
        lasting: Whether every later call goes wrong as well.
    """

    def __init__(self, number: int, fault: Callable[[], None], *, lasting: bool) -> None:
        self.calls: list[str] = []
        self._number = number
        self._fault = fault
        self._lasting = lasting

    def _meet(self, name: str) -> None:
        """Count one call, and let it go wrong if it is its turn."""
        self.calls.append(name)
        count = len(self.calls)
        if self._number and (count == self._number or (self._lasting and count > self._number)):
            self._fault()

    def _watch(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        """Give a function that counts and then does what the real one does."""

        def watched(*args: object, **rest: object) -> object:
            """Count and call."""
            flags = args[1] if len(args) > 1 else 0
            if name != "open" or (isinstance(flags, int) and flags & os.O_CREAT):
                self._meet(name)
            return real(*args, **rest)

        return watched

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put the disk in place of the real one within the block."""
        with pytest.MonkeyPatch.context() as patch:
            for name in (*WATCHED, "open"):
                patch.setattr(os, name, self._watch(name, getattr(os, name)))
            for module, name in (
                (durable_module, "renameat2"),
                (steps_module, "renameat2"),
                (steps_module, "syncfs"),
                (apply_module, "syncfs"),
            ):
                patch.setattr(module, name, self._watch(name, getattr(module, name)))
            yield


def count_calls(scenes: Iterator[Scene], action: Callable[[Scene], object]) -> int:
    """Give how many calls change the disk when nothing goes wrong."""
    disk = Disk(0, _no_fault, lasting=False)
    scene = next(scenes)
    with disk.installed():
        action(scene)
    return len(disk.calls)


def crash() -> None:
    """Stop the machine."""
    raise CrashError


def fail_with(number: int) -> Callable[[], None]:
    """Give a fault that is an OSError with an errno."""

    def fail() -> None:
        """Fail."""
        raise OSError(number, os.strerror(number))

    return fail


def _no_fault() -> None:
    """Let everything be."""


def all_in(models: Iterable[Model], states: Iterable[Sequence[Model]]) -> bool:
    """Say whether trees are exactly one of the given states."""
    return list(models) in [list(state) for state in states]


BASE: Model = {b"": folder(), b"keep": file(b"kept"), b"out": folder(), b"out/a": file(b"old")}
"""A small base tree with one output folder."""
NEW_FILE = file(b"new", 0o644, NEW_TIME)
"""What takes the place of the old file in it."""


def scene_of(path: Path, before: Model, after: Model, outputs: Sequence[bytes] = (b"out",)) -> Scene:
    """Give a scene with one domain."""
    return Scene(path / "scene", [before], [after], [outputs])


def usual_scene(path: Path) -> Scene:
    """Give a scene in which the file out/a gets new content."""
    return scene_of(path, BASE, {**BASE, b"out": folder(0o755, NEW_TIME), b"out/a": NEW_FILE})


def assert_untouched(scene: Scene) -> None:
    """Check that the old state holds and nothing is left over."""
    assert scene.read() == scene.before
    assert scene.leftovers() == []
