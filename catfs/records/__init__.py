"""What is written down: frozen records that check themselves, canonical bytes, schema validation.

Validation by schema (`catfs.records.schema`) and reading of logs (`catfs.records.log_lines`) are imported
where they are used: they need libraries that a small run would wait for.
"""

from catfs.records.base import BaseKind, BaseNote
from catfs.records.canonical import canonical_bytes, canonical_digest, parse_canonical
from catfs.records.change import Change, ChangeKind
from catfs.records.difference import DomainDifference, RestoreDiff, listed_change
from catfs.records.entry import Entry, Kind, kind_of_mode
from catfs.records.fields import describe_entry, listed_entry, put_bytes, put_bytes_list, put_table
from catfs.records.history import DomainHistory, HardLinkGroup, History, KeptOriginal
from catfs.records.job import Confine, JobSpec, JobStep, Leftovers
from catfs.records.ledger_record import Decision, LedgerRecord, RunPhase, StepNote
from catfs.records.manifest import DomainManifest, DomainTree, Manifest, Moment, Row, walk_key
from catfs.records.names import check_run_id
from catfs.records.outputs import Output, OutputNote, Outputs
from catfs.records.proof import (
    EXCLUDED_METADATA,
    BaseConflict,
    DomainProof,
    EntryCounts,
    LogSummary,
    OutputProof,
    Proof,
)
from catfs.records.roots import DomainRoot, DomainRoots
from catfs.records.run import Outcome, Phase, RunInfo, Status, StepResult, Stream
from catfs.records.run_files import (
    DOMAIN_ROOTS_FILE,
    HISTORY_DATA_FILE,
    HISTORY_FILE,
    JOBSPEC_FILE,
    LEDGER_FILE,
    OUTPUTS_FILE,
    PENDING_PROOF_FILE,
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    PROOF_FILE,
    REQUIRED_FILES,
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    WRITE_LOG_FILE,
    FileRecord,
    file_bytes,
    schemas_of,
    step_file,
)
from catfs.records.timestamp import format_time, parse_time

__all__ = [
    "DOMAIN_ROOTS_FILE",
    "EXCLUDED_METADATA",
    "HISTORY_DATA_FILE",
    "HISTORY_FILE",
    "JOBSPEC_FILE",
    "LEDGER_FILE",
    "OUTPUTS_FILE",
    "PENDING_PROOF_FILE",
    "POST_MANIFEST_FILE",
    "PRE_MANIFEST_FILE",
    "PROOF_FILE",
    "REQUIRED_FILES",
    "RESTORE_DIFF_FILE",
    "RUN_INFO_FILE",
    "STATUS_FILE",
    "WRITE_LOG_FILE",
    "BaseConflict",
    "BaseKind",
    "BaseNote",
    "Change",
    "ChangeKind",
    "Confine",
    "Decision",
    "DomainDifference",
    "DomainHistory",
    "DomainManifest",
    "DomainProof",
    "DomainRoot",
    "DomainRoots",
    "DomainTree",
    "Entry",
    "EntryCounts",
    "FileRecord",
    "HardLinkGroup",
    "History",
    "JobSpec",
    "JobStep",
    "KeptOriginal",
    "Kind",
    "LedgerRecord",
    "Leftovers",
    "LogSummary",
    "Manifest",
    "Moment",
    "Outcome",
    "Output",
    "OutputNote",
    "OutputProof",
    "Outputs",
    "Phase",
    "Proof",
    "RestoreDiff",
    "Row",
    "RunInfo",
    "RunPhase",
    "Status",
    "StepNote",
    "StepResult",
    "Stream",
    "canonical_bytes",
    "canonical_digest",
    "check_run_id",
    "describe_entry",
    "file_bytes",
    "format_time",
    "kind_of_mode",
    "listed_change",
    "listed_entry",
    "parse_canonical",
    "parse_time",
    "put_bytes",
    "put_bytes_list",
    "put_table",
    "schemas_of",
    "step_file",
    "walk_key",
]
