"""The manifests of a run: roots of trees that the store of the workspace keeps, or every path."""

from collections.abc import Sequence
from pathlib import Path

from catfs.errors import FormatError
from catfs.ledger import RunReader, RunWriter
from catfs.merkle import LayeredNodes, MemoryNodes, MissingNodeError, NodeSource, PathError, Tree
from catfs.proof import DomainEvidence, SplitChanges, base_manifest, domain_manifest, new_nodes, post_manifest
from catfs.proof.assemble import manifest_tree
from catfs.proof.capture_nodes import StoredNodes
from catfs.records import (
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    DomainManifest,
    DomainTree,
    Manifest,
    Moment,
)
from catfs.runtime.session import DomainState
from catfs.runtime.workspace import FOLDER, Workspace
from catfs.store import LocalStore, is_store
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class DomainEnd:
    """What one domain was in a run, and is now.

    Args:
        state: What is known of it at the end of its session.
        evidence: What the judgement rests on.
        split: Its changes, split into declared ones and leftovers.
        post: The tree of what it holds now.
    """

    state: DomainState
    evidence: DomainEvidence
    split: SplitChanges
    post: Tree


def write_manifests(
    writer: RunWriter, workspace: Workspace, run_id: str, ends: Sequence[DomainEnd], *, flat: bool
) -> None:
    """Write what the domains of a run were before and after it.

    Args:
        writer: The run's folder.
        workspace: Its store takes the nodes of the trees.
        run_id: The run.
        ends: The domains.
        flat: Whether to write every path.

    Raises:
        MissingNodeError: when a tree is not whole.
        OSError: when a file cannot be written.
    """
    before: list[DomainManifest | DomainTree]
    after: list[DomainManifest | DomainTree]
    if flat:
        before = [domain_manifest(end.evidence.path, end.state.base) for end in ends]
        after = [domain_manifest(end.evidence.path, end.post) for end in ends]
    else:
        _keep_trees(workspace, ends)
        before = [
            base_manifest(
                end.evidence.path,
                end.state.base,
                end.evidence.changes,
                end.split.declared,
                end.evidence.outputs,
            )
            for end in ends
        ]
        after = [post_manifest(end.evidence.path, end.post) for end in ends]
    writer.write_record(PRE_MANIFEST_FILE, Manifest(run_id, Moment.PRE, tuple(before)))
    writer.write_record(POST_MANIFEST_FILE, Manifest(run_id, Moment.POST, tuple(after)))


def manifest_trees(run: RunReader, manifest: Manifest) -> list[Tree]:
    """Give the tree of each domain of a manifest, whole where the store of its workspace has it.

    That rows make a tree with the stated root is not checked here.

    Args:
        run: The run, perhaps far from its workspace.
        manifest: One of its manifests.

    Raises:
        FormatError: when the rows make no tree, or neither manifest nor store hold the root.
    """
    what = f"the {manifest.moment.value} manifest of run {run.run_id}"
    stored = _stored_nodes(run)
    trees = []
    for domain in manifest.domains:
        try:
            if isinstance(domain, DomainManifest):
                trees.append(manifest_tree(domain))
                continue
            given = MemoryNodes()
            for node in domain.nodes:
                given.put(node)
            trees.append(Tree.load(LayeredNodes(MemoryNodes(), given, *stored), domain.root))
        except (MissingNodeError, PathError) as error:
            raise FormatError(what, str(error)) from error
    return trees


def _keep_trees(workspace: Workspace, ends: Sequence[DomainEnd]) -> None:
    """Put into the store what it does not have yet of the trees before, in and after the run."""
    fresh = [
        node
        for end in ends
        for tree in (end.state.base, end.state.view, end.post)
        for node in new_nodes(tree, end.state.fresh)
    ]
    with LocalStore(workspace.store).batch() as batch:
        for node in fresh:
            batch.put(node, compress=False)


def _stored_nodes(run: RunReader) -> list[NodeSource]:
    """Give the nodes of the store of the workspace that a run folder lies in, if it lies in one."""
    folder: Path = run.folder.resolve().parent.parent
    store = Workspace(folder.parent).store
    if folder.name != FOLDER or not is_store(store):
        return []
    return [StoredNodes(LocalStore(store))]
