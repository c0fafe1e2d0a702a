"""The only way from a session's view into the real domain: planned, journaled, all or nothing.

plan (pure) -> stage -> check -> journal -> apply -> done; after a crash recover finishes or clears away.
"""

from catfs.commit.apply import CommitReport, UnfinishedCommitError, apply_commit
from catfs.commit.journal import (
    DomainPlace,
    Folder,
    Journal,
    Staging,
    decode_journal,
    decode_staging,
    encode_journal,
    encode_staging,
)
from catfs.commit.plan import (
    Action,
    CommitPlan,
    DomainChanges,
    Note,
    NoteKind,
    RefusedChangeError,
    Step,
    plan_commit,
)
from catfs.commit.recover import Outcome, Recovery, list_decided, list_journals, recover
from catfs.commit.source import NO_RECORD, CommitRecord, Material, OutputSource, Publish

__all__ = [
    "NO_RECORD",
    "Action",
    "CommitPlan",
    "CommitRecord",
    "CommitReport",
    "DomainChanges",
    "DomainPlace",
    "Folder",
    "Journal",
    "Material",
    "Note",
    "NoteKind",
    "Outcome",
    "OutputSource",
    "Publish",
    "Recovery",
    "RefusedChangeError",
    "Staging",
    "Step",
    "UnfinishedCommitError",
    "apply_commit",
    "decode_journal",
    "decode_staging",
    "encode_journal",
    "encode_staging",
    "list_decided",
    "list_journals",
    "plan_commit",
    "recover",
]
