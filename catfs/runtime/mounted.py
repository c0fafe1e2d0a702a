"""Mounted sessions: a server in the background, and what can be asked of it.

A mounted session lives until it is committed or discarded. Its server may end before, by a plain
`umount`, a crash or a reboot: what was synced is in its folder, and mounting the domain again goes on
from there, as does a commit without any mount.
"""

import functools
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import orjson
import trio

from catfs.clock import system_clock
from catfs.commit import Recovery, recover
from catfs.durable import publish
from catfs.errors import CatfsError, ExitStatus, FormatError, MachineError, UsageError
from catfs.ledger import RunWriter
from catfs.linux import set_parent_death_signal
from catfs.overlay.transports import Transport
from catfs.proof import restore_diff
from catfs.records import JOBSPEC_FILE, JobSpec, Leftovers, file_bytes
from catfs.records.canonical import parse_canonical
from catfs.runtime.committed import committed_run
from catfs.runtime.conclude import Examination, Recording, conclude, examine
from catfs.runtime.control import serve_control
from catfs.runtime.declaration import DomainDeclaration, declare
from catfs.runtime.launch import enter_private_namespace, launch_mount
from catfs.runtime.mounts import detach, detach_inherited_views, is_mount_point
from catfs.runtime.phases import Phases
from catfs.runtime.request import Job, RunRequest, fresh_run_id, resolve_request
from catfs.runtime.session import Session
from catfs.runtime.sessions import SessionFacts, clear_dead_session, list_sessions, wait_until_ended
from catfs.runtime.transports import make_transport
from catfs.runtime.workspace import Workspace

_UNMOUNT_SECONDS = 5.0
"""How long the kernel may take to take a mount down after it was unmounted."""

_CONCLUSION_SECONDS = 600.0
"""How long the server of an unmounted session waits for the commit that was announced."""

