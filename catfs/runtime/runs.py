"""The runs of a workspace in short, and the records of one run that were checked against its proof."""

import os
from collections.abc import Collection

from catfs.digest import Digest
from catfs.errors import FormatError, UsageError, printable
from catfs.ledger import RunFolder, RunReader, list_runs
from catfs.merkle import PathError, Tree
from catfs.records import (
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    RESTORE_DIFF_FILE,
    Proof,
    RestoreDiff,
)
from catfs.runtime.manifests import manifest_trees
from catfs.runtime.sessions import SessionFacts
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass

INCOMPLETE = "incomplete"
"""Stands for the outcome of a run without a proof."""

RUNNING = "running"
"""Stands for the outcome of a run whose session lives."""

DAMAGED = "damaged"
"""Stands for the outcome of a run whose records cannot be read."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list.

    Args:
        run_id: The run.
        outcome: Its outcome, or one of INCOMPLETE, RUNNING and DAMAGED.
        exit_status: Exit status of `catfs run`; None when it did not end.
        when: When it began, or when its folder was last written to, in nanoseconds since 1970.
        duration: How long it took, in nanoseconds; None when it did not end.
        command: The arguments of its first step; empty for a mounted session.
        steps: Number of its steps; 0 for a mounted session.
        domains: Absolute paths of its domains.
        committed: Absolute paths of the outputs that it committed.
        problem: Why it is damaged; None when it is not.
    """

    run_id: str
    outcome: str
    exit_status: int | None
    when: int
    duration: int | None
    command: tuple[bytes, ...] = ()
    steps: int = 0
    domains: tuple[bytes, ...] = ()
    committed: tuple[bytes, ...] = ()
    problem: str | None = None


def summarize_runs(workspace: Workspace, live: Collection[SessionFacts]) -> list[RunSummary]:
    """Give every run of a workspace in short, the oldest first.

    Args:
        workspace: The workspace.
        live: Its live sessions.

    Raises:
        OSError: when a folder cannot be read.
    """
    running = {facts.identity for facts in live}
    return [summarize_run(folder, running) for folder in list_runs(workspace.runs)]


def summarize_run(folder: RunFolder, running: Collection[str]) -> RunSummary:
    """Give one run in short; nothing in its folder is believed, and nothing in it is an error here.

    Args:
        folder: The run.
        running: Ids of the sessions that live.

    Raises:
        OSError: when a file cannot be read.
    """
    reader = RunReader(folder.path)
    try:
        if not folder.is_complete:
            return _summarize_open(reader, folder, running)
        proof, info, job = reader.proof(), reader.info(), reader.job()
    except FormatError as error:
        return RunSummary(folder.run_id, DAMAGED, None, folder.changed, None, problem=str(error))
    return RunSummary(
        run_id=folder.run_id,
        outcome=proof.outcome.value,
        exit_status=proof.exit_status,
        when=info.started,
        duration=max(0, info.ended - info.started),
        command=job.steps[0].argv if job.steps else (),
        steps=len(job.steps),
        domains=job.domains,
        committed=tuple(
            output.domain.rstrip(b"/") + (b"/" + output.path if output.path else b"")
            for output in proof.outputs
            if output.committed
        ),
    )


def _summarize_open(reader: RunReader, folder: RunFolder, running: Collection[str]) -> RunSummary:
    """Give a run without a proof in short; stopped early enough, it has no declaration either."""
    outcome = RUNNING if folder.run_id in running else INCOMPLETE
    try:
        job = reader.job()
    except FormatError as error:
        return RunSummary(folder.run_id, outcome, None, folder.changed, None, problem=str(error))
    command = job.steps[0].argv if job.steps else ()
    return RunSummary(
        folder.run_id, outcome, None, folder.changed, None, command, len(job.steps), job.domains
    )


def checked_difference(run: RunReader, proof: Proof) -> RestoreDiff:
    """Give RESTORE_DIFF.json of a run, which must be the one that the proof lists.

    Raises:
        FormatError: when it is another.
    """
    data = run.files.get(RESTORE_DIFF_FILE, b"")
    expected, got = proof.files.get(RESTORE_DIFF_FILE), Digest.of(data)
    if expected != got:
        raise FormatError(
            f"{RESTORE_DIFF_FILE} of run {run.run_id}",
            f"expected the SHA-256 {expected}, which the proof states, got {got}",
            hint="catfs verify says what else does not hold",
        )
    return run.restore_diff()


@dataclass(frozen=True, slots=True)
class DomainTrees:
    """The trees of one domain of a run, each with the root that the proof states.

    Args:
        path: Absolute path of the domain.
        base: Before the run.
        view: What the program left.
        post: What the domain held afterwards.
    """

    path: bytes
    base: Tree
    view: Tree
    post: Tree


def domain_trees(run: RunReader, proof: Proof) -> tuple[DomainTrees, ...]:
    """Give the trees of a run again, from its manifests, its difference and the store of its workspace.

    Raises:
        FormatError: when they do not give the roots of the proof.
    """
    before = manifest_trees(run, run.pre_manifest())
    after = manifest_trees(run, run.post_manifest())
    difference = checked_difference(run, proof)
    if not len(before) == len(after) == len(difference.domains) == len(proof.domains):
        raise FormatError(f"run {run.run_id}", "the manifests and the proof speak of different domains")
    trees = []
    for domain, base, end, changed in zip(proof.domains, before, after, difference.domains, strict=True):
        _check_root(base, domain.roots.base_root, f"{PRE_MANIFEST_FILE} of run {run.run_id}")
        _check_root(end, domain.roots.post_root, f"{POST_MANIFEST_FILE} of run {run.run_id}")
        try:
            view = base.update({change.path: change.after for change in changed.changes})
        except PathError as error:
            raise FormatError(f"{RESTORE_DIFF_FILE} of run {run.run_id}", str(error)) from error
        if view.root != domain.roots.view_root:
            problem = f"expected changes that give the root {domain.roots.view_root}, got {view.root}"
            raise FormatError(f"{RESTORE_DIFF_FILE} of run {run.run_id}", problem)
        trees.append(DomainTrees(domain.roots.path, base, view, end))
    return tuple(trees)


def _check_root(tree: Tree, root: Digest, what: str) -> None:
    if tree.root != root:
        raise FormatError(what, f"expected the root {root}, got {tree.root}")


def domain_of_path(path: bytes, domains: Collection[bytes]) -> tuple[bytes, bytes]:
    """Give the domain that a path lies in, and the path relative to it; b"" for the domain itself.

    Args:
        path: Absolute, or relative to the only domain.
        domains: Absolute paths of the domains.

    Raises:
        UsageError: when it lies in none, or is relative where there are several.
    """
    clean, shown = os.path.normpath(path), printable(path)
    if clean.startswith(b"/"):
        for domain in domains:
            if clean == domain or clean.startswith(domain.rstrip(b"/") + b"/"):
                return domain, clean[len(domain) :].strip(b"/")
        raise UsageError(f"{shown} lies in no domain of the run", hint=f"they are {_list(domains)}")
    if len(domains) != 1:
        raise UsageError(f"{shown} could lie in any of {_list(domains)}", hint="give an absolute path")
    if clean == b".." or clean.startswith(b"../"):
        raise UsageError(f"{shown} leaves the domain", hint="a relative path counts from the domain")
    return next(iter(domains)), b"" if clean == b"." else clean


def _list(domains: Collection[bytes]) -> str:
    return ", ".join(map(printable, domains))
