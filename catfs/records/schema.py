"""JSON Schemas of the run files, as installed with the package, and validation by them.

Only what checks files read from elsewhere imports this module: loading jsonschema takes longer than
the rest of a small run together.
"""

import functools
import json
from collections.abc import Mapping
from importlib import resources

import jsonschema

from catfs.errors import FormatError


def validate(record: object, schema_name: str, what: str | None = None) -> None:
    """Check a record against a schema.

    Args:
        record: A JSON value.
        schema_name: Such as `proof.v1`.
        what: Name of the file, for people; by default that of the schema.

    Raises:
        FormatError: when it does not fit, or there is no such schema.
    """
    error = jsonschema.exceptions.best_match(_validator(schema_name).iter_errors(record))
    if error is not None:
        place = "/".join(map(str, error.absolute_path)) or "the whole record"
        message = error.message if len(error.message) <= 300 else f"{error.message[:300]}..."
        raise FormatError(what or schema_name, f"does not fit the schema {schema_name} at {place}: {message}")


def load_schema(schema_name: str) -> Mapping[str, object]:
    """Give a schema.

    Raises:
        FormatError: when there is none of this name.
    """
    file = resources.files("catfs") / "schemas" / f"{schema_name}.schema.json"
    if "/" in schema_name or not file.is_file():
        raise FormatError("schema", f"catfs has no schema named {schema_name!r}")
    schema: Mapping[str, object] = json.loads(file.read_text("utf-8"))
    return schema


@functools.cache
def _validator(schema_name: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(load_schema(schema_name))
