"""The schemas: sound, with examples that fit, and described field by field where people fill them in."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from catfs.errors import FormatError
from catfs.ledger import ChainRecord
from catfs.records import LedgerRecord
from catfs.records.canonical import canonical_bytes
from catfs.records.job_validation import validate_jobspec
from catfs.records.job_written import WrittenJob
from catfs.records.schema import load_schema, validate
from catfs.records.validation import ValidationResult
from catfs.records.validation_codes import Code

SCHEMAS = Path(__file__).parents[2] / "schemas"
NAMES = sorted(path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json"))
WITH_EXAMPLES = ("jobspec.v2", "validation_error.v1", "ledger.v1", "chain-record.v1", "cli-compare.v1")


def _examples(name: str) -> list[Any]:
    examples = load_schema(name).get("examples", [])
    assert isinstance(examples, list)
    return examples


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_draft_7_and_its_examples_fit(name: str) -> None:
    """Each schema fits the meta-schema, and each of its examples fits the schema."""
    jsonschema.Draft7Validator.check_schema(dict(load_schema(name)))
    for example in _examples(name):
        validate(example, name)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_schema_of_what_others_write_has_an_example(name: str) -> None:
    """There is something to start from."""
    assert _examples(name)


def test_examples_are_read_as_records() -> None:
    """The decoders take what the schemas show, and give it back as it was."""
    (ledger,) = _examples("ledger.v1")
    assert LedgerRecord.from_dict(ledger).to_dict() == ledger
    (result,) = _examples("validation_error.v1")
    assert ValidationResult.from_dict(result).to_dict() == result
    (record,) = _examples("chain-record.v1")
    assert ChainRecord.from_line(canonical_bytes(record)).seq == 0
    (job,) = _examples("jobspec.v2")
    assert validate_jobspec(job).ok
    assert WrittenJob.from_valid(job).steps[1].argv[0] == "python3"


def test_unknown_versions_are_refused() -> None:
    """A name or version that nobody knows is no schema."""
    for name in ("jobspec.v3", "jobspec", "../jobspec.v1", "ledger.v2"):
        with pytest.raises(FormatError, match="has no schema named"):
            load_schema(name)


@pytest.mark.parametrize("name", ["jobspec.v2", "validation_error.v1", "ledger.v1"])
def test_readme_describes_every_field(name: str) -> None:
    """Each property, however deep, is named in schemas/README.md, and so is each schema."""
    text = (SCHEMAS / "README.md").read_text("utf-8")
    assert f"`{name}`" in text
    for key in _properties(load_schema(name)):
        assert re.search(rf"[`.]{key}`", text), key


def _properties(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_properties, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", {})) - {"file", "digest", "time", "phase", "decision", "detail"}
    return own.union(*(_properties(item) for key, item in schema.items() if key != "examples"))


def test_codes_are_named_as_they_are() -> None:
    """A code is its own name in UPPER_SNAKE, so that a list of errors can be compared by text."""
    for code in Code:
        assert code.value == code.name
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", code.value)


def test_example_of_the_readme_is_valid() -> None:
    """The job specification that people copy has no error."""
    text = (SCHEMAS / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert validate_jobspec(json.dumps(json.loads(example)).encode()).vector == ()
