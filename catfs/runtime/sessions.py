"""The sessions of a workspace as seen from outside: which live, which are dead, what is left of them."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson

from catfs.errors import CatfsError, FormatError, UsageError, printable
from catfs.ledger import RunReader
from catfs.records import JOBSPEC_FILE
from catfs.records.fields import Fields
from catfs.runtime.committed import committed_run
from catfs.runtime.control import ask
from catfs.runtime.locks import is_locked
from catfs.runtime.mounts import detach, is_mount_point
from catfs.runtime.occupants import holders, process_names
from catfs.runtime.session import SessionKind, remove_session_folder
from catfs.runtime.session_files import FACTS_FILE, LOCK_FILE
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

_ENDING_SECONDS = 5.0
"""How long is waited for a server to end after its mount was taken away, or for the rest of a killed one,
before it is asked instead."""

ENDING_SECONDS_MAX = 60.0
"""How long a server may take to bring its session to a busy disk when it cannot be asked instead."""

_LOOK_SECONDS = 0.02

_HOLDERS_SECONDS = 1.0
"""How long the kernel may take to take a mount down before it is asked, as often, who holds it."""

_STATUS_SECONDS = 5.0
"""How long a server may take to say how it stands; one that is writing out what it has says nothing."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What `session.json` says, and whether anybody holds the session.

    Args:
        identity: Its id.
        folder: Its folder.
        kind: What it is for.
        pid: Its server.
        started: When it began, in nanoseconds since 1970.
        domains: Its domains.
        live: Whether its server lives.
        history: Whether it keeps every byte that was ever written.
    """

    identity: str
    folder: Path
    kind: SessionKind
    pid: int
    started: int
    domains: tuple[Path, ...]
    live: bool
    history: bool = False

    @property
    def is_mount(self) -> bool:
        """Whether it is a mount for everybody."""
        return self.kind is SessionKind.MOUNT


def is_suspended(facts: SessionFacts) -> bool:
    """Say whether a mounted session has no server but everything that another one needs to go on with it."""
    return not facts.live and facts.is_mount and (facts.folder / JOBSPEC_FILE).is_file()


def list_sessions(workspace: Workspace) -> Iterator[SessionFacts]:
    """Give every session that has a folder, live ones and dead ones, in the order of their ids.

    Raises:
        FormatError: when the facts of a session cannot be read.
    """
    return map(read_session, session_folders(workspace))


def session_folders(workspace: Workspace) -> list[Path]:
    """Give the folder of every session, in the order of their ids.

    Raises:
        OSError: when they cannot be listed.
    """
    try:
        entries = list(os.scandir(workspace.sessions))
    except FileNotFoundError:
        return []
    return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def read_session(folder: Path) -> SessionFacts:
    """Give what is known of the session in a folder.

    A session whose server died before it wrote its facts is dead and has no domains.

    Raises:
        FormatError: when its facts are damaged.
    """
    live = is_locked(folder / LOCK_FILE)
    path = folder / FACTS_FILE
    try:
        said = orjson.loads(path.read_bytes())
        facts = Fields(said, path.name)
        kind, pid, started = facts.choice("kind", SessionKind), facts.number("pid"), facts.number("started")
        domains = tuple(map(_domain_path, facts.data_list("domains")))
        history = said.get("history") is True
    except FileNotFoundError:
        return SessionFacts(folder.name, folder, SessionKind.UNKNOWN, 0, 0, (), live)
    except (FormatError, orjson.JSONDecodeError) as error:
        raise FormatError(
            str(path), f"cannot be read back: {error}", hint="remove the session with `catfs doctor --fix`"
        ) from error
    return SessionFacts(folder.name, folder, kind, pid, started, domains, live, history)


def _domain_path(data: bytes) -> Path:
    """Give the path of a domain.

    Raises:
        FormatError: when it is not absolute.
    """
    if not data.startswith(b"/"):
        raise FormatError("domains", f"expected an absolute path, got {printable(data)}")
    return Path(os.fsdecode(data))


def half_removed(workspace: Workspace) -> Iterator[tuple[SessionFacts, str]]:
    """Give each session that was committed and removed but for a rest, with the run that says so.

    Whoever removed it was killed meanwhile. What it said of itself is gone first; its domains are in the run.

    Args:
        workspace: Where to look. Interrupted commits must have been recovered before.

    Raises:
        FormatError: when the facts of a session cannot be read.
        OSError: when the rest of one, or its run, cannot be read.
    """
    for facts in list_sessions(workspace):
        if facts.live or facts.kind is not SessionKind.UNKNOWN:
            continue
        with suppress(FormatError):  # `catfs doctor` speaks of what is damaged
            run_id = committed_run(workspace, facts.folder)
            if run_id is not None:
                domains = RunReader(workspace.runs / run_id).job().domains
                yield replace(facts, domains=tuple(map(_domain_path, domains))), run_id


def mount_session(workspace: Workspace, domain: Path | None) -> SessionFacts:
    """Give the mount session of a domain, whether its server lives or is gone, or was killed at its very end.

    Args:
        workspace: Where to look.
        domain: The domain; None for the only one there is.

    Raises:
        UsageError: when there is none, or several and no domain was named.
    """
    wanted = None if domain is None else Path(os.path.realpath(domain))
    found = [
        facts
        for facts in list_sessions(workspace)
        if ((facts.is_mount and facts.live) or is_suspended(facts))
        and (wanted is None or wanted in facts.domains)
    ]
    if not found:  # one that is over may not have been told of
        found = [facts for facts, _ in half_removed(workspace) if wanted is None or wanted in facts.domains]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(facts.domains[0]) for facts in found)
        raise UsageError("several domains are mounted", hint=f"name one of {names}")
    what = f"{domain} is not mounted" if domain is not None else "no domain is mounted"
    raise UsageError(f"{what} in the workspace {workspace.root}")


def wait_until_ended(
    facts: SessionFacts, seconds: float = _ENDING_SECONDS, on_held: Callable[[str], None] | None = None
) -> SessionFacts:
    """Wait for a server that is just ending, and give what is known of its session then.

    After an `umount` a server writes out what it has; of a killed one the helper may live a moment longer.
    Until then the session can be neither resumed nor cleared. One whose server serves is given at once.

    Args:
        facts: The session; without a live server there is nothing to wait for.
        seconds: How long to wait at most.
        on_held: Told once, after a second, who keeps the session, as `who_keeps` says it.

    Raises:
        FormatError: when its facts are damaged.
    """
    start = time.monotonic()
    next_question = start + _HOLDERS_SECONDS
    while facts.live and _is_ending(facts) and (now := time.monotonic()) < start + seconds:
        if on_held is not None and now >= next_question:
            if (sentence := who_keeps(facts)) is not None:
                on_held(sentence)
                on_held = None
            next_question = time.monotonic() + _HOLDERS_SECONDS
        time.sleep(_LOOK_SECONDS)
        facts = read_session(facts.folder)
    return facts


def who_keeps(facts: SessionFacts) -> str | None:
    """Say who has the mount of a session that is unmounted here; None when nobody is known to.

    A server serves on as long as another mount namespace has a copy of the mount: that of a container, or of
    a run that goes on.
    """
    workspace = Workspace.of_session(facts.folder).root
    for domain in facts.domains:
        found = holders(domain, workspace)
        if found and _is_served(facts):
            place = f"the mount namespace of {process_names(found)}"
            return f"{printable(os.fsencode(domain))} is unmounted here, and still mounted in {place}"
    return None


def _is_served(facts: SessionFacts) -> bool:
    """Say whether the server of a session answers, and still has a mount to serve."""
    try:
        return ask(facts.folder, {"ask": "status"}, _STATUS_SECONDS).get("mounted") is True
    except CatfsError:
        return False


def wait_until_gone(facts: SessionFacts) -> None:
    """Wait until a session that was told to end has taken its folder away, or for a few seconds.

    Args:
        facts: The session.
    """
    deadline = time.monotonic() + _ENDING_SECONDS
    while facts.folder.exists() and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _is_ending(facts: SessionFacts) -> bool:
    """Say whether a session that is held has lost its mount or its server."""
    if not any(map(is_mount_point, facts.domains)):
        return True
    try:
        status = Path(f"/proc/{facts.pid}/stat").read_bytes()
    except OSError:
        return True
    return status[status.rfind(b")") :].split()[1] in {b"Z", b"X"}


def clear_dead_session(facts: SessionFacts, in_use: Collection[Path] = ()) -> None:
    """Remove what a dead session left: its mounts and its folder.

    A session of kind `run` mounted privately, and its mount went with it: what is mounted at its
    domain now is somebody else's.

    Args:
        facts: The session.
        in_use: Domains that a live session has mounted since; they stay mounted.

    Raises:
        OSError: when a mount cannot be taken away or a file cannot be removed.
    """
    if facts.is_mount:
        leave_dead_mounts(facts, in_use)
    remove_session_folder(facts.folder)


def leave_dead_mounts(facts: SessionFacts, in_use: Collection[Path] = ()) -> None:
    """Take away what a server that is gone has left mounted: the originals lie below it.

    Args:
        facts: The session, of kind `mount`.
        in_use: Domains that a live session has mounted since; they stay mounted.

    Raises:
        OSError: EPERM when that is not permitted.
    """
    for domain in facts.domains:
        if domain not in in_use and is_mount_point(domain):
            detach(os.fsencode(domain))
