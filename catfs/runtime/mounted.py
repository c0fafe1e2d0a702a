"""Mounted sessions as commands see them: mounting a domain, going on with a session, concluding one.

A mounted session lives until it is committed or discarded. Its server may end before, by a plain
`umount`, a crash or a reboot: what was synced is in its folder, and mounting the domain again goes on
from there, as does a commit without any mount.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from catfs.clock import system_clock
from catfs.commit import Recovery
from catfs.errors import MachineError, UsageError
from catfs.records import JOBSPEC_FILE, JobSpec, Leftovers
from catfs.records.canonical import parse_canonical
from catfs.runtime.background import start_server, wait_in_foreground
from catfs.runtime.committed import committed_run
from catfs.runtime.declaration import DomainDeclaration, declare
from catfs.runtime.mount_server import Mounting, MountServer, conclude_mounted, with_policy
from catfs.runtime.mounts import is_mount_point
from catfs.runtime.recovery import recover_workspace
from catfs.runtime.request import Job, RunRequest, resolve_request
from catfs.runtime.session import Session, SessionKind
from catfs.runtime.sessions import (
    ENDING_SECONDS_MAX,
    SessionFacts,
    clear_dead_session,
    half_removed,
    is_suspended,
    leave_dead_mounts,
    list_sessions,
    wait_until_ended,
    who_keeps,
)
from catfs.runtime.transports import make_transport
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass


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


def start_mount(
    request: RunRequest,
    on_mounted: Callable[[Mounted], None],
    *,
    on_recovery: Callable[[Sequence[Recovery]], None],
    on_held: Callable[[str], None],
    fresh: bool = False,
    foreground: bool = False,
) -> None:
    """Mount a domain for everybody, served by a process in the background.

    A session of the domain whose server is gone is resumed.

    Args:
        request: What to mount: one domain, no command.
        on_mounted: Told what the mount came to, as soon as it is there.
        on_recovery: Told what was found of interrupted commits.
        on_held: Told who keeps the session before, when it takes long to end.
        fresh: Whether a session whose server is gone is dropped instead.
        foreground: Whether to return only when the mount has ended. It ends when this process is asked
            to, and the session can be resumed.

    Raises:
        UsageError: when the request cannot be used, or a view is mounted there already.
        MachineError: when it cannot be mounted.
        NotMountedError: when the server says why it could not; a changed original is a conflict.
    """
    if os.geteuid():
        raise MachineError(
            "mounting for everybody needs root", hint="`catfs run` mounts privately and needs no privilege"
        )
    workspace = _workspace_of(request)
    on_recovery(recover_workspace(workspace))
    domain = Path(os.path.realpath(request.domains[0]))
    dead, committed = _clear_way(workspace, domain, on_held, fresh=fresh)
    if dead is not None and request.history and not dead.history:
        raise UsageError(
            f"the session {dead.identity} was begun without --history, and goes on without",
            hint="leave the option out, or drop the session with --fresh",
        )
    job = _resumed_job(dead, request) if dead is not None else resolve_request(request, workspace)
    transport = make_transport(request.transport)
    job = replace(job, spec=replace(job.spec, transport=transport.name))
    started = dead.started if dead is not None else system_clock()
    work = Mounting(workspace, request.argv, request.cwd, started)
    pid, facts = start_server(MountServer(job, work, transport, dead is not None), foreground=foreground)
    records = int(str(facts["records"])) if dead is not None else None
    on_mounted(Mounted(job, records, int(str(facts["lost_bytes"])), committed))
    if foreground:
        wait_in_foreground(pid, job.declarations[0].path)


def _workspace_of(request: RunRequest) -> Workspace:
    """Give the workspace of a mount: never one in the domain, for the mount would hide it from every command.

    Raises:
        MachineError: when there is none and none can be made.
    """
    domain = Path(os.path.realpath(request.domains[0]))
    found = Workspace.find(request.cwd)
    place = found.root if found is not None else request.cwd
    return Workspace.find_or_create(domain.parent if place.is_relative_to(domain) else place)


def _clear_way(
    workspace: Workspace, domain: Path, on_held: Callable[[str], None], *, fresh: bool
) -> tuple[SessionFacts | None, str | None]:
    """Take away what a dead server left on a domain.

    Returns:
        The session that can be resumed there, and the run by which one was committed; None for neither.
    """
    found = committed = None
    for facts, run_id in half_removed(workspace):
        if domain in facts.domains:
            committed = run_id
            clear_dead_session(facts)
    there = [facts for facts in list_sessions(workspace) if facts.is_mount and domain in facts.domains]
    for facts in (wait_until_ended(facts, ENDING_SECONDS_MAX, on_held) for facts in there):
        if facts.live and not is_mount_point(domain):
            raise _not_ended(facts, domain)
        if facts.is_mount and not facts.live:
            leave_dead_mounts(facts)
            decided = committed_run(workspace, facts.folder)
            # Of one that cannot be gone on with the server was killed before it had mounted anything.
            if fresh or decided is not None or not is_suspended(facts):
                committed = committed or decided
                clear_dead_session(facts)
            else:
                found = facts
    if is_mount_point(domain):
        raise UsageError(f"{domain} is mounted already", hint="`catfs umount` ends the session")
    return found, committed


def _not_ended(facts: SessionFacts, domain: Path) -> UsageError:
    """Say why a session has a server and no mount here."""
    sentence = who_keeps(facts)
    if sentence is not None:
        return UsageError(sentence, hint="unmount it there, or `catfs umount --commit` or `--discard` here")
    return UsageError(
        f"the session {facts.identity} of {domain} is being ended by another command",
        hint="wait for that, and try again",
    )


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


def conclude_suspended(
    workspace: Workspace,
    facts: SessionFacts,
    leftovers: Leftovers | None,
    argv: tuple[str, ...],
    *,
    rebase: bool = False,
) -> Mapping[str, object]:
    """Commit and record a session whose server is gone, without mounting it again.

    Args:
        workspace: Where it is.
        facts: The session.
        leftovers: What happens to undeclared differences; None for what was declared.
        argv: The arguments of the `catfs` command.
        rebase: Whether a changed original is taken as the new base, where the session changed nothing of it.

    Returns:
        What the session would have answered to the question `commit`.

    Raises:
        CatfsError, OSError: as `Session` and `conclude`.
    """
    job = read_job(facts.folder)
    leave_dead_mounts(facts)
    with Session(
        workspace, facts.identity, job.declarations, SessionKind.MOUNT, resumed=True, rebase=rebase
    ) as session:
        session.suspend()  # whatever goes wrong from here on, what was written stays
        work = Mounting(workspace, argv, Path.cwd(), facts.started)
        answer = conclude_mounted(session, with_policy(job, leftovers), work)
        if not answer["exit_status"]:
            session.drop()
        return answer


def undo_suspended(workspace: Workspace, facts: SessionFacts, first: int) -> None:
    """Let a session whose server is gone go back to before a record.

    Killed at any point, this leaves the session as it was before or as it is afterwards.

    Args:
        workspace: Where it is.
        facts: The session.
        first: The first record that does not count any more.

    Raises:
        CatfsError, OSError: as `Session` and `Session.undo`.
    """
    job = read_job(facts.folder)
    leave_dead_mounts(facts)
    with Session(workspace, facts.identity, job.declarations, SessionKind.MOUNT, resumed=True) as session:
        session.suspend()
        session.undo(first)
