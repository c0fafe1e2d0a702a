"""From the bytes of a job specification to a JSON value, telling each way in which they are none."""

import json
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

from catfs.limits import JOBSPEC_BYTES_MAX, JOBSPEC_DEPTH_MAX
from catfs.records.validation import Finding, pointer_of
from catfs.records.validation_codes import Code

_EXACT_MAX: Final = 2**53 - 1


class UnreadableJobError(ValueError):
    """The bytes are no JSON value that a job specification could be.

    Args:
        findings: What is wrong.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(findings[0].message)
        self.findings = tuple(findings)


class _DuplicateKeyError(ValueError):
    """A key stands twice in one object."""


class _ConstantError(ValueError):
    """NaN or an infinity, which JSON does not have."""


def read_job_value(data: bytes) -> object:
    """Read the JSON value of a job specification.

    Args:
        data: The whole file.

    Raises:
        UnreadableJobError: when it is too large, not UTF-8, no JSON, nested too deeply, or has a key twice.
    """
    if len(data) > JOBSPEC_BYTES_MAX:
        _refuse(Code.TOO_LARGE, f"expected at most {JOBSPEC_BYTES_MAX} bytes, got {len(data)}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        _refuse(Code.ENCODING_INVALID, f"expected UTF-8, but byte {error.start} is none")
    if text.startswith("\ufeff"):
        _refuse(Code.ENCODING_INVALID, "expected UTF-8 without a byte order mark")
    if _depth(text) > JOBSPEC_DEPTH_MAX:
        _refuse(Code.NESTING_TOO_DEEP, f"expected at most {JOBSPEC_DEPTH_MAX} levels of nesting")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except _DuplicateKeyError as error:
        _refuse(Code.KEY_DUPLICATE, f"the key {str(error)!r} stands twice in one object")
    except json.JSONDecodeError as error:
        _refuse(Code.JSON_INVALID, f"expected JSON: {error.msg} at character {error.pos}")
    except ValueError:
        # NaN and infinities, and a whole number of thousands of digits, which Python refuses to read.
        _refuse(Code.JSON_INVALID, "expected JSON with numbers that every reader knows")


def odd_values(value: object) -> list[Finding]:
    """Give the numbers and texts that canonical JSON cannot say, each with its place."""
    return list(_odd_values(value, ()))


def _odd_values(value: object, place: tuple[object, ...]) -> Iterator[Finding]:
    if isinstance(value, dict):
        for key, item in value.items():
            if not _is_text(key):
                yield Finding(Code.TEXT_INVALID, pointer_of(place), "a key has half of a surrogate pair")
            else:
                yield from _odd_values(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _odd_values(item, (*place, index))
    elif isinstance(value, str) and not _is_text(value):
        yield Finding(Code.TEXT_INVALID, pointer_of(place), "the text has half of a surrogate pair")
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > _EXACT_MAX):
        text = "expected a whole number that every reader keeps exactly"
        yield Finding(Code.NUMBER_NOT_WHOLE, pointer_of(place), text)


def _depth(text: str) -> int:
    """Give the deepest nesting of brackets outside of texts, without nesting calls."""
    depth = deepest = 0
    in_text = escaped = False
    for character in text:
        if in_text:
            in_text = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_text = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(min(key for key in found if keys.count(key) > 1))
    return found


def _constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(code: Code, message: str) -> NoReturn:
    raise UnreadableJobError([Finding(code, "", message)])
