"""What the local store keeps on disk: plain where that is best, compressed where it pays, damage found."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from catfs.clock import system_clock
from catfs.digest import Digest
from catfs.errors import FormatError, UsageError
from catfs.store import (
    DamagedObjectError,
    LocalStore,
    MissingObjectError,
    StoreBusyError,
    check_store,
    collect_garbage,
)
from catfs.store.lock import cleaning, writing

MIB = 1 << 20
RANDOM = random.Random(6)  # noqa: S311  # bytes that do not compress, the same in each run
NOISE = RANDOM.randbytes(3 * MIB)
TEXT = b"the same line again, or nearly so\n" * 100_000
SMALL = [b"small %d" % at for at in range(40)]


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> LocalStore:
    """Give an empty store."""
    return LocalStore(tmp_path / "store")


def _files(store: LocalStore) -> list[str]:
    """Give every file but the store's own two."""
    found = sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())
    return [name for name in found if name not in {"format", "lock"}]


def _put_small(store: LocalStore) -> list[Digest]:
    with store.batch() as batch:
        return [batch.put(data) for data in SMALL]


def _path(store: LocalStore, digest: Digest, suffix: str = "") -> Path:
    return store.root / digest.hex[:2] / digest.hex[2:4] / (digest.hex + suffix)


def test_what_does_not_compress_is_a_plain_file(store: LocalStore) -> None:
    """Its name is what sha256sum prints, and it cannot be written to by accident."""
    digest = store.put(NOISE)
    assert _files(store) == [f"{digest.hex[:2]}/{digest.hex[2:4]}/{digest.hex}"]
    assert _path(store, digest).read_bytes() == NOISE
    assert _path(store, digest).stat().st_mode & 0o222 == 0


def test_what_compresses_is_a_file_that_zstd_reads(store: LocalStore) -> None:
    """Much smaller, and complete without catfs."""
    digest = store.put(TEXT)
    data = _path(store, digest, ".zst").read_bytes()
    assert len(data) < len(TEXT) // 50
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        assert reader.read() == TEXT


def test_a_range_of_a_compressed_object_needs_its_frames_only(store: LocalStore) -> None:
    """Damage elsewhere is not even seen; damage there is."""
    digest = store.put(TEXT)
    path = _path(store, digest, ".zst")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    assert store.read(digest, 2 * MIB, 100) == TEXT[2 * MIB : 2 * MIB + 100]
    with pytest.raises(DamagedObjectError, match="at byte 0") as caught:
        store.read(digest, 10, 5)
    assert (caught.value.digest, caught.value.place) == (digest, str(path))


def test_small_objects_of_a_batch_share_a_file(store: LocalStore) -> None:
    """However many there are."""
    _put_small(store)
    (name,) = _files(store)
    assert name.startswith("packs/")


def test_an_object_that_is_held_is_not_written_again(store: LocalStore) -> None:
    """Neither alone nor in a batch, plain or compressed, streamed or not."""
    digests = [*_put_small(store), store.put(NOISE), store.put(TEXT)]
    before = _files(store)
    _put_small(store)
    with store.batch() as batch:
        assert [batch.put(NOISE), batch.put(TEXT), batch.put(SMALL[0])] == [*digests[-2:], digests[0]]
    assert [store.put(SMALL[1]), store.put(TEXT)] == [digests[1], digests[-1]]
    with _path(store, digests[-2]).open("rb") as stream:
        assert store.put_stream(stream) == digests[-2]
    assert _files(store) == before


def test_a_file_that_was_cut_short_is_written_again(store: LocalStore) -> None:
    """As a power cut leaves it in a store that is not durable."""
    for data, suffix in ((NOISE, ""), (TEXT, ".zst")):
        digest = store.put(data)
        path = _path(store, digest, suffix)
        path.chmod(0o600)
        os.truncate(path, 1000)
        with pytest.raises(DamagedObjectError, match=digest.hex):
            store.verify(digest)
        store.put(data)
        store.verify(digest)


def test_another_process_sees_what_is_put(store: LocalStore) -> None:
    """Also when it opened the store before, and when packs are joined underneath it."""
    other = LocalStore(store.root)
    assert not other.has(Digest.of(SMALL[0]))
    digests = _put_small(store)
    assert other.get(digests[0]) == SMALL[0]
    for at in range(20):
        with store.batch() as batch:
            digests.append(batch.put(b"another %d" % at))
    assert all(other.has(digest) for digest in digests)
    assert [other.get(digest) for digest in digests[-2:]] == [b"another 18", b"another 19"]
    assert len(_files(store)) < 12


