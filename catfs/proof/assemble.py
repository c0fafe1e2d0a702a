"""From a verdict to what is written down of it: difference, outputs, roots, status and proof, all pure.

Whoever verifies a run makes these records again from the manifests and compares, so each has one maker.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from catfs.digest import Digest
from catfs.merkle import MemoryNodes, Tree
from catfs.proof.prove import DomainEvidence, Evidence, Verdict
from catfs.records import (
    BaseConflict,
    BaseNote,
    Change,
    DomainDifference,
    DomainManifest,
    DomainProof,
    DomainRoot,
    DomainRoots,
    DomainTree,
    Entry,
    EntryCounts,
    JobSpec,
    Kind,
    LogSummary,
    Output,
    OutputNote,
    OutputProof,
    Outputs,
    Phase,
    Proof,
    RestoreDiff,
    Row,
    Status,
    listed_change,
    listed_entry,
    walk_key,
)
from catfs.values import dataclass

_SET_ID_BITS = 0o6000


@dataclass(frozen=True, slots=True)
class ProofFacts:
    """What a proof states that does not follow from the evidence.

    Args:
        created: When the proof is made, in nanoseconds since 1970.
        rechecked_paths: Paths of the originals that were looked at again before the commit, counted.
        known: For each domain how its base is known; in proofs of the first version paths, counted.
        log: The write log.
    """

    created: int
    rechecked_paths: int
    known: tuple[BaseNote | EntryCounts, ...]
    log: LogSummary


def domain_manifest(path: bytes, tree: Tree) -> DomainManifest:
    """Give the manifest of a domain: every path of its tree, in the order of a walk.

    Args:
        path: Absolute path of the domain.
        tree: Its tree.

    Raises:
        MissingNodeError: when the tree is not whole.
    """
    return DomainManifest(path, tree.root, tuple(Row(name, entry) for name, entry in tree.items()))


def manifest_tree(manifest: DomainManifest | DomainTree) -> Tree:
    """Give the tree that the rows of a manifest make, or as much of it as its nodes say.

    The root of one that rows make need not be the stated one.

    Raises:
        PathError: when the parent of a row is not a directory among the rows.
        FormatError: when a row is inconsistent.
        MissingNodeError: when the node of the root is not among the nodes.
    """
    nodes = MemoryNodes()
    if isinstance(manifest, DomainManifest):
        return Tree.from_entries(nodes, {row.path: row.entry for row in manifest.rows})
    for node in manifest.nodes:
        nodes.put(node)
    return Tree.load(nodes, manifest.root)


def missing_outputs(view: Tree, outputs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Give the declared outputs that a view does not have.

    Raises:
        PathError: when an output is no path of a tree.
        MissingNodeError: when a node on the way is not held.
    """
    return tuple(output for output in outputs if view.entry(output) is None)


def committed_changes(declared: Sequence[Change]) -> dict[bytes, Entry | None]:
    """Give path and new entry of everything that a commit changes.

    Set-id bits of files are never committed; on a directory they grant nobody a right.
    """
    changes: dict[bytes, Entry | None] = {}
    for change in declared:
        after = None if change.after is None else _as_committed(listed_entry(change.after))
        if after is None or change.before is None or after != listed_entry(change.before):
            changes[change.path] = after
    return changes


def post_tree(base: Tree, declared: Sequence[Change]) -> Tree:
    """Give the tree of a domain after its declared changes were committed.

    Raises:
        PathError: when a change lies below what is no directory.
        MissingNodeError: when a node of the base is not held.
    """
    return base.update(committed_changes(declared))


def restore_diff(run_id: str, verdict: Verdict) -> RestoreDiff:
    """Give the record of all changes, split."""
    return RestoreDiff(
        run_id,
        tuple(
            DomainDifference(
                split.path,
                tuple(map(listed_change, split.leftovers)),
                tuple(map(listed_change, split.declared)),
            )
            for split in verdict.domains
        ),
    )


