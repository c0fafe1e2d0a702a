"""The work of a run: its command, or the steps of its pipeline, executed in the view of a session."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import trio

from catfs.clock import system_clock
from catfs.digest import Digest
from catfs.errors import MachineError
from catfs.ledger import RunWriter
from catfs.merkle import LayeredNodes, MemoryNodes, Tree
from catfs.overlay import ContentDigests, fold
from catfs.overlay.transports import Transport
from catfs.records import Confine, RunPhase, StepNote, StepResult
from catfs.records import Stream as StreamFacts
from catfs.records.run_files import step_file
from catfs.runtime.confinement import Confinement
from catfs.runtime.criteria import check_outputs
from catfs.runtime.execute import Ended, execute
from catfs.runtime.launch import Child, Mounts, launch, launch_command
from catfs.runtime.phases import Phases
from catfs.runtime.pipeline import Pipeline, PlannedStep, StepEnd, execute_pipeline
from catfs.runtime.request import Job, RunRequest
from catfs.runtime.session import Session
from catfs.runtime.step_runner import run_steps
from catfs.runtime.streams import Stream
from catfs.runtime.terminal import Terminal
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

_REPORT: Final = "wall.json"
"""File of the session in which the walls say what became of the commands."""

_STREAMS: Final = ("stdout", "stderr")

_CHECK_FAILED: Final = 1
"""Exit status of the check of the outputs when one does not meet its criteria."""


@dataclass(frozen=True, slots=True)
class Done:
    """What the work came to.

    Args:
        results: How each step went.
        notes: What else the ledger says of each.
        cut_off: Whether processes lived on and lost the mount.
    """

    results: tuple[StepResult, ...]
    notes: tuple[StepNote, ...]
    cut_off: bool


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be executed, and where.

    Args:
        session: The session, whose view is served meanwhile.
        job: The job.
        workspace: The workspace, which the commands may not see.
        request: Where the job comes from: working directory and commands.
        terminals: Descriptors to which standard output and error are passed on.
        transport: Serves the view.
    """

    session: Session
    job: Job
    workspace: Workspace
    request: RunRequest
    terminals: tuple[int, int]
    transport: Transport

    def run(self, writer: RunWriter, phases: Phases, tick: Callable[[], None]) -> Done:
        """Execute everything, and keep what it printed.

        Args:
            writer: Where the output of the steps is kept.
            phases: Told how each step ended.
            tick: Called when the command begins, then about ten times a second; what it raises
                ends the command.

        Raises:
            MachineError: when a command could not be started at all, or its wall not be built.
            ExceptionGroup: of such errors.
            OSError: when the output cannot be kept.
        """
        ends, cut_off = self._run_single(tick) if self.job.plan.is_single else self._run_steps(tick)
        results = [self._result(number, end, writer) for number, end in enumerate(ends)]
        notes = [self._note(number, end) for number, end in enumerate(ends)]
        if self.job.plan.criteria and (self.job.plan.keep_going or not any(end.status for end in ends)):
            results.append(self._check(len(ends), writer))
            notes.append(StepNote(len(ends) + 1))
        for result, note in zip(results, notes, strict=True):
            why = " because its time was over" if note.timed_out else ""
            text = f"step {result.index} ended with status {result.status}{why}"
            phases.decide(RunPhase.EXECUTE, text, self.job.spec.steps[result.index - 1].intent)
        return Done(tuple(results), tuple(notes), cut_off)

    def _run_single(self, tick: Callable[[], None]) -> tuple[list[StepEnd], bool]:
        """Run one command: the launched child becomes it."""
        if self.request.terminal:
            return self._run_interactive(tick)
        pipes = [os.pipe() for _ in _STREAMS]
        try:
            child = self._launch((pipes[0][1], pipes[1][1]), None)
        finally:
            for _, writing in pipes:
                os.close(writing)
        streams = [
            Stream(reading, terminal, keep)
            for (reading, _), terminal, keep in zip(pipes, self.terminals, self._keeps(0), strict=True)
        ]
        with closing(child):
            ended = trio.run(execute, self.session.view, self.transport, child, streams, tick)
        return self._end_of_single(ended)

    def _run_interactive(self, tick: Callable[[], None]) -> tuple[list[StepEnd], bool]:
        """Run one command in a terminal of its own; what that shows is kept as its standard output."""
        terminal, (shown, unused) = Terminal(), self._keeps(0)
        unused.touch()
        try:
            child = self._launch((terminal.command_end, terminal.command_end), terminal.command_end)
        finally:
            terminal.started()
        streams = [Stream(terminal.output, self.terminals[0], shown)]
        with terminal.raw(), closing(child):
            ended = trio.run(execute, self.session.view, self.transport, child, streams, tick, terminal)
        return self._end_of_single(ended)

    def _launch(self, outputs: tuple[int, int], terminal: int | None) -> Child:
        """Launch the one command.

        Args:
            outputs: What becomes its standard output and error.
            terminal: The terminal that it is to control; None for none.
        """
        request, name = self.request, None if terminal is None else os.ttyname(terminal)
        with self._report() as report:
            return launch_command(
                self._mounts(),
                self._wall.command(request.all_steps()[0].arguments, request.cwd, report, name),
                self._wall.environment(os.environ),
                request.cwd,
                *outputs,
                report if self._wall.on else None,
                terminal,
            )

    def _end_of_single(self, ended: Ended) -> tuple[list[StepEnd], bool]:
        self._check_started()(ended.status, ended.problem)
        return [StepEnd(ended.status, False, ended.started, ended.ended, ())], ended.cut_off

    def _run_steps(self, tick: Callable[[], None]) -> tuple[list[StepEnd], bool]:
        """Run a pipeline: the launched child starts its steps."""
        plan, cwd = self.job.plan, self.request.cwd
        with self._report() as report:
            commands = [self._wall.command(step.arguments, cwd, report) for step in self.request.all_steps()]
            environment = self._wall.environment(os.environ)

            def work(channel: socket.socket) -> int:
                return run_steps(channel, commands, environment, report if self._wall.on else None)

            child = launch(self._mounts(), cwd, work)
        pipeline = Pipeline(
            steps=[
                PlannedStep(number, timeout, self._keeps(number))
                for number, timeout in enumerate(plan.timeouts)
            ],
            keep_going=plan.keep_going,
            timeout_seconds=plan.timeout_seconds,
            terminals=self.terminals,
            roots=_Roots(self.session),
            check=self._check_started(),
        )
        with closing(child):
            ended = trio.run(execute_pipeline, self.session.view, self.transport, child, pipeline, tick)
        return list(ended.steps), ended.cut_off

    @property
    def _wall(self) -> Confinement:
        paths = tuple(declaration.path for declaration in self.job.declarations)
        on = self.job.spec.confine is Confine.ON
        network = self.job.plan.network
        return Confinement(on, paths, self.job.allow_write, self.workspace.folder, network)

    @contextmanager
    def _report(self) -> Iterator[int]:
        """Give a descriptor of the file in which walls report, each after the one before."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        report = os.open(self.session.folder / _REPORT, flags, 0o600)
        try:
            yield report
        finally:
            os.close(report)

    def _mounts(self) -> Mounts:
        staging = self.session.folder / "mount"
        staging.mkdir()
        paths = tuple(declaration.path for declaration in self.job.declarations)
        return Mounts(paths, self.session.labels, staging)

    def _keeps(self, number: int) -> tuple[Path, Path]:
        """Give the files of the session in which the output of a step is kept."""
        output, errors = (self.session.folder / f"{name}-{number}" for name in _STREAMS)
        return output, errors

    def _check_started(self) -> Callable[[int, str | None], None]:
        """Give what tells a command that never ran from one that failed, asked after each one in turn."""
        seen = 0

        def check(status: int, problem: str | None) -> None:
            nonlocal seen
            if problem is not None and status not in {126, 127}:
                raise MachineError(f"the command could not be started: {problem}")
            report = (self.session.folder / _REPORT).read_bytes()
            if self._wall.has_failed(status, report[seen:]):
                raise MachineError(
                    "the wall around the command could not be built, so the command did not run",
                    hint="bubblewrap has said why; --confine off runs without a wall",
                )
            seen = len(report)

        return check

    def _result(self, number: int, end: StepEnd, writer: RunWriter) -> StepResult:
        """Keep what a step printed, and say how it went."""
        step = self.job.spec.steps[number]
        output, errors = (
            StreamFacts(*writer.add_file(step_file(step.index, name), keep))
            for name, keep in zip(_STREAMS, self._keeps(number), strict=True)
        )
        return StepResult(step.index, step.argv, end.status, end.started, end.ended, output, errors)

    def _note(self, number: int, end: StepEnd) -> StepNote:
        timeout = self.job.plan.timeouts[number]
        nanoseconds = None if timeout is None else round(timeout * 10**9)
        return StepNote(number + 1, nanoseconds, end.timed_out, end.view_roots)

    def _check(self, number: int, writer: RunWriter) -> StepResult:
        """Check the outputs against their criteria, as the last step."""
        step, started = self.job.spec.steps[number], system_clock()
        met, text = check_outputs(self.session.view, self.job.plan.criteria)
        status, said = 0 if met else _CHECK_FAILED, text.encode()
        for name, data in zip(_STREAMS, (said, b""), strict=True):
            writer.write_bytes(step_file(step.index, name), data)
        if not met:
            os.write(self.terminals[1], said)
        facts = [StreamFacts(len(data), Digest.of(data)) for data in (said, b"")]
        return StepResult(step.index, step.argv, status, started, system_clock(), *facts)


class _Roots:
    """Gives the root of each domain's view of a session.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._digests = ContentDigests()

    def __call__(self) -> tuple[Digest, ...]:
        roots = []
        for index, base in enumerate(self._session.bases()):
            nodes = LayeredNodes(MemoryNodes(), base.nodes)
            tree = Tree(nodes, base.root_entry)
            view = fold(self._session.view, index, tree, nodes, self._digests, base.hard_links)
            roots.append(view.root)
        return tuple(roots)
