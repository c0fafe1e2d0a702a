"""Capture: read a whole domain and give its tree; with an index, read only what changed since the last time.

Every file is opened relative to its directory's descriptor and its attributes are compared before and
after reading, so a file that changes meanwhile is noticed. Nothing is skipped: what cannot be read is an
error. With an index every name is still looked at, and a digest is taken over only when the attributes prove
that the content is the same (catfs/merkle/index.py).
"""

import os
import stat
from collections.abc import Callable, Collection
from contextlib import ExitStack
from operator import attrgetter
from pathlib import Path

from catfs.beneath import open_directory_beneath
from catfs.clock import Clock, system_clock
from catfs.digest import DIGEST_BYTES, Digest
from catfs.errors import FormatError
from catfs.merkle import (
    STAT,
    IndexBusyError,
    IndexFacts,
    IndexReader,
    IndexWriter,
    KnownDirectory,
    MissingNodeError,
    NodeStore,
    build_known,
    hidden_digest,
)
from catfs.merkle.nodes import Fan, load_node
from catfs.proof.capture_workers import (
    JOB_BYTES_MAX,
    JOB_FILES_MAX,
    JOB_NAME_BYTES_MAX,
    CaptureError,
    HashResult,
    HashWorkers,
    hash_files,
)
from catfs.records.entry import Entry, device_digest, kind_of_mode
from catfs.values import dataclass

__all__ = ["Capture", "CaptureError", "Progress", "capture", "capture_below"]

Progress = Callable[[int, int], None]
"""Told now and then how many files and how many bytes are dealt with so far."""

_ATTRIBUTES = attrgetter("st_ino", "st_dev", "st_size", "st_mtime_ns", "st_ctime_ns", "st_mode", "st_nlink")
_NO_DIGEST = bytes(DIGEST_BYTES)
_FORMAT_BITS = 0o170000


@dataclass(frozen=True, slots=True)
class Capture:
    """What reading a domain gave.

    Args:
        root_entry: The entry of the domain's own directory; the nodes below are in the node store.
        hard_links: (device, inode) of each file with several names -> its paths.
        files: Number of regular files.
        size: Bytes in them.
        names: Number of names, those of directories too.
        started: When the reading began, in nanoseconds since 1970.
        read_files: How many files were read; the others are known from the index.
        index_problem: What is wrong with the index that was there; None when nothing is.
    """

    root_entry: Entry
    hard_links: dict[tuple[int, int], list[bytes]]
    files: int
    size: int
    names: int
    started: int
    read_files: int = 0
    index_problem: str | None = None


def capture(
    root: int,
    nodes: NodeStore,
    hidden: Collection[tuple[int, int]] = (),
    progress: Progress | None = None,
    *,
    index: Path | None = None,
    workers: int | None = None,
    clock: Clock = system_clock,
) -> Capture:
    """Read a domain.

    Args:
        root: Descriptor of its directory.
        nodes: Takes the nodes of the tree; should hold those of the last time when there is an index.
        hidden: (device, inode) of directories that are not part of the domain.
        progress: Told how far it is; None for nobody.
        index: File of the index of the domain, read if it is there and brought up to date; None for none.
        workers: Processes that hash files, started when there is enough to do; None for one per processor,
            0 for none.
        clock: Gives the time.

    Raises:
        CaptureError: when something cannot be read or changes while it is read.
        MachineError: when a process that hashes files is killed.
    """
    started = clock()
    with ExitStack() as stack:
        old, problem = _old_index(stack, index)
        record = _new_index(stack, index, old)
        walk = _Walk(root, nodes, frozenset(hidden), progress, old, record)
        walk.start(_processors() if workers is None else workers)
        stack.callback(walk.stop)
        root_entry = walk.run()
        links = {key: paths for key, paths in walk.hard_links.items() if len(paths) > 1}
        if record is not None:
            status = os.fstat(root)
            place = (status.st_dev, status.st_ino)
            facts = IndexFacts(place, root_entry, started, walk.files, walk.size, hidden_digest(hidden))
            record.finish(facts, links)
        if old is not None and old.damaged_blocks:
            problem = f"{index}: {old.damaged_blocks} of {len(old)} directories are damaged"
        counts = (walk.files, walk.size, walk.names, started)
        return Capture(root_entry, links, *counts, walk.read_files, problem)


