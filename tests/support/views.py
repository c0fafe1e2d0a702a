"""Views for tests: made over a lower, used by path, looked through whole, and checked."""

import itertools
import os
import stat
from collections.abc import Iterable, Iterator

import orjson

from catfs.digest import Digest
from catfs.merkle import NodeStore, Tree
from catfs.overlay import DataFile, Domain, Lower, NoTrace, ReplayClock, Trace, View, replay
from catfs.overlay.nodes import Actor, Directory, File, Node, Symlink
from catfs.overlay.trace import Details, Place
from catfs.records.entry import Entry, Kind, kind_of_mode
from catfs.records.fields import put_bytes
from catfs.records.write_record import Record, WriteRecord, record_from_dict
from tests.support.trees import Seen

ACTOR = Actor(os.getpid(), os.geteuid(), os.getegid())
"""On whose behalf tests change a view."""

TIME_FIRST = 10**18
"""Where the clock of a test's view starts, in nanoseconds since 1970."""


class MemoryTrace:
    """Keeps the records of a view as JSON lines, without asking who a process is."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def append(self, op: str, place: Place, ino: int, actor: Actor, now: int, details: Details) -> None:
        """Keep one record."""
        fields: dict[str, object] = {"seq": len(self.lines), "op": op, "t": now, "ino": ino, "pid": actor.pid}
        if place.domain:
            fields["domain"] = place.domain
        for key, value in {"path": place.path, **details}.items():
            if isinstance(value, bytes):
                put_bytes(fields, key, value)
            else:
                fields[key] = value
        self.lines.append(orjson.dumps(fields))

    def sync(self, now: int, size: int) -> None:
        """Nothing is kept elsewhere."""

    def records(self) -> list[Record]:
        """Give the records, read back from their lines."""
        return read_lines(self.lines)


def read_lines(lines: Iterable[bytes]) -> list[Record]:
    """Give the records of the lines of a log."""
    return [record_from_dict(orjson.loads(line)) for line in lines]


def fields_of(record: WriteRecord) -> dict[str, object]:
    """Give the JSON object that a record was read from."""
    fields: dict[str, object] = {"seq": record.seq, "op": record.op, "t": record.t}
    fields |= {"ino": record.ino, "pid": record.pid, **record.numbers}
    for key, value in {"path": record.path, **record.texts}.items():
        put_bytes(fields, key, value)
    if record.domain:
        fields["domain"] = record.domain
    if record.unlinked:
        fields["unlinked"] = True
    return fields


def memory_data() -> DataFile:
    """Give a data file in memory; `os.close` its descriptor in the end."""
    return DataFile(os.memfd_create("catfs-test", os.MFD_CLOEXEC))


def make_view(lower: Lower, trace: Trace | None = None, data: DataFile | None = None) -> View:
    """Give a view whose clock counts microseconds from TIME_FIRST.

    Args:
        lower: What lies below.
        trace: Who is told of changes; None for nobody.
        data: Where new bytes go; None for a new file in memory.
    """
    clock = itertools.count(TIME_FIRST, 1000).__next__
    return View([Domain(lower)], data or memory_data(), trace or NoTrace(), clock)


def replayed(records: Iterable[Record], lower: Lower, data: DataFile) -> View:
    """Give the view that a log leads to.

    Args:
        records: The records of the log.
        lower: What lies below.
        data: Where the new bytes are; it is not written.
    """
    view = View([Domain(lower)], DataFile(data.descriptor, data.size), NoTrace(), ReplayClock())
    replay(records, view)
    return view


def node_at(view: View, path: bytes) -> Node:
    """Give what is at a path of the first domain, by one lookup per name."""
    node: Node | None = view.roots[0]
    for name in path.split(b"/") if path else ():
        assert node is not None, path
        node = view.lookup(node.ino, name)
    assert node is not None, path
    return node


def split(view: View, path: bytes) -> tuple[int, bytes]:
    """Give the inode number of the directory of a path, and the last name."""
    above, _, name = path.rpartition(b"/")
    return node_at(view, above).ino, name


def write_at(view: View, path: bytes, offset: int, data: bytes, actor: Actor = ACTOR) -> None:
    """Write to a file that exists."""
    handle = view.open(node_at(view, path).ino, os.O_WRONLY, actor)
    view.write(handle, offset, data)
    view.release(handle)


def create_file(view: View, path: bytes, data: bytes = b"", mode: int = 0o644) -> Node:
    """Make a file and write to it."""
    node = view.create(*split(view, path), mode, ACTOR)
    if data:
        write_at(view, path, 0, data)
    return node


def walk_nodes(view: View) -> Iterator[tuple[bytes, Node]]:
    """Give every node of the first domain with its path, through directory streams."""
    waiting: list[tuple[bytes, Node]] = [(b"", view.roots[0])]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        if isinstance(node, Directory):
            handle = view.opendir(node.ino, ACTOR)
            for _, name, child in view.read_directory(handle, 0)[2:]:
                waiting.append((path + b"/" + name if path else name, child))
            view.release(handle)


def content_of(view: View, node: Node) -> bytes:
    """Give the content of a file or the target of a symlink; nothing for other kinds."""
    if isinstance(node, Symlink):
        return view.readlink(node.ino)
    return view.read_content(node, 0, node.size) if isinstance(node, File) else b""


def walk_view(view: View) -> dict[bytes, Seen]:
    """Give everything that the view shows, by path; loads all of it."""
    found = {}
    for path, node in walk_nodes(view):
        is_directory = isinstance(node, Directory)
        size = 0 if is_directory else node.size
        found[path] = Seen(node.mode, 0 if is_directory else node.nlink, size, content_of(view, node))
    return found


def whole_state(view: View) -> dict[bytes, object]:
    """Give everything that the view knows of each path, times, owner and attributes too."""
    found: dict[bytes, object] = {}
    for path, node in walk_nodes(view):
        times = (node.atime, node.mtime, node.ctime)
        owner = (node.mode, node.nlink, node.uid, node.gid, node.rdev)
        found[path] = (owner, times, content_of(view, node), dict(view.xattrs_of(node)))
    return found


def tree_of(nodes: NodeStore, seen: dict[bytes, Seen]) -> Tree:
    """Build the tree of what was seen, without the help of a fold or a capture."""
    entries = {}
    for path, item in seen.items():
        kind, mode = kind_of_mode(item.mode), stat.S_IMODE(item.mode)
        if kind in {Kind.FILE, Kind.SYMLINK}:
            entries[path] = Entry(kind, mode, item.size, Digest.of(item.content))
        else:
            entries[path] = Entry(kind, mode)
    return Tree.from_entries(nodes, entries)


def check_untouched_names(view: View) -> None:
    """Check that `touched` is complete: a name not in it is exactly as in the lower, but for its ctime.

    Looks at loaded directories only, and loads none.

    Raises:
        AssertionError: at the first name that differs and is not touched.
    """
    waiting = [view.roots[0]]
    while waiting:
        directory = waiting.pop()
        if directory.entries is None:
            assert not directory.touched, directory.name
            continue
        _check_names(view, directory)
        waiting.extend(node for node in directory.entries.values() if isinstance(node, Directory))


def _check_names(view: View, directory: Directory) -> None:
    assert directory.entries is not None
    below = {}
    if directory.origin is not None:
        below = dict(view.domains[0].lower.scan(directory.origin))
    for name in below.keys() | directory.entries.keys():
        node = directory.entries.get(name)  # to look a further name of a changed file up is to touch it
        if name in directory.touched:
            continue
        assert node is not None, f"{name!r} was removed untouched"
        assert name in below, f"{name!r} was made untouched"
        _check_node(view, node, name, directory)


def _check_node(view: View, node: Node, name: bytes, directory: Directory) -> None:
    origin = node.origin
    assert origin is not None, f"{name!r} is new and untouched"
    assert directory.origin is not None
    status = dict(view.domains[0].lower.scan(directory.origin))[name]
    now = (node.mode, node.nlink, node.uid, node.gid, node.rdev, node.mtime)
    then = (status.mode, status.nlink, status.uid, status.gid, status.rdev, status.mtime)
    assert now == then, f"{name!r} has other attributes and is untouched"
    assert status.ino == origin.lower_stat.ino, f"{name!r} is another file and untouched"
    if isinstance(node, File):
        assert node.extents is None, f"{name!r} has other content and is untouched"
    if isinstance(node, Directory):
        assert not node.touched, f"{name!r} has touched names and is untouched"
    if node.xattrs is not None and isinstance(node, File | Directory):
        found = view.domains[0].lower.xattrs(origin)
        assert node.xattrs == found, f"{name!r} has other extended attributes and is untouched"