def test_writers_do_not_disturb_each_other(store: LocalStore) -> None:
    """Several processes put the same and other objects at the same time."""
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            try:
                mine = LocalStore(store.root)
                for at in range(10):
                    with mine.batch() as batch:
                        batch.put(b"common %d" % at)
                        batch.put(b"own %d %d" % (number, at))
                        batch.put(NOISE[: 100_000 + at])
                    mine.put(b"loose %d" % at)
            finally:
                os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    check = check_store(store)
    assert check.problems == ()
    assert len(list(store.iterate())) == 10 + 40 + 10 + 10
    assert os.listdir(store.root / "tmp") == []


def test_every_flipped_byte_is_found_and_named(store: LocalStore) -> None:
    """In a pack, a plain file, a compressed one: the file is named, and reading never gives wrong bytes."""
    digests = {}
    with store.batch() as batch:
        for data in (*SMALL[:4], b"compressible " * 20):
            digests[batch.put(data)] = data
    digests[store.put(NOISE[:60])] = NOISE[:60]
    digests[store.put(b"zip " * 200)] = b"zip " * 200
    for name in _files(store):
        path = store.root / name
        data = path.read_bytes()
        path.chmod(0o600)
        for at in range(len(data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
            _check_damaged(LocalStore(store.root), name, digests, at)
        path.write_bytes(data)
    assert check_store(LocalStore(store.root)).problems == ()


def _check_damaged(store: LocalStore, name: str, digests: dict[Digest, bytes], at: int) -> None:
    check = check_store(store, threads=1)
    # Padding of a header says nothing, so nothing is lost there.
    is_padding = name.endswith(".pack") and 12 <= at < 16
    assert {problem.place for problem in check.problems} == (set() if is_padding else {name})
    for digest, data in digests.items():
        try:
            got = store.get(digest)
        except (DamagedObjectError, MissingObjectError):
            continue
        assert got == data


@pytest.mark.parametrize("kind", ["pack", "plain", "zst"])
def test_every_cut_is_found_and_named(store: LocalStore, kind: str) -> None:
    """However much is left."""
    data = {"pack": b"in a pack", "plain": NOISE[:200], "zst": b"zip " * 200}[kind]
    if kind == "pack":
        with store.batch() as batch:
            digest = batch.put(data)
    else:
        digest = store.put(data)
    (name,) = _files(store)
    path = store.root / name
    whole = path.read_bytes()
    path.chmod(0o600)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        cut = LocalStore(store.root)
        assert [problem.place for problem in check_store(cut).problems] == [name]
        with pytest.raises((DamagedObjectError, MissingObjectError), match=digest.hex):
            cut.verify(digest)


def test_every_flipped_bit_of_a_compressed_file_is_found(store: LocalStore) -> None:
    """Also those that zstd itself ignores."""
    digest = store.put(b"zip " * 200)
    path = _path(store, digest, ".zst")
    data = path.read_bytes()
    path.chmod(0o600)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedObjectError, match=digest.hex):
            LocalStore(store.root).verify(digest)


def test_a_check_counts_names_and_reports(store: LocalStore) -> None:
    """Objects and bytes, strangers among the files, and how far it is."""
    _put_small(store)
    store.put(TEXT)
    seen: list[tuple[int, int]] = []
    check = check_store(store, progress=lambda objects, size: seen.append((objects, size)))
    assert (check.objects, check.size) == (41, sum(map(len, SMALL)) + len(TEXT))
    assert seen[-1] == (41, check.size)
    for name in ("packs/notes.txt", "ab/cd/not-a-hash"):
        (store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (store.root / name).write_bytes(b"stranger")
    problems = check_store(store).problems
    assert [(problem.place, problem.digest) for problem in problems] == [
        ("ab/cd/not-a-hash", None),
        ("packs/notes.txt", None),
    ]
    assert "another name" in problems[0].problem


def _much_later() -> int:
    return system_clock() + 10**18


def test_what_is_unreachable_and_old_is_collected(store: LocalStore) -> None:
    """From packs and files; a dry run says the same and removes nothing."""
    digests = [*_put_small(store), store.put(NOISE), store.put(TEXT)]
    kept = digests[::2]
    before = _files(store)
    plan = collect_garbage(store, kept, dry_run=True, clock=_much_later)
    assert (plan.removed, plan.dry_run, plan.young) == (tuple(sorted(digests[1::2])), True, 0)
    assert _files(store) == before
    done = collect_garbage(store, kept, clock=_much_later)
    assert (done.removed, done.size) == (plan.removed, plan.size)
    assert sorted(store.iterate()) == sorted(kept)
    assert check_store(store).problems == ()
    assert sorted(LocalStore(store.root).iterate()) == sorted(kept)


def test_what_is_young_is_not_collected(store: LocalStore) -> None:
    """Neither what was put nor what was found again within the grace period."""
    digests = [*_put_small(store), store.put(NOISE)]
    done = collect_garbage(store, [])
    assert (done.removed, done.young) == ((), len(digests))
    old = system_clock() - 2 * 24 * 3600 * 10**9
    for name in _files(store):
        os.utime(store.root / name, ns=(old, old))
    store.put(NOISE)
    with LocalStore(store.root).batch() as batch:
        batch.put(SMALL[3])
    assert collect_garbage(store, []).removed == ()
    for name in _files(store):
        os.utime(store.root / name, ns=(old, old))
    assert len(collect_garbage(store, []).removed) == len(digests)


def test_nothing_is_collected_when_the_roots_cannot_be_followed(store: LocalStore) -> None:
    """What is reachable is known before the first removal."""
    digest = store.put(b"kept")

    def broken() -> "list[Digest]":
        raise MissingObjectError(digest, "a broken tree")

    with pytest.raises(MissingObjectError, match="a broken tree"):
        collect_garbage(store, (found for call in (broken,) for found in call()), clock=_much_later)
    assert store.has(digest)


def test_a_store_that_is_written_to_is_not_cleaned(store: LocalStore) -> None:
    """And two cleanings do not meet."""
    with store.batch(), pytest.raises(StoreBusyError, match="being written to"):
        collect_garbage(store, [])
    with cleaning(store.root), pytest.raises(StoreBusyError, match="being written to"):
        collect_garbage(store, [])
    with writing(store.root), writing(store.root):
        assert store.put(b"writers go together") == Digest.of(b"writers go together")


def test_left_over_temporary_files_are_removed(store: LocalStore) -> None:
    """They belong to nobody: a living writer would hold the lock."""
    (store.root / "tmp" / "0123").write_bytes(b"half of something")
    assert list(store.iterate()) == []
    assert check_store(store).problems == ()
    assert collect_garbage(store, [], dry_run=True).temporaries == 1
    assert collect_garbage(store, []).temporaries == 1
    assert _files(store) == []


def test_the_joining_of_packs_keeps_everything(store: LocalStore) -> None:
    """Also objects that stand in several packs, in another process that keeps its own list."""
    other = LocalStore(store.root)
    held = []
    for at in range(7):
        with (store if at % 2 else other).batch() as batch:
            held += [batch.put(b"%d" % at), batch.put(b"common")]
    assert len(_files(store)) == 7
    with store.batch() as batch:
        held.append(batch.put(b"the one too many"))
    assert len(_files(store)) == 1
    assert sorted(store.iterate()) == sorted(set(held))
    assert all(other.has(digest) for digest in held)


def test_a_folder_of_another_format_is_refused(tmp_path: Path) -> None:
    """Its files may mean something else."""
    LocalStore(tmp_path)
    (tmp_path / "format").write_bytes(b"catfs store 2\n")
    with pytest.raises(FormatError, match="expected the format"):
        LocalStore(tmp_path)


_USES: list[Callable[[LocalStore], object]] = [
    lambda store: store.batch().put(b"x"),
    lambda store: store.batch().put_stream(0),
    lambda store: store.batch().get(Digest.of(b"x")),
]


@pytest.mark.parametrize("use", _USES)
def test_a_batch_is_used_inside_its_context(store: LocalStore, use: Callable[[LocalStore], object]) -> None:
    """Outside it would publish nothing."""
    with pytest.raises(UsageError, match="is over, or was never begun"):
        use(store)


def test_a_batch_begins_another_pack_when_one_is_full(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that memory stays bounded; everything is found in all of them."""
    monkeypatch.setattr("catfs.store.pack.PACK_OBJECTS_MAX", 16)
    with store.batch() as batch:
        digests = [batch.put(data) for data in SMALL]
        assert [batch.put(data) for data in SMALL] == digests
        assert [batch.get(digest) for digest in digests] == SMALL
        assert all(batch.has(digest) for digest in digests)
    assert len(_files(store)) == 3
    assert [store.get(digest) for digest in digests] == SMALL


def test_a_large_pack_is_searched_right(store: LocalStore) -> None:
    """Every object of thousands is found, and none that is not there."""
    with store.batch() as batch:
        digests = [batch.put(b"%d" % at) for at in range(3000)]
    assert all(store.get(digest) == b"%d" % at for at, digest in enumerate(digests))
    assert not any(store.has(Digest.of(b"other %d" % at)) for at in range(300))