def outputs_record(
    run_id: str,
    evidence: Evidence,
    verdict: Verdict,
    views: Sequence[Tree],
    notes: Mapping[tuple[bytes, bytes], Sequence[OutputNote]],
) -> Outputs:
    """Give the record of the declared outputs.

    Args:
        run_id: The run.
        evidence: What is known at the end.
        verdict: The judgement.
        views: The tree of each domain's view.
        notes: Domain and output to what the commit left out or added there.

    Raises:
        MissingNodeError: when a view is not whole.
    """
    outputs = []
    for domain, view in zip(evidence.domains, views, strict=True):
        changed = {change.path for change in domain.changes}
        for path in domain.outputs:
            rows = rows_below(view, path, changed)
            outputs.append(
                Output(
                    domain=domain.path,
                    path=path,
                    present=bool(rows),
                    committed=bool(rows) and verdict.commits,
                    entries=rows,
                    notes=tuple(notes.get((domain.path, path), ())),
                )
            )
    return Outputs(run_id, tuple(outputs))


def domain_roots(run_id: str, evidence: Evidence, post_roots: Sequence[Digest]) -> DomainRoots:
    """Give the record of the roots.

    Args:
        run_id: The run.
        evidence: What is known at the end.
        post_roots: Root of what each domain holds now.
    """
    pairs = zip(evidence.domains, post_roots, strict=True)
    return DomainRoots(run_id, tuple(_domain_root(domain, post_root) for domain, post_root in pairs))


def status_record(run_id: str, evidence: Evidence, verdict: Verdict, phases: Sequence[Phase]) -> Status:
    """Give the record of how the run ended."""
    return Status(
        run_id=run_id,
        outcome=verdict.outcome,
        exit_status=verdict.exit_status,
        command_status=evidence.command_status,
        sentence=verdict.sentence,
        phases=tuple(phases),
    )


def assemble_proof(
    job: JobSpec,
    evidence: Evidence,
    verdict: Verdict,
    post_roots: Sequence[Digest],
    facts: ProofFacts,
    files: Mapping[str, Digest],
) -> Proof:
    """Give the proof of a run.

    Args:
        job: Its declaration.
        evidence: What is known at the end.
        verdict: The judgement.
        post_roots: Root of what each domain holds now.
        facts: What else the proof states.
        files: Name and SHA-256 of every other file of the run folder.
    """
    conflicts: tuple[BaseConflict, ...] = sum((domain.conflicts for domain in evidence.domains), ())
    return Proof(
        run_id=job.run_id,
        created=facts.created,
        outcome=verdict.outcome,
        exit_status=verdict.exit_status,
        command_status=evidence.command_status,
        isolated=verdict.isolated,
        self_restored=verdict.self_restored,
        domains=tuple(
            DomainProof(_domain_root(domain, post_root), known, len(split.declared), len(split.leftovers))
            for domain, post_root, known, split in zip(
                evidence.domains, post_roots, facts.known, verdict.domains, strict=True
            )
        ),
        outputs=tuple(
            OutputProof(domain.path, path, present, present and verdict.commits)
            for domain in evidence.domains
            for path in domain.outputs
            for present in [path not in domain.missing]
        ),
        leftovers=evidence.leftovers,
        rechecked_paths=facts.rechecked_paths,
        conflicts=conflicts,
        commit_problem=evidence.commit_problem,
        log=facts.log,
        confine=job.confine,
        allow_write=job.allow_write,
        transport=job.transport,
        files=dict(files),
    )


def _domain_root(domain: DomainEvidence, post_root: Digest) -> DomainRoot:
    return DomainRoot(domain.path, domain.base_root, domain.view_root, domain.replay_root, post_root)


def rows_below(view: Tree, path: bytes, changed: Collection[bytes]) -> tuple[Row, ...]:
    """Give a path of a view and everything below it, as a commit brings it into the domain.

    Args:
        view: The view.
        path: The path; nothing is below one that is not there.
        changed: Paths that differ from the domain.

    Raises:
        MissingNodeError: when the view is not whole.
    """
    top = view.entry(path)
    rows: list[Row] = []
    pending = [] if top is None else [(path, top)]
    while pending:
        here, entry = pending.pop()
        rows.append(Row(here, _as_committed(entry) if here in changed else entry))
        if entry.kind is Kind.DIRECTORY:
            prefix = here + b"/" if here else b""
            pending += [(prefix + name, below) for name, below in view.directory(here)]
    return tuple(sorted(rows, key=lambda row: walk_key(row.path)))


def _as_committed(entry: Entry) -> Entry:
    return entry if entry.kind is Kind.DIRECTORY else replace(entry, mode=entry.mode & ~_SET_ID_BITS)