_LAST_ANSWER_SECONDS = 0.05
"""How long the server stays for its last answer to be read."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """What a mount came to.

    Args:
        job: What is mounted; its run id is the id of the session.
        resumed: Number of log records of the session that goes on; None for a new one.
        lost_bytes: Bytes of its log that could not be believed any more and were cut off.
        committed: The run by which the session before was committed, although its server could not say so.
    """

    job: Job
    resumed: int | None = None
    lost_bytes: int = 0
    committed: str | None = None


@dataclass(frozen=True, slots=True)
class Mounting:
    """What is known of a mount besides its job.

    Args:
        workspace: Where the session and its ledger are.
        argv: The arguments of the `catfs` command.
        cwd: Its working directory.
        started: When the session began, in nanoseconds since 1970.
    """

    workspace: Workspace
    argv: tuple[str, ...]
    cwd: Path
    started: int


def start_mount(
    request: RunRequest,
    on_mounted: Callable[[Mounted], None],
    *,
    on_recovery: Callable[[Sequence[Recovery]], None],
    fresh: bool = False,
    foreground: bool = False,
) -> None:
    """Mount a domain for everybody, served by a process in the background.

    A session of the domain whose server is gone is resumed.

    Args:
        request: What to mount: one domain, no command.
        on_mounted: Told what the mount came to, as soon as it is there.
        on_recovery: Told what was found of interrupted commits.
        fresh: Whether a session whose server is gone is dropped instead.
        foreground: Whether to return only when the mount has ended. It ends when this process is asked
            to, and the session can be resumed.

    Raises:
        UsageError: when the request cannot be used, or a view is mounted there already.
        MachineError: when it cannot be mounted.
    """
    if os.geteuid():
        raise MachineError(
            "mounting for everybody needs root", hint="`catfs run` mounts privately and needs no privilege"
        )
    workspace = _workspace_of(request)
    on_recovery(recover(os.fsencode(workspace.folder)))
    dead, committed = _clear_way(workspace, Path(os.path.abspath(request.domains[0])), fresh=fresh)
    job = _resumed_job(dead, request) if dead is not None else resolve_request(request, workspace)
    transport = make_transport(request.transport)
    job = replace(job, spec=replace(job.spec, transport=transport.name))
    started = dead.started if dead is not None else system_clock()
    work = Mounting(workspace, request.argv, request.cwd, started)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        if foreground:
            set_parent_death_signal(signal.SIGKILL)
        _serve_in_child(_Server(job, work, transport, dead is not None), writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read()
    try:
        facts = orjson.loads(said)
        problem = facts.get("problem")
    except orjson.JSONDecodeError:
        problem = "the server ended before it had mounted"
    if problem is not None:
        os.waitpid(pid, 0)
        raise MachineError(problem)
    records = facts["records"] if dead is not None else None
    on_mounted(Mounted(job, records, facts["lost_bytes"], committed))
    if foreground:
        _wait_in_foreground(pid, job.declarations[0].path)


def _workspace_of(request: RunRequest) -> Workspace:
    """Give the workspace of a mount: never one in the domain, for the mount would hide it from every command.

    Raises:
        MachineError: when there is none and none can be made.
    """
    domain = Path(os.path.realpath(request.domains[0]))
    found = Workspace.find(request.cwd)
    place = found.root if found is not None else request.cwd
    return Workspace.find_or_create(domain.parent if place.is_relative_to(domain) else place)


def _clear_way(workspace: Workspace, domain: Path, *, fresh: bool) -> tuple[SessionFacts | None, str | None]:
    """Take away what a dead server left on a domain.

    Returns:
        The session that can be resumed there, and the run by which one was committed; None for neither.
    """
    found = committed = None
    there = [facts for facts in list_sessions(workspace) if facts.kind == "mount" and domain in facts.domains]
    for facts in map(wait_until_ended, there):
        if facts.live and not is_mount_point(domain):
            raise UsageError(
                f"the session {facts.identity} of {domain} is being ended by another command",
                hint="wait for that, and try again",
            )
        if facts.kind == "mount" and not facts.live:
            if is_mount_point(domain):
                detach(os.fsencode(domain))
            run_id = committed_run(facts.folder)
            if fresh or run_id is not None:
                committed = committed or run_id
                clear_dead_session(facts)
            else:
                found = facts
    if is_mount_point(domain):
        raise UsageError(f"{domain} is mounted already", hint="`catfs umount` ends the session")
    return found, committed


def _resumed_job(facts: SessionFacts, request: RunRequest) -> Job:
    """Give the job of a session that goes on, with the outputs that are declared now if there are any."""
    job = read_job(facts.folder)
    if not request.outputs:
        return job
    declarations = declare([job.declarations[0].path], request.outputs, request.allowed_roots)
    outputs = tuple(os.fsencode(declarations[0].path) + b"/" + output for output in declarations[0].outputs)
    return replace(job, spec=replace(job.spec, outputs=outputs), declarations=declarations)


def read_job(folder: Path) -> Job:
    """Read what a mounted session declared.

    Raises:
        FormatError: when it is damaged.
        OSError: when it cannot be read.
    """
    data = (folder / JOBSPEC_FILE).read_bytes()
    spec = JobSpec.from_dict(parse_canonical(data, JOBSPEC_FILE))
    declarations = tuple(
        DomainDeclaration(Path(os.fsdecode(domain)), spec.outputs_of(domain)) for domain in spec.domains
    )
    return Job(spec, declarations, ())


def _serve_in_child(server: "_Server", writer: int) -> NoReturn:
    """Become the server; what went wrong before the mount is there is told to the parent."""
    status = ExitStatus.INTERNAL
    try:
        os.setsid()
        _detach()
        server.run(writer)
        status = ExitStatus.RESTORED
    except (CatfsError, OSError) as error:
        with suppress(OSError):
            os.write(writer, orjson.dumps({"problem": str(error)}))
    finally:
        os._exit(status)


def _keep_messages(folder: Path) -> None:
    """Let what the server says of defects go to a file of the session, since it has no terminal."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(folder / "server.log", flags, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _wait_in_foreground(pid: int, domain: Path) -> None:
    """Wait until the server has ended; unmount when this process is asked to end."""

    def unmount(number: int, frame: object) -> None:
        del number, frame
        with suppress(OSError):
            detach(os.fsencode(domain))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unmount)
    os.waitpid(pid, 0)


