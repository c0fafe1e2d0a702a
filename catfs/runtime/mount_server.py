"""The server of a mounted session: it serves the view in the background and answers what it is asked.

It ends when the session is committed or discarded, or when its mount is taken away; what was synced can
then be resumed (`mounted`).
"""

import functools
import io
import os
import socket
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

import orjson
import trio

from catfs.commit import UnfinishedCommitError
from catfs.durable import publish
from catfs.errors import FormatError, UsageError
from catfs.ledger import RunWriter
from catfs.overlay.transports import Transport
from catfs.proof import restore_diff
from catfs.records import JOBSPEC_FILE, Leftovers, file_bytes
from catfs.runtime.conclude import Examination, Recording, conclude, examine
from catfs.runtime.control import open_control, serve_control
from catfs.runtime.launch import enter_private_namespace, launch_mount
from catfs.runtime.mounts import detach_inherited_views, view_source
from catfs.runtime.phases import Phases
from catfs.runtime.request import Job, fresh_run_id
from catfs.runtime.session import Session, SessionKind
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

_UNMOUNT_SECONDS = 5.0
"""How long the kernel may take to take a mount down after it was unmounted."""

_CONCLUSION_SECONDS = 600.0
"""How long the server of an unmounted session waits for the commit that was announced."""

_LAST_ANSWER_SECONDS = 0.05
"""How long the server stays for its last answer to be read."""


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


def _keep_messages(folder: Path) -> None:
    """Let what the server says of defects go to a file of the session, since it has no terminal."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(folder / "server.log", flags, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)


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
class MountServer:
    """The server of one mounted session.

    Args:
        job: What is mounted; its run id is the id of the session.
        work: What is known of the mount besides.
        transport: Serves the view.
        resumed: Whether the session goes on after a server that is gone.
    """

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

    def run(self, answer: io.FileIO) -> None:
        """Mount, report that, and serve until the mount is taken away or the session is concluded.

        Args:
            answer: Where the report goes; it is closed then.

        Raises:
            CatfsError, OSError: when it cannot be mounted, or the session cannot be made durable in the end.
        """
        domain = self.job.declarations[0].path
        session = Session(
            self.work.workspace,
            self.job.spec.run_id,
            self.job.declarations,
            SessionKind.MOUNT,
            resumed=self.resumed,
            history=self.job.plan.history,
        )
        with session:
            _keep_messages(session.folder)
            control = open_control(session.folder)  # before anybody is told that there is somebody to ask
            publish(session.folder, JOBSPEC_FILE.encode(), file_bytes(self.job.spec))
            if self.resumed:
                session.suspend()
            child = launch_mount(domain, view_source(self.work.workspace.root))
            enter_private_namespace()
            detach_inherited_views()
            child.proceed()
            connection = child.receive_connection()
            session.suspend()
            child.proceed()
            os.waitpid(child.pid, 0)
            child.close()
            facts = {"records": session.log.sequence, "lost_bytes": session.lost_bytes}
            answer.write(orjson.dumps(facts))
            answer.close()
            trio.run(self._serve, session, connection, control)
            if self._concluded:
                session.drop()
            else:
                session.suspend()

    async def _serve(self, session: Session, connection: int, control: socket.socket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_view, session, connection)
            nursery.start_soon(serve_control, control, functools.partial(self._answer, session))
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
                return {}
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
            "mounted": not self._unmounted.is_set(),
            "records": session.log.sequence,
            "new_bytes": session.view.data.size,
            "base_files": files,
            "base_bytes": size,
        }

    def _commit(self, session: Session, leftovers: Leftovers | None) -> Mapping[str, object]:
        try:
            answer = conclude_mounted(session, with_policy(self.job, leftovers), self.work)
        except UnfinishedCommitError:
            self._ended.set()  # what becomes of the session shows when a recovery has finished the commit
            raise
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
