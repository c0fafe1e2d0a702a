"""Positions in directory streams stay right while names come and go."""

import os
import stat
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.overlay import Domain, NoTrace, View
from catfs.overlay.nodes import ListedName, Node, Special
from catfs.overlay.transports.devfuse.listing import Listing
from tests.support.memory_lower import MemoryLower
from tests.support.views import ACTOR, memory_data


def _entries(names: Iterable[bytes]) -> dict[bytes, Node]:
    return {name: Special(number, 0o100644, 0, 0, 0, 0) for number, name in enumerate(names)}


def _names(count: int) -> list[bytes]:
    return [b"%03d" % number for number in range(count)]


def _take(listing: Listing, position: int, entries: dict[bytes, Node], most: int) -> tuple[list[bytes], int]:
    """Give the next names of a stream and the position behind them."""
    taken = []
    for after, name, _ in listing.behind(position, entries):
        taken.append(name)
        position = after
        if len(taken) == most:
            break
    return taken, position


def test_gives_every_name_once() -> None:
    """A stream that is read in pieces gives each name once, in one order."""
    entries = _entries(_names(10))
    listing = Listing()
    listing.refresh(entries)
    first, position = _take(listing, 2, entries, 4)
    second, position = _take(listing, position, entries, 100)
    assert first + second == _names(10)
    assert _take(listing, position, entries, 100) == ([], position)


def test_removing_what_was_given_skips_nothing() -> None:
    """The rest of a stream is complete when the part before has been removed."""
    entries = _entries(_names(10))
    listing = Listing()
    listing.refresh(entries)
    first, position = _take(listing, 2, entries, 4)
    for name in first:
        del entries[name]
    assert _take(listing, position, entries, 100)[0] == _names(10)[4:]


def test_another_stream_does_not_disturb() -> None:
    """A stream that starts meanwhile, with new names, moves no position of the one under way."""
    entries = _entries(_names(10))
    listing = Listing()
    listing.refresh(entries)
    _, position = _take(listing, 2, entries, 4)
    entries = _entries([b"new", *_names(10)])
    del entries[b"000"]
    listing.refresh(entries)
    assert _take(listing, position, entries, 100)[0] == [*_names(10)[4:], b"new"]
    assert sorted(_take(listing, 2, entries, 100)[0]) == sorted([*_names(10)[1:], b"new"])


def test_a_stream_survives_a_new_listing() -> None:
    """When a listing with many gaps is made anew, a stream in the old one ends as it would have."""
    entries = _entries(_names(300))
    listing = Listing()
    listing.refresh(entries)
    _, position = _take(listing, 2, entries, 100)
    entries = _entries(_names(300)[90:120])
    listing.refresh(entries)
    assert _take(listing, position, entries, 1000)[0] == _names(300)[100:120]
    assert _take(listing, 2, entries, 1000)[0] == _names(300)[90:120]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "start"]), st.integers(0, 40)), max_size=40))
def test_names_that_stay_are_given_exactly_once(actions: list[tuple[str, int]]) -> None:
    """Whatever happens between its pieces, a stream gives each name that was always there once."""
    stay = [b"stay%d" % number for number in range(6)]
    entries = _entries(stay)
    listing = Listing()
    listing.refresh(entries)
    given_out, position = _take(listing, 2, entries, 1)
    for action, number in actions:
        if action == "add":
            entries[b"%d" % number] = entries[stay[0]]
        elif action == "remove":
            entries.pop(b"%d" % number, None)
        else:
            listing.refresh(entries)
        more, position = _take(listing, position, entries, number % 3)
        given_out += more
    given_out += _take(listing, position, entries, 1000)[0]
    assert [name for name in given_out if name in stay] == stay


def test_a_large_directory_is_listed_without_its_nodes() -> None:
    """Names that nobody looked up come with number and kind; those that went or came meanwhile are right."""
    lower = MemoryLower()
    for name in _names(10):
        lower.file(name, b"")
    lower.directory(b"sub")
    view = View([Domain(lower)], memory_data(), NoTrace(), by_name=True)
    entries = view.entries(view.roots[0])
    known = entries[b"004"]
    listing = Listing()
    listing.refresh(entries)
    assert (lower.calls["find"], lower.calls["names"], lower.calls["scan"]) == (1, 1, 0)
    view.unlink(1, b"007", ACTOR)
    view.unlink(1, b"008", ACTOR)
    made = view.create(1, b"008", 0o600, ACTOR)
    shown = {name: node for _, name, node in listing.behind(2, entries)}
    assert sorted(shown) == sorted({*_names(10), b"sub"} - {b"007"})
    assert (shown[b"004"], shown[b"008"]) == (known, made)
    assert shown[b"sub"] == ListedName(lower.at(b"sub").ino, stat.S_IFDIR)
    assert shown[b"001"] == ListedName(lower.at(b"001").ino, stat.S_IFREG)
    assert len(view.nodes) == 3
    os.close(view.data.descriptor)
