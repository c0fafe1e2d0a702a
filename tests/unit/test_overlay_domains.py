"""Several domains in one view, the reserved name, and lower files that change or cannot be read."""

import os
from collections.abc import Iterator
from errno import EBUSY, EEXIST, EINVAL, EIO, ENAMETOOLONG, EOPNOTSUPP, EPERM, ESTALE, EXDEV

import pytest

from catfs.limits import FRESH_INODE_FIRST
from catfs.merkle import MemoryNodes
from catfs.overlay import ContentDigests, Domain, NoTrace, ReplayClock, View, fold, replay
from catfs.overlay.nodes import File, LowerStat, Node, Origin
from tests.support.memory_lower import MemoryLower
from tests.support.trees import build_sample
from tests.support.views import (
    ACTOR,
    MemoryTrace,
    content_of,
    make_view,
    memory_data,
    node_at,
    split,
    tree_of,
    walk_view,
    whole_state,
    write_at,
)


class FarLower(MemoryLower):
    """A lower on a second device: its inode numbers cannot be kept."""

    def scan(self, origin: Origin) -> list[tuple[bytes, LowerStat]]:
        """Give the names with another device."""
        return [(name, status._replace(dev=99)) for name, status in super().scan(origin)]

    def stat(self, origin: Origin) -> LowerStat | None:
        """Give the attributes with another device."""
        found = super().stat(origin)
        return found if found is None or origin.parent is None else found._replace(dev=99)

    def read(self, origin: Origin, offset: int, length: int) -> bytes:
        """Read, taking no offence at the device."""
        near = Origin(origin.parent, origin.name, origin.lower_stat._replace(dev=77), origin.domain)
        return super().read(near, offset, length)


class UnreadableLower(MemoryLower):
    """A lower whose extended attributes cannot be read for now."""

    is_broken = True

    def xattrs(self, origin: Origin) -> dict[bytes, bytes]:
        """Fail while it is broken."""
        if self.is_broken:
            raise OSError(EIO, os.strerror(EIO))
        return super().xattrs(origin)


@pytest.fixture
def lower() -> MemoryLower:
    """Give the sample tree."""
    lower = MemoryLower()
    build_sample(lower)
    return lower


@pytest.fixture
def pair(lower: MemoryLower) -> Iterator[tuple[View, MemoryTrace]]:
    """Give a view of one lower as two domains, so that every file has names in both, and its log."""
    trace = MemoryTrace()
    data = memory_data()
    domains = [Domain(lower, b"0"), Domain(lower, b"1")]
    yield View(domains, data, trace), trace
    os.close(data.descriptor)


def _at(view: View, domain: int, path: bytes) -> Node:
    node: Node = view.roots[domain]
    for name in path.split(b"/"):
        found = view.lookup(node.ino, name)
        assert found is not None
        node = found
    return node


def test_nothing_moves_between_domains(pair: tuple[View, MemoryTrace]) -> None:
    """Renames and links from one domain to another answer EXDEV, and the roots stay where they are."""
    view, _ = pair
    first, second = view.roots
    with pytest.raises(OSError, check=lambda error: error.errno == EXDEV):
        view.rename(first.ino, b"a", second.ino, b"new", 0, ACTOR)
    with pytest.raises(OSError, check=lambda error: error.errno == EXDEV):
        view.link(_at(view, 0, b"a").ino, second.ino, b"new", ACTOR)
    with pytest.raises(OSError, check=lambda error: error.errno == EPERM):
        view.rename(1, b"0", 1, b"2", 0, ACTOR)
    with pytest.raises(OSError, check=lambda error: error.errno == EPERM):
        view.rmdir(1, b"0", ACTOR)
    with pytest.raises(OSError, check=lambda error: error.errno == EPERM):
        view.create(1, b"new", 0o644, ACTOR)
    assert view.lookup(1, b"0") is first


def test_a_file_with_names_in_two_domains_changes_in_one(
    pair: tuple[View, MemoryTrace], lower: MemoryLower
) -> None:
    """Each domain has the file for itself, so that what is proven of one says nothing of the other."""
    view, trace = pair
    handle = view.open(_at(view, 1, b"e/h1").ino, os.O_WRONLY, ACTOR)
    view.write(handle, 0, b"SEVERAL")
    assert content_of(view, _at(view, 0, b"e/h1")) == b"several names"
    nodes = MemoryNodes()
    base = tree_of(nodes, walk_view(make_view(lower, data=view.data)))
    links = {(77, lower.at(b"e/h1").ino): [b"e/h1", b"d/sub/h2", b"links/h3"]}
    again = View(view.domains, view.data, NoTrace(), ReplayClock())
    replay(trace.records(), again)
    for each in (view, again):
        first = fold(each, 0, base, nodes, ContentDigests(), links)
        second = fold(each, 1, base, nodes, ContentDigests(), links)
        assert first == base
        changed = second.entry(b"links/h3")
        assert changed is not None
        assert changed == second.entry(b"e/h1") != base.entry(b"e/h1")


