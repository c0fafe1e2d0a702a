"""The end of a run is prepared in quiet moments of its command, and comes out the same."""

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.limits import HASH_CHUNK_BYTES
from catfs.overlay import View
from catfs.overlay.nodes import File
from catfs.records.log_lines import LogDamageError
from catfs.runtime import ahead
from catfs.runtime import session as sessions
from catfs.runtime.declaration import declare
from catfs.runtime.session import DomainState, Session, SessionKind
from catfs.runtime.workspace import Workspace
from tests.support.views import ACTOR, create_file, split, write_at


@pytest.fixture(name="domain")
def _domain(tmp_path: Path) -> Path:
    domain = tmp_path / "domain"
    (domain / "sub").mkdir(parents=True)
    (domain / "a").write_bytes(b"original a\n")
    (domain / "sub" / "b").write_bytes(b"original b\n")
    return domain


@pytest.fixture(name="session")
def _session(tmp_path: Path, domain: Path) -> Iterator[Session]:
    workspace = Workspace.find_or_create(tmp_path)
    with Session(workspace, "r", declare([domain], [], []), SessionKind.RUN) as session:
        yield session


def rest(view: View) -> int:
    """Let a moment without requests last until nothing is left to do, and give the number of pieces."""
    pieces = 0
    while view.when_quiet():
        pieces += 1
    return pieces


def only(session: Session) -> DomainState:
    """Give what is known of the only domain."""
    [state] = session.states()
    return state


def refuse_whole_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a log that is followed from its start be a failure."""

    def refuse(*_: object) -> None:
        raise AssertionError("the log was followed from its start")

    monkeypatch.setattr(sessions, "replay", refuse)


def test_the_end_goes_on_where_the_quiet_moments_came_to(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes before, between and after them are all in the replay, which begins only once."""
    view = session.view
    write_at(view, b"a", 0, b"ORIGINAL")
    assert rest(view) > 0
    create_file(view, b"new", b"first")
    write_at(view, b"a", 2, b"again")
    assert rest(view) > 0
    view.unlink(*split(view, b"sub/b"), ACTOR)
    refuse_whole_replay(monkeypatch)
    state = only(session)
    assert [change.path for change in state.changes] == [b"a", b"new", b"sub/b"]
    assert state.view == state.replayed != state.base


def test_nothing_is_left_to_do_in_the_next_quiet_moment(session: Session) -> None:
    """What was followed is not followed again."""
    create_file(session.view, b"new", b"first")
    assert rest(session.view) > 0
    assert rest(session.view) == 0


def test_a_file_that_changes_after_it_was_hashed_has_the_digest_of_its_last_bytes(session: Session) -> None:
    """Bytes that are replaced in place lie where the hashed ones lay."""
    create_file(session.view, b"new", b"first")
    rest(session.view)
    write_at(session.view, b"new", 0, b"FIRST")
    early = only(session).view
    rest(session.view)
    write_at(session.view, b"new", 0, b"fiRST")
    late = only(session)
    assert late.view == late.replayed != early


