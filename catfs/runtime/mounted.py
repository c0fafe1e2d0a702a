"""Mounted sessions: a server in the background, and what can be asked of it.

The server outlives the mount: what a plain `umount` takes away is only the way to the view. The view
itself stays until it is committed or discarded, so nothing is lost by accident.
"""

import functools
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import trio

from catfs.clock import system_clock
from catfs.errors import CatfsError, ExitStatus, FormatError, MachineError, UsageError
from catfs.ledger import RunWriter
from catfs.overlay.transports import Transport
from catfs.proof import restore_diff
from catfs.records import JOBSPEC_FILE, Leftovers, Outcome
from catfs.runtime.conclude import Examination, Phases, Recording, conclude, examine
from catfs.runtime.control import serve_control
from catfs.runtime.launch import enter_private_namespace, launch_mount
from catfs.runtime.request import Job, RunRequest, fresh_run_id, resolve_request
from catfs.runtime.session import Session
from catfs.runtime.sessions import is_mount_point
from catfs.runtime.transports import make_transport
from catfs.runtime.workspace import Workspace

_READY = b"ready"

_UNMOUNT_SECONDS = 5.0
"""How long the kernel may take to take a mount down after it was unmounted."""

_LAST_ANSWER_SECONDS = 0.05
"""How long the server stays for its last answer to be read."""


def start_mount(request: RunRequest) -> Job:
    """Mount a domain for everybody, served by a process in the background.

    Args:
        request: What to mount: one domain, no command.

    Returns:
        The job, whose run id is the id of the session.

    Raises:
        UsageError: when the request cannot be used, or a view is mounted there already.
        MachineError: when it cannot be mounted.
    """
    workspace = Workspace.find_or_create(request.cwd)
    job = resolve_request(request, workspace)
    transport = make_transport(job.spec.transport)
    job = replace(job, spec=replace(job.spec, transport=transport.name))
    domain = job.declarations[0].path
    if is_mount_point(domain):
        raise UsageError(f"{domain} is mounted already", hint="`catfs umount` ends the session")
    if os.geteuid():
        raise MachineError(
            "mounting for everybody needs root", hint="`catfs run` mounts privately and needs no privilege"
        )
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            said = answer.read()
        if said != _READY:
            os.waitpid(pid, 0)
            raise MachineError(said.decode() or "the server ended before it had mounted")
        return job
    os.close(reader)
    status = ExitStatus.INTERNAL
    try:
        os.setsid()
        _detach()
        _Server(job, workspace, transport, request.argv).run(writer)
        status = ExitStatus.RESTORED
    except (CatfsError, OSError) as error:
        os.write(writer, str(error).encode())
    finally:
        os._exit(status)


