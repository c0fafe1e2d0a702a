"""Records that earlier versions wrote are still read, to the same meaning and the same bytes."""

from pathlib import Path

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
from catfs.digest import Digest
from catfs.records import Entry, Kind

SAMPLES = Path(__file__).parent / "commit"
OLD = Entry(Kind.FILE, 0o644, 3, Digest.of(b"old"))
NEW = Entry(Kind.FILE, 0o755, 3, Digest.of(b"new"))
PLACES = (DomainPlace(b"/srv/project", False, 1_700_000_000_123_456_789),)


def test_the_kept_journal_is_read() -> None:
    """Version 1 with one step of three actions and a name that is not UTF-8."""
    data = (SAMPLES / "journal-1.journal").read_bytes()
    journal = Journal(
        "run-1",
        PLACES,
        (
            Step(0, Action.REMOVE, b"out/\xff", OLD, None),
            Step(0, Action.MAKE, b"out/doc", None, Entry(Kind.DIRECTORY, 0o755)),
            Step(0, Action.PUT, b"out/app", OLD, NEW),
        ),
        (
            Folder(0, b"out/doc", 0o755, 1_700_000_100_000_000_001),
            Folder(0, b"out", 0o755, 1_700_000_100_000_000_002),
        ),
    )
    assert decode_journal(data) == journal
    assert encode_journal(journal) == data


def test_the_kept_staging_record_is_read() -> None:
    """Version 1."""
    data = (SAMPLES / "staging-1.staging").read_bytes()
    assert decode_staging(data) == Staging("run-1", PLACES)
    assert encode_staging(Staging("run-1", PLACES)) == data
