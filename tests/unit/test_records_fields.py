"""Fields, times and entries are read strictly, and have one form each."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records import (
    Entry,
    Kind,
    Moment,
    format_time,
    listed_entry,
    parse_time,
    put_bytes,
    put_bytes_list,
)
from catfs.records.fields import EXACT_MAX, Fields, entry_fields, put_large_number
from catfs.records.timestamp import TIME_MAX


@given(st.integers(0, TIME_MAX))
def test_a_time_survives_its_text(nanoseconds: int) -> None:
    """Text and number stand for the same nanosecond."""
    text = format_time(nanoseconds)
    assert len(text) == 30
    assert parse_time(text) == nanoseconds


@given(st.integers(0, TIME_MAX), st.integers(0, TIME_MAX))
def test_texts_sort_like_times(first: int, second: int) -> None:
    """The order of texts is the order of times."""
    assert (format_time(first) < format_time(second)) == (first < second)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000000001",
        "2026-02-30T12:00:00.000000001Z",
        "2026-01-31T12:00:61.000000001Z",
        "1969-12-31T23:59:59.000000001Z",
        "2026-01-31t12:00:00.000000001Z",
        "\u0662026-01-31T12:00:00.000000001Z",
        "2026-01-31T12:00:00.000000001Z\n",
        17,
        None,
    ],
)
def test_anything_but_the_one_text_of_a_time_is_refused(text: object) -> None:
    """Other precision, zones, days that do not exist and numbers are refused."""
    with pytest.raises(FormatError, match=r"expected a time like 2026"):
        parse_time(text)


@pytest.mark.parametrize("nanoseconds", [-1, TIME_MAX + 1])
def test_a_time_out_of_range_is_refused(nanoseconds: int) -> None:
    """Before 1970 and after 9999 there are no times."""
    with pytest.raises(FormatError, match=str(nanoseconds)):
        format_time(nanoseconds)


@given(st.binary(max_size=20))
def test_bytes_survive_their_json_form(value: bytes) -> None:
    """Any bytes come back, whether they are text or not."""
    record: dict[str, object] = {}
    put_bytes(record, "path", value)
    fields = Fields(record, "x")
    assert fields.data("path") == value
    fields.end()


@given(st.lists(st.binary(max_size=8), max_size=4))
def test_lists_of_bytes_survive_their_json_form(values: list[bytes]) -> None:
    """Any list of bytes comes back."""
    record: dict[str, object] = {}
    put_bytes_list(record, "argv", values)
    fields = Fields(record, "x")
    assert list(fields.data_list("argv")) == values
    fields.end()


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({}, "the field path is missing"),
        ({"path": 1}, "expected a text for path"),
        ({"path": "a", "path_base64": "/w=="}, "got both"),
        ({"path_base64": "YQ=="}, "for what is text"),
        ({"path_base64": "/x=="}, "expected the usual base64"),
        ({"path_base64": "*"}, "expected base64"),
        ({"path_base64": 1}, "expected a text for path_base64"),
        ({"path": "\ud800"}, "path is not text"),
    ],
)
def test_bytes_have_one_json_form(record: object, problem: str) -> None:
    """Text as base64, unusual base64 and both at once are refused."""
    with pytest.raises(FormatError, match=problem):
        Fields(record, "x").data("path")


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"argv": "a"}, "list of texts"),
        ({"argv": ["a", 1]}, "list of texts"),
        ({"argv_base64": ["YQ=="]}, "for what is text"),
        ({"argv": [], "argv_base64": ["/w=="]}, "got both"),
    ],
)
def test_lists_of_bytes_have_one_json_form(record: object, problem: str) -> None:
    """Other types, text as base64 and both at once are refused."""
    with pytest.raises(FormatError, match=problem):
        Fields(record, "x").data_list("argv")


@pytest.mark.parametrize("number", [0, EXACT_MAX, EXACT_MAX + 1, 2**63 - 1])
def test_large_numbers_survive(number: int) -> None:
    """Sizes beyond what JSON keeps exactly come back."""
    record: dict[str, object] = {}
    put_large_number(record, "size", number)
    assert isinstance(record["size"], str) == (number > EXACT_MAX)
    assert Fields(record, "x").large_number("size") == number


@pytest.mark.parametrize("value", ["12", "09007199254740993", "x", "", "9" * 20, -1, 1.5, True, None])
def test_large_numbers_have_one_form(value: object) -> None:
    """Text for a small number, leading zeros, signs and other types are refused."""
    with pytest.raises(FormatError, match=r"expected (a decimal|the plain|a whole) number"):
        Fields({"size": value}, "x").large_number("size")


ENTRIES = [
    Entry(Kind.FILE, 0o4755, 2**60, Digest.of(b"x")),
    Entry(Kind.DIRECTORY, 0o1777),
    Entry(Kind.SYMLINK, 0o777, 3, Digest.of(b"abc")),
    Entry(Kind.FIFO, 0o600),
    Entry(Kind.SOCKET, 0),
    Entry(Kind.CHARACTER_DEVICE, 0o666, 0, Digest.of(b"1:3")),
    Entry(Kind.BLOCK_DEVICE, 0o660, 0, Digest.of(b"8:0")),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.kind.value)
def test_entries_survive_their_json_form(entry: Entry) -> None:
    """Every kind comes back."""
    fields = Fields(entry_fields(entry), "x")
    assert fields.entry() == entry
    fields.end()


def test_a_listed_directory_has_no_node_digest() -> None:
    """What a directory holds follows from the rows below it, so its digest is left out."""
    directory = Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(b"node"))
    assert "digest" not in entry_fields(directory)
    assert listed_entry(directory) == Entry(Kind.DIRECTORY, 0o755)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"kind": "door", "mode": "0644"}, "expected one of file, directory"),
        ({"kind": "fifo", "mode": 420}, "expected a text for mode"),
        ({"kind": "fifo", "mode": "644"}, "four octal digits"),
        ({"kind": "fifo", "mode": "0888"}, "four octal digits"),
        ({"kind": "file", "mode": "0644", "size": 1}, "digest is missing"),
        ({"kind": "file", "mode": "0644", "digest": "0" * 64}, "expected a whole number for size"),
        ({"kind": "symlink", "mode": "0777", "size": 1, "digest": "A" * 64}, "lower-case hexadecimal"),
    ],
)
def test_bad_entries_are_refused(record: object, problem: str) -> None:
    """Unknown kinds, modes in another form and missing fields are named."""
    with pytest.raises(FormatError, match=problem):
        Fields(record, "x").entry()


def test_unknown_fields_are_refused() -> None:
    """What is left over when all is taken is an error that names it."""
    fields = Fields({"a": 1, "b": 2}, "STATUS.json")
    assert fields.number("a") == 1
    with pytest.raises(FormatError, match=r"STATUS\.json: unknown fields: b"):
        fields.end()


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_only_an_object_has_fields(value: object) -> None:
    """Anything but an object is refused."""
    with pytest.raises(FormatError, match="expected a JSON object"):
        Fields(value, "x")


def test_each_type_is_checked() -> None:
    """A field of another type is refused by its name."""
    fields = Fields({"flag": 1, "text": 1, "list": {}, "moment": "now", "digest": 1, "time": 1}, "x")
    with pytest.raises(FormatError, match="expected true or false for flag"):
        fields.flag("flag")
    with pytest.raises(FormatError, match="expected a text for text"):
        fields.text("text")
    with pytest.raises(FormatError, match="expected a list for list"):
        fields.parts("list", Fields.entry)
    with pytest.raises(FormatError, match="expected one of pre, post for moment"):
        fields.choice("moment", Moment)
    with pytest.raises(FormatError, match="digest: expected 64"):
        fields.digest("digest")
    with pytest.raises(FormatError, match="time: expected a time"):
        fields.time("time")
