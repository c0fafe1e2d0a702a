"""Rules on files that are not only Python: machine paths, registry hosts, schemas, lock, kinds of tests.

Each rule takes texts and gives problems, one sentence each, which say what to do instead.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping

import jsonschema
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DRAFT = "http://json-schema.org/draft-07/schema#"
"""What `$schema` says in every schema of this project."""

UNLOCKED = ("bench",)
"""Extras that scripts/setup does not install, because neither catfs nor a test needs them."""

# In pieces, so that this file obeys its own rule.
_PLACE = re.compile(
    r"(?<![\w./-])/wo" + r"rk/|/tm" + r"p/(bash_jobs|briefs)|\.py" + r"env/|/opt/(wheels|py" + r"pi)"
)
_HOST = re.compile(
    r"py" + r"pi\.org|python" + r"hosted\.org|deb\.deb" + r"ian\.org|registry\.npm" + r"js\.org"
)


def check_places(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """No file names a place that exists only on the machine where it was written, nor a registry host."""
    for path, text in texts:
        for number, line in enumerate(text.splitlines(), start=1):
            if found := _PLACE.search(line):
                yield f"{path}:{number}: names {found[0]}, a place of one machine; name it from the checkout"
            if found := _HOST.search(line):
                yield f"{path}:{number}: names the host {found[0]}; package clients know their registry"


def check_schemas(schemas: Mapping[str, str], packaged: Mapping[str, str]) -> Iterator[str]:
    """Every schema is valid Draft 7 and is installed with the package.

    Args:
        schemas: File name and text of what lies in schemas/.
        packaged: File name and text of what the installed package gives.
    """
    for name, text in schemas.items():
        if problem := _schema_problem(text):
            yield f"schemas/{name}: {problem}"
        if packaged.get(name) != text:
            yield f"schemas/{name}: the package gives another text; keep catfs/schemas a link to schemas"


def _schema_problem(text: str) -> str | None:
    try:
        schema = json.loads(text)
        jsonschema.Draft7Validator.check_schema(schema)
    except json.JSONDecodeError as error:
        return f"no JSON: {error}"
    except jsonschema.SchemaError as error:
        return f"no valid Draft 7 schema: {error.message}"
    if not isinstance(schema, dict) or schema.get("$schema") != DRAFT:
        return f"expected $schema to be {DRAFT}"
    return None


def check_lock(project: str, lock: str) -> Iterator[str]:
    """Every requirement of pyproject.toml that setup installs is locked in a release it allows, with digests.

    Args:
        project: Text of pyproject.toml.
        lock: Text of requirements.lock.
    """
    table = tomllib.loads(project)["project"]
    wanted = [
        *table["dependencies"],
        *(r for name, extra in table["optional-dependencies"].items() if name not in UNLOCKED for r in extra),
    ]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+) \\$", lock, re.MULTILINE))
    for text in wanted:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version):
            got = f"{requirement.name} {version}"
            yield f"requirements.lock: has {got}, pyproject.toml wants {text}; make the lock anew"
    for line in re.findall(r"^[\w.-]+==\S*$|^--.*$|^.*://.*$", lock, re.MULTILINE):
        yield f"requirements.lock: {line!r} has no digest, or is an option or address; make the lock anew"


def check_kinds(script: str, test_paths: Iterable[str]) -> Iterator[str]:
    """Every folder of tests is run by scripts/test.

    Args:
        script: Text of scripts/test.
        test_paths: Paths of test modules, relative to the checkout.
    """
    listed = re.search(r"^kinds=\((.*)\)$", script, re.MULTILINE)
    kinds = set(listed[1].split()) if listed else set()
    for path in test_paths:
        kind = path.split("/")[1]
        if kind not in kinds:
            yield f"{path}: scripts/test runs no folder tests/{kind}; move it to one of {sorted(kinds)}"
