"""The record of a history survives its file, fits its schema, and refuses what it should."""

import copy

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records import (
    HISTORY_FILE,
    DomainHistory,
    HardLinkGroup,
    History,
    KeptOriginal,
    file_bytes,
    parse_canonical,
)
from catfs.records.schema import validate

SAMPLE = History(
    "r-1",
    30,
    Digest.of(b"data"),
    (
        DomainHistory(
            b"/d",
            (HardLinkGroup((b"a", b"b\xff")), HardLinkGroup((b"c", b"e/f"))),
            (KeptOriginal(b"old\xff", Digest.of(b"old"), 27, 3),),
        ),
        DomainHistory(b"/e\xff", (), ()),
    ),
)


def test_a_history_survives_its_file() -> None:
    """Names that are not UTF-8 too; and it fits its schema."""
    value = parse_canonical(file_bytes(SAMPLE), HISTORY_FILE)
    validate(value, "history.v1")
    assert History.from_dict(value) == SAMPLE


@pytest.mark.parametrize("key", ["run_id", "size", "digest", "domains"])
def test_a_missing_or_wrong_field_is_refused(key: str) -> None:
    """Every field must be there and be what it is called."""
    fields = SAMPLE.to_dict()
    with pytest.raises(FormatError, match=r"missing|expected"):
        History.from_dict({name: value for name, value in fields.items() if name != key})
    with pytest.raises(FormatError, match=r"expected|not"):
        History.from_dict({**fields, key: [7.5]})
    with pytest.raises(FormatError, match="unknown fields: more"):
        History.from_dict({**fields, "more": 1})


def test_originals_lie_within_the_data() -> None:
    """A record that speaks of bytes that are not there is refused."""
    value = copy.deepcopy(parse_canonical(file_bytes(SAMPLE), HISTORY_FILE))
    assert isinstance(value, dict)
    value["size"] = 29
    with pytest.raises(FormatError, match="expected originals within 29 bytes, got 30"):
        History.from_dict(value)


def test_one_name_makes_no_hard_link() -> None:
    """A group has at least two names, all within the domain."""
    with pytest.raises(FormatError, match="at least two names, got 1"):
        HardLinkGroup((b"a",))
    with pytest.raises(FormatError, match="path"):
        HardLinkGroup((b"a", b"/b"))