def test_records_say_which_domain_they_are_of(pair: tuple[View, MemoryTrace]) -> None:
    """The same path in two domains is told apart by the index of the domain."""
    view, trace = pair
    for root in view.roots:
        view.create(root.ino, b"new", 0o644, ACTOR)
    assert [getattr(record, "domain", None) for record in trace.records()] == [0, 1]


def test_the_reserved_name_can_neither_be_made_nor_moved_to(lower: MemoryLower) -> None:
    """The workspace's place stays free, also by way of the directories above it."""
    view = View([Domain(lower, reserved=b"d/sub/.catfs")], memory_data(), NoTrace())
    parent = node_at(view, b"d/sub").ino
    with pytest.raises(OSError, check=lambda error: error.errno == EPERM):
        view.mkdir(parent, b".catfs", 0o755, ACTOR)
    with pytest.raises(OSError, check=lambda error: error.errno == EPERM):
        view.rename(*split(view, b"e"), parent, b".catfs", 0, ACTOR)
    for path in (b"d", b"d/sub"):
        with pytest.raises(OSError, check=lambda error: error.errno == EBUSY):
            view.rename(*split(view, path), *split(view, b"elsewhere"), 0, ACTOR)
        with pytest.raises(OSError, check=lambda error: error.errno == EBUSY):
            view.rename(*split(view, b"e"), *split(view, path), 2, ACTOR)
    view.mkdir(view.roots[0].ino, b".catfs", 0o755, ACTOR)  # the name is free anywhere else
    os.close(view.data.descriptor)


def test_inode_numbers_of_the_lower_are_kept(lower: MemoryLower) -> None:
    """A file of the lower keeps its number, a new one gets one that no lower has."""
    view = make_view(lower)
    assert node_at(view, b"a").ino == lower.at(b"a").ino
    assert view.create(view.roots[0].ino, b"new", 0o644, ACTOR).ino >= FRESH_INODE_FIRST
    os.close(view.data.descriptor)


def test_files_of_another_device_are_replayed_under_their_numbers() -> None:
    """Numbers that were handed out in another order in the replay lead to the same files."""
    far = FarLower()
    build_sample(far)
    trace = MemoryTrace()
    view = make_view(far, trace)
    for path in (b"links/h3", b"e", b"d/sub/deep"):
        node_at(view, path)
    view.create(view.roots[0].ino, b"new", 0o644, ACTOR)
    write_at(view, b"new", 0, b"new")
    write_at(view, b"d/sub/deep/a", 0, b"DEEP")
    write_at(view, b"links/h3", 0, b"SEVERAL")
    again = View([Domain(far)], view.data, NoTrace(), ReplayClock())
    replay(trace.records(), again)
    assert whole_state(again) == whole_state(view)
    for path in (b"new", b"d/sub/deep/a", b"e/h1"):
        assert node_at(again, path).ino == node_at(view, path).ino
    os.close(view.data.descriptor)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (b"x" * 256, ENAMETOOLONG),
        (b"", EINVAL),
        (b".", EINVAL),
        (b"..", EINVAL),
        (b"a/b", EINVAL),
        (b"a\0", EINVAL),
        (b"a", EEXIST),
    ],
)
def test_bad_names_are_refused(lower: MemoryLower, name: bytes, code: int) -> None:
    """Names that no file system takes answer as the kernel would."""
    view = make_view(lower)
    with pytest.raises(OSError, check=lambda error: error.errno == code):
        view.create(view.roots[0].ino, name, 0o644, ACTOR)
    os.close(view.data.descriptor)


def test_a_lower_file_that_was_replaced_is_not_read_for_the_old_one(lower: MemoryLower) -> None:
    """When the lower changes underneath, reading says so instead of mixing two files."""
    view = make_view(lower)
    node = node_at(view, b"a")
    write_at(view, b"a", 4, b"CONTENT")
    lower.replace(b"a", b"the content of b")
    with pytest.raises(OSError, check=lambda error: error.errno == ESTALE):
        content_of(view, node)
    os.close(view.data.descriptor)


def test_a_lower_file_that_was_cut_is_noticed(lower: MemoryLower) -> None:
    """A lower file that has become shorter gives an error, never bytes at the wrong place."""
    view = make_view(lower)
    node = node_at(view, b"d/a")
    assert isinstance(node, File)
    write_at(view, b"d/a", 10_000, b"x")
    lower.at(b"d/a").content = b"short"
    with pytest.raises(OSError, check=lambda error: error.errno == ESTALE):
        view.read_content(node, 0, node.size)
    os.close(view.data.descriptor)


def test_a_failed_read_of_attributes_is_not_taken_for_none() -> None:
    """After a passing failure the extended attributes are as they are in the lower."""
    lower = UnreadableLower()
    build_sample(lower)
    view = make_view(lower)
    node = node_at(view, b"a")
    with pytest.raises(OSError, check=lambda error: error.errno == EIO):
        view.setxattr(node.ino, b"user.new", b"1", 0, ACTOR)
    lower.is_broken = False
    assert view.listxattr(node.ino) == [b"user.kept", b"user.other"]
    with pytest.raises(OSError, check=lambda error: error.errno == EOPNOTSUPP):
        view.setxattr(node.ino, b"system.posix_acl_access", b"1", 0, ACTOR)
    os.close(view.data.descriptor)
