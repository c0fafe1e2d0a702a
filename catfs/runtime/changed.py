"""What was changed since the last commit of git, and the runs that made it: for a hook before commits."""

import os
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from catfs.errors import FormatError, UsageError
from catfs.ledger import RunReader, list_runs
from catfs.runtime.workspace import Workspace

_GIT_SECONDS = 60.0
"""Longest time for git, in seconds."""


def changed_paths(cwd: Path) -> list[bytes]:
    """Give the absolute paths that differ from the last commit: staged, unstaged, new and removed ones.

    Args:
        cwd: A folder in the repository.

    Raises:
        UsageError: when there is no repository, or git cannot be run.
    """
    top = git_output(cwd, "rev-parse", "--show-toplevel").rstrip(b"\n")
    said = git_output(cwd, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    return [os.path.join(top, entry[3:]) for entry in said.split(b"\0") if entry]


def runs_of(paths: list[bytes], workspace: Workspace) -> Mapping[Path, list[bytes]]:
    """Give the newest run that committed each path, as far as there is one: run folder to its paths.

    Args:
        paths: Absolute paths.
        workspace: Whose runs are looked at.

    Raises:
        OSError: when a folder cannot be read.
    """
    left = set(paths)
    found: dict[Path, list[bytes]] = defaultdict(list)
    for folder in reversed(list_runs(workspace.runs)):
        if not left:
            break
        if not folder.is_complete:
            continue
        made = left & _committed(RunReader(folder.path))
        found[folder.path] += sorted(made)
        left -= made
    return {path: names for path, names in found.items() if names}


def _committed(run: RunReader) -> set[bytes]:
    """Give the absolute paths of everything that a run committed; none when its record is damaged."""
    try:
        outputs = run.outputs().outputs
    except FormatError:
        return set()
    return {
        output.domain.rstrip(b"/") + (b"/" + row.path if row.path else b"")
        for output in outputs
        if output.committed
        for row in output.entries
    }


def git_output(cwd: Path, *arguments: str | bytes) -> bytes:
    """Run git, with what it may do on its own turned off, and give what it prints.

    Args:
        cwd: Where.
        arguments: The command of git and its arguments.

    Raises:
        UsageError: when git cannot be run, or says that it failed.
    """
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"]
    try:
        ended = subprocess.run(
            [*command, *arguments], cwd=cwd, capture_output=True, check=False, timeout=_GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot be run: {error}") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="backslashreplace").strip()
        raise UsageError(f"git {os.fsdecode(arguments[0])}: {said}", hint="this works in a repository of git")
    return ended.stdout
