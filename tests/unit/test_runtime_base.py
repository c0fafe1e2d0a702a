"""Reading the base of a session, and knowing it from the last time."""

import hashlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.errors import ExitStatus, FormatError, MachineError
from catfs.merkle import LayeredNodes, MemoryNodes, Tree
from catfs.proof.capture import CaptureError, capture
from catfs.records import BaseKind
from catfs.runtime import base_reader
from catfs.runtime.base import Base, BasePlaces, UnreadableDomainError, Used, load_bases, read_roots
from catfs.runtime.base_reader import BaseReader, open_base
from tests.support.trees import opened


class _Place:
    """A workspace with one domain, read as often as wanted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.domain = root / "domain"
        self.domain.mkdir()
        (self.domain / "sub").mkdir()
        for name in ("a", "sub/b", "sub/c"):
            (self.domain / name).write_bytes(name.encode())
        self.index = root / "index" / "domain.index"
        self._sessions = 0

    @contextmanager
    def places(self) -> Iterator[BasePlaces]:
        """Give the places of a new session."""
        self._sessions += 1
        folder = self.root / f"session-{self._sessions}"
        folder.mkdir()
        with opened(self.domain) as root:
            yield BasePlaces(folder, self.root / "store", (self.index,), (root,), ())

    def settle(self) -> None:
        """Let the index be one that vouches for every file: they were made long before it."""
        with self.places() as places:
            BaseReader(places).finish()

    def tree(self) -> Tree:
        """Give the tree of the domain, read without any help."""
        with opened(self.domain) as root:
            nodes = MemoryNodes()
            return Tree(nodes, capture(root, nodes).root_entry)


def _tree_of(base: Base) -> Tree:
    return Tree(LayeredNodes(MemoryNodes(), base.nodes), base.root_entry)


def _using(*paths: bytes) -> Used:
    def used(index: int, since: int) -> Iterable[bytes]:
        assert index == 0
        assert since > 0
        return paths

    return used


@pytest.fixture
def place(tmp_path: Path) -> _Place:
    """A small domain."""
    return _Place(tmp_path)


@pytest.fixture
def large(place: _Place, monkeypatch: pytest.MonkeyPatch) -> _Place:
    """A domain that counts as large, was read once, and whose next helper never comes to an end."""
    monkeypatch.setattr(base_reader, "SMALL_DOMAIN_FILES", 0)
    place.settle()
    monkeypatch.setattr(base_reader, "capture", lambda *_args, **_options: signal.pause())
    return place


def test_a_base_is_the_tree_of_the_domain(place: _Place) -> None:
    """Its nodes are in the store, so its files can be found again with nothing but the facts."""
    with place.places() as places:
        reader = BaseReader(places)
        (base,) = reader.finish()
        reader.stop()
        assert _tree_of(base) == place.tree()
        assert list(_tree_of(base).items()) == list(place.tree().items())
        assert (base.files, base.size, base.note.kind, base.note.names) == (3, 11, BaseKind.FULL, 4)
        assert read_roots(places.folder) == [base.root_entry]


def test_a_kept_base_is_not_read_again(place: _Place) -> None:
    """A session that goes on rests on what the domain was when it began."""
    with place.places() as places:
        first = open_base(places)
        before = _tree_of(first.finish()[0])
        first.stop()
        (place.domain / "later").touch()
        kept = open_base(places)
        assert _tree_of(kept.finish()[0]) == _tree_of(kept.current(_using(b"later"))[0]) == before
        assert kept.progress() == (3, 11)


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"mode": 1}', b"\xff"])
def test_damaged_facts_are_read_again(place: _Place, damage: bytes) -> None:
    """Nothing rests on a file that cannot be read back."""
    with place.places() as places:
        BaseReader(places).finish()
        places.facts(0).write_bytes(damage)
        with pytest.raises(FormatError, match=r"base-0\.json"):
            load_bases(places)
        again = open_base(places)
        assert _tree_of(again.finish()[0]) == place.tree()
        again.stop()


def test_facts_whose_nodes_are_gone_are_read_again(place: _Place) -> None:
    """A store that was cleaned too early costs a reading, and no wrong proof."""
    with place.places() as places:
        BaseReader(places).finish()
        for pack in (place.root / "store" / "packs").iterdir():
            pack.unlink()
        with pytest.raises(FormatError, match="does not hold the tree node"):
            load_bases(places)
        again = open_base(places)
        assert _tree_of(again.finish()[0]) == place.tree()
        again.stop()


def test_a_known_base_is_there_while_the_helper_still_reads(large: _Place) -> None:
    """A session on a large domain can be proven at once, and the proof says what it rests on."""
    with large.places() as places:
        reader = BaseReader(places)
        (base,) = reader.current(_using(b"sub/b"))
        assert _tree_of(base) == large.tree()
        assert (base.note.kind, base.note.names) == (BaseKind.KNOWN, 2)
        reader.stop()


def test_a_known_base_is_true_where_it_was_used(large: _Place) -> None:
    """What the session used is looked at again; what nobody used is what it was."""
    before = large.tree()
    (large.domain / "sub" / "b").write_bytes(b"new")
    (large.domain / "sub" / "c").write_bytes(b"unnoticed")
    with large.places() as places:
        reader = BaseReader(places)
        (base,) = reader.current(_using(b"sub/b"))
        reader.stop()
        entry = _tree_of(base).entry(b"sub/b")
        assert entry is not None
        assert entry.digest == Digest.of(b"new")
        assert _tree_of(base).entry(b"sub/c") == before.entry(b"sub/c")


def test_where_it_cannot_be_told_what_changed_all_is_read(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known base that nobody can vouch for is not used."""
    monkeypatch.setattr(base_reader, "SMALL_DOMAIN_FILES", 0)
    place.settle()
    with place.places() as places:
        reader = BaseReader(places)
        assert reader.current(lambda _index, _since: None)[0].note.kind is BaseKind.FULL
        reader.stop()


