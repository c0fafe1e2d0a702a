"""Replay: make a view again from the lower and the log alone.

The view that comes out must have the root of the view that wrote the log. That is the check that no
write escaped the trace, and how a session gets its state back.
"""

import stat
from collections.abc import Iterable

from catfs.errors import FormatError, printable
from catfs.limits import FILE_BYTES_MAX, FRESH_INODE_FIRST
from catfs.overlay.attributes import AttributeChanges, Attributes
from catfs.overlay.nodes import Actor, Directory, File, Node
from catfs.overlay.state import ROOT_INODE
from catfs.overlay.view import View
from catfs.records.write_record import UNCHANGING, ProcessRecord, Record, WriteRecord

_MODE_MAX = 0o177777
"""The format and permission bits of the largest mode."""


class ReplayError(FormatError):
    """The log cannot be followed: a record does not fit what the records before it led to.

    Args:
        record: The record.
        problem: Why it does not fit.
    """

    def __init__(self, record: WriteRecord, problem: str) -> None:
        super().__init__(f"record {record.seq} ({record.op} {printable(record.path)})", problem)
        self.record = record


def replay(records: Iterable[Record], view: View, nodes: dict[int, Node] | None = None) -> list[WriteRecord]:
    """Apply the records of a log, in order, to a fresh view of the same lower.

    Args:
        records: The records that count, from the first; `Undone.counting` leaves out the others.
        view: A view whose trace takes nothing down and whose clock is a `ReplayClock`.
        nodes: Takes the node that each inode number of the log stands for; None for nobody.

    Returns:
        The records that say what lower files were when the session first used them.

    Raises:
        ReplayError: at the first record that does not fit.
    """
    again = Replay(view, nodes)
    gives_back, view.gives_back = view.gives_back, False  # whoever wrote the log has seen to that
    for record in records:
        again.apply(record)
    view.gives_back = gives_back
    return again.bases


class ReplayClock:
    """A clock that stands at the time of the record being applied."""

    def __init__(self) -> None:
        self.time = 0

    def __call__(self) -> int:
        """Give the time of the record being applied, in nanoseconds since 1970."""
        return self.time


