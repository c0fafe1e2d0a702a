"""Reading a domain again reads only what changed, and every doubt is settled by reading."""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from catfs.clock import system_clock
from catfs.digest import Digest
from catfs.errors import MachineError
from catfs.merkle import RACY_NS, IndexReader, IndexWriter, MemoryNodes, Tree
from catfs.proof.capture import Capture, CaptureError, capture
from catfs.proof.capture_known import open_known
from catfs.proof.capture_nodes import BatchNodes, StoredNodes, reachable
from catfs.proof.capture_workers import JOB_FILES_MAX, HashWorkers
from catfs.records import Entry, Kind
from catfs.store import LocalStore, MemoryStore


def _later() -> int:
    """Give a time at which nothing that was written just now is too young to be believed."""
    return system_clock() + 2 * RACY_NS


class _Domain:
    """A small domain with everything that reading it needs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "domain"
        self.index = folder / "indexes" / "x.index"
        (self.path / "d" / "deep").mkdir(parents=True)
        (self.path / "d" / "deep" / "file").write_bytes(b"deep")
        (self.path / "d" / "big").write_bytes(b"big" * 100_000)
        (self.path / "d" / "link").symlink_to("big")
        (self.path / "a").write_bytes(b"a")
        os.link(self.path / "a", self.path / "z")
        self.root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        self.nodes = MemoryNodes()

    def read(self, *, workers: int = 0, nodes: MemoryNodes | None = None) -> Capture:
        """Read it with its index."""
        nodes = self.nodes if nodes is None else nodes
        return capture(self.root, nodes, index=self.index, workers=workers, clock=_later)

    def tree(self) -> Tree:
        """Read it without."""
        nodes = MemoryNodes()
        return Tree(nodes, capture(self.root, nodes, workers=0).root_entry)


@pytest.fixture(name="domain")
def _domain(tmp_path: Path) -> Iterator[_Domain]:
    domain = _Domain(tmp_path)
    yield domain
    os.close(domain.root)


def test_the_second_time_nothing_is_read(domain: _Domain) -> None:
    """The result is the same, and the index is left as it is."""
    first = domain.read()
    assert (first.files, first.size, first.read_files) == (3, 300_005, 4)
    before = domain.index.stat()
    second = domain.read()
    assert (second.read_files, second.root_entry, second.hard_links) == (
        0,
        first.root_entry,
        first.hard_links,
    )
    assert (second.files, second.size) == (3, 300_005)
    assert (domain.index.stat().st_ino, domain.index.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def test_only_what_changed_is_read(domain: _Domain) -> None:
    """One file, though its neighbours are in the same directory."""
    domain.read()
    (domain.path / "d" / "deep" / "file").write_bytes(b"changed")
    (domain.path / "d" / "new").write_bytes(b"new")
    found = domain.read()
    assert found.read_files == 2
    assert found.root_entry == domain.tree().root_entry
    assert domain.read().read_files == 0


def test_files_of_a_renamed_directory_are_not_read(domain: _Domain) -> None:
    """They are known by the directory's inode."""
    domain.read()
    (domain.path / "d").rename(domain.path / "other")
    found = domain.read()
    assert (found.read_files, found.root_entry) == (0, domain.tree().root_entry)


def test_what_was_young_is_read_again(domain: _Domain) -> None:
    """A file that changed when the reading began, or within 2 s before, may change again unseen."""
    nodes = MemoryNodes()
    newest = max(path.lstat().st_ctime_ns for path in domain.path.rglob("*"))
    for started, expected in ((newest + RACY_NS, 4), (newest + RACY_NS + 1, 0)):
        domain.index.unlink(missing_ok=True)
        capture(domain.root, nodes, index=domain.index, workers=0, clock=itertools.repeat(started).__next__)
        found = capture(domain.root, nodes, index=domain.index, workers=0)
        # Those that were written first may be older than the last one.
        assert (found.read_files > 0) == (expected > 0)
        assert found.root_entry == domain.tree().root_entry


