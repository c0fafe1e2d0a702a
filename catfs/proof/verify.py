"""Verification of a finished run from its files alone: recompute everything, believe nothing.

Takes bytes by name and reads nothing itself; the record of a run is put together elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from io import BytesIO
from typing import Final

from catfs.digest import Digest
from catfs.errors import FormatError, UsageError
from catfs.merkle import LogTree, MissingNodeError, PathError, Tree, diff
from catfs.proof.assemble import (
    ProofFacts,
    assemble_proof,
    domain_roots,
    manifest_tree,
    missing_outputs,
    outputs_record,
    post_tree,
    restore_diff,
    status_record,
)
from catfs.proof.prove import DomainEvidence, Evidence, Verdict, prove
from catfs.proof.run_record import RunRecord, VerificationError, decode_proof, decode_run
from catfs.records import (
    DOMAIN_ROOTS_FILE,
    HISTORY_DATA_FILE,
    OUTPUTS_FILE,
    POST_MANIFEST_FILE,
    PRE_MANIFEST_FILE,
    PROOF_FILE,
    REQUIRED_FILES,
    RESTORE_DIFF_FILE,
    STATUS_FILE,
    WRITE_LOG_FILE,
    BaseNote,
    DomainDifference,
    DomainManifest,
    DomainRoot,
    DomainTree,
    EntryCounts,
    OutputNote,
    Proof,
    listed_change,
    schemas_of,
)
from catfs.records.log_lines import LogDamageError, log_lines, log_records
from catfs.records.write_record import WriteRecord
from catfs.values import dataclass

STEP_TITLES: Final = (
    "the proof is canonical and has the digest of its content",
    "exactly the listed files are there, each with its digest",
    "each record fits its schema and the others",
    "the manifests give the base and post roots",
    "the base and the difference give the view root",
    "verdicts, outcome and every derived record are what the evidence gives",
    "the write log has the stated records, bytes and root",
)
"""What each step of `verify_run` shows when it succeeds."""


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """The result of one step.

    Args:
        number: Counted from 1.
        title: What it shows when it succeeds.
        reached: Whether it was done at all: no step is done after one that failed.
        errors: What it found wrong.
    """

    number: int
    title: str
    reached: bool
    errors: tuple[VerificationError, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it was done and found nothing wrong."""
        return self.reached and not self.errors


def verify_run(files: Mapping[str, bytes]) -> list[VerifyStep]:
    """Verify a run from its files.

    1. PROOF.json is canonical and its digest is that of its content.
    2. Exactly the files that it lists are there, each with the listed digest, and none is lacking.
    3. Every record fits its schema, and those that speak of the same thing agree.
    4. The roots recomputed from the rows of both manifests are the proof's base and post roots. Where they
       name roots of trees, those are the proof's, and the nodes lead down from the base root.
    5. The base changed by the listed difference has the view root, and the difference is all of it.
    6. Judging this evidence anew, by the same `prove`, gives the stated verdicts and outcome, and every
       derived record: difference, outputs, roots, status and proof.
    7. The write log has the stated number of records and bytes and the stated root, and its sequence
       numbers have no gap.

    What stays with the caller: to know the proof's digest from a source it trusts, for whoever makes up a
    whole consistent folder is not found out from that folder alone; to compare the post manifest with
    the domain, if it still has it; to compare the run id with the name of the folder, and the data of a
    history, which may have been removed, with the digest in its record. That the log
    leads to the view was checked when the run ended: it needs the content, which is not in the folder.

    Args:
        files: Name in the run folder to content.

    Returns:
        All steps, in order.
    """
    steps = _Steps()
    with suppress(_StoppedError):
        _verify(files, steps)
    missing = range(len(steps.results), len(STEP_TITLES))
    return steps.results + [VerifyStep(at + 1, STEP_TITLES[at], reached=False) for at in missing]


class _StoppedError(Exception):
    """A step failed; the ones after it rest on it."""


class _Steps:
    """Collects results."""

    def __init__(self) -> None:
        self.results: list[VerifyStep] = []

    @contextmanager
    def step(self) -> Iterator[list[VerificationError]]:
        """Do the next step; errors are put into the list, or one is raised."""
        errors: list[VerificationError] = []
        try:
            yield errors
        except VerificationError as error:
            errors.append(error)
        except MissingNodeError as error:
            expected = f"the node {error.digest.hex}"
            errors.append(VerificationError(PRE_MANIFEST_FILE, "the nodes", expected, "nothing"))
        except (FormatError, UsageError) as error:
            # Each record is sound in itself; together they say what no tree can hold.
            errors.append(VerificationError(PROOF_FILE, "the records together", "one run", str(error)))
        at = len(self.results)
        self.results.append(VerifyStep(at + 1, STEP_TITLES[at], True, tuple(errors)))
        if errors:
            raise _StoppedError


