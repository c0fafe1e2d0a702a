"""Value classes behave as those of the standard library do, and are made late."""

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import Any

import pytest

from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    """A value class with every kind of field."""

    name: bytes
    size: int = 0
    tags: list[str] = field(default_factory=list, hash=False)
    note: str = field(default="", compare=False, repr=False)
    twice: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "twice", 2 * self.size)
        if self.size < 0:
            raise ValueError(f"size is {self.size}")


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """The same class, made by the standard library."""

    name: bytes
    size: int = 0
    tags: list[str] = field(default_factory=list, hash=False)
    note: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Empty:
    """A value class without fields."""


@dataclass(frozen=True, slots=True)
class Own:
    """A value class that says itself when two are equal."""

    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())


_PAIRS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((b"a",), {}),
    ((b"a", 7), {"note": "n"}),
    ((), {"name": b"b", "tags": ["x"]}),
]


@pytest.mark.parametrize(("words", "named"), _PAIRS)
def test_takes_and_shows_its_fields_as_a_standard_one(words: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Arguments, defaults, text and hash are those of a class that the standard library made."""
    ours, standard = Ours(*words, **named), Standard(*words, **named)
    assert [getattr(ours, each.name) for each in fields(standard)] == [
        getattr(standard, each.name) for each in fields(standard)
    ]
    assert ours.twice == 2 * standard.size
    assert repr(ours) == repr(standard).replace("Standard", "Ours")
    assert hash(ours) == hash(standard)
    assert Ours.__match_args__ == Standard.__match_args__


def test_values_are_equal_by_their_compared_fields() -> None:
    """Equality looks at compared fields only, and never at another class."""
    assert Ours(b"a", 1, note="x") == Ours(b"a", 1, note="y")
    assert Ours(b"a", 1) != Ours(b"a", 2)
    assert Ours(b"a", 1).__eq__(Standard(b"a", 1)) is NotImplemented
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())


def test_keeps_methods_that_a_class_has_of_its_own() -> None:
    """A class that defines equality and hash itself keeps both."""
    assert len({Own("a"), Own("A")}) == 1


def test_nothing_can_be_changed() -> None:
    """Setting, deleting and adding an attribute is refused with the name of it."""
    value: Any = Ours(b"a")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'size' of Ours"):
        value.size = 3
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'size' of Ours"):
        del value.size
    with pytest.raises(FrozenInstanceError, match="'other'"):
        value.other = 3
    assert not hasattr(value, "__dict__")


def test_is_checked_however_it_is_made() -> None:
    """The first instance, later ones and changed copies all go through the check of the class."""
    for _ in range(2):
        with pytest.raises(ValueError, match="size is -1"):
            Ours(b"a", -1)
    with pytest.raises(ValueError, match="size is -2"):
        replace(Ours(b"a"), size=-2)
    assert replace(Ours(b"a", note="n"), size=2) == Ours(b"a", 2)


def test_names_the_argument_that_is_wrong() -> None:
    """A missing and an unknown argument are named, by the first call and by later ones."""
    made: Any = dataclass(frozen=True, slots=True)(type("Made", (), {"__annotations__": {"name": bytes}}))
    for _ in range(2):
        with pytest.raises(TypeError, match="name"):
            made()
        with pytest.raises(TypeError, match="colour"):
            made(b"a", colour=1)


def test_can_be_copied_and_pickled() -> None:
    """Copies and values from another process are equal, and frozen too."""
    value = Ours(b"a", 3, ["t"], "n")
    for again in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):  # noqa: S301 # our own bytes
        assert again == value
        assert again.note == "n"


def test_default_that_is_made_is_made_for_each() -> None:
    """Two instances never share a list that neither was given."""
    assert Ours(b"a").tags is not Ours(b"a").tags
