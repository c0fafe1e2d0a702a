"""Proof of fold: what the log of a finished run leads to, from the tree of its base and the log alone.

Neither the domain nor the session is needed. What a changed file held in the end is recomputed from the
bytes of the run's history where it keeps one; else it is what the `content` records of the log state.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.errors import FormatError, printable
from catfs.ledger import RunReader
from catfs.limits import FILE_BYTES_MAX
from catfs.merkle import LayeredNodes, MemoryNodes, Tree, diff
from catfs.overlay import (
    ContentDigests,
    DataFile,
    Domain,
    NoTrace,
    ReplayClock,
    ReplayError,
    View,
    fold,
    replay,
)
from catfs.overlay.fold import hash_content
from catfs.overlay.nodes import Directory, File, Node
from catfs.records import Change, KeptOriginal, listed_change
from catfs.records.write_record import Record, WriteRecord
from catfs.runtime.log_reading import log_of_run
from catfs.runtime.mounts import is_mount_point
from catfs.runtime.past_log import PastLog
from catfs.runtime.past_lower import PastLower
from catfs.runtime.runs import DomainTrees, domain_trees
from catfs.values import dataclass

TOUCHING_MAX: Final = 20
"""Most records that are named as having touched a path."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first thing in which a log does not lead to where it should.

    Args:
        problem: What is wrong, as a sentence.
        record: The record that does not fit; None when every record fits, but not what they lead to.
        domain: Absolute path of the domain.
        change: The path that differs, from what the proof states to what the log leads to; None for no path.
        touching: The first records that touched that path.
    """

    problem: str
    record: WriteRecord | None = None
    domain: bytes = b""
    change: Change | None = None
    touching: tuple[WriteRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class DomainReplay:
    """One domain.

    Args:
        path: Absolute path of it.
        base_root: Root of the base.
        view_root: Root that the proof states for the view.
        replay_root: Root that the log leads to; None when it cannot be followed to its end.
    """

    path: bytes
    base_root: Digest
    view_root: Digest
    replay_root: Digest | None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a log leads to.

    Args:
        run_id: The run.
        records: Number of records.
        recomputed: Number of changed files whose content was recomputed from the history.
        stated: Number of those for which the log was believed.
        log_problem: In what the log is not the one that the proof states; None when it is.
        domains: The domains.
        divergence: The first thing that is wrong with what the log leads to; None for nothing.
    """

    run_id: str
    records: int
    recomputed: int
    stated: int
    log_problem: str | None
    domains: tuple[DomainReplay, ...]
    divergence: Divergence | None

    @property
    def ok(self) -> bool:
        """Whether the proven log leads to the proven view."""
        return self.divergence is None and self.log_problem is None


def replay_run(run: RunReader) -> ReplayReport:
    """Follow the log of a run from the tree of its base.

    Raises:
        LogDamageError: when a record is damaged, missing or out of place.
        FormatError: when another file of the run is not what it should be.
        OSError: when a file cannot be read.
    """
    proof = run.proof()
    trees = domain_trees(run, proof)
    log = PastLog(log_of_run(run, None))
    log_problem = None
    try:
        log.check(proof.log)
    except FormatError as error:
        log_problem = error.problem
    with ExitStack() as stack:
        folded = _Folding(run, trees, stack)
        try:
            divergence = folded.follow(log)
        except ReplayError as error:
            path = trees[min(error.record.domain, len(trees) - 1)].path
            divergence = Divergence(str(error), error.record, path)
        roots = folded.roots or [None] * len(trees)
        domains = tuple(
            DomainReplay(tree.path, tree.base.root, tree.view.root, root)
            for tree, root in zip(trees, roots, strict=True)
        )
        recomputed, stated = folded.digests.recomputed, folded.digests.stated
    return ReplayReport(run.run_id, log.size, recomputed, stated, log_problem, domains, divergence)