def _verify(files: Mapping[str, bytes], steps: _Steps) -> None:
    # 1. The proof.
    with steps.step():
        proof = decode_proof(files)
    # 2. The files.
    with steps.step() as errors:
        errors.extend(_check_files(files, proof))
    # 3. The records.
    with steps.step() as errors:
        run = decode_run(files, proof)
        errors.extend(run.disagreements())
    # 4. The manifests.
    with steps.step():
        bases = [
            _tree(PRE_MANIFEST_FILE, manifest, domain.roots.base_root)
            for manifest, domain in zip(run.pre.domains, proof.domains, strict=True)
        ]
        for manifest, domain in zip(run.post.domains, proof.domains, strict=True):
            _check_post(manifest, domain.roots.post_root)
    # 5. The difference.
    with steps.step():
        pairs = zip(bases, run.difference.domains, proof.domains, strict=True)
        views = [_view(base, difference, domain.roots) for base, difference, domain in pairs]
    # 6. The verdict and all that follows from it.
    with steps.step() as errors:
        errors.extend(_check_verdict(run, bases, views))
    # 7. The log.
    with steps.step() as errors:
        errors.extend(_check_log(files[WRITE_LOG_FILE], proof))


def _check_files(files: Mapping[str, bytes], proof: Proof) -> Iterator[VerificationError]:
    present = set(files) - {PROOF_FILE, HISTORY_DATA_FILE}
    for name in sorted(REQUIRED_FILES - proof.files.keys()):
        yield VerificationError(PROOF_FILE, f"the list of files, {name}", "a digest", "nothing")
    for name, expected in sorted(proof.files.items()):
        if name not in present:
            yield VerificationError(name, "the file", expected.hex, "nothing")
            continue
        got = Digest.of(files[name])
        if got != expected:
            yield VerificationError(name, "the SHA-256 of the file", expected.hex, got.hex)
        if not _is_known(name):
            yield VerificationError(name, "the name", "the name of a file of a run", "another")
    for name in sorted(present - proof.files.keys()):
        yield VerificationError(name, "the file", "nothing, for the proof does not list it", "a file")


def _is_known(name: str) -> bool:
    try:
        schemas_of(name)
    except FormatError:
        return False
    return name != PROOF_FILE


def _check_post(manifest: DomainManifest | DomainTree, root: Digest) -> None:
    """Check the root of a domain after the run; that it follows from the base is checked later."""
    if isinstance(manifest, DomainManifest):
        _tree(POST_MANIFEST_FILE, manifest, root)
    elif manifest.root != root:
        raise VerificationError(POST_MANIFEST_FILE, "the root", root.hex, manifest.root.hex)


def _tree(name: str, manifest: DomainManifest | DomainTree, root: Digest) -> Tree:
    """Give the tree of a manifest, whose root must be the stated one, as far as the manifest has it."""
    try:
        tree = manifest_tree(manifest)
    except (FormatError, PathError) as error:
        raise VerificationError(name, "the rows", "the paths of a tree", str(error)) from error
    if tree.root != manifest.root or tree.root != root:
        stated = manifest.root if tree.root != manifest.root else root
        raise VerificationError(name, "the root", stated.hex, tree.root.hex)
    return tree


def _view(base: Tree, difference: DomainDifference, roots: DomainRoot) -> Tree:
    """Give the view, made from the base by the difference; it must have the stated root."""
    try:
        view = base.update({change.path: change.after for change in difference.changes})
    except (FormatError, PathError) as error:
        what, expected = "the changes", "changes of the base"
        raise VerificationError(RESTORE_DIFF_FILE, what, expected, str(error)) from error
    if view.root != roots.view_root:
        what = "the root of the base with the changes"
        raise VerificationError(RESTORE_DIFF_FILE, what, roots.view_root.hex, view.root.hex)
    found = tuple(map(listed_change, diff(base, view)))
    if found != difference.changes:
        expected, got = f"the {len(found)} changes between base and view", f"{len(difference.changes)} others"
        raise VerificationError(RESTORE_DIFF_FILE, "the changes", expected, got)
    return view


