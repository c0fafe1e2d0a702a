"""What a validator found: findings with fixed codes and places, errors and warnings apart.

The same input always gives the same findings in the same order, whatever the machine and the time: they
are sorted by place and code, and only the result's own time differs between two validations.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, Self

from catfs.errors import FormatError
from catfs.records.fields import Fields
from catfs.records.timestamp import format_time
from catfs.records.validation_codes import Code
from catfs.values import dataclass

VALIDATION_SCHEMA: Final = "validation_error.v1"

VALIDATOR_VERSION: Final = "1.0.0"
"""Version of the rules: another one may give other findings for the same input."""


class Subject(Enum):
    """What was validated."""

    JOBSPEC = "jobspec"
    LEDGER = "ledger"
    CHAIN = "chain"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or odd, at one place.

    Args:
        code: What it is.
        pointer: JSON pointer (RFC 6901) of the place; in a run folder, the file stands before a `#`.
        message: One sentence for people: expected and got.
        nested: The findings of which this one is the sum.
    """

    code: Code
    pointer: str
    message: str
    nested: tuple["Finding", ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "code": self.code.value,
            "path": self.pointer,
            "message": self.message,
            "nested": [finding.to_dict() for finding in self.nested],
        }

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a finding out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        code, pointer, message = fields.choice("code", Code), fields.text("path"), fields.text("message")
        return cls(code, pointer, message, fields.parts("nested", cls.take))


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What the validation of one thing gave.

    Args:
        subject: What it was.
        errors: What forbids its use.
        warnings: What is odd but allowed.
        time: When it was validated, in nanoseconds since 1970.
        version: Version of the rules.
    """

    subject: Subject
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    time: int
    version: str = VALIDATOR_VERSION

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    @property
    def vector(self) -> tuple[tuple[str, str], ...]:
        """Code and place of every error, in order: what two validations of one input have in common."""
        return tuple((finding.code.value, finding.pointer) for finding in self.errors)

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "schema": VALIDATION_SCHEMA,
            "subject": self.subject.value,
            "ok": self.ok,
            "errors": [finding.to_dict() for finding in self.errors],
            "warnings": [finding.to_dict() for finding in self.warnings],
            "timestamp": format_time(self.time),
            "validator_version": self.version,
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type, or the fields contradict
                each other.
        """
        fields = Fields(value, "validation result")
        fields.schema(VALIDATION_SCHEMA)
        result = cls(
            subject=fields.choice("subject", Subject),
            errors=fields.parts("errors", Finding.take),
            warnings=fields.parts("warnings", Finding.take),
            time=fields.time("timestamp"),
            version=fields.text("validator_version"),
        )
        if fields.flag("ok") is not result.ok:
            raise FormatError("validation result", "expected ok exactly when there are no errors")
        fields.end()
        return result


def result_of(subject: Subject, findings: Iterable[Finding], time: int) -> ValidationResult:
    """Give findings as a result: sorted, each once, warnings apart.

    Args:
        subject: What was validated.
        findings: What was found, in any order.
        time: When, in nanoseconds since 1970.
    """
    unique = {(finding.pointer, finding.code, finding.message): finding for finding in findings}
    found = sorted(unique.values(), key=_order)
    return ValidationResult(
        subject,
        tuple(finding for finding in found if not finding.code.is_warning),
        tuple(finding for finding in found if finding.code.is_warning),
        time,
    )


def _order(finding: Finding) -> tuple[list[tuple[bool, int, str]], str, str]:
    """Sort by place, in lists by number, then by code and message."""
    file, _, place = finding.pointer.rpartition("#")
    parts = [file, *place.split("/")]
    numbered = [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
    return numbered, finding.code.value, finding.message


def pointer_of(parts: Iterable[object]) -> str:
    """Give the JSON pointer of a place.

    Args:
        parts: Keys and numbers on the way to it.
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
