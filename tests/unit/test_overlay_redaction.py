"""What looks like a secret in the arguments of a process is not written down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.overlay.redaction import REDACTED, Redaction

TABLE = [
    (["curl", "--token", "s3cret", "host"], ["curl", "--token", "[redacted]", "host"]),
    (["curl", "--token=s3cret"], ["curl", "--token=[redacted]"]),
    (["env", "API_KEY=s3cret", "make"], ["env", "API_KEY=[redacted]", "make"]),
    (["mysql", "--Password=a=b c"], ["mysql", "--Password=[redacted]"]),
    (["x", "-passphrase", "s3cret"], ["x", "-passphrase", "[redacted]"]),
    (["x", "--db-password", "--s3cret"], ["x", "--db-password", "[redacted]"]),
    (["git", "clone", "https://ann:s3cret@host/x"], ["git", "clone", "https://ann:[redacted]@host/x"]),
    (["sh", "-c", "curl --token s3cret x"], ["sh", "-c", "curl --token [redacted] x"]),
    (["sh", "-c", "A_SECRET='s3 cret' make"], ["sh", "-c", "A_SECRET=[redacted]"]),
    (["sh", "-c", 'x --key="s3 cret"; y'], ["sh", "-c", "x --key=[redacted]; y"]),
    (["curl", "-H", "Authorization: Bearer s3cret"], ["curl", "-H", "Authorization: [redacted]"]),
]


@pytest.mark.parametrize(("given_argv", "kept"), TABLE)
def test_secrets_are_replaced(given_argv: list[str], kept: list[str]) -> None:
    """Values of telling names, passwords in URLs and headers go; all else stays."""
    found = Redaction().arguments([word.encode() for word in given_argv])
    assert found == tuple(word.encode() for word in kept)
    assert b"s3" not in b" ".join(found)


@pytest.mark.parametrize(
    "argv",
    [
        ["make", "-j2", "all"],
        ["cc", "-c", "token.c", "-o", "token.o"],
        ["echo", "the key is under the mat"],
        ["git", "clone", "https://host/x"],
        ["ssh", "ann@host"],
        [],
    ],
)
def test_what_is_no_secret_stays(argv: list[str]) -> None:
    """Names of files and plain words are kept as they are."""
    words = [word.encode() for word in argv]
    assert Redaction().arguments(words) == tuple(words)


def test_words_can_be_chosen() -> None:
    """Other words take the place of the usual ones; none switches the rule for names off, and only that."""
    argv = [b"x", b"--pin", b"1234", b"--token=t", b"ftp://a:b@c"]
    assert Redaction(["pin"]).arguments(argv) == (
        b"x",
        b"--pin",
        REDACTED,
        b"--token=t",
        b"ftp://a:[redacted]@c",
    )
    assert Redaction([]).arguments(argv) == (b"x", b"--pin", b"1234", b"--token=t", b"ftp://a:[redacted]@c")


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_arguments_are_taken(argv: list[bytes]) -> None:
    """Whatever bytes arguments are, as many come out as went in."""
    assert len(Redaction().arguments(argv)) == len(argv)


@given(st.from_regex(rb"[A-Za-z0-9!#$%&()*+,./:;<>?@^_{|}~]{6,20}", fullmatch=True))
def test_no_value_of_a_password_comes_through(value: bytes) -> None:
    """Whatever the value, behind `--password` it is gone, in both forms."""
    found = Redaction().arguments([b"x", b"--password", value, b"--password=" + value, b"PASSWORD=" + value])
    assert found == (b"x", b"--password", REDACTED, b"--password=[redacted]", b"PASSWORD=[redacted]")
