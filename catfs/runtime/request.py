"""What a run or a mount is asked for, as it comes from a command line."""

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from catfs.errors import UsageError
from catfs.ledger import LAST_RUN
from catfs.records.job import Confine, JobSpec, JobStep, Leftovers
from catfs.records.job_written import OutputCriteria
from catfs.runtime.criteria import CHECK_ARGUMENTS, CHECK_INTENT, DeclaredOutput, locate
from catfs.runtime.declaration import DomainDeclaration, covering_domains, declare, resolve_output
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One step of a pipeline, as it is asked for.

    Args:
        intent: What it is for.
        arguments: The command.
        timeout_seconds: Longest time for it; None for no limit.
    """

    intent: str
    arguments: tuple[str, ...]
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run before anything is resolved.

    Args:
        arguments: The command; empty for a session that somebody works in by hand.
        domains: The domains; empty means the working directory.
        outputs: Paths that may survive.
        allowed_roots: Folders under which outputs may be declared, besides the configured ones.
        allow_write: Places outside the domains that the command may write, besides the configured ones.
        leftovers: What happens to undeclared differences.
        confine: Whether the command is confined.
        transport: Name of the transport.
        intent: What the run is for.
        run_id: Its id; None for one made from the time.
        cwd: The working directory.
        argv: The arguments of the `catfs` command itself.
        steps: The steps of a pipeline, instead of `arguments`.
        keep_going: Whether steps go on after one that failed.
        timeout_seconds: Longest time for all steps together; None for no limit.
        criteria: Outputs with what they must be.
        network: Whether a confined command may reach the network.
        declared: The job specification that this comes from, as it was given; None for a command line.
        history: Whether every byte that is written is kept, so that every version can be had later.
        flat_manifests: Whether the manifests list every path, instead of naming roots of trees in the store.
        terminal: Whether the command gets a terminal of its own, joined to the caller's.
    """

    arguments: tuple[str, ...]
    domains: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    allowed_roots: tuple[Path, ...] = ()
    allow_write: tuple[Path, ...] = ()
    leftovers: Leftovers = Leftovers.FAIL
    confine: Confine = Confine.ON
    transport: str = "auto"
    intent: str = ""
    run_id: str | None = None
    cwd: Path = Path()
    argv: tuple[str, ...] = ()
    steps: tuple[StepRequest, ...] = ()
    keep_going: bool = False
    timeout_seconds: float | None = None
    criteria: tuple[tuple[Path, OutputCriteria], ...] = ()
    network: bool = True
    declared: Mapping[str, object] | None = None
    history: bool = False
    flat_manifests: bool = False
    terminal: bool = False

    def all_steps(self) -> tuple[StepRequest, ...]:
        """Give the steps; a single command is one."""
        if self.steps or not self.arguments:
            return self.steps
        return (StepRequest(self.intent, self.arguments),)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the steps of a job are executed, besides what its specification says.

    Args:
        timeouts: Longest time of each step, in seconds; None for no limit.
        keep_going: Whether steps go on after one that failed.
        timeout_seconds: Longest time for all of them; None for no limit.
        criteria: Outputs that must be something, which a last step checks.
        network: Whether the commands may reach the network.
        declared: The job specification as it was given, or None.
        history: Whether every byte that is written is kept.
        flat_manifests: Whether the manifests list every path.
    """

    timeouts: tuple[float | None, ...] = ()
    keep_going: bool = False
    timeout_seconds: float | None = None
    criteria: tuple[DeclaredOutput, ...] = ()
    network: bool = True
    declared: Mapping[str, object] | None = None
    history: bool = False
    flat_manifests: bool = False

    @property
    def is_single(self) -> bool:
        """Whether there is one command without a limit of time."""
        return len(self.timeouts) == 1 and self.timeouts[0] is None and self.timeout_seconds is None


@dataclass(frozen=True, slots=True)
class Job:
    """A run with everything resolved and checked.

    Args:
        spec: Its specification, as the ledger keeps it.
        declarations: Its domains with their outputs.
        allow_write: Places outside the domains that the command may write.
        plan: How its steps are executed.
    """

    spec: JobSpec
    declarations: tuple[DomainDeclaration, ...]
    allow_write: tuple[Path, ...]
    plan: Plan = field(default_factory=Plan)


def resolve_request(request: RunRequest, workspace: Workspace) -> Job:
    """Resolve and check a request.

    Raises:
        UsageError: when domains, outputs or places cannot be used.
        FormatError: when the run id cannot name a run.
    """
    if request.run_id == LAST_RUN:
        raise UsageError(
            f"expected an id for the run, got {LAST_RUN!r}", hint="that word means the newest run"
        )
    configuration = workspace.configuration()
    allowed = (*configuration.allowed_roots, *request.allowed_roots)
    domains = covering_domains(request.domains or (request.cwd,), request.outputs, allowed)
    declarations = declare(domains, request.outputs, allowed)
    plan = _plan(request, [declaration.path for declaration in declarations])
    if not request.network and request.confine is Confine.OFF:
        raise UsageError("the network can only be kept from a confined command", hint="leave --confine on")
    allow_write = tuple(_existing(path) for path in (*configuration.allow_write, *request.allow_write))
    spec = JobSpec(
        run_id=fresh_run_id() if request.run_id is None else request.run_id,
        intent=request.intent,
        domains=tuple(os.fsencode(declaration.path) for declaration in declarations),
        outputs=tuple(
            os.fsencode(declaration.path) + b"/" + output
            for declaration in declarations
            for output in declaration.outputs
        ),
        allowed_roots=tuple(os.fsencode(os.path.realpath(path)) for path in allowed),
        steps=_job_steps(request, plan),
        leftovers=request.leftovers,
        confine=request.confine,
        allow_write=tuple(os.fsencode(path) for path in allow_write),
        transport=request.transport,
    )
    return Job(spec, declarations, allow_write, plan)


def _plan(request: RunRequest, domains: Sequence[Path]) -> Plan:
    return Plan(
        timeouts=tuple(step.timeout_seconds for step in request.all_steps()),
        keep_going=request.keep_going,
        timeout_seconds=request.timeout_seconds,
        criteria=tuple(
            locate(resolve_output(path), domains, criteria) for path, criteria in request.criteria
        ),
        network=request.network,
        declared=request.declared,
        history=request.history,
        flat_manifests=request.flat_manifests,
    )


def _job_steps(request: RunRequest, plan: Plan) -> tuple[JobStep, ...]:
    """Give the steps as the ledger keeps them, the check of the outputs last."""
    steps = [
        (step.intent, tuple(os.fsencode(word) for word in step.arguments)) for step in request.all_steps()
    ]
    if plan.criteria:
        steps.append((CHECK_INTENT, CHECK_ARGUMENTS))
    return tuple(JobStep(index, *step) for index, step in enumerate(steps, start=1))


def _existing(path: Path) -> Path:
    """Resolve a place that the command may write.

    Raises:
        UsageError: when there is no such place.
    """
    resolved = Path(os.path.realpath(path))
    if not resolved.exists():
        raise UsageError(f"the place {path} that the command may write does not exist", hint="make it first")
    return resolved


def fresh_run_id() -> str:
    """Give an id that sorts by time and is new also when two runs begin in one second."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + secrets.token_hex(3)
