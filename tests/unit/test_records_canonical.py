"""Canonical JSON is RFC 8785 and nothing else is read."""

import hypothesis.strategies as st
import pytest
import rfc8785
from hypothesis import given

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records import canonical_bytes, canonical_digest, parse_canonical

_SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_bytes_are_those_of_the_standard(value: object) -> None:
    """Whichever encoder is used, the bytes are those of RFC 8785."""
    assert canonical_bytes(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # any JSON value


@given(JSON)
def test_what_was_written_is_read_again(value: object) -> None:
    """Reading gives the value, and writing it again gives the bytes."""
    data = canonical_bytes(value)
    assert canonical_bytes(parse_canonical(data, "x")) == data


def test_known_answer_of_the_standard() -> None:
    """The sorting example of RFC 8785, section 3.2.3, comes out as printed there."""
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "1": "One",
        "\U0001f600": "Smiley",
        "\u0080": "C",
    }
    expected = '{"\\r":"Carriage Return","1":"One","\u0080":"C","\u20ac":"Euro Sign","\U0001f600":"Smiley"}'
    assert canonical_bytes(value) == expected.encode()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"b":1,"a":2}', "another spelling at byte 2"),
        (b'{"a":1, "b":2}', "another spelling at byte 7"),
        (b'{"a":1,"a":1}', "another spelling"),
        (b'{"a":1}\n', "another spelling at byte 7"),
        (b'{"a":1.0}', "without floats"),
        (b'{"a":1e2}', "without floats"),
        (b'{"a":1.5}', "without floats"),
        (b'{"a":"\\u0041"}', "another spelling"),
        (b'{"a":-0}', "another spelling|without floats"),
        (b'{"a":9007199254740992}', "RFC 8785"),
        (b'"\xff"', "expected JSON"),
        (b'\xef\xbb\xbf{"a":1}', "expected JSON"),
        (b'"\\ud800"', "expected JSON"),
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"NaN", "expected JSON"),
    ],
)
def test_every_other_spelling_is_refused(data: bytes, problem: str) -> None:
    """A file in another spelling is refused with its name and what is wrong."""
    with pytest.raises(FormatError, match=problem) as caught:
        parse_canonical(data, "STATUS.json")
    assert caught.value.what == "STATUS.json"


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    """Brackets without end give a clear error."""
    with pytest.raises(FormatError, match=r"nested too deeply|expected JSON"):
        parse_canonical('{"\u20ac":'.encode() + b"[" * 1010 + b"]" * 1010 + b"}", "x")
    with pytest.raises(FormatError, match="expected JSON"):
        parse_canonical(b"[" * 100_000, "x")


def test_too_large_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is not even parsed."""
    monkeypatch.setattr("catfs.records.canonical.JSON_BYTES_MAX", 6)
    with pytest.raises(FormatError, match="at most 6 bytes, got 7"):
        parse_canonical(b'{"a":1}', "x")


@pytest.mark.parametrize("value", [{"a": 2**53}, {"a": 1.5}, {1: 2}, {"a": b"x"}, {"a": "\ud800"}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    """Numbers beyond 2**53 - 1, other types and lone surrogates have no encoding."""
    with pytest.raises(FormatError, match="expected a JSON value"):
        canonical_bytes(value)


@given(st.binary(max_size=60))
def test_damaged_bytes_give_a_format_error_or_are_canonical(data: bytes) -> None:
    """No bytes whatever lead to another error."""
    try:
        value = parse_canonical(data, "x")
    except FormatError:
        return
    assert canonical_bytes(value) == data


def test_digest_is_that_of_the_bytes() -> None:
    """A record's digest is SHA-256 of its canonical bytes."""
    assert canonical_digest({"b": 1, "a": 2}) == Digest.of(b'{"a":2,"b":1}')