def _detach() -> None:
    """Let go of the caller's terminal; it would otherwise be kept open for as long as the mount lives."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")


@dataclass(slots=True)
class _Server:
    """The server of one mounted session."""

    job: Job
    workspace: Workspace
    transport: Transport
    argv: tuple[str, ...]
    _started: int = field(default_factory=system_clock)
    _concluded: trio.Event = field(default_factory=trio.Event)
    _unmounted: trio.Event = field(default_factory=trio.Event)

    def run(self, writer: int) -> None:
        """Mount, report that, and serve until the session is committed or discarded."""
        domain = self.job.declarations[0].path
        with Session(self.workspace, self.job.spec.run_id, self.job.declarations, "mount") as session:
            child = launch_mount(domain)
            enter_private_namespace()
            connection = child.receive_connection()
            child.proceed()
            os.waitpid(child.pid, 0)
            child.close()
            os.write(writer, _READY)
            os.close(writer)
            trio.run(self._serve, session, connection)

    async def _serve(self, session: Session, connection: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_view, session, connection)
            nursery.start_soon(serve_control, session.folder, functools.partial(self._answer, session))
            await self._concluded.wait()
            await trio.sleep(_LAST_ANSWER_SECONDS)
            nursery.cancel_scope.cancel()

    async def _serve_view(self, session: Session, connection: int) -> None:
        await self.transport.serve(session.view, connection)
        self._unmounted.set()

    async def _answer(self, session: Session, question: Mapping[str, object]) -> Mapping[str, object]:
        """Answer one question of the control socket."""
        match question.get("ask"):
            case "status":
                return self._status(session)
            case "flush":
                session.log.flush()
                return {"log": str(session.log_path)}
            case "examine":
                return self._describe(examine(session, self.job, 0, _leftovers(question)))
            case "commit":
                await self._wait_until_unmounted()
                return self._commit(session, _leftovers(question))
            case "discard":
                await self._wait_until_unmounted()
                self._concluded.set()
                return {}
            case other:
                raise FormatError("question", f"expected one that the session knows, got {other!r}")

    async def _wait_until_unmounted(self) -> None:
        """Wait until the kernel has taken the mount down, which it does a moment after `umount`."""
        with trio.move_on_after(_UNMOUNT_SECONDS):
            await self._unmounted.wait()
        if not self._unmounted.is_set():
            raise UsageError(f"{self.job.declarations[0].path} is still mounted", hint="unmount it first")

    def _status(self, session: Session) -> Mapping[str, object]:
        files, size = session.base.progress()
        return {
            "session": session.identity,
            "domain": str(self.job.declarations[0].path),
            "outputs": [os.fsdecode(output) for output in self.job.declarations[0].outputs],
            "started": self._started,
            "mounted": not self._unmounted.is_set(),
            "transport": self.transport.name,
            "records": session.log.sequence,
            "new_bytes": session.view.data.size,
            "base_files": files,
            "base_bytes": size,
        }

    def _describe(self, examination: Examination) -> Mapping[str, object]:
        verdict = examination.verdict
        return {
            "outcome": verdict.outcome.value,
            "exit_status": verdict.exit_status,
            "sentence": verdict.sentence,
            "verdicts": {"isolated": verdict.isolated, "self_restored": verdict.self_restored},
            "difference": restore_diff(self.job.spec.run_id, verdict).to_dict(),
            "roots": [
                {"base": domain.base_root.hex, "view": domain.view_root.hex, "replay": domain.replay_root.hex}
                for domain in examination.evidence.domains
            ],
        }

    def _commit(self, session: Session, leftovers: Leftovers | None) -> Mapping[str, object]:
        """Commit and record, unless the judgement forbids it: then the session goes on."""
        examination = examine(session, self.job, 0, leftovers)
        if not examination.verdict.commits:
            return self._describe(examination)
        job = self._job_with_free_id()
        with RunWriter(self.workspace.runs / job.spec.run_id) as writer:
            writer.write_record(JOBSPEC_FILE, job.spec)
            recording = Recording(self.workspace, writer, (), self.argv, self._started, Phases())
            conclusion = conclude(session, job, recording, leftovers)
        proof = conclusion.proof
        if proof.outcome is Outcome.RESTORED:
            self._concluded.set()
        return {
            "run_id": proof.run_id,
            "outcome": proof.outcome.value,
            "exit_status": proof.exit_status,
            "sentence": conclusion.sentence,
            "difference": conclusion.difference.to_dict(),
        }

    def _job_with_free_id(self) -> Job:
        """Give the job under an id that no run has: an earlier attempt may have been recorded."""
        if not (self.workspace.runs / self.job.spec.run_id).exists():
            return self.job
        return replace(self.job, spec=replace(self.job.spec, run_id=fresh_run_id()))


def _leftovers(question: Mapping[str, object]) -> Leftovers | None:
    """Give the policy that a question asks for; None when it names none."""
    value = question.get("leftovers")
    if value is None:
        return None
    try:
        return Leftovers(value)
    except ValueError:
        raise FormatError("question", f"expected a policy for leftovers, got {value!r}") from None
