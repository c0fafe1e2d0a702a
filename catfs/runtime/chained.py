"""The chain of runs of a workspace: appending to it, and holding it against the run folders."""

import logging
from collections.abc import Iterator, Sequence

from catfs.clock import Clock, system_clock
from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.ledger import (
    Chain,
    ChainContent,
    ChainDamageError,
    ChainEntry,
    ChainRecord,
    RunFolder,
    RunReader,
    list_runs,
)
from catfs.records import LEDGER_FILE, PROOF_FILE, Proof, file_bytes
from catfs.records.validation import Finding, Subject, ValidationResult, result_of
from catfs.records.validation_codes import Code
from catfs.runtime.workspace import Workspace

_LOGGER = logging.getLogger(__name__)


def append_run(workspace: Workspace, proof: Proof) -> None:
    """Append a recorded run to the chain. When that fails it is told, but changes nothing of the run.

    Args:
        workspace: Its workspace.
        proof: Its proof, which is published.
    """

    def missed(records: Sequence[ChainRecord], is_all: bool) -> Sequence[ChainEntry]:
        return list(_missed(workspace, proof.run_id, records, is_all=is_all))

    try:
        Chain(workspace.folder).append(_entry(proof), missed)
    except (ChainDamageError, OSError) as error:
        _LOGGER.warning("run %s is recorded, but is not in the chain of runs: %s", proof.run_id, error)


def _entry(proof: Proof) -> ChainEntry:
    return ChainEntry(proof.run_id, proof.outcome, Digest.of(file_bytes(proof)))


def _missed(
    workspace: Workspace, run_id: str, records: Sequence[ChainRecord], *, is_all: bool
) -> Iterator[ChainEntry]:
    """Give runs that were recorded since the first of the last records, and are in none of them.

    Their process was stopped just before it appended. A run whose proof cannot be read is left to
    verification.
    """
    known = {record.run_id for record in records} | {run_id}
    since = 0 if is_all or not records else records[0].time
    for folder in _chained_folders(workspace):
        if folder.changed > since and folder.run_id not in known:
            try:
                proof = RunReader(folder.path).proof()
            except FormatError:
                continue
            if proof.run_id == folder.run_id:
                yield _entry(proof)


def validate_chain(workspace: Workspace, *, clock: Clock = system_clock) -> ValidationResult:
    """Hold the chain of a workspace against its run folders.

    Args:
        workspace: The workspace.
        clock: Gives the time of the result.

    Raises:
        OSError: when something cannot be read.
    """
    content = Chain(workspace.folder).read()
    return result_of(Subject.CHAIN, [*_chain_findings(content), *_run_findings(workspace, content)], clock())


def _chain_findings(content: ChainContent) -> Iterator[Finding]:
    if (damage := content.damage) is not None:
        code = Code.CHAIN_RECORD_DROPPED if damage.dropped else Code.CHAIN_RECORD_INVALID
        yield Finding(code, f"chain.jsonl#/{damage.number}", damage.problem)
    if content.lost_bytes:
        text = (
            f"{content.lost_bytes} bytes of a line that its writer did not finish; the next run cuts them off"
        )
        yield Finding(Code.CHAIN_TAIL_TRUNCATED, f"chain.jsonl#/{len(content.records)}", text)
    for record in content.records:
        if record.adopted:
            text = f"run {record.run_id} was put in with a later one: its process was stopped before it could"
            yield Finding(Code.CHAIN_RECORD_ADOPTED, f"chain.jsonl#/{record.seq}", text)


def _run_findings(workspace: Workspace, content: ChainContent) -> Iterator[Finding]:
    folders = {folder.run_id: folder for folder in list_runs(workspace.runs) if folder.is_complete}
    for record in content.records:
        folder = folders.pop(record.run_id, None)
        place = f"chain.jsonl#/{record.seq}"
        if folder is None:
            text = f"the run {record.run_id} is recorded, but its folder or its proof is gone"
            yield Finding(Code.CHAIN_RUN_REMOVED, place, text)
        elif (got := Digest.of((folder.path / PROOF_FILE).read_bytes())) != record.proof:
            text = f"expected {PROOF_FILE} of run {record.run_id} with the SHA-256 {record.proof}, got {got}"
            yield Finding(Code.CHAIN_PROOF_SWAPPED, place, text)
    if content.damage is not None:
        return  # which of the others were in the chain cannot be known any more
    for run_id, folder in folders.items():
        code = Code.RUN_NOT_IN_CHAIN if _has_ledger(folder) else Code.RUN_BEFORE_CHAIN
        text = (
            "the run is complete, but not in the chain: its record was dropped, or its process stopped before"
        )
        if code is Code.RUN_BEFORE_CHAIN:
            text = "the run was recorded before there was a chain"
        yield Finding(code, f"runs/{run_id}#", text)


def _chained_folders(workspace: Workspace) -> Iterator[RunFolder]:
    """Give the complete runs that should be in the chain: those recorded since there is one."""
    return (folder for folder in list_runs(workspace.runs) if folder.is_complete and _has_ledger(folder))


def _has_ledger(folder: RunFolder) -> bool:
    return (folder.path / LEDGER_FILE).is_file()
