"""Value classes that cost little to define: `dataclass` as in the standard library, made when first used.

The standard `dataclass` writes the source of six methods for each class and compiles it while its module is
imported. A run of catfs loads a hundred such classes and makes instances of half of them, so that this was a
quarter of the time of a short run. Here a frozen class with slots shares the methods that need no source of
their own, and the constructor is compiled when the first instance is made. The constructor is as fast as
the standard one, and every other decoration is left to the standard library.

Import `dataclass` from here instead of from `dataclasses`; type checkers see the standard one.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

T = TypeVar("T")

_ABSENT: Final = object()
"""Stands for an argument that was not given and has a default that is made anew each time."""


def _dataclass(
    *, frozen: bool = False, slots: bool = False, order: bool = False
) -> Callable[[type[T]], type[T]]:
    """Give the decorator that makes a data class.

    Args:
        frozen: Whether instances cannot be changed.
        slots: Whether instances have slots instead of a dictionary.
        order: Whether instances can be compared as tuples of their fields are.
    """
    if frozen and slots and not order:
        return _frozen
    return dataclasses.dataclass(frozen=frozen, slots=slots, order=order)


def _frozen(cls: type[T]) -> type[T]:
    """Make a class a data class with slots whose instances cannot be changed."""
    own_hash = cls.__dict__.get("__hash__") is not None
    made: type[T] = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    fields = dataclasses.fields(made)  # type: ignore[arg-type] # it was made one in the line above
    methods: dict[str, Callable[..., object]] = {
        "__repr__": _repr_of([field.name for field in fields if field.repr]),
        "__eq__": _eq_of(_values_of([field.name for field in fields if field.compare])),
    }
    for name, method in methods.items():
        if name not in made.__dict__:
            setattr(made, name, method)
    if not own_hash:
        hashed = [field.name for field in fields if (field.compare if field.hash is None else field.hash)]
        setattr(made, "__hash__", _hash_of(_values_of(hashed)))  # noqa: B010 # a method is no attribute to mypy
    for name, method in _SHARED.items():
        setattr(made, name, method)
    setattr(made, "__init__", _init_of(made))  # noqa: B010 # as above
    return made


def _init_of(cls: type) -> Callable[..., None]:
    """Give a constructor that puts the real one in its place when it is first called."""

    def __init__(self: object, *arguments: object, **named: object) -> None:  # noqa: N807 # it becomes that
        constructor = _compiled_init(cls)
        setattr(cls, "__init__", constructor)  # noqa: B010 # a method is no attribute to mypy
        constructor(self, *arguments, **named)

    return __init__


_UNTIL_USED: Final = _init_of(object).__qualname__
"""The name of a constructor that was not compiled yet."""


def make_ready(*classes: type) -> None:
    """Compile the constructors of value classes in a quiet moment, and not when they are first used."""
    for cls in classes:
        if vars(cls)["__init__"].__qualname__ == _UNTIL_USED:
            setattr(cls, "__init__", _compiled_init(cls))  # noqa: B010 # as above


def _compiled_init(cls: type) -> Callable[..., None]:
    """Compile the constructor of a data class, which puts each argument into its slot."""
    names: dict[str, object] = {"_ABSENT": _ABSENT}
    parameters, lines = ["self"], []
    for field in dataclasses.fields(cls):  # one without `init` is left to __post_init__
        if not field.init:
            continue
        name = value = field.name
        names[f"_set_{name}"] = getattr(cls, name).__set__
        if field.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_ABSENT")
            value = f"_make_{name}() if {name} is _ABSENT else {name}"
        else:
            parameters.append(name)
        lines.append(f"_set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n    ".join(lines or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):\n    {body}\n", names)  # noqa: S102 # only names of fields
    constructor: Any = names["__init__"]
    constructor.__qualname__ = f"{cls.__qualname__}.__init__"
    return constructor  # type: ignore[no-any-return] # mypy cannot look into the source above


def _values_of(names: list[str]) -> Callable[[object], object]:
    """Give what takes the values of some fields out of an instance."""
    return attrgetter(*names) if names else lambda _: ()


def _repr_of(names: list[str]) -> Callable[[object], str]:
    def __repr__(self: object) -> str:  # noqa: N807 # it becomes that
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({values})"

    return __repr__


def _eq_of(values: Callable[[object], object]) -> Callable[[object, object], bool]:
    def __eq__(self: object, other: object) -> bool:  # noqa: N807 # it becomes that
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    return __eq__


def _hash_of(values: Callable[[object], object]) -> Callable[[object], int]:
    def __hash__(self: object) -> int:  # noqa: N807 # it becomes that
        return hash(values(self))

    return __hash__


def _refuse_change(self: object, name: str, _: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__qualname__}")


def _refuse_deletion(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r} of {type(self).__qualname__}")


def _get_state(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_SHARED: Final[dict[str, Callable[..., object]]] = {
    "__setattr__": _refuse_change,
    "__delattr__": _refuse_deletion,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}
"""The methods that are the same for every class; the last two let instances be copied and pickled."""

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass

__all__ = ["dataclass", "make_ready"]
