"""Verification of runs, path proofs and record proofs as they lie on the disk: joins ledger and proof."""

import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TypeVar

from catfs.digest import Digest
from catfs.errors import FormatError, UsageError, printable
from catfs.ledger import RunReader, find_run, list_runs
from catfs.limits import HASH_CHUNK_BYTES
from catfs.proof.run_record import VerificationError
from catfs.proof.verify import VerifyStep, verify_run
from catfs.records import HISTORY_DATA_FILE
from catfs.runtime.drift import DomainDrift, find_drift
from catfs.runtime.path_proofs import PathProofFile, read_path_proof
from catfs.runtime.proof_files import ProofFile
from catfs.runtime.record_proofs import RecordProofFile, is_record_proof, read_record_proof
from catfs.runtime.subject import check_word, find_finished_run
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

_File = TypeVar("_File", bound=ProofFile)

PATH_PROOF_STEPS = (
    "the file is a path proof",
    "its nodes lead from each root to what it states",
    "its roots are those of the run's proof",
)
"""What each step of the verification of a path proof shows when it succeeds."""

RECORD_PROOF_STEPS = (
    "the file is a record proof",
    "its hashes lead from the record to the root of the log",
    "its log is that of the run's proof",
)
"""What each step of the verification of a record proof shows when it succeeds."""


class Verified(Enum):
    """What was verified."""

    RUN = "run"
    PATH_PROOF = "path_proof"
    RECORD_PROOF = "record_proof"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What verifying one run or path proof gave.

    Args:
        name: The run id, or the name of the file.
        kind: What it is.
        steps: All steps, in order.
        drift: How the domains of a run stand now; empty when that was not looked at.
        path_proof: The path proof, as far as it could be read.
        record_proof: The record proof, as far as it could be read.
    """

    name: str
    kind: Verified
    steps: tuple[VerifyStep, ...]
    drift: tuple[DomainDrift, ...] = ()
    path_proof: PathProofFile | None = None
    record_proof: RecordProofFile | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not any(step.errors for step in self.steps)


Target = RunReader | Path
"""A run, or the file of a path proof."""

Show = Callable[[int, int], None]
"""Told how many files and bytes of a domain have been read."""


def find_targets(words: list[str], cwd: Path) -> list[Target]:
    """Give the runs and files that words name.

    Args:
        words: Run ids, beginnings of them, `last`, run folders anywhere, and files with path proofs.
        cwd: The working directory.

    Raises:
        UsageError: when a word names nothing or several runs.
        OSError: when a folder cannot be read.
    """
    targets: list[Target] = []
    for word in words:
        check_word(word, "RUN or FILE")
        if os.path.isfile(word):
            targets.append(Path(word))
        else:
            targets.append(find_finished_run(word, cwd))
    return targets


def all_runs(workspace: Workspace) -> list[Target]:
    """Give every complete run of a workspace; a run without a proof states nothing that could be verified.

    Raises:
        OSError: when the folder cannot be read.
    """
    return [RunReader(run.path) for run in list_runs(workspace.runs) if run.is_complete]


def verify_all(
    targets: Sequence[Target], workspace: Workspace | None, *, offline: bool, on_done: Callable[[int], None]
) -> list[VerifyReport]:
    """Verify many runs at the same time, one process for each processor, and give reports in their order.

    Args:
        targets: The runs and path proofs.
        workspace: Where the runs of path proofs may be found; None for nowhere.
        offline: Whether to leave the domains alone.
        on_done: Told how many are done.

    Raises:
        OSError: when a file cannot be read.
    """
    workers = min(len(targets), len(os.sched_getaffinity(0)))
    verify = functools.partial(_verify_quietly, workspace=workspace, offline=offline)
    reports: list[VerifyReport] = []
    with ProcessPoolExecutor(max(1, workers)) as pool:
        for report in pool.map(verify, targets):
            reports.append(report)
            on_done(len(reports))
    return reports


def _verify_quietly(target: Target, *, workspace: Workspace | None, offline: bool) -> VerifyReport:
    return verify_target(target, workspace, None if offline else _show_nobody)


def _show_nobody(files: int, size: int) -> None:
    """Tell nobody how far it is."""


def verify_target(target: Target, workspace: Workspace | None, show: Show | None) -> VerifyReport:
    """Verify a run or a path proof.

    Args:
        target: Which.
        workspace: Where the run of a path proof may be found; None for nowhere.
        show: Told how far reading the domains is; None leaves the domains alone.

    Raises:
        OSError: when a file cannot be read.
    """
    if isinstance(target, RunReader):
        report = _verify_folder(target)
        if report.ok and show is not None:
            return replace(report, drift=tuple(find_drift(target, show)))
        return report
    if is_record_proof(os.fspath(target)):
        return _verify_record_proof(target, None if show is None else workspace)
    return _verify_path_proof(target, None if show is None else workspace)


def _verify_folder(run: RunReader) -> VerifyReport:
    """Verify a run from its folder; in a workspace the folder must also have the name of its run."""
    try:
        steps = verify_run(run.files)
    except FormatError as error:
        # The folder itself is not that of a run: it holds a link or a special file.
        wrong = VerificationError(error.what, "the file", "a regular file", "something else")
        return VerifyReport(
            run.run_id, Verified.RUN, (VerifyStep(1, "the folder holds files", True, (wrong,)),)
        )
    place = run.folder.resolve().parent
    if all(step.ok for step in steps) and place.name == "runs" and place.parent.name == ".catfs":
        stated = run.proof().run_id
        if stated != run.run_id:
            wrong = VerificationError("PROOF.json", "the run id", run.run_id, stated)
            steps[0] = replace(steps[0], errors=(wrong,))
    if all(step.ok for step in steps):
        steps[1] = replace(steps[1], errors=tuple(_check_history_data(run)))
    return VerifyReport(run.run_id, Verified.RUN, tuple(steps))


def _check_history_data(run: RunReader) -> Iterator[VerificationError]:
    """Compare the data of a history, unless it was removed, with what its record says of it."""
    history = run.history()
    if history is None or not run.history_data.exists():
        return
    size, hasher = 0, hashlib.sha256()
    with run.history_data.open("rb", buffering=0) as stream:
        while block := stream.read(HASH_CHUNK_BYTES):
            size += len(block)
            hasher.update(block)
    got = Digest(hasher.digest())
    if (size, got) != (history.size, history.digest):
        expected, found = f"{history.size} bytes, {history.digest}", f"{size} bytes, {got}"
        yield VerificationError(HISTORY_DATA_FILE, "the content", expected, found)


def _verify_path_proof(path: Path, workspace: Workspace | None) -> VerifyReport:
    """Verify a path proof; the roots are compared with the run's proof when the workspace has the run."""
    name, file, errors = _check_file(path, read_path_proof, workspace)
    return VerifyReport(name, Verified.PATH_PROOF, _steps(PATH_PROOF_STEPS, errors), path_proof=file)


