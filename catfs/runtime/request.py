"""What a run or a mount is asked for, as it comes from a command line."""

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from catfs.errors import UsageError
from catfs.records.job import Confine, JobSpec, JobStep, Leftovers
from catfs.runtime.declaration import DomainDeclaration, declare
from catfs.runtime.workspace import Workspace


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
    """

    arguments: tuple[str, ...]
    domains: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    allowed_roots: tuple[Path, ...] = ()
    allow_write: tuple[Path, ...] = ()
    leftovers: Leftovers = Leftovers.FAIL
    confine: Confine = Confine.ON
    transport: str = "pyfuse3"
    intent: str = ""
    run_id: str | None = None
    cwd: Path = Path()
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A run with everything resolved and checked.

    Args:
        spec: Its specification, as the ledger keeps it.
        declarations: Its domains with their outputs.
        allow_write: Places outside the domains that the command may write.
    """

    spec: JobSpec
    declarations: tuple[DomainDeclaration, ...]
    allow_write: tuple[Path, ...]


def resolve_request(request: RunRequest, workspace: Workspace) -> Job:
    """Resolve and check a request.

    Raises:
        UsageError: when domains, outputs or places cannot be used.
        FormatError: when the run id cannot name a run.
    """
    configuration = workspace.configuration()
    allowed = (*configuration.allowed_roots, *request.allowed_roots)
    declarations = declare(request.domains or (request.cwd,), request.outputs, allowed)
    allow_write = tuple(_existing(path) for path in (*configuration.allow_write, *request.allow_write))
    arguments = tuple(os.fsencode(word) for word in request.arguments)
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
        steps=(JobStep(1, request.intent, arguments),) if arguments else (),
        leftovers=request.leftovers,
        confine=request.confine,
        allow_write=tuple(os.fsencode(path) for path in allow_write),
        transport=request.transport,
    )
    return Job(spec, declarations, allow_write)


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