def _detach() -> None:
    """Let go of the caller's terminal; it would otherwise be kept open for as long as the mount lives."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")


def conclude_suspended(
    workspace: Workspace, facts: SessionFacts, leftovers: Leftovers | None, argv: tuple[str, ...]
) -> Mapping[str, object]:
    """Commit and record a session whose server is gone, without mounting it again.

    Args:
        workspace: Where it is.
        facts: The session.
        leftovers: What happens to undeclared differences; None for what was declared.
        argv: The arguments of the `catfs` command.

    Returns:
        What the session would have answered to the question `commit`.

    Raises:
        CatfsError, OSError: as `Session` and `conclude`.
    """
    job = read_job(facts.folder)
    with Session(workspace, facts.identity, job.declarations, "mount", resumed=True) as session:
        work = Mounting(workspace, argv, Path.cwd(), facts.started)
        answer = conclude_mounted(session, with_policy(job, leftovers), work)
        if answer["exit_status"]:
            session.suspend()
        return answer


def with_policy(job: Job, leftovers: Leftovers | None) -> Job:
    """Give a job with another policy for undeclared differences; None keeps what was declared."""
    return job if leftovers is None else replace(job, spec=replace(job.spec, leftovers=leftovers))


def conclude_mounted(session: Session, job: Job, work: Mounting) -> Mapping[str, object]:
    """Commit and record a mounted session, unless the judgement forbids it: then it goes on."""
    examination = examine(session, job, 0)
    if not examination.verdict.commits:
        return describe(job, examination)
    workspace = work.workspace
    if (workspace.runs / job.spec.run_id).exists():  # an attempt before this one was recorded
        job = replace(job, spec=replace(job.spec, run_id=fresh_run_id()))
    with RunWriter(workspace.runs / job.spec.run_id) as writer:
        writer.write_record(JOBSPEC_FILE, job.spec)
        recording = Recording(workspace, writer, (), work.argv, work.cwd, work.started, Phases())
        conclusion = conclude(session, job, recording)
    return {
        "run_id": conclusion.proof.run_id,
        "outcome": conclusion.proof.outcome.value,
        "exit_status": conclusion.proof.exit_status,
        "sentence": conclusion.sentence,
        "difference": conclusion.difference.to_dict(),
    }


def describe(job: Job, examination: Examination) -> Mapping[str, object]:
    """Give the judgement on a session as it is now, as an answer."""
    verdict = examination.verdict
    return {
        "outcome": verdict.outcome.value,
        "exit_status": verdict.exit_status,
        "sentence": verdict.sentence,
        "verdicts": {"isolated": verdict.isolated, "self_restored": verdict.self_restored},
        "difference": restore_diff(job.spec.run_id, verdict).to_dict(),
        "roots": [
            {"base": domain.base_root.hex, "view": domain.view_root.hex, "replay": domain.replay_root.hex}
            for domain in examination.evidence.domains
        ],
    }


@dataclass(slots=True)
class _Server:
    """The server of one mounted session."""

    job: Job
    work: Mounting
    transport: Transport
    resumed: bool
    _stays: bool = False
    """Whether somebody announced a commit or a discard, for which the server stays after the unmount."""
    _concluded: bool = False
    _ended: trio.Event = field(default_factory=trio.Event)
    _unmounted: trio.Event = field(default_factory=trio.Event)
    _serving: trio.CancelScope = field(default_factory=trio.CancelScope)

    def run(self, writer: int) -> None:
        """Mount, report that, and serve until the mount is taken away or the session is concluded."""
        domain = self.job.declarations[0].path
        session = Session(
            self.work.workspace, self.job.spec.run_id, self.job.declarations, "mount", resumed=self.resumed
        )
        with session:
            _keep_messages(session.folder)
            publish(session.folder, JOBSPEC_FILE.encode(), file_bytes(self.job.spec))
            if self.resumed:
                session.suspend()
            child = launch_mount(domain)
            enter_private_namespace()
            detach_inherited_views()
            child.proceed()
            connection = child.receive_connection()
            session.suspend()
            child.proceed()
            os.waitpid(child.pid, 0)
            child.close()
            facts = {"records": session.log.sequence, "lost_bytes": session.lost_bytes}
            os.write(writer, orjson.dumps(facts))
            os.close(writer)
            trio.run(self._serve, session, connection)
            if self._concluded:
                session.drop()
            else:
                session.suspend()

    async def _serve(self, session: Session, connection: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_view, session, connection)
            nursery.start_soon(serve_control, session.folder, functools.partial(self._answer, session))
            await self._ended.wait()
            await trio.sleep(_LAST_ANSWER_SECONDS)
            nursery.cancel_scope.cancel()

    async def _serve_view(self, session: Session, connection: int) -> None:
        with self._serving:
            await self.transport.serve(session.view, connection)
        self._unmounted.set()
        if self._stays:
            await trio.sleep(_CONCLUSION_SECONDS)
        self._ended.set()

    async def _answer(self, session: Session, question: Mapping[str, object]) -> Mapping[str, object]:
        """Answer one question of the control socket."""
        match question.get("ask"):
            case "status":
                return self._status(session)
            case "flush":
                session.log.flush()
                return {"log": str(session.log_path)}
            case "examine":
                job = with_policy(self.job, _leftovers(question))
                return describe(job, examine(session, job, 0))
            case "stay":
                self._stays = True
                return {}
            case "commit":
                await self._wait_until_unmounted(question)
                return self._commit(session, _leftovers(question))
            case "discard":
                await self._wait_until_unmounted(question)
                self._conclude()
                return {}
            case other:
                raise FormatError("question", f"expected one that the session knows, got {other!r}")

    async def _wait_until_unmounted(self, question: Mapping[str, object]) -> None:
        """Wait until the kernel has taken the mount down, which it does a moment after `umount`.

        Whoever asks says that it has unmounted: a private namespace that this process lives in does not
        show whether that is so.
        """
        with trio.move_on_after(_UNMOUNT_SECONDS):
            await self._unmounted.wait()
        if not self._unmounted.is_set() and question.get("unmounted") is not True:
            raise UsageError(f"{self.job.declarations[0].path} is still mounted", hint="unmount it first")
        self._serving.cancel()
        await self._unmounted.wait()

    def _status(self, session: Session) -> Mapping[str, object]:
        files, size = session.base.progress()
        return {
            "session": session.identity,
            "domain": str(self.job.declarations[0].path),
            "outputs": [os.fsdecode(output) for output in self.job.declarations[0].outputs],
            "started": self.work.started,
            "mounted": not self._unmounted.is_set(),
            "transport": self.transport.name,
            "records": session.log.sequence,
            "new_bytes": session.view.data.size,
            "base_files": files,
            "base_bytes": size,
        }

    def _commit(self, session: Session, leftovers: Leftovers | None) -> Mapping[str, object]:
        answer = conclude_mounted(session, with_policy(self.job, leftovers), self.work)
        if not answer["exit_status"]:
            self._conclude()
        return answer

    def _conclude(self) -> None:
        self._concluded = True
        self._ended.set()


def _leftovers(question: Mapping[str, object]) -> Leftovers | None:
    """Give the policy that a question asks for; None when it names none."""
    value = question.get("leftovers")
    if value is None:
        return None
    try:
        return Leftovers(value)
    except ValueError:
        raise FormatError("question", f"expected a policy for leftovers, got {value!r}") from None
