"""What the word DOMAIN or RUN on a command line stands for: a live session, or a finished run.

A name without a slash that is the id of a run, or `last`, is that run. Any other name of a directory is
a run folder when it looks like one, else a domain; what is no directory is the beginning of a run id.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from catfs.errors import FormatError, UsageError, printable
from catfs.ledger import LAST_RUN, RunReader, find_run, list_runs
from catfs.records import JOBSPEC_FILE, PROOF_FILE
from catfs.runtime.mounts import is_mount_point
from catfs.runtime.sessions import SessionFacts, is_suspended, read_session, session_folders
from catfs.runtime.workspace import Workspace

Subject = SessionFacts | RunReader
"""A mount session, live or suspended, or a run."""


def find_subject(word: str | None, cwd: Path) -> Subject:
    """Give the session or run that a word stands for.

    Args:
        word: The word; None stands for the mounted session if there is one, else for the last run.
        cwd: The working directory.

    Raises:
        UsageError: when it stands for nothing, or for several.
        FormatError: when the facts of a session are damaged.
        OSError: when a folder cannot be read.
    """
    if word is None:
        return _default_subject(require_workspace(cwd))
    check_word(word, "DOMAIN or RUN")
    if _is_place(word) and not _is_run_name(word, cwd):
        run = run_folder(word)
        return run if run is not None else _domain_subject(Path(os.path.realpath(word)), cwd)
    return find_run(require_workspace(cwd).runs, word)


def find_finished_run(word: str, cwd: Path) -> RunReader:
    """Give the run that a word stands for: an id, the beginning of one, `last`, or a run folder anywhere.

    Raises:
        UsageError: when it stands for none, or for several.
        OSError: when a folder cannot be read.
    """
    check_word(word, "RUN")
    if os.path.isdir(word) and not _is_run_name(word, cwd):
        return RunReader(word)
    return find_run(require_workspace(cwd).runs, word)


def require_workspace(start: Path) -> Workspace:
    """Give the workspace at or above a folder.

    Raises:
        UsageError: when there is none.
    """
    workspace = Workspace.find(start)
    if workspace is None:
        place = printable(os.fsencode(start))
        hint = "`catfs run` and `catfs mount` make one"
        raise UsageError(f"there is no workspace at or above {place}", hint=hint)
    return workspace


def check_word(word: str, what: str) -> None:
    """Check that a word can name anything at all.

    Args:
        word: One argument of a command line.
        what: What it should be, for people.

    Raises:
        UsageError: when it is empty or holds a zero byte.
    """
    if not word or "\0" in word:
        raise UsageError(f"expected the name of a {what}, got {printable(os.fsencode(word))!r}")


def live_mounts(workspace: Workspace) -> list[SessionFacts]:
    """Give the mounted sessions whose server lives.

    Raises:
        OSError: when the folder of sessions cannot be read.
    """
    return [facts for facts in live_sessions(workspace) if facts.is_mount]


def live_sessions(workspace: Workspace) -> list[SessionFacts]:
    """Give the sessions whose server lives, those of runs too.

    Raises:
        OSError: when the folder of sessions cannot be read.
    """
    return [facts for facts in readable_sessions(workspace) if facts.live]


def readable_sessions(workspace: Workspace) -> Iterator[SessionFacts]:
    """Give every session whose facts can be read: `catfs doctor` is for the others.

    Raises:
        OSError: when the folder of sessions cannot be read.
    """
    for folder in session_folders(workspace):
        with suppress(FormatError):
            yield read_session(folder)


def run_folder(word: str) -> RunReader | None:
    """Give the run in a folder, or None when the folder holds no run."""
    if any(os.path.isfile(os.path.join(word, name)) for name in (PROOF_FILE, JOBSPEC_FILE)):
        return RunReader(word)
    return None


def _default_subject(workspace: Workspace) -> Subject:
    live = live_mounts(workspace)
    if len(live) > 1:
        names = ", ".join(_domain_names(facts) for facts in live)
        raise UsageError("several domains are mounted", hint=f"name one of {names}, or a run")
    return live[0] if live else find_run(workspace.runs)


def _domain_subject(domain: Path, cwd: Path) -> Subject:
    """Give the live session of a domain, or the last run that had it."""
    name = printable(os.fsencode(domain))
    workspaces = [found for found in (Workspace.find(cwd), Workspace.find(domain)) if found is not None]
    for workspace in workspaces:
        found = [facts for facts in readable_sessions(workspace) if domain in facts.domains]
        for facts in found:
            if facts.live and facts.is_mount:
                return facts
        for facts in found:
            if is_suspended(facts):
                return facts
    for workspace in workspaces:
        for run in reversed(list_runs(workspace.runs)):
            if _has_domain(RunReader(run.path), domain):
                return RunReader(run.path)
    if is_mount_point(domain):
        hint = "`catfs doctor` says what is left of it, `umount` takes it away"
        raise UsageError(f"the view mounted at {name} belongs to no session that lives here", hint=hint)
    raise UsageError(f"there is no session and no run of the domain {name}", hint="catfs runs lists the runs")


def _has_domain(run: RunReader, domain: Path) -> bool:
    try:
        return os.fsencode(domain) in run.job().domains
    except FormatError:
        return False  # a damaged run is nobody's last run


def _is_place(word: str) -> bool:
    # A mount whose server died answers no stat: only the kernel's table knows it.
    return os.path.isdir(word) or ("\n" not in word and is_mount_point(Path(os.path.realpath(word))))


def _is_run_name(word: str, cwd: Path) -> bool:
    workspace = Workspace.find(cwd)
    if "/" in word or workspace is None:
        return False
    names = {run.run_id for run in list_runs(workspace.runs)}
    return word in names or (word == LAST_RUN and bool(names))


def _domain_names(facts: SessionFacts) -> str:
    return " ".join(printable(os.fsencode(domain)) for domain in facts.domains)