class _Folding:
    """One replay, and the comparison of its result with what the proof states."""

    def __init__(self, run: RunReader, trees: Sequence[DomainTrees], stack: ExitStack) -> None:
        self._trees = trees
        self.roots: list[Digest | None] = []
        history = run.history()
        has_data = history is not None and run.history_data.is_file()
        # Without a history no byte is read; the places that the log names lie in a file that has them all.
        descriptor = os.open(run.history_data if has_data else os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        size = os.fstat(descriptor).st_size if has_data else FILE_BYTES_MAX
        self._lowers = []
        for index, tree in enumerate(trees):
            kept = history.domains[index] if history is not None and has_data else None
            place = Path(os.fsdecode(tree.path))
            lower = PastLower(
                tree.base,
                place if has_data and place.is_dir() and not is_mount_point(place) else None,
                [] if kept is None else [group.paths for group in kept.hard_links],
                {} if kept is None else _places(kept.originals),
                DataFile(descriptor, size) if has_data else None,
            )
            stack.callback(lower.close)
            self._lowers.append(lower)
        domains = [Domain(lower, str(index).encode()) for index, lower in enumerate(self._lowers)]
        self._view = View(domains, DataFile(descriptor, size), NoTrace(), ReplayClock())
        self._nodes: dict[int, Node] = {}
        self.digests = _Digests(reads=has_data)

    def follow(self, log: PastLog) -> Divergence | None:
        """Follow a log, and give the first thing in which it leads elsewhere.

        Raises:
            ReplayError: at the first record that does not fit.
        """
        statements: list[WriteRecord] = []
        replay(_noting_content(log.records(), statements), self._view, self._nodes)
        divergence = self._take_statements(statements)
        for index, tree in enumerate(self._trees):
            found = self._fold(index, tree)
            self.roots.append(found.root)
            if divergence is None and found.root != tree.view.root:
                divergence = _path_divergence(log, index, tree, found)
        return divergence or self._wrong_statement(statements)

    def _fold(self, index: int, tree: DomainTrees) -> Tree:
        nodes = LayeredNodes(MemoryNodes(), tree.base.nodes)
        base = Tree(nodes, tree.base.root_entry)
        return fold(self._view, index, base, nodes, self.digests, self._lowers[index].hard_links())

    def _take_statements(self, statements: Sequence[WriteRecord]) -> Divergence | None:
        """Give each changed file what the log states of it; names of one file of the original are joined."""
        for record in statements:
            node = self._view.resolve(record.domain, record.path)
            if not isinstance(node, File):
                problem = (
                    f"record {record.seq} states content of {printable(record.path)}, which is no file there"
                )
                return Divergence(problem, record, self._trees[record.domain].path)
            if not isinstance(self._nodes.get(record.ino, node), File):
                problem = f"record {record.seq} states content of inode {record.ino}, which is no file"
                return Divergence(problem, record, self._trees[record.domain].path)
            stated = Digest.from_hex(record.text("digest").decode("ascii", "replace"))
            self.digests.state(self._join_name(record, node), stated)
        return None

    def _join_name(self, record: WriteRecord, node: File) -> Node:
        """Let a further name of a file that the log changed stand for that file, and give it.

        The tree of the base does not tell of hard links; that the log states content for two names of one
        inode number does.
        """
        main = self._nodes.get(record.ino, node)
        if main is node:
            return node
        above, _, name = record.path.rpartition(b"/")
        parent = self._view.resolve(record.domain, above)
        assert isinstance(parent, Directory)
        node.drop_link(parent, name)
        self._view.entries(parent)[name] = main
        main.add_link(parent, name)
        self._view.touch(parent, name)
        return main

    def _wrong_statement(self, statements: Sequence[WriteRecord]) -> Divergence | None:
        """Give the first record that states other content than its file has by the history."""
        for record in statements:
            node = self._view.resolve(record.domain, record.path)
            stated = Digest.from_hex(record.text("digest").decode("ascii", "replace"))
            got = None if node is None else self.digests.known.get(node)
            if got is not None and got != stated:
                problem = (
                    f"record {record.seq} states the SHA-256 {stated}, the bytes of the history give {got}"
                )
                return Divergence(problem, record, self._trees[record.domain].path)
        return None


class _Digests(ContentDigests):
    """Digests of changed files: recomputed where the bytes can be had, else as stated.

    Args:
        reads: Whether there are bytes to read.
    """

    def __init__(self, *, reads: bool) -> None:
        super().__init__()
        self._reads = reads
        self._stated: dict[Node, Digest] = {}
        self.known: dict[Node, Digest] = {}
        """What was recomputed."""
        self._believed: set[Node] = set()

    @property
    def recomputed(self) -> int:
        """Number of files that were recomputed."""
        return len(self.known)

    @property
    def stated(self) -> int:
        """Number of files for which the log was believed."""
        return len(self._believed)

    def state(self, node: Node, digest: Digest) -> None:
        """Note what the log states."""
        self._stated[node] = digest

    def digest(self, view: View, node: File) -> Digest | None:
        """Give the digest of a changed file; None when nothing says that it is not what the base has."""
        if self._reads:
            with suppress(OSError, EOFError):  # the original is not what it was: the log is believed
                if node not in self.known:
                    self.known[node] = hash_content(view, node)
                return self.known[node]
        self._believed.add(node)
        return self._stated.get(node, EMPTY_DIGEST if node.origin is None else None)


def _places(originals: Iterable[KeptOriginal]) -> dict[Digest, tuple[int, int]]:
    return {original.digest: (original.offset, original.size) for original in originals}


def _noting_content(records: Iterable[Record], statements: list[WriteRecord]) -> Iterator[Record]:
    """Pass records on, and keep those that state content."""
    for record in records:
        if isinstance(record, WriteRecord) and record.op == "content":
            statements.append(record)
        yield record


def _path_divergence(log: PastLog, index: int, tree: DomainTrees, found: Tree) -> Divergence:
    """Say at which path a replay first differs from the view that the proof states."""
    change = listed_change(next(iter(diff(tree.view, found))))
    touching = tuple(islice(_records_of(log, index, change.path), TOUCHING_MAX))
    problem = f"the log leads to {found.root}, the proof states {tree.view.root}"
    return Divergence(problem, None, tree.path, change, touching)


def _records_of(log: PastLog, domain: int, path: bytes) -> Iterator[WriteRecord]:
    """Give the records that speak of a path."""
    for record in log.all_records():
        if not isinstance(record, WriteRecord) or record.domain != domain:
            continue
        if path in {record.path, record.texts.get("path2")}:
            yield record