@pytest.mark.parametrize("size", [HASH_CHUNK_BYTES + 1, 5 * HASH_CHUNK_BYTES])
def test_what_is_large_is_left_to_the_end(
    session: Session, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Nobody waits long for an answer because content is hashed meanwhile."""
    create_file(session.view, b"large", bytes(size))
    create_file(session.view, b"small", b"small")
    hashed: list[int] = []
    folding = importlib.import_module("catfs.overlay.fold")  # the package gives the function of that name
    original: Callable[[View, File], Digest] = folding.hash_content

    def hash_content(view: View, node: File) -> Digest:
        hashed.append(node.size)
        return original(view, node)

    monkeypatch.setattr(folding, "hash_content", hash_content)
    rest(session.view)
    assert hashed == [5]
    session.states()
    assert hashed == [5, size]


def test_a_damaged_log_is_told_at_the_end(session: Session) -> None:
    """A quiet moment ends nothing; whoever needs the log hears what is wrong with it."""
    create_file(session.view, b"new", b"first")
    rest(session.view)
    create_file(session.view, b"other", b"second")
    with session.log_path.open("ab") as stream:
        stream.write(b"no record\n")
    rest(session.view)
    with pytest.raises(LogDamageError, match="is no JSON"):
        session.states()


def test_a_record_that_was_removed_is_missed_at_the_end(session: Session) -> None:
    """The number of records in the log is known."""
    create_file(session.view, b"new", b"first")
    session.log.flush()
    os.truncate(session.log_path, 0)
    rest(session.view)
    state = only(session)
    assert state.view != state.replayed


def test_a_full_disk_in_a_quiet_moment_is_no_end(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that could not be written out wait, and are followed when there is room again."""
    create_file(session.view, b"new", b"first")
    with monkeypatch.context() as patch:
        patch.setattr(session.log, "flush", _no_space)
        assert rest(session.view) == 0
    assert rest(session.view) > 0
    refuse_whole_replay(monkeypatch)
    state = only(session)
    assert state.view == state.replayed != state.base


def _no_space() -> None:
    raise OSError(28, "No space left on device")


def test_a_mount_is_not_followed(tmp_path: Path, domain: Path) -> None:
    """It may live for weeks, and its records would be followed for nobody."""
    workspace = Workspace.find_or_create(tmp_path)
    with Session(workspace, "m", declare([domain], [], []), SessionKind.MOUNT) as session:
        create_file(session.view, b"new", b"first")
        assert rest(session.view) == 0
        state = only(session)
        assert state.view == state.replayed != state.base


def test_a_copy_of_a_file_that_was_rewritten_has_the_digest_of_its_own_bytes(session: Session) -> None:
    """It shares the ranges of the file, and was never written to itself."""
    view = session.view
    create_file(view, b"a new one", b"first")
    rest(view)
    write_at(view, b"a new one", 0, b"FIRST")
    create_file(view, b"copy", b"")
    source, target = view.resolve(0, b"a new one"), view.resolve(0, b"copy")
    assert source is not None
    assert target is not None
    view.copy_range(source.ino, 0, target.ino, 0, 5, ACTOR)
    digests = {change.path: change.after and change.after.digest for change in only(session).changes}
    assert digests == {b"a new one": Digest.of(b"FIRST"), b"copy": Digest.of(b"FIRST")}


def test_a_record_that_changed_after_it_was_followed_is_noticed(session: Session) -> None:
    """What is sealed is the log as it is in the end; it must lead to the view by itself."""
    create_file(session.view, b"new", b"first")
    rest(session.view)
    raw = session.log_path.read_bytes()
    session.log_path.write_bytes(raw.replace(b'"path":"new"', b'"path":"old"'))
    state = only(session)
    assert state.view != state.replayed


def test_a_write_that_fails_in_its_middle_is_no_secret(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that it replaced before it failed are hashed again, though no record speaks of them."""
    create_file(session.view, b"new", b"first")
    rest(session.view)
    data = session.view.data

    def fail(descriptor: int, content: bytes, position: int) -> int:
        if len(content) < 5:
            raise OSError(5, "Input/output error")
        return write(descriptor, content[:2], position)

    write = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(OSError, match="Input/output"):
            data.write(0, b"FIRST")
    state = only(session)
    assert state.view == state.replayed
    [change] = state.changes
    assert change.after is not None
    assert change.after.digest == Digest.of(b"FIrst")


def test_a_long_record_is_followed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line may be longer than what is read at a time."""
    monkeypatch.setattr(ahead, "_CHUNK_BYTES", 16)
    create_file(session.view, b"new", b"first")
    assert rest(session.view) > 0
    refuse_whole_replay(monkeypatch)
    state = only(session)
    assert state.view == state.replayed != state.base
