"""The records of a commit are read back exactly, and believed only when they are whole."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catfs.commit import (
    Action,
    DomainPlace,
    Folder,
    Journal,
    Staging,
    Step,
    decode_journal,
    decode_staging,
    encode_journal,
    encode_staging,
)
from catfs.commit import journal as journal_module
from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.records import Entry, Kind

OLD = Entry(Kind.FILE, 0o644, 3, Digest.of(b"old"))
NEW = Entry(Kind.FILE, 0o755, (1 << 63) - 1, Digest.of(b"new"))
PLACES = (DomainPlace(b"/srv/\xff", True, 1_700_000_000_123_456_789), DomainPlace(b"/b", False, -1))
JOURNAL = Journal(
    "run-1",
    PLACES,
    (Step(0, Action.PUT, b"out/a\nb", OLD, NEW), Step(1, Action.REMOVE, b"\xfe", OLD, None)),
    (Folder(0, b"out", 0o755, 1_600_000_000_000_000_001), Folder(1, b"", 0o700, 0)),
)
STAGING = Staging("run-1", PLACES)

_names = st.binary(min_size=1, max_size=20).filter(lambda n: n not in (b".", b"..") and not set(n) & {0, 47})
_paths = st.lists(_names, min_size=1, max_size=3).map(b"/".join)
_files = st.builds(
    Entry,
    st.sampled_from([Kind.FILE, Kind.SYMLINK, Kind.FIFO]),
    st.integers(0, 0o7777),
    st.integers(0, (1 << 63) - 1),
    st.binary(max_size=3).map(Digest.of),
)
_steps = st.builds(lambda path, after: Step(0, Action.PUT, path, None, after), _paths, _files)
_folders = st.builds(
    Folder, st.just(0), _paths, st.integers(0, 0o7777), st.integers(-(1 << 63) + 1, (1 << 63) - 1)
)
_journals = st.builds(
    Journal,
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    st.builds(DomainPlace, _paths.map(lambda p: b"/" + p), st.booleans(), st.integers(0, 1 << 62)).map(
        lambda p: (p,)
    ),
    st.lists(_steps, max_size=4).map(tuple),
    st.lists(_folders, max_size=4).map(tuple),
)


@given(_journals)
def test_a_journal_is_read_back_as_it_was_written(journal: Journal) -> None:
    """Names of any bytes, sizes and times of 64 bits come back exactly."""
    assert decode_journal(encode_journal(journal)) == journal


def test_a_staging_record_is_read_back_as_it_was_written() -> None:
    """The same for the small record."""
    assert decode_staging(encode_staging(STAGING)) == STAGING


def test_every_truncation_is_refused() -> None:
    """No beginning of a journal is a journal."""
    data = encode_journal(JOURNAL)
    for length in range(len(data)):
        with pytest.raises(FormatError, match="journal"):
            decode_journal(data[:length])


def test_every_flipped_bit_is_refused() -> None:
    """One wrong bit anywhere, in header or payload, and nothing is believed."""
    data = encode_journal(JOURNAL)
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(FormatError, match="journal"):
                decode_journal(bytes(damaged))


def test_trailing_bytes_are_refused() -> None:
    """A journal ends where it says it ends."""
    with pytest.raises(FormatError, match="expected a payload of"):
        decode_journal(encode_journal(JOURNAL) + b"\0")


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    """Anything that is no journal is a FormatError."""
    with pytest.raises(FormatError, match="expected"):
        decode_journal(data)
    with pytest.raises(FormatError, match="expected"):
        decode_journal(journal_module._JOURNAL_MAGIC + data)


def test_one_record_is_not_taken_for_the_other() -> None:
    """The magic tells the two kinds apart."""
    with pytest.raises(FormatError, match="expected the magic"):
        decode_journal(encode_staging(STAGING))
    with pytest.raises(FormatError, match="expected the magic"):
        decode_staging(encode_journal(JOURNAL))


def _changed(**fields: object) -> bytes:
    """Give a sealed journal in which some top-level fields have other values."""
    payload = json.loads(encode_journal(JOURNAL)[56:])
    return journal_module._encode(journal_module._JOURNAL_MAGIC, {**payload, **fields})


def _changed_step(**fields: object) -> bytes:
    """Give a sealed journal in which the first step has other values."""
    payload = json.loads(encode_journal(JOURNAL)[56:])
    payload["steps"][0].update(fields)
    return journal_module._encode(journal_module._JOURNAL_MAGIC, payload)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_changed(commit_id=7), "expected a text for commit_id, got 7"),
        (_changed(commit_id="../x"), "expected 1 to 128 letters"),
        (_changed(steps=None), "expected a list for steps"),
        (_changed(steps=[1]), "steps 0: expected a JSON object, got int"),
        (_changed(domains=[]), "expected a domain below 0"),
        (_changed(more=1), "unknown fields: more"),
        (_changed_step(action="format"), "expected one of .* for action, got 'format'"),
        (_changed_step(action="make"), "does not lead from before to after"),
        (_changed_step(domain=2), "expected a domain below 2, got 2"),
        (_changed_step(domain=True), "expected a whole number for domain, got True"),
        (_changed_step(domain=-1), "expected a whole number for domain, got -1"),
        (_changed_step(path="../up"), "expected names joined"),
        (_changed_step(path="/etc"), "expected names joined"),
        (_changed_step(path="\udc80"), "path is not text"),
        (_changed_step(path_base64="!"), "expected path or path_base64, got both"),
        (_changed_step(path_base64="b3V0"), "expected path or path_base64, got both"),
        (_changed_step(after={"kind": "file"}), "expected a whole number for mode"),
        (_changed_step(after={"kind": "hole"}), "expected one of .* for kind, got 'hole'"),
        (_changed_step(after="file"), "after: expected a JSON object, got str"),
    ],
)
def test_a_sealed_journal_that_means_nothing_is_refused(data: bytes, problem: str) -> None:
    """A right checksum is not enough: types, paths and actions are checked, and there is one form only."""
    with pytest.raises(FormatError, match=problem):
        decode_journal(data)


def test_deeply_nested_json_is_refused() -> None:
    """No payload exhausts the stack of the reader."""
    payload = b"[" * 100_000
    head = journal_module._JOURNAL_MAGIC + len(payload).to_bytes(8, "big")
    data = head + Digest.of(head + payload).raw + payload
    with pytest.raises(FormatError, match="not JSON"):
        decode_journal(data)


def test_a_journal_under_the_name_of_another_is_refused(tmp_path: Path) -> None:
    """File name and content must agree."""
    (tmp_path / "run-2.journal").write_bytes(encode_journal(JOURNAL))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(
            FormatError, match="record of commit run-2: expected this identity in it, got 'run-1'"
        ):
            journal_module.read_journal(folder, "run-2")
    finally:
        os.close(folder)


@pytest.mark.parametrize("commit_id", ["", ".hidden", "a/b", "a b", "é", "x" * 129, "a\n"])
def test_an_identity_is_a_plain_file_name(commit_id: str) -> None:
    """Nothing else can be a journal."""
    with pytest.raises(FormatError, match="commit identity"):
        Staging(commit_id, PLACES)


@pytest.mark.parametrize("mode", [-1, 0o10000])
def test_a_folder_has_permission_bits_only(mode: int) -> None:
    """A mode out of range is refused."""
    with pytest.raises(FormatError, match="expected a mode from 0 to 0o7777"):
        Folder(0, b"a", mode, 0)


def test_times_fit_into_64_bits() -> None:
    """What no file system can store is refused."""
    with pytest.raises(FormatError, match="expected nanoseconds in 64 bits"):
        DomainPlace(b"/a", False, 1 << 63)