def test_a_damaged_index_is_reported_and_made_anew(domain: _Domain) -> None:
    """Its frame, or a block of it; the tree is the true one."""
    first = domain.read()
    data = domain.index.read_bytes()
    for at, problem, read in ((len(data) - 30, "checksum", 4), (20, "1 of 3 directories are damaged", None)):
        domain.index.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = domain.read()
        assert found.root_entry == first.root_entry
        assert found.index_problem is not None
        assert problem in found.index_problem
        assert found.read_files == read or (read is None and 0 < found.read_files < 4)
        assert (domain.read().index_problem, domain.read().read_files) == (None, 0)


def test_lost_nodes_are_built_from_the_index(domain: _Domain) -> None:
    """No file is read for it."""
    first = domain.read()
    nodes = MemoryNodes()
    found = domain.read(nodes=nodes)
    assert (found.read_files, found.root_entry) == (0, first.root_entry)
    assert Tree(nodes, found.root_entry) == domain.tree()
    assert len(list(Tree(nodes, found.root_entry).items())) == 8


def test_an_index_that_another_process_writes_is_not_waited_for(domain: _Domain) -> None:
    """The domain is read all the same."""
    domain.index.parent.mkdir()
    with IndexWriter(domain.index):
        assert domain.read().root_entry == domain.tree().root_entry
    assert not domain.index.exists()


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_find_what_one_finds(domain: _Domain, workers: int) -> None:
    """With more jobs than workers, long paths, and a directory larger than a job."""
    long = domain.path / ("n" * 255) / ("m" * 255)
    long.mkdir(parents=True)
    for at in range(3 * JOB_FILES_MAX):
        (domain.path / "d" / f"file {at}").write_bytes(b"%d" % at)
        (long / f"{'x' * 240}{at}").write_bytes(b"%d" % at)
    (domain.path / "d" / "large").write_bytes(b"l" * (9 << 20))
    assert domain.read(workers=workers).root_entry == domain.tree().root_entry


def test_what_a_process_cannot_read_is_named(domain: _Domain) -> None:
    """As without processes."""
    workers: HashWorkers[int] = HashWorkers(domain.root, 1)
    try:
        workers.submit(7, [(b"d", [b"big", b"missing\xff"])])
        with pytest.raises(CaptureError, match=r"missing\\xff cannot be opened: No such file") as caught:
            list(workers.results(wait=True))
        assert caught.value.path == b"d/missing\xff"
    finally:
        workers.close()


def test_a_process_that_is_gone_is_an_error(domain: _Domain) -> None:
    """It is never waited for."""
    workers: HashWorkers[int] = HashWorkers(domain.root, 1)
    try:
        (worker,) = workers._workers
        worker.socket.sendall(b"\xff\xff\xff\x7f")
        os.kill(worker._pid, 9)
        with pytest.raises(MachineError, match="ended before it was done"):
            list(workers.results(wait=True))
    finally:
        workers.close()


def test_access_times_stay(domain: _Domain) -> None:
    """Reading a domain leaves no trace in it."""
    for path in (domain.path / "a", domain.path / "d" / "big"):
        os.utime(path, (1, 2))
    domain.read()
    assert [path.stat().st_atime for path in (domain.path / "a", domain.path / "d" / "big")] == [1, 1]


def test_a_hidden_directory_is_left_out(domain: _Domain) -> None:
    """With an index too, and an index made without it is of no use for what is known."""
    hidden = (domain.path / "d").stat()
    place = [(hidden.st_dev, hidden.st_ino)]
    domain.read()
    found = capture(domain.root, domain.nodes, place, index=domain.index, workers=0, clock=_later)
    assert found.read_files == 0
    assert [path for path, _ in Tree(domain.nodes, found.root_entry).items()] == [b"", b"a", b"z"]
    assert open_known(domain.index, domain.root, domain.nodes) is None
    known = open_known(domain.index, domain.root, domain.nodes, place)
    assert known is not None
    with known:
        assert known.refreshed(domain.root, [b"d", b"a"]).changed == ()


def test_a_known_base_looks_only_at_what_was_used(domain: _Domain) -> None:
    """What changed there is in the tree; what changed elsewhere is not looked at."""
    first = domain.read()
    (domain.path / "d" / "deep" / "file").write_bytes(b"changed")
    (domain.path / "d" / "big").write_bytes(b"changed, and nobody looked")
    known = open_known(domain.index, domain.root, domain.nodes)
    assert known is not None
    with known:
        assert (known.files, known.size, known.hard_links()) == (3, 300_005, first.hard_links)
        found = known.refreshed(domain.root, [b"d/deep/file", b"not/there", b"a/below/a/file"])
    assert found.changed == (b"d/deep/file",)
    truth = domain.tree()
    assert found.tree.entry(b"d/deep/file") == truth.entry(b"d/deep/file")
    assert found.tree.entry(b"d/big") != truth.entry(b"d/big")
    # d, d/deep, d/deep/file, not, a and, by its other name, z
    assert found.checked == 6