def capture_below(
    root: int, nodes: NodeStore, hidden: Collection[tuple[int, int]], old: IndexReader | None
) -> Entry:
    """Read a directory and all below it in this process, and give its entry; nothing is recorded.

    Args:
        root: Descriptor of the directory.
        nodes: Takes the nodes of the tree.
        hidden: (device, inode) of directories that are left out.
        old: What is known of it; None for nothing.

    Raises:
        CaptureError: when something cannot be read or changes while it is read.
    """
    return _Walk(root, nodes, frozenset(hidden), None, old, None).run()


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _old_index(stack: ExitStack, path: Path | None) -> tuple[IndexReader | None, str | None]:
    """Open the index that is there, if it can be used; give also what is wrong with it."""
    if path is None:
        return None, None
    try:
        return stack.enter_context(IndexReader(path)), None
    except FileNotFoundError:
        return None, None
    except (FormatError, OSError) as error:
        return None, str(error)


def _new_index(stack: ExitStack, path: Path | None, old: IndexReader | None) -> IndexWriter | None:
    """Begin the new index; None when another process is writing it already."""
    if path is None:
        return None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return stack.enter_context(IndexWriter(path, old))
    except IndexBusyError:
        return None


@dataclass(slots=True)
class _Directory:
    """A directory on the way: what is known of its names so far.

    Args:
        path: Relative to the domain.
        status: Its attributes before it was read.
        parent: The directory that it is in; None for the domain itself.
        place: Where it stands among the names of its parent.
        names: The names in it, ascending.
        joined: The same, joined by NUL.
        rows: The row of attributes of each name.
        digests: 32 bytes for each name, filled in as they become known.
        children: Places of the directories in it that were not visited yet, the next one last.
        known: What the index says, when names and attributes are exactly that.
        waiting: Digests that are not filled in yet, and one for the visit itself.
    """

    path: bytes
    status: os.stat_result
    parent: "_Directory | None"
    place: int
    names: list[bytes]
    joined: bytes
    rows: bytes
    digests: bytearray
    children: list[int]
    known: KnownDirectory | None = None
    waiting: int = 1

    def row(self, place: int) -> bytes:
        """Give the row of attributes at a place."""
        return self.rows[place * STAT.size : (place + 1) * STAT.size]

    def set(self, place: int, digest: bytes) -> None:
        """Fill in the digest at a place."""
        self.digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES] = digest

    def fill(self, places: list[int], rows: bytes, digests: bytes) -> None:
        """Fill in the digests of files that were read.

        Args:
            places: Where they stand, ascending.
            rows: The row of attributes of each one after it was read.
            digests: The digests.

        Raises:
            CaptureError: when the attributes of a file are not what they were before.
        """
        first, end = places[0], places[-1] + 1
        if end - first == len(places) and rows == self.rows[first * STAT.size : end * STAT.size]:
            self.digests[first * DIGEST_BYTES : end * DIGEST_BYTES] = digests
            return
        for at, place in enumerate(places):
            if rows[at * STAT.size : (at + 1) * STAT.size] != self.row(place):
                raise CaptureError(self.child_path(place), "changed while it was read")
            self.set(place, digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES])

    def child_path(self, place: int) -> bytes:
        """Give the path of the name at a place."""
        return self.path + b"/" + self.names[place] if self.path else self.names[place]


_JobKey = list[tuple[_Directory, list[int]]]
"""The files of a job: places of directories."""


