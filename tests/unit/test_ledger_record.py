"""The ledger in one record, the results of validators and the forged claims that are found by both."""

from dataclasses import replace
from typing import Any

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.proof.verify import verify_run
from catfs.records import LEDGER_FILE, Decision, LedgerRecord, RunPhase, StepNote, file_bytes
from catfs.records.ledger_record import REFERENCED_FILES
from catfs.records.schema import validate
from catfs.records.validation import Finding, Subject, ValidationResult, pointer_of, result_of
from catfs.records.validation_codes import Code
from tests.run_samples import Sample, reseal, sample_run

_LATE = Decision(2, RunPhase.VERIFY, "decided")


def _ledger(sample: Sample, **changed: Any) -> LedgerRecord:
    """Give the ledger of a sample."""
    ledger = LedgerRecord(
        run_id=sample.job.run_id,
        references={key: Digest.of(sample.files[file]) for key, file in REFERENCED_FILES.items()},
        keep_going=False,
        steps=(StepNote(1), StepNote(2, 10**9, False, (Digest.of(b"root"),))),
        decisions=(Decision(1, RunPhase.VALIDATE, "accepted"), Decision(2, RunPhase.RECORD, "recorded")),
        restoration_verified=True,
        declared={"schema": "jobspec.v2"},
    )
    return replace(ledger, **changed)


def _errors(sample: Sample, ledger: LedgerRecord) -> list[str]:
    """Verify a sample with this ledger, everything sealed."""
    files = reseal({**sample.files, LEDGER_FILE: file_bytes(ledger)})
    return [f"{error.file} {error.what}" for step in verify_run(files) for error in step.errors]


def test_ledger_reads_back_and_fits_its_schema() -> None:
    """What is written is read again, with and without a declaration."""
    for declared in (None, {"schema": "jobspec.v2", "x": [1]}):
        ledger = _ledger(sample_run(), declared=declared)
        validate(ledger.to_dict(), "ledger.v1")
        assert LedgerRecord.from_dict(ledger.to_dict()) == ledger


def test_run_with_a_ledger_that_says_what_the_proof_says_holds() -> None:
    """Nothing is found."""
    sample = sample_run()
    assert _errors(sample, _ledger(sample)) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"run_id": "other"}, "the run id"),
        ({"restoration_verified": False}, "the claim restoration_verified"),
        ({"steps": (StepNote(1),)}, "the steps"),
        ({"keep_going": True, "steps": ()}, "the steps"),
    ],
)
def test_false_claim_is_found(changed: dict[str, Any], what: str) -> None:
    """A ledger that claims something else is refused, although every digest fits."""
    sample = sample_run()
    assert _errors(sample, _ledger(sample, **changed))[0] == f"{LEDGER_FILE} {what}"


@pytest.mark.parametrize("key", REFERENCED_FILES)
def test_reference_to_another_file_is_found(key: str) -> None:
    """Each reference is compared with the proof."""
    sample = sample_run()
    references = {**_ledger(sample).references, key: Digest.of(b"another")}
    assert f"{LEDGER_FILE} the reference {key}" in _errors(sample, _ledger(sample, references=references))


def test_claim_of_success_for_a_failed_run_is_found() -> None:
    """A ledger cannot claim success otherwise."""
    sample = sample_run(statuses=(3,))
    ledger = _ledger(sample, steps=(StepNote(1),))
    assert _errors(sample, ledger) == [f"{LEDGER_FILE} the claim restoration_verified"]


def test_steps_behind_a_failed_one_need_a_job_that_keeps_going() -> None:
    """Without it the results behind a failure are refused; with it all of them are needed."""
    sample = sample_run(statuses=(3, 0))
    claim: dict[str, Any] = {"restoration_verified": False}
    assert _errors(sample, _ledger(sample, **claim)) != []
    assert _errors(sample, _ledger(sample, keep_going=True, **claim)) == []


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {"decisions": (Decision(2, RunPhase.VALIDATE, "a"), Decision(1, RunPhase.VALIDATE, "b"))},
            "before its",
        ),
        (
            {"decisions": (Decision(1, RunPhase.VERIFY, "a"), Decision(2, RunPhase.EXECUTE, "b"))},
            "before its",
        ),
        ({"references": {}}, "expected references"),
        ({"steps": (StepNote(2),)}, "counted from 1"),
    ],
)
def test_ledger_that_contradicts_itself_cannot_be_made(changed: dict[str, Any], problem: str) -> None:
    """Order of decisions and steps, and all references, are checked on construction."""
    with pytest.raises(FormatError, match=problem):
        _ledger(sample_run(), **changed)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "ledger.v2"),
        ("jobspec", {"file": "OTHER.json", "digest": "0" * 64}),
        ("declared", []),
        ("decision_log", [{"time": "now", "phase": "validate", "decision": "", "detail": ""}]),
        ("more", 1),
    ],
)
def test_bad_field_of_a_ledger_is_refused(key: str, value: object) -> None:
    """Versions, files, types, times and unknown fields are checked on reading."""
    with pytest.raises(FormatError, match=r"ledger|time"):
        LedgerRecord.from_dict({**_ledger(sample_run()).to_dict(), key: value})


def test_findings_are_sorted_once_each_and_apart() -> None:
    """Numbers in places sort as numbers, equal findings count once, warnings stand apart."""
    found = [Finding(Code.TYPE_WRONG, f"/a/{number}", "m") for number in (10, 9, 10, 1)]
    found += [Finding(Code.NO_OUTPUTS, "/z", "m"), Finding(Code.FIELD_MISSING, "/a/9", "m")]
    result = result_of(Subject.JOBSPEC, found, 5)
    assert result.vector == (
        ("TYPE_WRONG", "/a/1"),
        ("FIELD_MISSING", "/a/9"),
        ("TYPE_WRONG", "/a/9"),
        ("TYPE_WRONG", "/a/10"),
    )
    assert [finding.code for finding in result.warnings] == [Code.NO_OUTPUTS]
    assert ValidationResult.from_dict(result.to_dict()) == result
    assert pointer_of(("a/b", "c~d", 0)) == "/a~1b/c~0d/0"


def test_result_that_contradicts_itself_is_refused() -> None:
    """`ok` with an error is no result; an unknown code is none either."""
    value = result_of(Subject.LEDGER, [Finding(Code.FILE_EDITED, "a#", "m")], 5).to_dict()
    with pytest.raises(FormatError, match="expected ok exactly when"):
        ValidationResult.from_dict({**value, "ok": True})
    errors = [{"code": "NO_SUCH_CODE", "path": "", "message": "m", "nested": []}]
    with pytest.raises(FormatError, match="expected one of"):
        ValidationResult.from_dict({**value, "errors": errors})