def test_a_known_base_finds_the_other_names_of_a_used_file(domain: _Domain) -> None:
    """Whoever writes to one name changes the others."""
    domain.read()
    (domain.path / "z").write_bytes(b"changed by its other name")
    known = open_known(domain.index, domain.root, domain.nodes)
    assert known is not None
    with known:
        found = known.refreshed(domain.root, [b"a"])
    assert found.changed == (b"a", b"z")
    assert found.tree == domain.tree()


def test_without_index_or_nodes_nothing_is_known(domain: _Domain, tmp_path: Path) -> None:
    """Then the domain has to be read."""
    assert open_known(domain.index, domain.root, domain.nodes) is None
    domain.read()
    assert open_known(domain.index, domain.root, MemoryNodes()) is None
    other = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert open_known(domain.index, other, domain.nodes) is None
    finally:
        os.close(other)
    domain.index.write_bytes(b"damaged")
    assert open_known(domain.index, domain.root, domain.nodes) is None


def test_a_tree_is_kept_in_a_store(domain: _Domain, tmp_path: Path) -> None:
    """By a batch, found again by its root, and whatever it needs is reachable."""
    store = LocalStore(tmp_path / "store")
    with store.batch() as batch:
        nodes = BatchNodes(batch)
        tree = Tree(nodes, capture(domain.root, nodes, index=domain.index, clock=_later).root_entry)
    again = LocalStore(tmp_path / "store")
    stored = StoredNodes(again)
    assert {digest for digest, _ in domain.tree().walk_nodes()} <= set(reachable(stored, [tree.root]))
    assert set(again.iterate()) == {digest for digest, _ in domain.tree().walk_nodes()}
    known = open_known(domain.index, domain.root, stored)
    assert known is not None
    with known:
        assert known.refreshed(domain.root, [b"d/big"]).tree == tree


def test_reachable_names_content_and_follows_shared_nodes_once() -> None:
    """Two trees with a common directory need its nodes once; a large directory is followed too."""
    file = Entry(Kind.FILE, 0o644, 3, Digest.of(b"abc"))
    directory = Entry(Kind.DIRECTORY, 0o755)
    base = {b"": directory, b"d": directory} | {b"d/%d" % at: file for at in range(300)}
    with MemoryStore().batch() as batch:
        nodes = BatchNodes(batch)
        trees = [Tree.from_entries(nodes, base), Tree.from_entries(nodes, base | {b"x": file})]
        found = list(reachable(nodes, [tree.root for tree in trees]))
        shared = trees[0].entry(b"d")
        assert shared is not None
        assert {digest for tree in trees for digest, _ in tree.walk_nodes()} < set(found)
        assert found.count(trees[0].root) == found.count(shared.digest) == 1
        assert file.digest in found


def test_many_small_directories_cost_few_files(tmp_path: Path) -> None:
    """A tree of hundreds of directories is one pack."""
    domain = tmp_path / "many"
    for at in range(300):
        (domain / f"{at}").mkdir(parents=True)
        (domain / f"{at}" / "file").write_bytes(b"%d" % at)
    root = os.open(domain, os.O_RDONLY | os.O_DIRECTORY)
    store = LocalStore(tmp_path / "store")
    with store.batch() as batch:
        capture(root, BatchNodes(batch), workers=0)
    os.close(root)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files if path.suffix != ".pack") == ["format", "lock"]
    assert len(files) == 3
    shutil.rmtree(domain)


def test_an_index_reader_stays_whole_while_the_file_is_replaced(domain: _Domain) -> None:
    """It goes on with the old one."""
    domain.read()
    with IndexReader(domain.index) as index:
        (domain.path / "a").write_bytes(b"other")
        domain.read()
        status = domain.path.stat()
        known = index.directory(status.st_dev, status.st_ino)
        assert known is not None
        assert known.names == b"a\0d\0z"