class _Walk:
    """One pass over a domain, directories finished as soon as everything below them is."""

    def __init__(
        self,
        root: int,
        nodes: NodeStore,
        hidden: frozenset[tuple[int, int]],
        progress: Progress | None,
        old: IndexReader | None,
        record: IndexWriter | None,
    ) -> None:
        self._root = root
        self._nodes = nodes
        self._hidden = hidden
        self._progress = progress
        self._old = old
        self._record = record
        self._workers_wanted = 0
        self._workers: HashWorkers[_JobKey] | None = None
        self._job: _JobKey = []
        self._job_files = self._job_bytes = self._job_names = 0
        self._root_entry: Entry | None = None
        self.hard_links: dict[tuple[int, int], list[bytes]] = {}
        self.files = self.size = self.names = self.read_files = 0

    def start(self, workers: int) -> None:
        """Say how many processes may be started."""
        self._workers_wanted = workers

    def stop(self) -> None:
        """End the processes."""
        if self._workers is not None:
            self._workers.close()

    def run(self) -> Entry:
        """Read everything and give the entry of the domain's own directory."""
        stack = [self._read(b"", None, 0)]
        while stack:
            directory = stack[-1]
            if directory.children:
                place = directory.children.pop()
                stack.append(self._read(directory.child_path(place), directory, place))
                self._take_results(wait=False)
                continue
            stack.pop()
            directory.waiting -= 1
            self._finish(directory)
        self._dispatch(is_last=True)
        while self._workers is not None and not self._workers.is_idle:
            self._take_results(wait=True)
        assert self._root_entry is not None
        return self._root_entry

    def _read(self, path: bytes, parent: _Directory | None, place: int) -> _Directory:
        """Read the names of a directory and see what is known of them."""
        try:
            descriptor = open_directory_beneath(self._root, path.split(b"/") if path else [])
        except OSError as error:
            raise CaptureError(path, f"cannot be opened: {error.strerror}") from error
        try:
            directory = self._scan(descriptor, path, parent, place)
            self._fill(directory, descriptor)
        except OSError as error:
            raise CaptureError(path, f"cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
        if self._progress is not None:
            self._progress(self.files, self.size)
        return directory

    def _scan(self, descriptor: int, path: bytes, parent: _Directory | None, place: int) -> _Directory:
        """Look at every name of a directory; the loop that runs once for each file of a domain."""
        status = os.fstat(descriptor)
        names: list[bytes] = []
        rows: list[bytes] = []
        children: list[int] = []
        lstat, pack, attributes = os.lstat, STAT.pack, _ATTRIBUTES
        for name in sorted(map(os.fsencode, os.listdir(descriptor))):
            row = attributes(lstat(name, dir_fd=descriptor))
            ino, dev, size, _, _, mode, links = row
            kind = mode & _FORMAT_BITS
            if kind == stat.S_IFDIR:
                if (dev, ino) in self._hidden:
                    continue
                children.append(len(names))
                row = (ino, dev, 0, 0, 0, mode, 0)
            elif kind == stat.S_IFREG and (
                links == 1 or self._is_new_link((dev, ino), path + b"/" + name if path else name)
            ):
                self.files += 1
                self.size += size
            names.append(name)
            rows.append(pack(*row))
        self.names += len(names)
        children.reverse()
        joined = b"\0".join(names)
        digests = bytearray(_NO_DIGEST * len(names))
        return _Directory(path, status, parent, place, names, joined, b"".join(rows), digests, children)

    def _is_new_link(self, key: tuple[int, int], path: bytes) -> bool:
        """Note a name of a file that has several, and say whether it is the first one."""
        paths = self.hard_links.setdefault(key, [])
        paths.append(path)
        return len(paths) == 1

    def _fill(self, directory: _Directory, descriptor: int) -> None:
        """Fill in every digest that is known or quickly found out, and queue the other files."""
        directory.waiting += len(directory.children)
        known = None
        if self._old is not None:
            known = self._old.directory(directory.status.st_dev, directory.status.st_ino)
        if known is None:
            self._fill_unknown(directory, descriptor, {})
            return
        is_same = known.names == directory.joined and known.rows == directory.rows
        if is_same:
            directory.known = known
        assert self._old is not None
        if is_same and not self._old.may_hide_change(known.newest):
            directory.digests[:] = known.digests
        else:
            self._fill_unknown(directory, descriptor, known.entries())

    def _fill_unknown(
        self, directory: _Directory, descriptor: int, known: dict[bytes, tuple[bytes, bytes]]
    ) -> None:
        """Fill in the digests of a directory name by name.

        Args:
            directory: The directory.
            descriptor: The same, open.
            known: What the index says: name to row of attributes and digest.
        """
        queued: list[int] = []
        for place, (name, row) in enumerate(
            zip(directory.names, STAT.iter_unpack(directory.rows), strict=True)
        ):
            _, _, size, _, ctime, mode, _ = row
            if stat.S_ISDIR(mode):
                continue
            if (found := known.get(name)) is not None and found[0] == directory.row(place):
                assert self._old is not None
                if not self._old.may_hide_change(ctime):
                    directory.set(place, found[1])
                    continue
            if stat.S_ISREG(mode):
                queued.append(place)
                directory.waiting += 1
                self._job_files += 1
                self._job_bytes += size
                self._job_names += len(name)
                if self._is_job_full():
                    self._job.append((directory, queued))
                    queued = []
                    self._dispatch()
            else:
                directory.set(place, self._small_digest(directory, descriptor, place))
        if queued:
            self._job.append((directory, queued))
            self._job_names += len(directory.path) + 8

    def _small_digest(self, directory: _Directory, descriptor: int, place: int) -> bytes:
        """Give the digest of what is neither file nor directory."""
        name = directory.names[place]
        _, _, size, _, _, mode, _ = STAT.unpack(directory.row(place))
        if not stat.S_ISLNK(mode):
            return device_digest(os.lstat(name, dir_fd=descriptor).st_rdev).raw
        target = os.readlink(name, dir_fd=descriptor)
        if len(target) != size:
            problem = f"changed while it was read: expected a link target of {size} bytes, got {len(target)}"
            raise CaptureError(directory.child_path(place), problem)
        return Digest.of(target).raw

    def _is_job_full(self) -> bool:
        return (
            self._job_files >= JOB_FILES_MAX
            or self._job_bytes >= JOB_BYTES_MAX
            or self._job_names >= JOB_NAME_BYTES_MAX
        )

    def _dispatch(self, *, is_last: bool = False) -> None:
        """Have the queued files read."""
        job, self._job = self._job, []
        files, self._job_files = self._job_files, 0
        size, self._job_bytes = self._job_bytes, 0
        self._job_names = 0
        if not job:
            return
        self.read_files += files
        parts = [(directory.path, [directory.names[place] for place in places]) for directory, places in job]
        # Starting processes takes longer than reading the files of a small domain.
        is_small = is_last and size < JOB_BYTES_MAX
        if self._workers is None and self._workers_wanted and not is_small:
            self._workers = HashWorkers(self._root, self._workers_wanted)
        if self._workers is None:
            digests, rows = hash_files(self._root, parts)
            self._take(HashResult(job, digests, rows))
            return
        while not self._workers.is_ready:
            self._take_results(wait=True)
        self._workers.submit(job, parts)

    def _take_results(self, *, wait: bool) -> None:
        if self._workers is not None:
            for result in self._workers.results(wait=wait):
                self._take(result)
        if self._progress is not None:
            self._progress(self.files, self.size)

    def _take(self, result: HashResult[_JobKey]) -> None:
        """Fill in the digests of a job."""
        at = 0
        for directory, places in result.key:
            count = len(places)
            rows = result.rows[at * STAT.size : (at + count) * STAT.size]
            digests = result.digests[at * DIGEST_BYTES : (at + count) * DIGEST_BYTES]
            directory.fill(places, rows, digests)
            at += count
            directory.waiting -= count
            self._finish(directory)

    def _finish(self, directory: _Directory) -> None:
        """Give their nodes to all directories that are complete now, upwards."""
        here: _Directory | None = directory
        while here is not None and not here.waiting:
            node = self._node(here)
            if here.parent is None:
                mode = stat.S_IMODE(here.status.st_mode)
                self._root_entry = Entry(kind_of_mode(here.status.st_mode), mode, 0, Digest(node))
            else:
                here.parent.set(here.place, node)
                here.parent.waiting -= 1
            here = here.parent

    def _node(self, directory: _Directory) -> bytes:
        """Give the digest of the node of a directory, built anew unless it is known and held."""
        known = directory.known
        if known is not None and known.digests == directory.digests and self._holds(known.node):
            node = known.node
        else:
            node = build_known(self._nodes, directory.names, directory.rows, bytes(directory.digests)).raw
        if self._record is None:
            return node
        if known is not None and self._may_keep(directory, known, node):
            self._record.keep(known)
        else:
            digests = bytes(directory.digests)
            self._record.add(directory.status, directory.joined, directory.rows, digests, node)
        return node

    def _may_keep(self, directory: _Directory, known: KnownDirectory, node: bytes) -> bool:
        """Say whether the index need not be written anew for a directory."""
        assert self._old is not None
        status = directory.status
        return (
            known.node == node
            and known.digests == directory.digests
            and (known.mtime, known.ctime) == (status.st_mtime_ns, status.st_ctime_ns)
            and not self._old.may_hide_change(known.newest)
        )

    def _holds(self, node: bytes) -> bool:
        """Say whether the node store holds a whole directory, without what is below it."""
        try:
            pending = [Digest(node)]
            while pending:
                loaded = load_node(self._nodes, pending.pop())
                if isinstance(loaded, Fan):
                    pending += [child for _, child in loaded.children()]
        except MissingNodeError:
            return False
        return True
