"""Access lists: their bytes, what they mean for a mode, and what a view does with them."""

import os
import stat
from collections.abc import Iterator
from errno import EACCES, EINVAL, EOPNOTSUPP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.overlay import View
from catfs.overlay.access_list import (
    ACCESS_LIST,
    DEFAULT_LIST,
    AccessList,
    Tag,
    is_minimal,
    mode_of,
    pack_access_list,
    parse_access_list,
    with_mode,
    within_mode,
)
from catfs.overlay.attributes import AttributeChanges
from catfs.overlay.nodes import Node
from tests.support.access_lists import access_list
from tests.support.memory_lower import MemoryLower
from tests.support.twin import outcome
from tests.support.views import (
    ACTOR,
    MemoryTrace,
    create_file,
    make_view,
    memory_data,
    node_at,
    replayed,
    whole_state,
)

_PERMISSIONS = st.integers(0, 7)
_NAMED = st.tuples(
    st.sampled_from([Tag.USER, Tag.GROUP]), st.integers(0, 2**32 - 1), _PERMISSIONS, _PERMISSIONS
)
_LISTS = st.builds(access_list, _PERMISSIONS, _PERMISSIONS, _PERMISSIONS, st.none() | _NAMED)
_ANN = access_list(6, 5, 1, (Tag.USER, 1000, 6, 4))
"""Owner rw-, group r-x, others --x, user 1000 rw-, mask r--."""


@pytest.fixture
def trace() -> MemoryTrace:
    """Give the log of a view."""
    return MemoryTrace()


@pytest.fixture
def view(trace: MemoryTrace) -> Iterator[View]:
    """Give a view whose kernel checks access by lists, over a file and a folder with lists."""
    lower = MemoryLower()
    lower.file(b"file", b"content", mode=0o641, xattrs={ACCESS_LIST: pack_access_list(_ANN)})
    lower.directory(b"folder")
    lower.at(b"folder").xattrs = {DEFAULT_LIST: pack_access_list(_ANN)}
    data = memory_data()
    made = make_view(lower, trace, data)
    made.access_lists = True
    yield made
    again = replayed(trace.records(), lower, data)
    assert whole_state(again) == whole_state(made)
    os.close(data.descriptor)


def _list(view: View, node: Node, name: bytes = ACCESS_LIST) -> AccessList:
    return parse_access_list(view.getxattr(node.ino, name))


@given(entries=_LISTS)
def test_bytes_and_lists_stand_for_each_other(entries: AccessList) -> None:
    """A list is read back from its bytes as it was."""
    assert parse_access_list(pack_access_list(entries)) == entries


@given(value=st.binary(max_size=60))
def test_any_other_bytes_are_refused(value: bytes) -> None:
    """Bytes that are no list are refused as such, or are exactly the bytes of the list that is read."""
    entries, problem = outcome(lambda: parse_access_list(value))
    assert problem in {"", "EINVAL", "ENOTSUP"}
    assert entries is None or pack_access_list(entries) == value


