"""Whether the ledger of a run can be believed, as findings with codes: recomputed, never believed."""

import os
import stat
from collections.abc import Callable, Collection, Iterator
from typing import Final

from catfs.clock import Clock, system_clock
from catfs.digest import Digest, digest_descriptor
from catfs.ledger import RunReader
from catfs.proof.run_record import VerificationError
from catfs.records import OUTPUTS_FILE, PROOF_FILE, RESTORE_DIFF_FILE, Entry, Kind, Outcome, kind_of_mode
from catfs.records.validation import Finding, Subject, ValidationResult, result_of
from catfs.records.validation_codes import Code
from catfs.runtime.verification import Verified, VerifyReport, verify_target

_EDITED: Final = {RESTORE_DIFF_FILE: Code.RESTORE_DIFF_EDITED, OUTPUTS_FILE: Code.OUTPUTS_EDITED}
_FORGED: Final = {RESTORE_DIFF_FILE: Code.RESTORE_DIFF_FORGED, OUTPUTS_FILE: Code.OUTPUTS_FORGED}


def validate_ledger(
    run: RunReader, *, look_at_outputs: bool = True, clock: Clock = system_clock
) -> ValidationResult:
    """Validate the ledger of a run.

    Args:
        run: The run folder.
        look_at_outputs: Whether committed outputs must still be where the run left them.
        clock: Gives the time of the result.

    Raises:
        OSError: when something cannot be read.
    """
    report = verify_target(run, None, None)
    found = report_findings(report)
    if report.ok and look_at_outputs:
        found += output_findings(run)
    return result_of(Subject.LEDGER, found, clock())


def report_findings(report: VerifyReport) -> list[Finding]:
    """Give what the verification of a run or of a path proof found, with codes.

    Args:
        report: What it gave.
    """
    if report.kind is Verified.PATH_PROOF:
        code_of: Callable[[int, VerificationError], Code] = _path_proof_code
    elif len(report.steps) == 1:
        code_of = _folder_code
    else:
        code_of = _code
    return [
        Finding(code_of(step.number, error), f"{error.file}#", error.message)
        for step in report.steps
        for error in step.errors
    ]


def _path_proof_code(_number: int, _error: VerificationError) -> Code:
    return Code.PROOF_INVALID


def _folder_code(_number: int, _error: VerificationError) -> Code:
    return Code.LEDGER_UNREADABLE


def _code(number: int, error: VerificationError) -> Code:
    """Give the code of what one of the steps of `verify_run` found."""
    if error.what == "the run id":
        return Code.RUN_ID_SWAPPED
    match number:
        case 1:
            return Code.LEDGER_INCOMPLETE if error.what == "the file" else Code.PROOF_INVALID
        case 2:
            return _file_code(error)
        case 3 if error.what == "the claim restoration_verified":
            return Code.VERDICT_FORGED
        case 3:
            return Code.RECORD_INVALID if error.what == "the content" else Code.RECORDS_DISAGREE
        case 4:
            return Code.MANIFEST_FORGED
        case 5:
            return Code.RESTORE_DIFF_FORGED
        case 6:
            return _FORGED.get(error.file, Code.VERDICT_FORGED)
        case _:
            return Code.WRITE_LOG_FORGED


def _file_code(error: VerificationError) -> Code:
    if error.what == "the SHA-256 of the file":
        return _EDITED.get(error.file, Code.FILE_EDITED)
    is_lacking = error.got == "nothing" or error.file == PROOF_FILE
    return Code.FILE_REMOVED if is_lacking else Code.FILE_UNLISTED


def restoration_findings(run: RunReader) -> list[Finding]:
    """Give a finding when a verified run did not restore its domains.

    Raises:
        FormatError: when its proof cannot be read.
    """
    proof = run.proof()
    if proof.outcome is Outcome.RESTORED:
        return []
    text = f"run {proof.run_id} ended as {proof.outcome.value}: nothing was committed"
    return [Finding(Code.RESTORATION_FAILED, f"{PROOF_FILE}#/outcome", text)]


def output_findings(run: RunReader, only: Collection[bytes] | None = None) -> list[Finding]:
    """Hold the committed outputs of a verified run against what is there now.

    Args:
        run: The run.
        only: Absolute paths to look at; None for all.

    Raises:
        FormatError: when the record of the outputs cannot be read.
    """
    found: list[Finding] = []
    for number, output in enumerate(run.outputs().outputs):
        if not output.committed:
            continue
        for place, row in enumerate(output.entries):
            path = output.domain.rstrip(b"/") + (b"/" + row.path if row.path else b"")
            if only is None or path in only:
                pointer = f"{OUTPUTS_FILE}#/outputs/{number}/entries/{place}"
                found += _entry_findings(path, row.entry, pointer)
    return found


def _entry_findings(path: bytes, entry: Entry, pointer: str) -> Iterator[Finding]:
    name = os.fsdecode(path)
    try:
        got = _entry_at(path)
    except FileNotFoundError:
        yield Finding(Code.OUTPUT_MISSING, pointer, f"{name!r} was committed and is not there")
        return
    except OSError as error:
        yield Finding(Code.OUTPUT_MISSING, pointer, f"{name!r} cannot be read: {error.strerror}")
        return
    if got != entry:
        yield Finding(Code.OUTPUT_CHANGED, pointer, f"{name!r} is not what was committed")


def _entry_at(path: bytes) -> Entry:
    """Give what is at a path, a directory without its node digest.

    Raises:
        OSError: when it cannot be read.
    """
    status = os.lstat(path)
    kind, mode = kind_of_mode(status.st_mode), stat.S_IMODE(status.st_mode)
    if kind is Kind.SYMLINK:
        target = os.readlink(path)
        return Entry(kind, mode, len(target), Digest.of(target))
    if kind in {Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE}:
        number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        return Entry(kind, mode, 0, Digest.of(number.encode()))
    if kind is not Kind.FILE:
        return Entry(kind, mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return Entry(kind, mode, status.st_size, digest_descriptor(descriptor))
    finally:
        os.close(descriptor)
