"""What a run is asked to do: JOBSPEC.json, written before anything happens."""

from enum import Enum
from typing import Final, Self

from catfs.errors import FormatError, printable
from catfs.records.fields import Fields, put_bytes_list
from catfs.records.names import check_absolute, check_run_id
from catfs.values import dataclass

JOBSPEC_SCHEMA: Final = "jobspec.v1"


class Leftovers(Enum):
    """What happens to undeclared differences at the end."""

    FAIL = "fail"
    """The run is dirty and nothing is committed."""
    DISCARD = "discard"
    """They are listed and dropped; declared outputs are committed."""


class Confine(Enum):
    """Whether everything outside the domains is read-only for the command."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class JobStep:
    """One command of a run.

    Args:
        index: Its place, counted from 1.
        intent: What it is for, in the words of whoever declared it; may be empty.
        argv: Its arguments, at least one.
    """

    index: int
    intent: str
    argv: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if self.index < 1 or not self.argv:
            raise FormatError("job step", "expected an index from 1 on and at least one argument")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        record: dict[str, object] = {"index": self.index, "intent": self.intent}
        put_bytes_list(record, "argv", self.argv)
        return record

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a step out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.number("index"), fields.text("intent"), fields.data_list("argv"))


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The declaration of a run. All paths are absolute, without `.`, `..` and double slashes.

    Args:
        run_id: Name of the run and of its folder.
        intent: What the run is for; may be empty.
        domains: Directories that must be returned as they were; none lies in another.
        outputs: Paths that may survive; each is a domain or lies in one.
        allowed_roots: Folders below which outputs may be declared.
        steps: The commands, in order; none for a session that somebody works in by hand.
        leftovers: What happens to undeclared differences.
        confine: Whether the command is confined.
        allow_write: Places outside the domains that a confined command may write to.
        transport: Name of what serves the kernel's requests.
    """

    run_id: str
    intent: str
    domains: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    allowed_roots: tuple[bytes, ...]
    steps: tuple[JobStep, ...]
    leftovers: Leftovers
    confine: Confine
    allow_write: tuple[bytes, ...]
    transport: str

    def __post_init__(self) -> None:
        check_run_id(self.run_id)
        if not self.domains:
            raise FormatError("job specification", "expected at least one domain")
        for path in (*self.domains, *self.outputs, *self.allowed_roots, *self.allow_write):
            check_absolute(path)
        for domain in self.domains:
            if sum(_is_at_or_below(domain, other) for other in self.domains) > 1:
                raise FormatError(
                    "job specification", f"domain {printable(domain)} stands twice or in another"
                )
        for output in self.outputs:
            if not any(_is_at_or_below(output, domain) for domain in self.domains):
                raise FormatError("job specification", f"output {printable(output)} lies in no domain")
        if [step.index for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise FormatError("job specification", "expected steps that are counted from 1")

    def outputs_of(self, domain: bytes) -> tuple[bytes, ...]:
        """Give the outputs that lie in a domain, as paths relative to it; b"" for the domain itself."""
        return tuple(
            output[len(domain) :].lstrip(b"/") for output in self.outputs if _is_at_or_below(output, domain)
        )

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/ledger.md)."""
        record: dict[str, object] = {
            "schema": JOBSPEC_SCHEMA,
            "run_id": self.run_id,
            "intent": self.intent,
            "steps": [step.to_dict() for step in self.steps],
            "leftovers": self.leftovers.value,
            "confine": self.confine.value,
            "transport": self.transport,
        }
        for key in ("domains", "outputs", "allowed_roots", "allow_write"):
            put_bytes_list(record, key, getattr(self, key))
        return record

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "job specification")
        fields.schema(JOBSPEC_SCHEMA)
        job = cls(
            run_id=fields.run_id(),
            intent=fields.text("intent"),
            domains=fields.data_list("domains"),
            outputs=fields.data_list("outputs"),
            allowed_roots=fields.data_list("allowed_roots"),
            steps=fields.parts("steps", JobStep.take),
            leftovers=fields.choice("leftovers", Leftovers),
            confine=fields.choice("confine", Confine),
            allow_write=fields.data_list("allow_write"),
            transport=fields.text("transport"),
        )
        fields.end()
        return job


def _is_at_or_below(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
