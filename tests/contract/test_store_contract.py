"""What every store of bytes promises, held against each implementation."""

import io
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from catfs.digest import EMPTY_DIGEST, Digest
from catfs.errors import UsageError
from catfs.store import CatalyticStore, LocalStore, MemoryStore, MissingObjectError

MIB = 1 << 20
RANDOM = random.Random(5)  # noqa: S311  # bytes that do not compress, the same in each run
OBJECTS = [
    b"",
    b"x",
    b"node" * 100,
    RANDOM.randbytes(3000),
    b"text that compresses well " * 4000,
    RANDOM.randbytes(100_000),
    RANDOM.randbytes(2 * MIB + 5),
    b"long and compressible, with a little noise: " * 70_000 + RANDOM.randbytes(7),
    b"exactly one frame".ljust(MIB, b"."),
    b"exactly two frames".ljust(2 * MIB, b"."),
]
KINDS = ["one-by-one", "batch"]


@pytest.fixture(name="store", params=["memory", "local", "local, not durable"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> CatalyticStore:
    """Give an empty store."""
    if request.param == "memory":
        return MemoryStore()
    return LocalStore(tmp_path / "store", durable=request.param == "local")


def _filled(store: CatalyticStore, kind: str) -> dict[Digest, bytes]:
    """Put all objects into a store."""
    if kind == "one-by-one":
        return {store.put(data): data for data in OBJECTS}
    with store.batch() as batch:
        return {batch.put(data): data for data in OBJECTS}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_comes_back(store: CatalyticStore, kind: str) -> None:
    """Bytes, length and presence, under the digest that sha256sum prints."""
    held = _filled(store, kind)
    for digest, data in held.items():
        assert digest == Digest.of(data)
        assert store.has(digest)
        assert store.size(digest) == len(data)
        assert store.get(digest) == data
        store.verify(digest)


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_is_what_a_slice_is(store: CatalyticStore, kind: str) -> None:
    """At borders of frames, across them, at the end and beyond it."""
    for digest, data in _filled(store, kind).items():
        for offset in (0, 1, MIB - 1, MIB, len(data) - 1, len(data), len(data) + 5):
            for length in (0, 1, 2, 70_000, MIB + 1):
                if offset >= 0:
                    assert store.read(digest, offset, length) == data[offset : offset + length]


def test_a_range_with_negative_numbers_is_refused(store: CatalyticStore) -> None:
    """It would mean something else to a slice."""
    digest = store.put(b"abc")
    for offset, length in ((-1, 1), (0, -1)):
        with pytest.raises(UsageError, match="at least 0"):
            store.read(digest, offset, length)


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_is_listed_once(store: CatalyticStore, kind: str) -> None:
    """However often and in whatever way it was put."""
    held = _filled(store, kind)
    _filled(store, "batch")
    _filled(store, "one-by-one")
    assert sorted(store.iterate()) == sorted(held)


def test_a_store_begins_empty(store: CatalyticStore) -> None:
    """Not even the empty object is there before it is put."""
    assert list(store.iterate()) == []
    assert not store.has(EMPTY_DIGEST)


_QUESTIONS: list[Callable[[CatalyticStore, Digest], object]] = [
    lambda store, digest: store.get(digest),
    lambda store, digest: store.size(digest),
    lambda store, digest: store.read(digest, 0, 1),
    lambda store, digest: store.verify(digest),
    lambda store, digest: store.copy_to(digest, 1),
]


@pytest.mark.parametrize("question", _QUESTIONS)
def test_a_missing_object_is_named(
    store: CatalyticStore, question: Callable[[CatalyticStore, Digest], object]
) -> None:
    """Whatever is asked of it."""
    store.put(b"other")
    wanted = Digest.of(b"never put")
    with pytest.raises(MissingObjectError, match=wanted.hex) as caught:
        question(store, wanted)
    assert caught.value.digest == wanted


def test_a_batch_knows_what_is_held(store: CatalyticStore) -> None:
    """By the store or by itself, and only at its right length: then it need not be put again."""
    before = store.put(b"before")
    with store.batch() as batch:
        inside = batch.put(b"inside")
        assert batch.renew(before, 6)
        assert batch.renew(inside, 6)
        assert not batch.renew(before, 7)
        assert not batch.renew(Digest.of(b"never put"), 9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_object_is_gone_and_the_others_stay(store: CatalyticStore, kind: str) -> None:
    """Deleting says whether there was something, and it can be put again."""
    held = _filled(store, kind)
    for digest in held:
        assert store.delete(digest)
        assert not store.has(digest)
        assert not store.delete(digest)
        assert sorted(store.iterate()) == sorted(set(held) - {digest})
        store.put(held[digest])
        assert store.get(digest) == held[digest]


@pytest.mark.parametrize("data", OBJECTS, ids=len)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["file", "descriptor", "dribble", "pipe"])
def test_a_stream_is_kept_like_its_bytes(
    store: CatalyticStore, tmp_path: Path, data: bytes, kind: str, source: str
) -> None:
    """From an open file, a descriptor, a pipe, and something that gives little at a time."""
    path = tmp_path / "source"
    path.write_bytes(data)
    with path.open("rb") as stream:
        descriptor, feeder = _piped(data) if source == "pipe" else (stream.fileno(), None)
        place = {"file": stream, "dribble": _Dribble(stream)}.get(source, descriptor)
        assert isinstance(place, int | _Dribble | io.BufferedReader)
        if kind == "batch":
            with store.batch() as batch:
                digest = batch.put_stream(place)
        else:
            digest = store.put_stream(place)
        if feeder is not None:
            feeder.join()
            os.close(descriptor)
    assert digest == Digest.of(data)
    assert store.get(digest) == data


def _piped(data: bytes) -> tuple[int, threading.Thread]:
    """Give the reading end of a pipe that gets data from a thread."""
    reading, writing = os.pipe()

    def feed() -> None:
        with open(writing, "wb") as stream:
            stream.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    return reading, thread


class _Dribble:
    """A stream that gives at most 65,537 bytes at a time."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        """Give less than was asked for."""
        return self._stream.read(min(size, 65_537))


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_copied_to_a_descriptor(store: CatalyticStore, tmp_path: Path, kind: str) -> None:
    """At its offset, whole."""
    for digest, data in _filled(store, kind).items():
        with (tmp_path / "copy").open("w+b") as copy:
            copy.write(b"before ")
            copy.flush()
            assert store.copy_to(digest, copy.fileno()) == len(data)
        assert (tmp_path / "copy").read_bytes() == b"before " + data


def test_a_batch_reads_its_own_objects_and_others_do_not(store: CatalyticStore) -> None:
    """Until it is left."""
    below = store.put(b"held before")
    with store.batch() as batch:
        held = {batch.put(data): data for data in OBJECTS}
        for digest, data in held.items():
            assert batch.has(digest)
            assert not store.has(digest)
            assert batch.get(digest) == data
        assert batch.get(below) == b"held before"
        assert not batch.has(Digest.of(b"never put"))
        with pytest.raises(MissingObjectError, match="does not hold"):
            batch.get(Digest.of(b"never put"))
    assert all(store.get(digest) == data for digest, data in held.items())


def test_a_batch_that_is_given_up_leaves_nothing(store: CatalyticStore) -> None:
    """An exception inside means that nothing was put."""
    with pytest.raises(ZeroDivisionError, match="given up"):
        _give_up(store)
    assert list(store.iterate()) == []


def _give_up(store: CatalyticStore) -> None:
    with store.batch() as batch:
        for data in OBJECTS:
            batch.put(data)
        batch.put_stream(io.BytesIO(OBJECTS[6] + b"!"))
        raise ZeroDivisionError("given up")


def test_an_object_in_several_batches_is_held_once(store: CatalyticStore) -> None:
    """A batch does not write again what is there."""
    for _ in range(20):
        with store.batch() as batch:
            digest = batch.put(b"again and again")
    assert list(store.iterate()) == [digest]
    assert store.get(digest) == b"again and again"


def test_many_batches_stay_readable(store: CatalyticStore) -> None:
    """Also when their packs are joined on the way."""
    held = {}
    for number in range(30):
        with store.batch() as batch:
            held.update({batch.put(data): data for data in (b"%d" % number, b"%d" % (number // 2))})
    assert sorted(store.iterate()) == sorted(held)
    assert all(store.get(digest) == data for digest, data in held.items())


def test_compression_can_be_declined(store: CatalyticStore) -> None:
    """It changes nothing that can be read."""
    data = b"compressible " * 10_000
    with store.batch() as batch:
        small = batch.put(data[:1000], compress=False)
    assert store.get(small) == data[:1000]
    assert store.get(store.put(data, compress=False)) == data