class Replay:
    """One replay, record by record: what it has come to, and which node each inode number stands for.

    Args:
        view: A view whose trace takes nothing down and whose clock is a `ReplayClock`.
        nodes: Takes the node that each inode number of the log stands for; None for nobody.
    """

    def __init__(self, view: View, nodes: dict[int, Node] | None = None) -> None:
        assert isinstance(view.clock, ReplayClock)
        self._view = view
        self._clock = view.clock
        self._nodes = {} if nodes is None else nodes
        self._used = 0
        """End of the part of the data file that the records so far used."""
        self.bases: list[WriteRecord] = []
        """The records so far that say what lower files were when the session first used them."""

    def apply(self, record: Record) -> None:
        """Apply the next record that counts; one that changes nothing is passed over.

        Raises:
            ReplayError: when it does not fit.
            FormatError: when it lacks a field.
        """
        if isinstance(record, ProcessRecord):
            return
        if record.domain >= len(self._view.roots):
            problem = f"expected one of {len(self._view.roots)} domains, got {record.domain}"
            raise ReplayError(record, problem)
        if record.op in UNCHANGING and record.op != "undo":
            if record.op == "base":
                self.bases.append(record)
            return
        if record.numbers.get("mode", 0) > _MODE_MAX:
            raise ReplayError(record, f"expected a mode of 16 bits, got {record.numbers['mode']:#o}")
        self._clock.time = record.t
        try:
            getattr(self, f"_{record.op}")(record)
        except OSError as error:
            raise ReplayError(record, error.strerror or str(error)) from error

    def changed_file(self, record: Record) -> File | None:
        """Give the file whose bytes a record that was applied has changed; None for any other record."""
        if not isinstance(record, WriteRecord) or record.op not in {"write", "truncate", "fallocate"}:
            return None
        node = self._nodes.get(record.ino)
        return node if isinstance(node, File) else None

    def _node(self, record: WriteRecord) -> Node:
        """Give the node that a record is about."""
        node = self._nodes.get(record.ino)
        if node is None:
            node = self._view.resolve(record.domain, record.path)
            if node is None:
                raise ReplayError(record, "there is no such file at this point of the log")
            if record.ino >= FRESH_INODE_FIRST:
                # A lower file that could not keep its number: which one it got depends on what came before.
                self._view.renumber(node, record.ino)
            self._nodes[record.ino] = node
        return node

    def _file(self, record: WriteRecord) -> File:
        node = self._node(record)
        if not isinstance(node, File):
            raise ReplayError(record, "expected a regular file")
        return node

    def _parent(self, record: WriteRecord, path: bytes) -> tuple[int, bytes]:
        """Give the inode number of the directory of a path, and the last name."""
        above, _, name = path.rpartition(b"/")
        directory = self._view.resolve(record.domain, above)
        if not isinstance(directory, Directory):
            raise ReplayError(record, f"there is no directory {printable(above)} at this point of the log")
        return directory.ino, name

    @staticmethod
    def _actor(record: WriteRecord) -> Actor:
        """Give an actor whose privileges change nothing that the log does not say."""
        return Actor(record.pid, record.numbers.get("uid", 0), record.numbers.get("gid", 0))

    def _made(self, record: WriteRecord, node: Node) -> None:
        """Remember a new node; its owner and mode are exactly what the log says."""
        node.uid, node.gid = record.number("uid"), record.number("gid")
        if "mode" in record.numbers:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(record.number("mode"))
        if record.ino == ROOT_INODE:
            raise ReplayError(record, "this is the inode number of the root")
        self._view.renumber(node, record.ino)
        node.opens += 1  # kept for as long as the replay lasts, like an open file
        self._nodes[record.ino] = node

    def _create(self, record: WriteRecord) -> None:
        parent, name = self._parent(record, record.path)
        mode, actor = record.number("mode"), self._actor(record)
        if record.unlinked:
            self._made(record, self._view.tmpfile(parent, mode, actor))
        else:
            self._made(record, self._view.create(parent, name, mode, actor))

    def _mkdir(self, record: WriteRecord) -> None:
        parent, name = self._parent(record, record.path)
        self._made(record, self._view.mkdir(parent, name, record.number("mode"), self._actor(record)))

    def _mknod(self, record: WriteRecord) -> None:
        parent, name = self._parent(record, record.path)
        mode, rdev = record.number("mode"), record.numbers.get("rdev", 0)
        self._made(record, self._view.mknod(parent, name, mode, rdev, self._actor(record)))

    def _symlink(self, record: WriteRecord) -> None:
        parent, name = self._parent(record, record.path)
        self._made(record, self._view.symlink(parent, name, record.text("path2"), self._actor(record)))

    def _link(self, record: WriteRecord) -> None:
        parent, name = self._parent(record, record.text("path2"))
        self._view.link(self._node(record).ino, parent, name, self._actor(record))

    def _unlink(self, record: WriteRecord) -> None:
        self._keep(record)
        self._view.unlink(*self._parent(record, record.path), self._actor(record))

    def _rmdir(self, record: WriteRecord) -> None:
        self._keep(record)
        self._view.rmdir(*self._parent(record, record.path), self._actor(record))

    def _keep(self, record: WriteRecord) -> None:
        """Keep a node that loses its name: later records may still write to it."""
        self._node(record).opens += 1

    def _rename(self, record: WriteRecord) -> None:
        target = self._view.resolve(record.domain, record.text("path2"))
        if target is not None:
            # It may have been open, and later records may speak of it, though none did before.
            target.opens += 1
            self._nodes.setdefault(record.numbers.get("ino2", target.ino), target)
        self._node(record)
        source = self._parent(record, record.path)
        new = self._parent(record, record.text("path2"))
        self._view.rename(*source, *new, record.number("flags"), self._actor(record))

    def _write(self, record: WriteRecord) -> None:
        length = record.number("length")
        if not length:
            raise ReplayError(record, "expected a length of at least 1")
        node, offset, position = self._file(record), record.number("offset"), record.number("data")
        self._check_range(record, offset, length, position)
        own = node.extents.data_position(offset, length) if node.extents is not None else None
        if position < self._used and position != own:
            self._view.shared.add(position, length)  # neither appended nor in place: a copied range
        self._used = max(self._used, position + length)
        self._view.place_data(node, offset, length, position, record.t)

    def _check_range(self, record: WriteRecord, offset: int, length: int, position: int) -> None:
        if offset + length > FILE_BYTES_MAX:
            raise ReplayError(record, f"expected a range that ends by {FILE_BYTES_MAX}")
        if position + length > self._view.data.size:
            problem = f"its bytes end at {position + length} of the data file"
            raise ReplayError(record, f"{problem}, which has {self._view.data.size}")

    def _truncate(self, record: WriteRecord) -> None:
        self._view.truncate(self._file(record), record.number("length"), Actor(record.pid, 0, 0))

    def _fallocate(self, record: WriteRecord) -> None:
        offset, length = record.number("offset"), record.number("length")
        actor = Actor(record.pid, 0, 0)
        self._view.fallocate(self._file(record), record.number("mode"), offset, length, actor)

    def _setattr(self, record: WriteRecord) -> None:
        numbers = record.numbers
        changes = AttributeChanges(
            mode=numbers.get("mode"),
            uid=numbers.get("uid"),
            gid=numbers.get("gid"),
            atime=numbers.get("atime"),
            mtime=numbers.get("mtime"),
        )
        self._view.setattr(self._known(record), changes, self._actor(record))

    def _setxattr(self, record: WriteRecord) -> None:
        name, value = record.text("name"), record.text("value")
        # The plain ones: what came of rules for access lists is in the log by itself.
        Attributes.setxattr(self._view, self._known(record), name, value, 0, self._actor(record))

    def _removexattr(self, record: WriteRecord) -> None:
        Attributes.removexattr(self._view, self._known(record), record.text("name"), self._actor(record))

    def _undo(self, record: WriteRecord) -> None:
        """Refuse what only makes sense for a whole log: `Undone` leaves these records out."""
        raise ReplayError(record, "the records that it takes back are among the ones before it")

    def _known(self, record: WriteRecord) -> int:
        return self._node(record).ino
