"""Whether a job specification can be used: its form by the schema, then its paths by how they lie.

The same bytes below the same folder always give the same findings in the same order.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import jsonschema

from catfs.clock import Clock, system_clock
from catfs.records.job_paths import path_findings
from catfs.records.job_reading import UnreadableJobError, odd_values, read_job_value
from catfs.records.schema import load_schema
from catfs.records.validation import Finding, Subject, ValidationResult, pointer_of, result_of
from catfs.records.validation_codes import Code

WRITTEN_JOB_SCHEMA: Final = "jobspec.v2"

_CODES: Final[Mapping[str, Code]] = {
    "type": Code.TYPE_WRONG,
    "enum": Code.VALUE_NOT_ALLOWED,
    "const": Code.VALUE_NOT_ALLOWED,
    "minimum": Code.VALUE_TOO_SMALL,
    "maximum": Code.VALUE_TOO_LARGE,
    "minLength": Code.TEXT_TOO_SHORT,
    "maxLength": Code.TEXT_TOO_LONG,
    "pattern": Code.PATTERN_MISMATCH,
    "minItems": Code.ITEMS_TOO_FEW,
    "maxItems": Code.ITEMS_TOO_MANY,
    "uniqueItems": Code.ITEM_DUPLICATE,
    "minProperties": Code.ITEMS_TOO_FEW,
}
"""Keyword of a schema to the code of what it refuses; `required`, `additionalProperties` and `oneOf` have
more to say and stand below."""


def validate_jobspec(
    data: bytes | Mapping[str, object], base: Path | None = None, *, clock: Clock = system_clock
) -> ValidationResult:
    """Validate a job specification.

    Args:
        data: The whole file, or the value that it holds.
        base: The folder from which relative paths count. Links on the way of paths are followed there; None
            takes paths by their words only.
        clock: Gives the time of the result.
    """
    return result_of(Subject.JOBSPEC, _findings(data, base), clock())


def _findings(data: bytes | Mapping[str, object], base: Path | None) -> list[Finding]:
    try:
        value = read_job_value(data) if isinstance(data, bytes) else data
    except UnreadableJobError as error:
        return list(error.findings)
    if odd := odd_values(value):
        return odd
    if isinstance(value, Mapping) and value.get("schema") != WRITTEN_JOB_SCHEMA and "schema" in value:
        message = f"expected the schema {WRITTEN_JOB_SCHEMA}, got {_short(value['schema'])}"
        return [Finding(Code.VERSION_UNKNOWN, "/schema", message)]
    found = [finding for error in _validator().iter_errors(value) for finding in _of_error(error)]
    if found:
        return found
    assert isinstance(value, Mapping)
    return [*_field_findings(value), *path_findings(value, _resolver(base))]


@functools.cache
def _validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(load_schema(WRITTEN_JOB_SCHEMA))


def _of_error(error: jsonschema.ValidationError) -> Iterator[Finding]:
    """Give what the schema refuses at one place."""
    place, value, schema = tuple(error.absolute_path), error.validator_value, error.schema
    if error.validator == "required":
        assert isinstance(value, list)
        for name in value:
            if isinstance(error.instance, dict) and name not in error.instance:
                yield Finding(Code.FIELD_MISSING, pointer_of((*place, name)), f"the field {name} is missing")
    elif error.validator == "additionalProperties":
        assert isinstance(schema, Mapping)
        assert isinstance(error.instance, dict)
        for name in error.instance.keys() - schema["properties"].keys():
            yield Finding(Code.FIELD_UNKNOWN, pointer_of((*place, name)), f"there is no field {_short(name)}")
    elif error.validator == "oneOf":
        if not isinstance(error.instance, dict):
            return  # its type is refused already
        nested = {finding for inner in error.context or () for finding in _of_error(inner)}
        assert isinstance(value, list)
        text = f"expected exactly one of {len(value)} alternatives"
        ordered = tuple(sorted(nested, key=lambda finding: (finding.pointer, finding.code.value)))
        yield Finding(Code.ALTERNATIVES_UNMET, pointer_of(place), text, ordered)
    else:
        message = f"{error.validator}: expected {_short(value)}, got {_short(error.instance)}"
        yield Finding(_CODES[str(error.validator)], pointer_of(place), message)


def _field_findings(value: Mapping[str, object]) -> Iterator[Finding]:
    """Give what is wrong between fields that each fit the schema."""
    outputs, steps, metadata = value["durable_outputs"], value["steps"], value["metadata"]
    assert isinstance(outputs, list)
    assert isinstance(steps, list)
    assert isinstance(metadata, dict)
    for index, output in enumerate(outputs):
        criteria = output.get("validation", {})
        if criteria.get("bytes_min", 0) > criteria.get("bytes_max", criteria.get("bytes_min", 0)):
            place = f"/durable_outputs/{index}/validation/bytes_max"
            yield Finding(Code.BYTES_RANGE_EMPTY, place, "expected at least bytes_min, got less")
    for index, step in enumerate(steps):
        if step.get("timeout_seconds", 0) > metadata["timeout_seconds"]:
            place = f"/steps/{index}/timeout_seconds"
            yield Finding(Code.STEP_TIMEOUT_EXCEEDS_JOB, place, "expected at most the time of the whole job")
    if metadata["governance_check"] and not value.get("allowed_roots"):
        text = "a job with a governance check names the folders where its outputs may lie"
        yield Finding(Code.GOVERNANCE_ROOTS_MISSING, "/allowed_roots", text)
    if not outputs:
        yield Finding(Code.NO_OUTPUTS, "/durable_outputs", "nothing of the job can survive")
    if value["swarm_parallel"] and value["determinism"] == "nondeterministic":
        text = "jobs that run beside others and are not deterministic cannot be compared"
        yield Finding(Code.SWARM_NONDETERMINISTIC, "/swarm_parallel", text)


def _resolver(base: Path | None) -> Callable[[str], str]:
    """Give how a path is made absolute: with links followed below a folder, or by its words alone."""
    if base is None:
        return lambda path: os.path.normpath(os.path.join("/job", path))
    return lambda path: os.path.realpath(os.path.join(base, path))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
