"""Every job specification of tests/fixtures/jobspecs gives exactly the errors that are written beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from catfs.records.job_validation import validate_jobspec
from catfs.records.schema import validate
from catfs.records.validation import ValidationResult
from tests.fixtures.jobspecs.adversarial import adversarial_cases
from tests.fixtures.jobspecs.cases import content_of, file_bytes
from tests.fixtures.jobspecs.make import HERE
from tests.fixtures.jobspecs.valid import valid_cases

Case = dict[str, Any]


def _cases(name: str) -> list[Case]:
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text("ascii").splitlines()]


def _validate(case: Case, folder: Path) -> ValidationResult:
    """Validate a case in a folder of its own, with its links."""
    base = folder / "job"
    for name in ("src", "area"):
        (base / name).mkdir(parents=True)
    for name, target in case.get("links", {}).items():
        (base / name).symlink_to(target)
    return validate_jobspec(content_of(case), base, clock=lambda: 1)


@pytest.mark.parametrize("name", ["valid", "adversarial"])
def test_kept_files_are_what_the_script_writes(name: str) -> None:
    """The script gives the same bytes as ever, twice in one process too."""
    cases = {"valid": valid_cases, "adversarial": adversarial_cases}[name]
    kept = (HERE / f"{name}.jsonl").read_bytes()
    assert file_bytes(cases()) == kept
    assert file_bytes(cases()) == kept


def test_there_are_enough_cases_with_names_of_their_own() -> None:
    """At least 150 valid and 350 adversarial specifications; each adversarial one expects an error."""
    valid, adversarial = _cases("valid"), _cases("adversarial")
    assert len(valid) >= 150
    assert len(adversarial) >= 350
    assert len({case["name"] for case in valid}) == len(valid)
    assert len({case["name"] for case in adversarial}) == len(adversarial)
    assert not any(case["errors"] for case in valid)
    assert all(case["errors"] for case in adversarial)


@pytest.mark.parametrize("name", ["valid", "adversarial"])
def test_every_case_gives_its_errors_and_no_other(name: str, tmp_path: Path) -> None:
    """Codes and places are the expected ones, in order; a second validation gives the same in every word."""
    wrong = []
    for number, case in enumerate(_cases(name)):
        first = _validate(case, tmp_path / str(number))
        again = _validate(case, tmp_path / f"{number}-again")
        if [list(error) for error in first.vector] != case["errors"] or first != again:
            wrong.append((case["name"], case["errors"], first.vector))
    assert not wrong


def test_what_was_found_fits_its_own_schema(tmp_path: Path) -> None:
    """Each result is a validation_error.v1, and reads back as itself."""
    for number, case in enumerate(_cases("adversarial")[::7]):
        result = _validate(case, tmp_path / str(number))
        validate(result.to_dict(), "validation_error.v1")
        assert ValidationResult.from_dict(result.to_dict()) == result