@given(entries=_LISTS, at=st.integers(0, 51), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_no_other_kind_of_error(entries: AccessList, at: int, bit: int) -> None:
    """A damaged list is refused, or is another whole one that has a mode."""
    damaged = bytearray(pack_access_list(entries))
    damaged[at % len(damaged)] ^= 1 << bit
    mode, problem = outcome(lambda: mode_of(parse_access_list(bytes(damaged))))
    assert problem in {"", "EINVAL", "ENOTSUP"}
    assert mode is None or 0 <= mode <= 0o777


@pytest.mark.parametrize(
    "entries",
    [
        _ANN[1:],
        _ANN[:-1],
        (*_ANN, _ANN[0]),
        tuple(entry for entry in _ANN if entry.tag is not Tag.MASK),
        (_ANN[0]._replace(permissions=8), *_ANN[1:]),
    ],
)
def test_lists_that_contradict_themselves_are_refused(entries: AccessList) -> None:
    """Owner, group and others stand in each list once, a mask wherever somebody is named."""
    with pytest.raises(OSError, check=lambda error: error.errno == EINVAL):
        parse_access_list(pack_access_list(entries))


@given(entries=_LISTS, mode=st.integers(0, 0o777))
def test_a_chmod_gives_the_list_that_mode(entries: AccessList, mode: int) -> None:
    """After a chmod the mode of the list is the new one; whoever is named keeps the same entry."""
    after = with_mode(entries, mode)
    assert mode_of(after) == mode
    named = {Tag.USER, Tag.GROUP}
    assert [e for e in after if e.tag in named] == [e for e in entries if e.tag in named]


@given(entries=_LISTS, mode=st.integers(0, 0o777))
def test_nothing_new_allows_more_than_was_asked_for(entries: AccessList, mode: int) -> None:
    """What is inherited is within the default list and within the mode of the call."""
    assert mode_of(within_mode(entries, mode)) == mode_of(entries) & mode


def test_a_list_sets_the_mode(view: View) -> None:
    """The bits of the group become the mask; a list that says no more than a mode is not kept."""
    node = create_file(view, b"new", mode=0o600)
    view.setxattr(node.ino, ACCESS_LIST, pack_access_list(_ANN), 0, ACTOR)
    assert (stat.S_IMODE(node.mode), _list(view, node)) == (0o641, _ANN)
    plain = access_list(7, 5, 0)
    assert is_minimal(plain)
    view.setxattr(node.ino, ACCESS_LIST, pack_access_list(plain), 0, ACTOR)
    assert stat.S_IMODE(node.mode) == 0o750
    assert view.listxattr(node.ino) == []


def test_a_list_takes_the_set_gid_bit_when_the_kernel_says_so(view: View) -> None:
    """The bit stays for somebody of the group, and goes for everybody else."""
    node = create_file(view, b"new", mode=0o2755)
    view.setxattr(node.ino, ACCESS_LIST, pack_access_list(_ANN), 0, ACTOR)
    assert stat.S_IMODE(node.mode) == 0o2641
    view.setxattr(node.ino, ACCESS_LIST, pack_access_list(_ANN), 0, ACTOR, kill_set_gid=True)
    assert stat.S_IMODE(node.mode) == 0o641


def test_a_mode_changes_the_list(view: View) -> None:
    """A chmod of a file of the lower changes the mask, and only that of the named entries' limits."""
    node = node_at(view, b"file")
    view.setattr(node.ino, AttributeChanges(mode=0o660), ACTOR)
    assert _list(view, node) == access_list(6, 5, 0, (Tag.USER, 1000, 6, 6))
    view.removexattr(node.ino, ACCESS_LIST, ACTOR)
    view.removexattr(node.ino, ACCESS_LIST, ACTOR)  # as on a disk, no list is none the less removed
    assert stat.S_IMODE(node.mode) == 0o660


def test_new_names_inherit(view: View) -> None:
    """A file gets the default list of its directory, a directory passes it on; the umask does not count."""
    folder = node_at(view, b"folder")
    heritage = view.heritage(folder.ino, stat.S_IFREG | 0o666, 0o077)
    assert heritage.mode == stat.S_IFREG | 0o640
    node = view.create(folder.ino, b"file", heritage.mode, ACTOR)
    view.bequeath(node, heritage, ACTOR)
    assert _list(view, node) == access_list(6, 5, 0, (Tag.USER, 1000, 6, 4))
    heritage = view.heritage(folder.ino, stat.S_IFDIR | 0o777, 0o022)
    below = view.mkdir(folder.ino, b"below", heritage.mode, ACTOR)
    view.bequeath(below, heritage, ACTOR)
    assert _list(view, below, DEFAULT_LIST) == _ANN
    assert stat.S_IMODE(below.mode) == 0o641


def test_without_a_default_list_the_umask_counts(view: View) -> None:
    """In any other directory new names have the mode less the umask, and no list."""
    heritage = view.heritage(1, stat.S_IFREG | 0o666, 0o027)
    assert (heritage.mode, heritage.lists) == (stat.S_IFREG | 0o640, ())


def test_only_directories_have_default_lists(view: View) -> None:
    """A default list of a file is refused; one of a directory leaves its mode alone."""
    value = pack_access_list(_ANN)
    with pytest.raises(OSError, check=lambda error: error.errno == EACCES):
        view.setxattr(node_at(view, b"file").ino, DEFAULT_LIST, value, 0, ACTOR)
    top = view.mkdir(1, b"top", 0o700, ACTOR)
    view.setxattr(top.ino, DEFAULT_LIST, value, 0, ACTOR)
    assert stat.S_IMODE(top.mode) == 0o700


def test_symlinks_have_no_lists(view: View) -> None:
    """A list on a symlink is refused."""
    link = view.symlink(1, b"link", b"file", ACTOR)
    with pytest.raises(OSError, check=lambda error: error.errno == EOPNOTSUPP):
        view.setxattr(link.ino, ACCESS_LIST, pack_access_list(_ANN), 0, ACTOR)


def test_without_a_kernel_that_checks_there_are_no_lists(view: View) -> None:
    """Over a transport that cannot let the kernel check, lists are neither shown nor taken nor inherited."""
    node = node_at(view, b"file")
    view.access_lists = False
    assert view.listxattr(node.ino) == []
    with pytest.raises(OSError, check=lambda error: error.errno == EOPNOTSUPP):
        view.getxattr(node.ino, ACCESS_LIST)
    with pytest.raises(OSError, check=lambda error: error.errno == EOPNOTSUPP):
        view.setxattr(node.ino, ACCESS_LIST, pack_access_list(_ANN), 0, ACTOR)
    with pytest.raises(OSError, check=lambda error: error.errno == EOPNOTSUPP):
        view.removexattr(node.ino, ACCESS_LIST, ACTOR)
    assert view.heritage(node_at(view, b"folder").ino, 0o666, 0o022).lists == ()