def _verify_record_proof(path: Path, workspace: Workspace | None) -> VerifyReport:
    """Verify a record proof; the root is compared with the run's proof when the workspace has the run."""
    name, file, errors = _check_file(path, read_record_proof, workspace)
    return VerifyReport(name, Verified.RECORD_PROOF, _steps(RECORD_PROOF_STEPS, errors), record_proof=file)


def _check_file(
    path: Path, read: Callable[[str], _File], workspace: Workspace | None
) -> tuple[str, _File | None, list[tuple[VerificationError, ...]]]:
    """Take a file that carries a proof through its steps.

    Returns:
        Its name for people; the file, None when it cannot be read; the errors of each step that was reached.
    """
    name = printable(os.fsencode(path))
    file: _File | None = None
    errors: list[tuple[VerificationError, ...]] = []
    try:
        file = read(os.fspath(path))
        errors.append(())
        file.check()
        errors.append(())
        run = _run_of(file.run_id, workspace)
        if run is not None:
            file.check_against(run.proof())
            errors.append(())
    except FormatError as error:
        errors.append((_refusal(name, error),))
    return name, file, errors


def _steps(titles: Sequence[str], errors: Sequence[tuple[VerificationError, ...]]) -> tuple[VerifyStep, ...]:
    """Give all steps, those that were not reached too."""
    return tuple(
        VerifyStep(at + 1, title, at < len(errors), errors[at] if at < len(errors) else ())
        for at, title in enumerate(titles)
    )


def _refusal(name: str, error: FormatError) -> VerificationError:
    """Say of a file what its format error says, as what was expected and got where it says so."""
    what, separator, rest = error.problem.rpartition("expected ")
    expected, comma, got = rest.rpartition(", got ")
    if separator and comma:
        place = what.strip(" :") or error.what
        return VerificationError(name, place, expected, got)
    return VerificationError(name, "the content", "a proof that holds", str(error))


def _run_of(run_id: str, workspace: Workspace | None) -> RunReader | None:
    """Give the run that a proof of a path or a record is about, if it is here and complete."""
    if workspace is None:
        return None
    try:
        run = find_run(workspace.runs, run_id)
    except UsageError:
        return None
    return run if run.is_complete and run.run_id == run_id else None
