"""A run: one command, executed in a session of its own, from declaration to ledger."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from catfs.clock import system_clock
from catfs.commit import Recovery
from catfs.errors import counted
from catfs.ledger import RunWriter
from catfs.records import Decision, RunPhase
from catfs.records.run_files import JOBSPEC_FILE
from catfs.runtime.conclude import Conclusion, Recording, conclude, look_ahead
from catfs.runtime.phases import Phases
from catfs.runtime.recovery import recover_workspace
from catfs.runtime.request import Job, RunRequest, resolve_request
from catfs.runtime.session import Session, SessionKind
from catfs.runtime.stopping import orderly_stop
from catfs.runtime.transports import make_transport
from catfs.runtime.work import Work
from catfs.runtime.workspace import Workspace

Show = Callable[[int, int], None]
"""Told how many files and bytes of the domains have been read."""


def run_command(
    request: RunRequest,
    *,
    output: int = 1,
    errors: int = 2,
    on_recovery: Callable[[Sequence[Recovery]], None],
    show: Show | None = None,
    on_decision: Callable[[Decision], None] | None = None,
) -> Conclusion:
    """Run a command in a view, prove what it left, commit what was declared, and record it.

    Args:
        request: What to run.
        output: Descriptor to which the command's standard output is passed on.
        errors: Descriptor to which its standard error is passed on.
        on_recovery: Told what was found of interrupted commits.
        show: Told how far reading the domains is.
        on_decision: Told of each line of the decision log, when it is written.

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
    on_recovery(recover_workspace(workspace))
    phases = Phases(on_decision=on_decision)
    with orderly_stop(), RunWriter(workspace.runs / job.spec.run_id) as writer:
        writer.write_record(JOBSPEC_FILE, job.spec)
        phases.decide(RunPhase.VALIDATE, "accepted the declaration", _declaration_text(job))
        with Session(
            workspace, job.spec.run_id, job.declarations, SessionKind.RUN, history=job.plan.history
        ) as session:
            phases.decide(RunPhase.SNAPSHOT, f"reading {counted(len(job.declarations), 'domain')}")
            work = Work(session, job, workspace, request, (output, errors), transport)
            with phases.phase("execute"):
                try:
                    done = work.run(writer, phases, _ticker(session, job, show))
                except ExceptionGroup as group:
                    raise _cause(group) from group
            record = Recording(
                workspace, writer, done.results, request.argv, request.cwd, started, phases, done.notes
            )
            with _without_looking_for_cycles():
                conclusion = conclude(session, job, record)
    return replace(conclusion, cut_off=done.cut_off)


@contextmanager
def _without_looking_for_cycles() -> Iterator[None]:
    """Leave the view out of the search for cycles: that would cost as much as it is large, and find none."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _cause(group: ExceptionGroup[Exception]) -> Exception:
    """Give the first of the errors that ended several tasks: it is what is told."""
    first = group.exceptions[0]
    return _cause(first) if isinstance(first, ExceptionGroup) else first


def _ticker(session: Session, job: Job, show: Show | None) -> Callable[[], None]:
    """Give what is done often while the command runs.

    A domain that cannot be read ends it at once, and records go out to whoever follows the log.
    """
    at_first = [look_ahead]

    def tick() -> None:
        session.base.check()
        if at_first:
            at_first.pop()(session, job)
        with suppress(OSError):  # a full disk is met at the end, by whoever needs the whole log
            session.log.flush()
        if show is not None:
            show(*session.base.progress())

    return tick


def _declaration_text(job: Job) -> str:
    parts = (
        (len(job.spec.domains), "domain"),
        (len(job.spec.outputs), "output"),
        (len(job.spec.steps), "step"),
    )
    return ", ".join(counted(number, noun) for number, noun in parts)
