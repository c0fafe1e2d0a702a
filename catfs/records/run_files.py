"""The files of a run folder: their names, and which record each one holds."""

import re
from collections.abc import Mapping
from typing import Final, Protocol

from catfs.errors import FormatError
from catfs.records.canonical import canonical_bytes
from catfs.records.difference import RESTORE_DIFF_SCHEMA
from catfs.records.history import HISTORY_SCHEMA
from catfs.records.job import JOBSPEC_SCHEMA
from catfs.records.ledger_record import LEDGER_SCHEMA
from catfs.records.manifest import FLAT_MANIFEST_SCHEMA, MANIFEST_SCHEMA
from catfs.records.outputs import OUTPUTS_SCHEMA
from catfs.records.proof import FIRST_PROOF_SCHEMA, PROOF_SCHEMA
from catfs.records.roots import DOMAIN_ROOTS_SCHEMA
from catfs.records.run import RUN_INFO_SCHEMA, STATUS_SCHEMA, STEP_SCHEMA

JOBSPEC_FILE: Final = "JOBSPEC.json"
RUN_INFO_FILE: Final = "RUN_INFO.json"
PRE_MANIFEST_FILE: Final = "PRE_MANIFEST.json"
POST_MANIFEST_FILE: Final = "POST_MANIFEST.json"
RESTORE_DIFF_FILE: Final = "RESTORE_DIFF.json"
OUTPUTS_FILE: Final = "OUTPUTS.json"
DOMAIN_ROOTS_FILE: Final = "DOMAIN_ROOTS.json"
STATUS_FILE: Final = "STATUS.json"
WRITE_LOG_FILE: Final = "WRITE_LOG.jsonl.zst"
LEDGER_FILE: Final = "LEDGER.json"
HISTORY_FILE: Final = "HISTORY.json"
PROOF_FILE: Final = "PROOF.json"

HISTORY_DATA_FILE: Final = "HISTORY.data"
"""The bytes of a run with history. No proof lists it, so it may be removed: HISTORY.json has its digest."""

PENDING_PROOF_FILE: Final = "PROOF.pending"
"""The proof of a run whose commit is not done: it proves nothing yet, and perhaps never will."""

STEPS_FOLDER: Final = "steps"

SCHEMAS_OF_FILE: Final[Mapping[str, tuple[str, ...]]] = {
    JOBSPEC_FILE: (JOBSPEC_SCHEMA,),
    RUN_INFO_FILE: (RUN_INFO_SCHEMA,),
    PRE_MANIFEST_FILE: (MANIFEST_SCHEMA, FLAT_MANIFEST_SCHEMA),
    POST_MANIFEST_FILE: (MANIFEST_SCHEMA, FLAT_MANIFEST_SCHEMA),
    RESTORE_DIFF_FILE: (RESTORE_DIFF_SCHEMA,),
    OUTPUTS_FILE: (OUTPUTS_SCHEMA,),
    DOMAIN_ROOTS_FILE: (DOMAIN_ROOTS_SCHEMA,),
    STATUS_FILE: (STATUS_SCHEMA,),
    LEDGER_FILE: (LEDGER_SCHEMA,),
    HISTORY_FILE: (HISTORY_SCHEMA,),
    PROOF_FILE: (PROOF_SCHEMA, FIRST_PROOF_SCHEMA),
}
"""File to the schemas that its record may have, the newest first; steps have their own names."""

REQUIRED_FILES: Final = frozenset(SCHEMAS_OF_FILE) - {PROOF_FILE, LEDGER_FILE, HISTORY_FILE} | {
    WRITE_LOG_FILE
}
"""What a proof must list, whatever the run did; results of steps come on top, and the history where it was to
be kept. Runs that were recorded before there was a ledger in one record have none."""

_STEP_FILE = re.compile(r"steps/(\d{2,6})\.(json|stdout|stderr)", re.ASCII)


class FileRecord(Protocol):
    """A record that is a file of a run folder."""

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        ...


def step_file(index: int, ending: str) -> str:
    """Give the name of a file of a step.

    Args:
        index: The step, counted from 1.
        ending: json, stdout or stderr.
    """
    return f"{STEPS_FOLDER}/{index:02d}.{ending}"


def schemas_of(name: str) -> tuple[str, ...]:
    """Give the schemas that the record in a file may have; none for a file that is no JSON record.

    Raises:
        FormatError: when a run folder has no file of this name.
    """
    if name in SCHEMAS_OF_FILE:
        return SCHEMAS_OF_FILE[name]
    if name == WRITE_LOG_FILE:
        return ()
    match = _STEP_FILE.fullmatch(name)
    if match is None or step_file(int(match[1]), match[2]) != name:
        raise FormatError(name, "a run folder has no file of this name")
    return (STEP_SCHEMA,) if match[2] == "json" else ()


def file_bytes(record: FileRecord) -> bytes:
    """Give the bytes of the file that holds a record: canonical, without a newline at the end.

    Raises:
        FormatError: when the record holds something that canonical JSON cannot say.
    """
    return canonical_bytes(record.to_dict())
