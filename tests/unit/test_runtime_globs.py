"""Patterns for paths."""

import re
from contextlib import suppress

import pytest
from hypothesis import given, strategies

from catfs.errors import UsageError
from catfs.runtime.globs import PATTERN_BYTES_MAX, compile_glob

_TABLE = [
    (b"a", [b"a"], [b"b", b"a/b", b""]),
    (b"*", [b"", b"a", b"a\nb", b"\xff"], [b"a/b"]),
    (b"*.o", [b"x.o", b".o"], [b"d/x.o", b"x.oo"]),
    (b"d/*", [b"d/x"], [b"d", b"d/x/y"]),
    (b"**", [b"", b"a", b"a/b/c"], []),
    (b"**/x", [b"x", b"a/x", b"a/b/x"], [b"ax", b"a/xx"]),
    (b"d/**", [b"d/x", b"d/x/y"], [b"d", b"dd/x"]),
    (b"d/**/x", [b"d/x", b"d/a/x", b"d/a/b/x"], [b"dx", b"d/ax"]),
    (b"a**b", [b"ab", b"a/x/b"], [b"a"]),
    (b"?", [b"a", b"\n", b"\xfe"], [b"", b"/", b"ab"]),
    (b"[a-c]x", [b"ax", b"cx"], [b"dx", b"x"]),
    (b"[!a-c]x", [b"dx", b"^x"], [b"ax", b"/x"]),
    (b"[]a]", [b"]", b"a"], [b"b"]),
    (b"[^]", [b"^"], [b"a"]),
    (b"[\\]", [b"\\"], [b"a"]),
    (b"[[]", [b"["], [b"a"]),
    (b"\\*", [b"*"], [b"a", b"\\*"]),
    (b"\\[", [b"["], [b"\\["]),
    (b"a.c", [b"a.c"], [b"abc"]),
    (b"\xff*", [b"\xffx"], [b"x"]),
]

_UNUSABLE = (b"", b"/a", b"a\0", b"[a", b"[", b"a\\", b"[]", b"x" * (PATTERN_BYTES_MAX + 1))


@pytest.mark.parametrize(("pattern", "fitting", "others"), _TABLE)
def test_a_pattern_takes_what_it_says(pattern: bytes, fitting: list[bytes], others: list[bytes]) -> None:
    """One star stays within a name, two cross slashes, sets and escapes are as in a shell."""
    expression = compile_glob(pattern)
    assert [path for path in fitting if not expression.fullmatch(path)] == []
    assert [path for path in others if expression.fullmatch(path)] == []


@pytest.mark.parametrize("pattern", _UNUSABLE)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: bytes) -> None:
    """Empty, absolute, too long and unfinished patterns are bad input."""
    with pytest.raises(UsageError, match="pattern"):
        compile_glob(pattern)


@given(strategies.binary(max_size=40))
def test_any_bytes_are_a_pattern_or_bad_input(pattern: bytes) -> None:
    """No pattern raises anything but a UsageError."""
    with suppress(UsageError):
        assert isinstance(compile_glob(pattern), re.Pattern)


@given(strategies.binary(min_size=1, max_size=40).filter(lambda path: not path.startswith(b"/")))
def test_an_escaped_path_takes_itself_only(path: bytes) -> None:
    """Every path can be named exactly, whatever bytes it has."""
    path = path.replace(b"\0", b"?")
    escaped = re.sub(rb"([*?\[\\])", rb"\\\1", path)
    assert compile_glob(escaped).fullmatch(path)
    assert not compile_glob(escaped).fullmatch(path + b"x")


def test_many_stars_do_not_take_for_ever() -> None:
    """Stars that follow each other count as one."""
    assert not compile_glob(b"*" * 5000 + b"x").fullmatch(b"a" * 4000)