def test_a_finished_reading_is_better_than_a_known_base(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all of the domain was looked at, the proof rests on that."""
    monkeypatch.setattr(base_reader, "SMALL_DOMAIN_FILES", 0)
    place.settle()
    with place.places() as places:
        reader = BaseReader(places)
        os.waitid(os.P_PIDFD, reader.descriptor, os.WEXITED | os.WNOWAIT)
        assert reader.current(_using())[0].note.kind is BaseKind.FULL
        reader.stop()


def test_the_full_base_of_a_small_domain_is_waited_for(place: _Place) -> None:
    """It is there in moments, so nobody gets less than that."""
    place.settle()
    with place.places() as places:
        reader = BaseReader(places)
        assert reader.current(_using(b"a"))[0].note.kind is BaseKind.FULL
        reader.stop()


def test_what_cannot_be_read_is_named_with_a_way_out(place: _Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing unreadable is skipped: without its bytes the domain cannot be proven; it is told at once."""

    def refuse(*arguments: object, **options: object) -> None:
        del arguments, options
        raise CaptureError(b"secret", "cannot be opened: Permission denied")

    monkeypatch.setattr(base_reader, "capture", refuse)
    with place.places() as places:
        reader = BaseReader(places)
        os.waitid(os.P_PIDFD, reader.descriptor, os.WEXITED | os.WNOWAIT)
        for ask in (reader.check, reader.finish):
            with pytest.raises(UnreadableDomainError, match="because secret cannot be opened") as caught:
                ask()
            assert "run as its owner" in str(caught.value)
            assert caught.value.exit_status is ExitStatus.USAGE
        reader.stop()


def test_a_domain_that_never_holds_still_is_told_of(place: _Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some attempts it is said what keeps changing; nobody's arguments are to blame."""
    tried = place.root / "tried"

    def change(*arguments: object, **options: object) -> None:
        del arguments, options
        with tried.open("ab") as stream:
            stream.write(b".")
        raise CaptureError(b"busy", "changed while it was read")

    monkeypatch.setattr(base_reader, "capture", change)
    with place.places() as places:
        reader = BaseReader(places)
        with pytest.raises(MachineError, match="because busy changed while it was read"):
            reader.finish()
        reader.stop()
    assert tried.read_bytes() == b"....."


def test_a_helper_that_is_killed_is_told_of(large: _Place) -> None:
    """A helper that is gone has read nothing."""
    large.index.unlink()
    with large.places() as places:
        reader = BaseReader(places)
        reader.check()
        signal.pidfd_send_signal(reader.descriptor, signal.SIGKILL)
        with pytest.raises(MachineError, match="ended before it was done"):
            reader.current(_using())
        reader.stop()


def test_a_helper_that_is_stopped_leaves_nothing_behind(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever needs no full base any more ends the helper, and no half pack stays in the store."""
    written = place.root / "written"

    def slow(root: int, nodes: MemoryNodes, *arguments: object, **options: object) -> None:
        del root, arguments, options
        nodes.put(b"a node of a domain that is not read to its end")
        written.touch()
        signal.pause()

    monkeypatch.setattr(base_reader, "capture", slow)
    with place.places() as places:
        reader = BaseReader(places)
        while not written.exists():
            os.sched_yield()
        assert list((place.root / "store" / "tmp").iterdir())
        reader.stop()
        assert not list((place.root / "store" / "tmp").iterdir())


def test_a_helper_that_has_kept_nothing_ends_in_the_middle_of_a_large_directory(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot run a handler, because it sorts a million names, is not waited for."""
    begun = place.root / "begun"

    def busy(*arguments: object, **options: object) -> None:
        del arguments, options
        begun.touch()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # many minutes without a look at signals

    monkeypatch.setattr(base_reader, "capture", busy)
    with place.places() as places:
        reader = BaseReader(places)
        while not begun.exists():
            os.sched_yield()
        reader.give_up()
        ended, _, _ = select.select([reader.descriptor], [], [], 20)
        reader.stop()
    assert ended


def test_a_helper_that_is_given_up_does_not_end_the_session(large: _Place) -> None:
    """The known base goes on being given, the end of the helper is no failure, and the index stays."""
    before = large.index.read_bytes()
    with large.places() as places:
        reader = BaseReader(places)
        [first] = reader.current(_using(b"a"))
        for _ in range(2):
            reader.give_up()
        select.select([reader.descriptor], [], [])
        reader.check()
        [second] = reader.current(_using(b"a"))
        assert (first.note.kind, second.note.kind) == (BaseKind.KNOWN, BaseKind.KNOWN)
        assert _tree_of(first) == _tree_of(second)
        reader.stop()
    assert large.index.read_bytes() == before


def test_a_known_base_is_given_without_waiting_where_there_is_one(place: _Place) -> None:
    """Before the first reading, and when its nodes are gone, there is none; nobody waits for the helper."""
    with place.places() as places:
        reader = BaseReader(places)
        assert (reader.known(_using()), reader.known_since()) == ([], [])
        reader.finish()
        reader.stop()
    with place.places() as places:
        reader = BaseReader(places)
        [base] = reader.known(_using(b"sub/c"))
        assert (_tree_of(base), base.note.kind) == (place.tree(), BaseKind.KNOWN)
        (place.domain / "sub" / "c").write_bytes(b"changed, and so is its directory's node")
        for pack in (place.root / "store" / "packs").iterdir():
            pack.write_bytes(b"")
        fresh = BaseReader(places)
        assert fresh.known(_using(b"sub/c")) == []
        for one in (reader, fresh):
            one.stop()
