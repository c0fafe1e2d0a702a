"""A job specification as people and programs write it (jobspec.v2), as a record."""

from collections.abc import Mapping
from typing import Any, Self

from catfs.records.job import Confine, Leftovers
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class OutputCriteria:
    """What an output must be, or nothing is committed; None asks for nothing.

    Args:
        kind: `file`, `directory` or `symlink`.
        bytes_min: Smallest size of a file, in bytes.
        bytes_max: Largest size of a file, in bytes.
        sha256: SHA-256 of a file, in hexadecimal.
        media: `json` or `utf-8`: what a file must be readable as.
    """

    kind: str | None = None
    bytes_min: int | None = None
    bytes_max: int | None = None
    sha256: str | None = None
    media: str | None = None

    @property
    def asks_for_file(self) -> bool:
        """Whether only a regular file can meet it."""
        return any(item is not None for item in (self.bytes_min, self.bytes_max, self.sha256, self.media))


@dataclass(frozen=True, slots=True)
class WrittenOutput:
    """A declared output.

    Args:
        path: As it was written.
        criteria: What it must be; None for nothing but to be there.
    """

    path: str
    criteria: OutputCriteria | None


@dataclass(frozen=True, slots=True)
class WrittenStep:
    """A step.

    Args:
        intent: What it is for.
        argv: The program and its arguments.
        timeout_seconds: Longest time for it; None for no limit of its own.
    """

    intent: str
    argv: tuple[str, ...]
    timeout_seconds: int | None


@dataclass(frozen=True, slots=True)
class WrittenJob:
    """A valid job specification. Paths are as they were written.

    Args:
        job_id: Name of the job and of its run.
        intent: What it is for.
        domains: Directories that must be returned as they were.
        outputs: What may survive.
        allowed_roots: Folders below which outputs may lie.
        forbidden_paths: What no domain and no output may touch.
        steps: The commands.
        keep_going: Whether steps go on after one that failed.
        leftovers: What undeclared differences do.
        confine: Whether the steps are confined.
        timeout_seconds: Longest time for all steps together.
        value: All of it, as it was given.
    """

    job_id: str
    intent: str
    domains: tuple[str, ...]
    outputs: tuple[WrittenOutput, ...]
    allowed_roots: tuple[str, ...]
    forbidden_paths: tuple[str, ...]
    steps: tuple[WrittenStep, ...]
    keep_going: bool
    leftovers: Leftovers
    confine: Confine
    timeout_seconds: int
    value: Mapping[str, object]

    @classmethod
    def from_valid(cls, value: Mapping[str, Any]) -> Self:
        """Give the record of a specification that `validate_jobspec` has found no error in."""
        return cls(
            job_id=value["job_id"],
            intent=value["intent"],
            domains=tuple(value["catalytic_domains"]),
            outputs=tuple(map(_output, value["durable_outputs"])),
            allowed_roots=tuple(value.get("allowed_roots", ())),
            forbidden_paths=tuple(value.get("forbidden_paths", ())),
            steps=tuple(map(_step, value["steps"])),
            keep_going=value.get("keep_going", False),
            leftovers=Leftovers(value.get("leftovers", Leftovers.FAIL.value)),
            confine=Confine(value.get("confine", Confine.ON.value)),
            timeout_seconds=value["metadata"]["timeout_seconds"],
            value=value,
        )


def _output(value: Mapping[str, Any]) -> WrittenOutput:
    criteria = value.get("validation")
    return WrittenOutput(value["path"], None if criteria is None else OutputCriteria(**criteria))


def _step(value: Mapping[str, Any]) -> WrittenStep:
    argv = tuple(value["argv"]) if "argv" in value else ("sh", "-c", value["command"])
    return WrittenStep(value["intent"], argv, value.get("timeout_seconds"))
