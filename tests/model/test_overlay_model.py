"""The view behaves as a real directory does, its log leads to it, and its lower stays as it was.

A random program works on a view and on a real directory. Whatever it does must end in the same way on
both; in the end the whole trees agree, the fold of the changes has the root of the real directory, the
replayed log has it too, and nothing below has moved.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from catfs.linux import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE
from catfs.merkle import MemoryNodes, Tree
from catfs.overlay import (
    ContentDigests,
    DirectoryLower,
    Domain,
    HardLinks,
    Lower,
    NoTrace,
    Processes,
    ReplayClock,
    View,
    WriteLog,
    fold,
    forgetting,
    state,
)
from catfs.overlay.attributes import AttributeChanges
from catfs.overlay.nodes import Directory, Node
from catfs.proof.capture import capture
from catfs.records.write_record import ProcessRecord, WriteRecord
from catfs.runtime.ahead import Ahead
from tests.support.memory_lower import DEVICE, MemoryLower
from tests.support.trees import SAMPLE_HARD_LINKS, RealTree, build_sample, walk_real
from tests.support.twin import Open, Twin
from tests.support.views import (
    check_untouched_names,
    fields_of,
    make_view,
    memory_data,
    read_lines,
    replayed,
    tree_of,
    walk_view,
    whole_state,
)

NAMES = [b"a", b"b", b"d", b"sub", b"h1", b"\xff", b"n\nl", b"l" * 255]
"""What new things are called; some of these are in the sample."""

FILE_MODES = st.sampled_from([0o644, 0o755, 0o600, 0o4755, 0o2755, 0o2644])
DIRECTORY_MODES = st.sampled_from([0o755, 0o700, 0o2755, 0o1777])
OFFSETS = st.sampled_from([0, 1, 50, 4096, 5000, 9000])
LENGTHS = st.sampled_from([1, 50, 4096, 5000])
SIZES = st.sampled_from([0, 1, 13, 4096, 5000, 12_000])
RENAME_FLAGS = st.sampled_from([0, 0, 0, 1, 2])
FALLOCATE_MODES = st.sampled_from(
    [
        0,
        FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_ZERO_RANGE,
        FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
    ]
)
XATTR_NAMES = st.sampled_from([b"user.kept", b"user.other", b"user.new"])
OWNERS = st.sampled_from([(0, 0), (1000, 1001)] if os.geteuid() == 0 else [(os.geteuid(), os.getegid())])


class OverlayMachine(RuleBasedStateMachine):
    """A random program on a view over a real directory."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="catfs-model-"))
        self.nodes = MemoryNodes()
        self.digests = ContentDigests()

    @initialize()
    def begin(self) -> None:
        """Make lower, twin, log and view."""
        real = RealTree(self.folder / "twin")
        Path(os.fsdecode(real.top)).mkdir()
        build_sample(real)
        self.prepare_lower()
        self.log = os.open(self.folder / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self.processes = Processes()
        self.trace = WriteLog(self.log, self.processes)
        self.data = memory_data()
        self.view = make_view(self.lower(), self.trace, self.data)
        self.twin = Twin(self.view, real.top, {b"a": self.sample_xattrs()})
        followed = View([Domain(self.lower())], self.data, NoTrace(), ReplayClock(), by_name=True)
        self.ahead = Ahead(self.trace, self.folder / "log", followed, iter, self.digests, self.fold)

    def prepare_lower(self) -> None:
        """Make the lower, and its base and hard links."""
        self.real_lower = RealTree(self.folder / "lower")
        (self.folder / "lower").mkdir()
        build_sample(self.real_lower)
        self.root = os.open(self.folder / "lower", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        captured = capture(self.root, self.nodes)
        self.base = Tree(self.nodes, captured.root_entry)
        self.hard_links: HardLinks = captured.hard_links
        self.lowers: list[DirectoryLower] = []
        self.before = walk_real(self.real_lower.top, times=True)

    def lower(self) -> Lower:
        """Give a new lower of the same files."""
        self.lowers.append(DirectoryLower(self.root))
        return self.lowers[-1]

    def sample_xattrs(self) -> dict[bytes, bytes]:
        """Give the extended attributes of the sample's first file."""
        return self.real_lower.kept_xattrs(b"a")

    def check_lower(self) -> None:
        """Check that the lower is as it was at first."""
        assert walk_real(self.real_lower.top, times=True) == self.before

    def close_lower(self) -> None:
        """Close the lower."""
        for lower in self.lowers:
            lower.close()
        os.close(self.root)

    # What the program does.

    def some_path(self, data: st.DataObject, kinds: tuple[int, ...] = (), *, top: bool = False) -> bytes:
        """Choose something that exists.

        Args:
            kinds: Of which kinds of file; nothing for any.
            top: Whether the top counts as well.
        """
        paths = self.twin.paths()
        if top:
            paths.append(b"")
        if kinds:
            paths = [path for path in paths if stat.S_IFMT(os.lstat(self.twin.real(path)).st_mode) in kinds]
        assume(paths)
        return data.draw(st.sampled_from(paths), label="path")

    def some_place(self, data: st.DataObject) -> bytes:
        """Choose a name in a directory that exists, whether or not it is taken."""
        directory = data.draw(st.sampled_from(self.twin.directories()), label="directory")
        taken = sorted(os.listdir(self.twin.real(directory)))
        name = data.draw(st.sampled_from(NAMES + taken), label="name")
        return directory + b"/" + name if directory else name

    def some_file(self, data: st.DataObject) -> Open:
        """Choose an open file."""
        return self.twin.open_files[data.draw(st.integers(0, len(self.twin.open_files) - 1), label="handle")]

    def has_open_files(self) -> bool:
        """Say whether a file is open."""
        return bool(self.twin.open_files)

    @rule(data=st.data(), mode=FILE_MODES)
    def create(self, data: st.DataObject, mode: int) -> None:
        """Make a file."""
        self.twin.create(self.some_place(data), mode)

    @rule(data=st.data(), mode=DIRECTORY_MODES)
    def mkdir(self, data: st.DataObject, mode: int) -> None:
        """Make a directory."""
        self.twin.mkdir(self.some_place(data), mode)

    @rule(data=st.data(), mode=FILE_MODES)
    def fifo(self, data: st.DataObject, mode: int) -> None:
        """Make a FIFO."""
        self.twin.fifo(self.some_place(data), mode)

    @rule(data=st.data(), points_at=st.sampled_from([b"nowhere", b"no/\xff\n"]))
    def symlink(self, data: st.DataObject, points_at: bytes) -> None:
        """Make a symlink."""
        self.twin.symlink(self.some_place(data), points_at)

    @rule(data=st.data())
    def link(self, data: st.DataObject) -> None:
        """Give something one more name."""
        self.twin.link(self.some_path(data), self.some_place(data))

    @rule(data=st.data())
    def unlink(self, data: st.DataObject) -> None:
        """Remove a name."""
        self.twin.unlink(self.some_place(data))

    @rule(data=st.data())
    def unlink_file(self, data: st.DataObject) -> None:
        """Remove the name of a file."""
        self.twin.unlink(self.some_path(data, (stat.S_IFREG,)))

    @rule(data=st.data())
    def rmdir(self, data: st.DataObject) -> None:
        """Remove a directory."""
        self.twin.rmdir(self.some_place(data))

    @rule(data=st.data(), flags=RENAME_FLAGS)
    def rename(self, data: st.DataObject, flags: int) -> None:
        """Rename something."""
        self.twin.rename(self.some_path(data), self.some_place(data), flags)

    @rule(data=st.data(), flags=RENAME_FLAGS)
    def rename_directory(self, data: st.DataObject, flags: int) -> None:
        """Rename a directory, often one that nobody has looked into."""
        self.twin.rename(self.some_path(data, (stat.S_IFDIR,)), self.some_place(data), flags)

    @rule(data=st.data(), flags=RENAME_FLAGS)
    def rename_onto(self, data: st.DataObject, flags: int) -> None:
        """Rename something to a name that is taken, often one of the same file."""
        self.twin.rename(self.some_path(data), self.some_path(data), flags)

    @rule(data=st.data(), flags=st.sampled_from([0, 0, 0, os.O_TRUNC]))
    def open(self, data: st.DataObject, flags: int) -> None:
        """Open a file."""
        self.twin.open(self.some_path(data, (stat.S_IFREG,)), flags)

    @rule(data=st.data())
    def open_in_vain(self, data: st.DataObject) -> None:
        """Open a directory for writing."""
        self.twin.open(self.some_path(data, (stat.S_IFDIR,)), 0)

    @precondition(has_open_files)
    @rule(data=st.data())
    def close_file(self, data: st.DataObject) -> None:
        """Close a file."""
        self.twin.close_file(self.some_file(data))

    @precondition(has_open_files)
    @rule(data=st.data(), offset=OFFSETS, length=LENGTHS, fill=st.binary(min_size=1, max_size=5))
    def write(self, data: st.DataObject, offset: int, length: int, fill: bytes) -> None:
        """Write to an open file."""
        self.twin.write(self.some_file(data), offset, (fill * length)[:length])

    @precondition(has_open_files)
    @rule(data=st.data(), length=LENGTHS, fill=st.binary(min_size=1, max_size=5))
    def append(self, data: st.DataObject, length: int, fill: bytes) -> None:
        """Write at the end of an open file."""
        self.twin.append(self.some_file(data), (fill * length)[:length])

    @precondition(has_open_files)
    @rule(data=st.data(), size=SIZES)
    def truncate(self, data: st.DataObject, size: int) -> None:
        """Cut or extend an open file."""
        self.twin.truncate(self.some_file(data), size)

    @precondition(has_open_files)
    @rule(data=st.data(), mode=FALLOCATE_MODES, offset=OFFSETS, length=LENGTHS)
    def fallocate(self, data: st.DataObject, mode: int, offset: int, length: int) -> None:
        """Reserve, zero or punch a range of an open file."""
        self.twin.fallocate(self.some_file(data), mode, offset, length)

    @rule(data=st.data(), mode=st.sampled_from([0o600, 0o644]))
    def tmpfile(self, data: st.DataObject, mode: int) -> None:
        """Make a file without a name."""
        self.twin.tmpfile(data.draw(st.sampled_from(self.twin.directories()), label="directory"), mode)

    @precondition(has_open_files)
    @rule(data=st.data())
    def link_open(self, data: st.DataObject) -> None:
        """Give an open file one more name, or its first."""
        self.twin.link_open(self.some_file(data), self.some_place(data))

    @precondition(has_open_files)
    @rule(data=st.data(), offset=OFFSETS, target_offset=OFFSETS, length=LENGTHS)
    def copy_range(self, data: st.DataObject, offset: int, target_offset: int, length: int) -> None:
        """Copy a range between open files."""
        source, target = self.some_file(data), self.some_file(data)
        self.twin.copy_range(source, offset, target, target_offset, length)

    @precondition(has_open_files)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Read an open file."""
        self.twin.compare_open(self.some_file(data))

    @rule(data=st.data(), mode=FILE_MODES | DIRECTORY_MODES)
    def chmod(self, data: st.DataObject, mode: int) -> None:
        """Change the mode of anything but a symlink."""
        path = self.some_path(data, (stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO), top=True)
        if not (stat.S_ISDIR(os.lstat(self.twin.real(path)).st_mode) and mode & 0o4000):
            self.twin.set_attributes(path, AttributeChanges(mode=mode | 0o700))

    @rule(data=st.data(), owner=OWNERS)
    def chown(self, data: st.DataObject, owner: tuple[int, int]) -> None:
        """Change the owner of anything."""
        self.twin.set_attributes(self.some_path(data, top=True), AttributeChanges(uid=owner[0], gid=owner[1]))

    @rule(data=st.data(), time=st.integers(-(10**9), 2 * 10**9))
    def utimens(self, data: st.DataObject, time: int) -> None:
        """Change the times of anything; whole seconds, which every file system keeps."""
        time *= 10**9
        self.twin.set_attributes(self.some_path(data, top=True), AttributeChanges(atime=time, mtime=time))

    @rule(
        data=st.data(),
        name=XATTR_NAMES,
        value=st.binary(max_size=9),
        flags=st.sampled_from([0, os.XATTR_CREATE, os.XATTR_REPLACE]),
    )
    def setxattr(self, data: st.DataObject, name: bytes, value: bytes, flags: int) -> None:
        """Set an extended attribute."""
        self.twin.setxattr(self.some_path(data, (stat.S_IFREG, stat.S_IFDIR)), name, value, flags)

    @rule(data=st.data(), name=XATTR_NAMES)
    def removexattr(self, data: st.DataObject, name: bytes) -> None:
        """Remove an extended attribute."""
        self.twin.removexattr(self.some_path(data, (stat.S_IFREG, stat.S_IFDIR)), name)

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """List a directory and the extended attributes of something."""
        self.twin.compare_listing(data.draw(st.sampled_from(self.twin.directories())))
        self.twin.compare_xattrs(self.some_path(data, (stat.S_IFREG, stat.S_IFDIR)))

    @rule()
    def sweep(self) -> None:
        """Let the view go of what the kernel has forgotten and nobody has changed."""
        for ino in list(self.view.nodes):
            self.view.forget(ino, 1)
        self.view.sweep()

    @rule()
    def fold_now(self) -> None:
        """Fold in the middle: it must neither be wrong now nor make a later one wrong."""
        assert self.fold(self.view) == self.twin_tree()

    @rule(pieces=st.integers(1, 8))
    def quiet(self, pieces: int) -> None:
        """Follow the log in a moment without requests, as far as it lasts."""
        while pieces and self.ahead.step():
            pieces -= 1

    # What must hold in the end.

    def fold(self, view: View) -> Tree:
        """Give the tree that the fold makes of a view."""
        return fold(view, 0, self.base, self.nodes, self.digests, self.hard_links)

    def twin_tree(self) -> Tree:
        """Give the tree of the real directory."""
        descriptor = os.open(self.twin.top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return Tree(self.nodes, capture(descriptor, self.nodes).root_entry)
        finally:
            os.close(descriptor)

    def teardown(self) -> None:
        """Check everything, and clean up."""
        try:
            self.check_end()
        finally:
            self.ahead.close()
            self.twin.close()
            self.processes.close()
            self.close_lower()
            os.close(self.data.descriptor)
            os.close(self.log)
            shutil.rmtree(self.folder)

    def check_end(self) -> None:
        """Check the view, the fold, the replay and the lower."""
        check_untouched_names(self.view)
        # The fold comes first: it must find what changed in directories that nobody has looked into.
        expected = self.twin_tree()
        assert self.fold(self.view) == expected
        check_untouched_names(self.view)
        second = self.replay()
        assert self.fold(second) == expected
        for file in self.twin.open_files:
            self.twin.compare_open(file)
        seen = walk_view(self.view)
        assert seen == walk_real(self.twin.top)
        assert tree_of(MemoryNodes(), seen).root == expected.root
        for path in self.twin.paths():
            if stat.S_IFMT(os.lstat(self.twin.real(path)).st_mode) in {stat.S_IFREG, stat.S_IFDIR}:
                self.twin.compare_xattrs(path)
        for path in self.twin.directories():
            self.twin.compare_listing(path)
        check_untouched_names(self.view)
        assert whole_state(second) == whole_state(self.view)
        followed = self.ahead.finish()
        assert followed is not None
        assert self.fold(followed) == expected
        assert whole_state(followed) == whole_state(self.view)
        self.check_lower()

    def replay(self) -> View:
        """Read the log back and follow it."""
        self.trace.flush()
        lines = os.pread(self.log, os.fstat(self.log).st_size, 0).splitlines()
        records = read_lines(lines)
        assert [record.seq for record in records] == list(range(len(records)))
        for line, record in zip(lines, records, strict=True):
            if isinstance(record, WriteRecord):
                assert fields_of(record) == orjson.loads(line)
        assert sum(isinstance(record, ProcessRecord) for record in records) <= 1
        return replayed(records, self.lower(), self.data)


class MemoryOverlayMachine(OverlayMachine):
    """The same random program on a view over a lower in memory."""

    def prepare_lower(self) -> None:
        """Make the lower, and its base and hard links."""
        self.memory = MemoryLower()
        build_sample(self.memory)
        view = make_view(self.memory)
        self.base = tree_of(self.nodes, walk_view(view))
        os.close(view.data.descriptor)
        self.hard_links = {(DEVICE, self.memory.at(paths[0]).ino): paths for paths in SAMPLE_HARD_LINKS}
        self.before = walk_view(make_view(self.memory, data=view.data))

    def lower(self) -> Lower:
        """Give the lower."""
        return self.memory

    def sample_xattrs(self) -> dict[bytes, bytes]:
        """Give the extended attributes of the sample's first file."""
        return self.memory.kept_xattrs(b"a")

    def check_lower(self) -> None:
        """Check that the lower is as it was at first."""
        assert walk_view(make_view(self.memory, data=self.data)) == self.before

    def close_lower(self) -> None:
        """A lower in memory needs no closing."""


class LargeOverlayMachine(MemoryOverlayMachine):
    """The same again, with every directory so large that its names are looked up one by one."""

    def prepare_lower(self) -> None:
        """Make the lower, and let its directories be large."""
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(state, "LARGE_DIRECTORY_BYTES", 0)
        super().prepare_lower()

    def close_lower(self) -> None:
        """Let directories be as large as they are."""
        self._patch.undo()


class RestingOverlayMachine(OverlayMachine):
    """The same on real files, with a kernel that remembers all it was told while the view lets go of it."""

    @rule()
    def rest(self) -> None:
        """Tell the kernel of everything, let go of what may rest, and let the kernel ask for it again."""
        told: dict[int, tuple[object, ...]] = {}
        for node in self._listed():
            node.lookups += 1
            told[node.ino] = _told_of(node)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(forgetting, "AWAKE_NODES_MAX", 0)
            while self.view.loaded:
                self.view.rest()
        assert len(self.view.resting) + len(self.view.nodes) >= len(told)
        for ino, before in told.items():
            node = self.view.node(ino)
            assert _told_of(node) == before
            assert node.lookups > 0
            assert ino not in self.view.resting

    def _listed(self) -> Iterator[Node]:
        """Give every node with a name, and a hard link once for each."""
        waiting = [self.view.roots[0]]
        while waiting:
            for node in self.view.entries(waiting.pop()).values():
                yield node
                if isinstance(node, Directory):
                    waiting.append(node)


def _told_of(node: Node) -> tuple[object, ...]:
    """Give what the kernel is told of a node."""
    return node.mode, node.uid, node.gid, node.nlink, node.size, node.blocks, node.mtime, node.ctime


_SETTINGS = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    # Making a failing program shorter takes longer than a test may take.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)

TestViewOverDirectory = OverlayMachine.TestCase
TestViewOverDirectory.settings = _SETTINGS
TestViewOverMemory = MemoryOverlayMachine.TestCase
TestViewOverMemory.settings = _SETTINGS
TestViewOverLargeDirectories = LargeOverlayMachine.TestCase
TestViewOverLargeDirectories.settings = _SETTINGS
TestViewOverRestingNodes = RestingOverlayMachine.TestCase
TestViewOverRestingNodes.settings = settings(_SETTINGS, max_examples=20)
