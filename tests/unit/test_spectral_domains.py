"""Domains are encoded into a store and decoded again: whole, or not at all."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from catfs.digest import Digest
from catfs.errors import CatfsError, FormatError, UsageError
from catfs.records import Entry, Kind
from catfs.records.entry import device_digest
from catfs.spectral import (
    ChangedPathError,
    DecodeError,
    Device,
    Permitted,
    Spectrum,
    decode_domain,
    diff,
    encode_domain,
    read_hash,
    verify_contents,
    verify_domain,
)
from catfs.store import DamagedObjectError, LocalStore, MemoryStore, MissingObjectError
from tests.support.spectra import encoded, read_tree, root_of, tree_of
from tests.support.trees import RealTree, build_sample, walk_real

DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


@pytest.fixture(name="domain")
def _domain(tmp_path: Path) -> Path:
    """Give a domain with files of every kind that anybody can make, and names that are no text."""
    place = tmp_path / "domain"
    place.mkdir()
    build_sample(RealTree(place))
    os.mknod(place / "socket", stat.S_IFSOCK | 0o640)
    (place / "closed").mkdir()
    (place / "closed" / "file").write_bytes(b"in a directory that nobody may write")
    (place / "closed").chmod(0o555)
    return place


def _seen(place: Path) -> Mapping[bytes, tuple[int, int, bytes]]:
    """Give mode, size and content of everything in a directory."""
    return {
        path: (seen.mode, seen.size, seen.content) for path, seen in walk_real(os.fsencode(place)).items()
    }


def _spectrum(contents: Mapping[bytes, bytes], store: MemoryStore) -> Spectrum:
    """Give a spectrum of ordinary files, with the directories above them."""
    entries = {b"": DIRECTORY}
    for path, content in contents.items():
        for at, byte in enumerate(path):
            if byte == ord("/"):
                entries[path[:at]] = DIRECTORY
        entries[path] = Entry(Kind.FILE, 0o644, len(content), store.put(content))
    return Spectrum(entries, {}, {})


def test_a_domain_comes_back_as_it_was(domain: Path, tmp_path: Path) -> None:
    """Content, permission bits, symlinks, empty directories, FIFOs, sockets; the root is the same."""
    store = LocalStore(tmp_path / "store")
    spectrum = encoded(domain, store)
    assert spectrum.root == tree_of(domain).root
    decoded = decode_domain(
        spectrum, store, tmp_path / "copy", permitted=Permitted(set_id=True), check=root_of
    )
    assert decoded.root == spectrum.root == tree_of(tmp_path / "copy").root
    assert _seen(tmp_path / "copy") == _seen(domain)
    files = [seen for seen in walk_real(os.fsencode(domain)).values() if stat.S_ISREG(seen.mode)]
    assert (decoded.files, decoded.size) == (len(files), sum(seen.size for seen in files))


def test_what_the_store_has_is_not_read_again(domain: Path, tmp_path: Path) -> None:
    """An unreadable file whose content is known costs nothing; a changed one is read."""
    store = LocalStore(tmp_path / "store")
    encoded(domain, store)
    tree = tree_of(domain)
    (domain / "d" / "a").write_bytes(b"another content, which is not in the store")
    folder = os.open(domain, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert encode_domain(folder, tree, store).root == tree.root
        assert encode_domain(folder, read_tree(folder), store).root == tree_of(domain).root
    finally:
        os.close(folder)


@pytest.mark.parametrize("change", ["content", "gone", "fifo", "target", "directory"])
def test_a_domain_that_changes_meanwhile_is_noticed(domain: Path, tmp_path: Path, change: str) -> None:
    """The path is named, and the store holds nothing of it."""
    tree = tree_of(domain)
    place = domain / "d" / "a"
    if change == "content":
        place.write_bytes(b"other")
    elif change == "target":
        place = domain / "s"
        place.unlink()
        place.symlink_to("elsewhere")
    elif change == "directory":
        place = domain / "d"
        place.rename(domain / "moved")
    else:
        place.unlink()
        if change == "fifo":
            os.mkfifo(place)
    store = LocalStore(tmp_path / "store")
    folder = os.open(domain, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(ChangedPathError, match=r"was changed|cannot be read|no regular file") as caught:
            encode_domain(folder, tree, store)
    finally:
        os.close(folder)
    assert caught.value.path == os.fsencode(place.relative_to(domain))
    assert list(store.iterate()) == []


def test_decoding_needs_a_free_name(tmp_path: Path) -> None:
    """What is there stays as it is, be it a broken link."""
    store = MemoryStore()
    spectrum = _spectrum({b"a": b"a"}, store)
    (tmp_path / "taken").symlink_to("nowhere")
    with pytest.raises(UsageError, match="expected nothing at"):
        decode_domain(spectrum, store, tmp_path / "taken")
    with pytest.raises(UsageError, match="one file name"):
        decode_domain(spectrum, store, tmp_path / "..")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_missing_content_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """The content is named."""
    store = MemoryStore()
    spectrum = _spectrum({b"a": b"a", b"z": b"z"}, store)
    store.delete(Digest.of(b"z"))
    with pytest.raises(MissingObjectError, match=Digest.of(b"z").hex):
        decode_domain(spectrum, store, tmp_path / "copy")
    assert os.listdir(tmp_path) == []


def test_a_failed_decode_leaves_nothing(tmp_path: Path) -> None:
    """A damaged content in the last of many directories, some of them closed."""
    store = MemoryStore()
    contents = {b"d%d/e/f" % at: b"%d" % at for at in range(20)}
    good = _spectrum(contents, store)
    closed = {path: Entry(Kind.DIRECTORY, 0o500) for path in good.entries if path.endswith(b"/e")}
    spectrum = Spectrum({**good.entries, **closed}, {}, {})
    store.objects[Digest.of(b"9")] = b"damaged"
    with pytest.raises(DamagedObjectError, match="damaged"):
        decode_domain(spectrum, store, tmp_path / "copy")
    assert os.listdir(tmp_path) == []


def test_what_was_written_is_looked_at_before_it_gets_its_name(tmp_path: Path) -> None:
    """Another root than expected leaves nothing."""
    store = MemoryStore()
    spectrum = _spectrum({b"a/b": b"c"}, store)

    def spoil(folder: int) -> Digest:
        os.close(os.open("added", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        return root_of(folder)

    with pytest.raises(DecodeError, match="nothing was kept") as caught:
        decode_domain(spectrum, store, tmp_path / "copy", check=spoil)
    assert caught.value.expected == spectrum.root
    assert os.listdir(tmp_path) == []


def test_somebody_who_takes_the_name_meanwhile_keeps_it(tmp_path: Path) -> None:
    """Nothing is replaced, and nothing is left."""
    store = MemoryStore()
    spectrum = _spectrum({b"a": b"a"}, store)

    def take(folder: int) -> Digest:
        (tmp_path / "copy").mkdir()
        return root_of(folder)

    with pytest.raises(UsageError, match="expected nothing at"):
        decode_domain(spectrum, store, tmp_path / "copy", check=take)
    assert [list(tmp_path.iterdir()), list((tmp_path / "copy").iterdir())] == [[tmp_path / "copy"], []]


def test_a_wrong_size_is_refused(tmp_path: Path) -> None:
    """A spectrum cannot claim a size that its content does not have."""
    store = MemoryStore()
    entry = Entry(Kind.FILE, 0o644, 7, store.put(b"four"))
    spectrum = Spectrum({b"": DIRECTORY, b"f": entry}, {}, {})
    with pytest.raises(FormatError, match="f: expected 7 bytes, but its content has 4"):
        decode_domain(spectrum, store, tmp_path / "copy")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("target", [b"/", b"..", b"../../../../../../etc", b"/proc/self/cwd"])
def test_a_link_out_of_the_target_leads_no_write_there(tmp_path: Path, target: bytes) -> None:
    """Links are restored as they are, and nothing is ever written through one."""
    store = MemoryStore()
    entries = {b"": DIRECTORY, b"way": Entry(Kind.SYMLINK, 0o777, len(target), Digest.of(target))}
    decode_domain(Spectrum(entries, {b"way": target}, {}), store, tmp_path / "copy")
    assert os.readlink(tmp_path / "copy" / "way") == os.fsdecode(target)
    hostile = {**entries, b"way/file": Entry(Kind.FILE, 0o644, 1, store.put(b"x"))}
    with pytest.raises(FormatError, match="`way` is not among the directories"):
        Spectrum(hostile, {b"way": target}, {})


def test_rights_are_decoded_only_where_they_are_asked_for(tmp_path: Path) -> None:
    """Set-id programs and devices are refused by default; set-id bits of directories grant nothing."""
    store = MemoryStore()
    tool = Entry(Kind.FILE, 0o4755, 1, store.put(b"x"))
    disk = Entry(Kind.BLOCK_DEVICE, 0o600, 0, device_digest(Device(7, 99).number))
    with_tool = Spectrum({b"": Entry(Kind.DIRECTORY, 0o2755), b"tool": tool}, {}, {})
    with_disk = Spectrum({b"": DIRECTORY, b"disk": disk}, {}, {b"disk": Device(7, 99)})
    with pytest.raises(UsageError, match="has tool with the mode 4755, a set-id program"):
        decode_domain(with_tool, store, tmp_path / "copy")
    with pytest.raises(UsageError, match="the spectrum has the device disk"):
        decode_domain(with_disk, store, tmp_path / "copy")
    decode_domain(with_tool, store, tmp_path / "copy", permitted=Permitted(set_id=True), check=root_of)
    assert stat.S_IMODE((tmp_path / "copy" / "tool").stat().st_mode) == 0o4755
    try:
        decode_domain(with_disk, store, tmp_path / "disks", permitted=Permitted(devices=True), check=root_of)
    except PermissionError:  # not root: then nothing is left
        assert not (tmp_path / "disks").exists()
    else:
        assert (tmp_path / "disks" / "disk").stat().st_rdev == Device(7, 99).number


def test_a_path_deeper_than_one_call_takes_comes_back(tmp_path: Path) -> None:
    """Every step is relative to a directory, so PATH_MAX is no limit; a failure removes it all the same."""
    store = MemoryStore()
    deep = b"/".join([b"n" * 200] * 40)
    spectrum = _spectrum({deep + b"/file": b"deep"}, store)
    decode_domain(spectrum, store, tmp_path / "copy", check=root_of)
    assert tree_of(tmp_path / "copy").root == spectrum.root
    store.objects[Digest.of(b"deep")] = b"damaged"
    with pytest.raises(CatfsError, match="damaged"):
        decode_domain(spectrum, store, tmp_path / "other")
    assert os.listdir(tmp_path) == ["copy"]


def test_verify_says_what_became_of_a_domain(domain: Path) -> None:
    """Nothing when it is the same; otherwise each change."""
    spectrum = encoded(domain, MemoryStore())
    assert verify_domain(spectrum, tree_of(domain)).ok
    (domain / "a").write_bytes(b"new")
    (domain / "empty").rmdir()
    check = verify_domain(spectrum, tree_of(domain))
    assert not check.ok
    assert [(change.kind.value, change.path) for change in check.changes] == [
        ("changed", b"a"),
        ("removed", b"empty"),
    ]


def test_the_difference_of_two_spectra_is_that_of_their_domains() -> None:
    """Without any domain or content."""
    store = MemoryStore()
    before = _spectrum({b"a": b"1", b"b": b"2", b"c/d": b"3"}, store)
    after = _spectrum({b"a": b"1", b"b": b"other", b"e": b"4"}, store)
    assert [(change.kind.value, change.path) for change in diff(before, after)] == [
        ("changed", b"b"),
        ("removed", b"c"),
        ("removed", b"c/d"),
        ("added", b"e"),
    ]


def test_missing_damaged_and_wrong_contents_are_each_named() -> None:
    """With a file that needs them."""
    store = MemoryStore()
    spectrum = _spectrum({b"a": b"1", b"b": b"2", b"same as b": b"2", b"c": b"3"}, store)
    assert verify_contents(spectrum, store) == []
    store.delete(Digest.of(b"1"))
    store.objects[Digest.of(b"2")] = b"damaged"
    longer = Entry(Kind.FILE, 0o644, 9, Digest.of(b"3"))
    problems = verify_contents(Spectrum({**spectrum.entries, b"c": longer}, {}, {}), store)
    assert [(problem.path, problem.digest) for problem in problems] == [
        (b"a", Digest.of(b"1")),
        (b"b", Digest.of(b"2")),
        (b"c", Digest.of(b"3")),
    ]
    texts = [problem.problem for problem in problems]
    assert "does not hold it" in texts[0]
    assert "damaged" in texts[1]
    assert texts[2] == "expected 9 bytes, got 1"


class _Asked(MemoryStore):
    """A store that remembers which ranges were read."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[int, int]] = []

    def read(self, digest: Digest, offset: int, length: int) -> bytes:
        """Give a range."""
        self.ranges.append((offset, length))
        return super().read(digest, offset, length)


def test_a_range_of_a_content_is_all_that_is_read() -> None:
    """By digest or by its text; cut off at the end; the whole is held against the digest."""
    store = _Asked()
    digest = store.put(b"0123456789")
    assert read_hash(store, digest.hex, (2, 5)) == b"234"
    assert read_hash(store, digest, (8, 100)) == b"89"
    assert read_hash(store, digest, (3, 3)) == b""
    assert store.ranges == [(2, 3), (8, 92), (3, 0)]
    assert read_hash(store, digest.hex) == b"0123456789"
    for bad in ((5, 2), (-1, 3)):
        with pytest.raises(UsageError, match="does not run backwards"):
            read_hash(store, digest, bad)
    with pytest.raises(FormatError, match="64 lower-case"):
        read_hash(store, "abc")
