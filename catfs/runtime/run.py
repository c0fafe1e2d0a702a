"""A run: one command, executed in a session of its own, from declaration to ledger."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import trio

from catfs.clock import system_clock
from catfs.commit import Recovery, recover
from catfs.errors import MachineError
from catfs.ledger import RunWriter
from catfs.records import Confine, StepResult
from catfs.records import Stream as StreamFacts
from catfs.records.run_files import JOBSPEC_FILE, step_file
from catfs.runtime.conclude import Conclusion, Phases, Recording, conclude
from catfs.runtime.confinement import Confinement
from catfs.runtime.execute import Ended, Stream, execute
from catfs.runtime.launch import Child, Mounts, launch_command
from catfs.runtime.request import Job, RunRequest, resolve_request
from catfs.runtime.session import Session
from catfs.runtime.stopping import orderly_stop
from catfs.runtime.transports import make_transport
from catfs.runtime.workspace import Workspace

_REPORT = "wall.json"
"""File of the session in which the wall says what became of the command."""

Show = Callable[[int, int], None]
"""Told how many files and bytes of the domains have been read."""


def run_command(
    request: RunRequest,
    *,
    output: int = 1,
    errors: int = 2,
    on_recovery: Callable[[Sequence[Recovery]], None],
    show: Show | None = None,
) -> Conclusion:
    """Run a command in a view, prove what it left, commit what was declared, and record it.

    Args:
        request: What to run.
        output: Descriptor to which the command's standard output is passed on.
        errors: Descriptor to which its standard error is passed on.
        on_recovery: Told what was found of interrupted commits.
        show: Told how far reading the domains is.

    Raises:
        UsageError: when the request cannot be used.
        MachineError: when the machine cannot do it.
        CatfsError: as `conclude`.
    """
    started = system_clock()
    workspace = Workspace.find_or_create(request.cwd)
    job = resolve_request(request, workspace)
    transport = make_transport(job.spec.transport)
    job = replace(job, spec=replace(job.spec, transport=transport.name))
    on_recovery(recover(os.fsencode(workspace.folder)))
    phases = Phases()
    with orderly_stop(), RunWriter(workspace.runs / job.spec.run_id) as writer:
        writer.write_record(JOBSPEC_FILE, job.spec)
        with Session(workspace, job.spec.run_id, job.declarations, "run") as session:
            child, streams = _launch(session, job, workspace, request, (output, errors))
            with phases.phase("execute"):
                try:
                    ended = trio.run(execute, session.view, transport, child, streams, _ticker(session, show))
                except ExceptionGroup as group:
                    raise _cause(group) from group
            _check_started(session, job, workspace, ended)
            steps = [_step_result(job, ended, streams, writer)]
            record = Recording(workspace, writer, steps, request.argv, request.cwd, started, phases)
            conclusion = conclude(session, job, record)
    return replace(conclusion, cut_off=ended.cut_off)


def _cause(group: ExceptionGroup[Exception]) -> Exception:
    """Give the first of the errors that ended several tasks: it is what is told."""
    first = group.exceptions[0]
    return _cause(first) if isinstance(first, ExceptionGroup) else first


def _wall(job: Job, workspace: Workspace) -> Confinement:
    paths = tuple(declaration.path for declaration in job.declarations)
    return Confinement(job.spec.confine is Confine.ON, paths, job.allow_write, workspace.folder)


def _check_started(session: Session, job: Job, workspace: Workspace, ended: Ended) -> None:
    """Tell a command that never ran from one that failed.

    Raises:
        MachineError: when it never ran, for another reason than that it cannot be found or executed.
    """
    if ended.problem is not None and ended.status not in {126, 127}:
        raise MachineError(f"the command could not be started: {ended.problem}")
    if _wall(job, workspace).has_failed(ended.status, (session.folder / _REPORT).read_bytes()):
        raise MachineError(
            "the wall around the command could not be built, so the command did not run",
            hint="bubblewrap has said why; --confine off runs without a wall",
        )


def _launch(
    session: Session,
    job: Job,
    workspace: Workspace,
    request: RunRequest,
    terminals: tuple[int, int],
) -> tuple[Child, list[Stream]]:
    """Fork the command; it waits for its view to be served."""
    paths = tuple(declaration.path for declaration in job.declarations)
    wall = _wall(job, workspace)
    report = os.open(session.folder / _REPORT, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    command = wall.command(request.arguments, request.cwd, report)
    staging = session.folder / "mount"
    staging.mkdir()
    pipes = [os.pipe() for _ in terminals]
    try:
        child = launch_command(
            Mounts(paths, session.labels, staging),
            command,
            wall.environment(os.environ),
            request.cwd,
            pipes[0][1],
            pipes[1][1],
            report if wall.on else None,
        )
    finally:
        os.close(report)
        for _, writing in pipes:
            os.close(writing)
    streams = [
        Stream(reading, terminal, session.folder / name)
        for (reading, _), terminal, name in zip(pipes, terminals, ("stdout", "stderr"), strict=True)
    ]
    return child, streams


def _ticker(session: Session, show: Show | None) -> Callable[[], None] | None:
    if show is None:
        return None
    return lambda: show(*session.base.progress())


def _step_result(job: Job, ended: Ended, streams: Sequence[Stream], writer: RunWriter) -> StepResult:
    """Keep what the command printed, and say how it went."""
    step = job.spec.steps[0]
    output, errors = (
        StreamFacts(*writer.add_file(step_file(step.index, stream.keep.name), stream.keep))
        for stream in streams
    )
    return StepResult(step.index, step.argv, ended.status, ended.started, ended.ended, output, errors)