def _evidence(run: RunRecord, bases: Iterable[Tree], views: Iterable[Tree]) -> Evidence:
    """Give the evidence anew, from what steps 3 to 5 have established."""
    domains = []
    for domain, base, view in zip(run.proof.domains, bases, views, strict=True):
        outputs = run.job.outputs_of(domain.roots.path)
        domains.append(
            DomainEvidence(
                path=domain.roots.path,
                base_root=base.root,
                view_root=view.root,
                replay_root=domain.roots.replay_root,
                changes=tuple(diff(base, view)),
                outputs=outputs,
                missing=missing_outputs(view, outputs),
                conflicts=tuple(c for c in run.proof.conflicts if c.domain == domain.roots.path),
            )
        )
    return Evidence(tuple(domains), run.command_status, run.job.leftovers, run.proof.commit_problem)


def _check_verdict(run: RunRecord, bases: list[Tree], views: list[Tree]) -> Iterator[VerificationError]:
    evidence = _evidence(run, bases, views)
    verdict = prove(evidence)
    post_roots = _post_roots(bases, verdict)
    proof, run_id = run.proof, run.job.run_id
    facts = ProofFacts(
        created=proof.created,
        rechecked_paths=proof.rechecked_paths,
        known=tuple(
            _known(domain.known, base, view)
            for domain, base, view in zip(proof.domains, bases, views, strict=True)
        ),
        log=proof.log,
    )
    notes: dict[tuple[bytes, bytes], tuple[OutputNote, ...]] = {
        (output.domain, output.path): output.notes for output in run.outputs.outputs
    }
    yield from _differences(
        PROOF_FILE, assemble_proof(run.job, evidence, verdict, post_roots, facts, proof.files), proof
    )
    yield from _differences(RESTORE_DIFF_FILE, restore_diff(run_id, verdict), run.difference)
    yield from _differences(
        OUTPUTS_FILE, outputs_record(run_id, evidence, verdict, views, notes), run.outputs
    )
    yield from _differences(DOMAIN_ROOTS_FILE, domain_roots(run_id, evidence, post_roots), run.roots)
    yield from _differences(
        STATUS_FILE, status_record(run_id, evidence, verdict, run.status.phases), run.status
    )


def _known(stated: BaseNote | EntryCounts, base: Tree, view: Tree) -> BaseNote | EntryCounts:
    """Count the paths where a proof states their number; how a base came to be known can only be told."""
    if isinstance(stated, BaseNote):
        return stated
    return EntryCounts(sum(1 for _ in base.items()), sum(1 for _ in view.items()))


def _post_roots(bases: list[Tree], verdict: Verdict) -> list[Digest]:
    if not verdict.commits:
        return [base.root for base in bases]
    pairs = zip(bases, verdict.domains, strict=True)
    return [post_tree(base, split.declared).root for base, split in pairs]


def _differences(name: str, expected: object, got: object) -> Iterator[VerificationError]:
    """Give the fields in which a stated record differs from the recomputed one."""
    assert type(expected) is type(got)
    for field in fields(expected):  # type: ignore[arg-type]  # every record is a dataclass
        right, stated = getattr(expected, field.name), getattr(got, field.name)
        if right != stated:
            yield VerificationError(name, f"the field {field.name}", _short(right), _short(stated))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _check_log(data: bytes, proof: Proof) -> Iterator[VerificationError]:
    tree = LogTree()
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for line in log_lines(BytesIO(data), WRITE_LOG_FILE):
            tree.append(line)
            size += len(line) + 1
            yield line

    try:
        for record in log_records(counted(), WRITE_LOG_FILE):
            if isinstance(record, WriteRecord) and record.domain >= len(proof.domains):
                what, last = f"the domain of record {record.seq}", len(proof.domains) - 1
                yield VerificationError(WRITE_LOG_FILE, what, f"at most {last}", str(record.domain))
    except LogDamageError as error:
        yield VerificationError(WRITE_LOG_FILE, "the log", "records to the end", error.problem)
        return
    for what, expected, got in (
        ("the number of records", str(proof.log.records), str(tree.size)),
        ("the number of bytes", str(proof.log.size), str(size)),
        ("the root over the records", proof.log.root.hex, tree.root.hex),
    ):
        if expected != got:
            yield VerificationError(WRITE_LOG_FILE, what, expected, got)
