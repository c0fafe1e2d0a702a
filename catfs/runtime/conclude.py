"""The end of a session: fold, prove, commit, record.

Nothing flows back: each phase takes what the one before it gave. The proof is a pure function of what
the session left and what was declared; the commit happens only after it. The ledger is written when the
commit can be decided, and counts when the commit is done: then its proof file is published, last of all.
"""

import functools
import getpass
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import catfs
from catfs.clock import system_clock
from catfs.commit import (
    CommitRecord,
    DomainChanges,
    Note,
    UnfinishedCommitError,
    apply_commit,
    plan_commit,
)
from catfs.digest import Digest
from catfs.errors import CatfsError, CommitError, ConflictError, counted
from catfs.ledger import RunWriter
from catfs.overlay.nodes import SESSION_ACTOR
from catfs.overlay.trace import Details, Place
from catfs.proof import (
    DomainEvidence,
    Evidence,
    ProofFacts,
    Verdict,
    assemble_proof,
    domain_roots,
    missing_outputs,
    outputs_record,
    post_tree,
    prove,
    restore_diff,
    status_record,
)
from catfs.records import (
    BaseConflict,
    Kind,
    OutputNote,
    Proof,
    RestoreDiff,
    RunInfo,
    StepResult,
)
from catfs.records.ledger_record import REFERENCED_FILES, LedgerRecord, RunPhase, StepNote
from catfs.records.names import is_at_or_below
from catfs.records.run_files import (
    DOMAIN_ROOTS_FILE,
    LEDGER_FILE,
    OUTPUTS_FILE,
    RESTORE_DIFF_FILE,
    RUN_INFO_FILE,
    STATUS_FILE,
    step_file,
)
from catfs.runtime.keeping import HistoryKeeper
from catfs.runtime.manifests import DomainEnd, write_manifests
from catfs.runtime.outputs import ViewOutputs
from catfs.runtime.phases import Phases
from catfs.runtime.recovery import publish_run
from catfs.runtime.request import Job
from catfs.runtime.session import DomainState, Session
from catfs.runtime.stopping import to_the_end
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a run is recorded, and what its record says besides the session.

    Args:
        workspace: Where the commit keeps its journal.
        writer: The run's folder, to which JOBSPEC.json and the output of the steps are written already.
        steps: How each command went.
        argv: The arguments of the `catfs` command.
        cwd: Its working directory.
        started: When the run began, in nanoseconds since 1970.
        phases: The parts of the run so far.
        notes: What else the ledger says of each step.
    """

    workspace: Workspace
    writer: RunWriter
    steps: Sequence[StepResult]
    argv: Sequence[str]
    cwd: Path
    started: int
    phases: Phases
    notes: Sequence[StepNote] = ()


@dataclass(frozen=True, slots=True)
class Examination:
    """What is known of a session at one moment, and the judgement on it.

    Args:
        states: Each domain.
        evidence: What the judgement rests on.
        verdict: The judgement.
    """

    states: tuple[DomainState, ...]
    evidence: Evidence
    verdict: Verdict

    def with_evidence(self, evidence: Evidence) -> "Examination":
        """Judge again with other evidence."""
        return Examination(self.states, evidence, prove(evidence))


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How a session ended.

    Args:
        proof: What was proven.
        sentence: The outcome for people.
        difference: Every change, split into declared ones and leftovers.
        notes: Where committed outputs differ from the view.
        cut_off: Whether processes lived on when the view was taken away.
    """

    proof: Proof
    sentence: str
    difference: RestoreDiff
    notes: tuple[Note, ...]
    cut_off: bool = False


def examine(session: Session, job: Job, command_status: int) -> Examination:
    """Judge a session as it is now; nothing is changed.

    Args:
        session: The session.
        job: What was declared.
        command_status: Status of the command; 0 when there is none.

    Raises:
        MachineError: when the base cannot be read.
        ReplayError: when the log cannot be followed.
        OSError: when content cannot be read.
    """
    return _examination(session.states(), job, command_status)


def look_ahead(session: Session, job: Job) -> None:
    """Judge a session in which nothing happened, while the command runs: what that needs is ready then.

    What goes wrong goes wrong again at the end, and is told then.
    """
    with suppress(CatfsError, OSError):
        _examination(session.states_of_nothing(), job, 0)


def _examination(states: Sequence[DomainState], job: Job, command_status: int) -> Examination:
    """Judge what is known of the domains."""
    evidence = Evidence(
        domains=tuple(
            DomainEvidence(
                path=os.fsencode(state.declaration.path),
                base_root=state.base.root,
                view_root=state.view.root,
                replay_root=state.replayed.root,
                changes=state.changes,
                outputs=state.declaration.outputs,
                missing=missing_outputs(state.view, state.declaration.outputs),
                conflicts=state.conflicts,
            )
            for state in states
        ),
        command_status=command_status,
        leftovers=job.spec.leftovers,
    )
    return Examination(tuple(states), evidence, prove(evidence))


def conclude(session: Session, job: Job, recording: Recording) -> Conclusion:
    """Prove, commit and record a session that nobody uses any more.

    Args:
        session: The session; its view is not served any more.
        job: What was declared.
        recording: The run's folder and what is known besides the session.

    Raises:
        MachineError, ReplayError, OSError: as `examine`.
        UnfinishedCommitError: when a commit was decided and could not be finished; recovery goes on, and
            completes the record.
    """
    steps, phases = recording.steps, recording.phases
    status = next((step.status for step in steps if step.status), 0)
    with phases.phase("fold"):
        examination = examine(session, job, status)
    session.judged()
    changes = sum(len(domain.changes) for domain in examination.evidence.domains)
    phases.decide(RunPhase.POST_SNAPSHOT, f"found {counted(changes, 'change')}", _roots_text(examination))
    keeper = HistoryKeeper(session)
    if examination.verdict.commits:
        keeper.keep_originals([split.declared for split in examination.verdict.domains])
    _log_content(session, examination)
    write = functools.partial(_record, session, job, keeper)
    with to_the_end():
        if examination.verdict.commits:
            done = _commit(session, job.spec.run_id, recording, examination, write)
            if isinstance(done, Conclusion):
                return done
            examination = done
        conclusion = write(recording, examination, ())
        publish_run(recording.workspace, job.spec.run_id)
        return conclusion


def _commit(
    session: Session,
    run_id: str,
    recording: Recording,
    examination: Examination,
    write: Callable[[Recording, Examination, Sequence[Note]], Conclusion],
) -> Conclusion | Examination:
    """Commit declared outputs, and the record with them; give another judgement when that was given up."""
    started, kept = system_clock(), recording.writer.files
    session.announce_commit(run_id)
    prepared: list[tuple[Phases, Conclusion]] = []

    def prepare(notes: Sequence[Note]) -> None:
        phases = recording.phases.draft("commit", started)
        conclusion = write(replace(recording, phases=phases), examination, notes)
        prepared.append((phases, conclusion))

    record = CommitRecord(prepare, lambda run_id: publish_run(recording.workspace, run_id))
    try:
        _apply(session, examination, recording.workspace, run_id, record)
    except ConflictError as error:
        examination = _with_conflict(examination, error)
    except CommitError as error:
        if isinstance(error, UnfinishedCommitError) and error.commit_id == run_id:
            raise
        evidence = replace(examination.evidence, commit_problem=str(error))
        examination = examination.with_evidence(evidence)
    else:
        [(phases, conclusion)] = prepared
        recording.phases.adopt(phases)
        return conclusion
    recording.writer.restart(kept)
    return examination


def _apply(
    session: Session, examination: Examination, workspace: Workspace, run_id: str, record: CommitRecord
) -> None:
    changes = [
        DomainChanges(split.path, split.declared, domain.outputs)
        for split, domain in zip(examination.verdict.domains, examination.evidence.domains, strict=True)
    ]
    sources = [ViewOutputs(session.view, index) for index in range(len(changes))]
    folder = os.fsencode(workspace.folder)
    apply_commit(plan_commit(changes), sources, catfs_folder=folder, commit_id=run_id, record=record)


def _with_conflict(examination: Examination, error: ConflictError) -> Examination:
    """Judge again, with a path that the commit found changed."""
    domains = list(examination.evidence.domains)
    index = next(
        (
            place
            for place, split in enumerate(examination.verdict.domains)
            if any(change.path == error.path for change in split.declared)
        ),
        0,
    )
    conflict = BaseConflict(domains[index].path, error.path, error.expected, error.got)
    domains[index] = replace(domains[index], conflicts=(*domains[index].conflicts, conflict))
    return examination.with_evidence(replace(examination.evidence, domains=tuple(domains)))


def _record(
    session: Session,
    job: Job,
    keeper: HistoryKeeper,
    recording: Recording,
    examination: Examination,
    notes: Sequence[Note],
) -> Conclusion:
    """Write the ledger of a run, its proof last, which does not count before it is published."""
    writer = recording.writer
    run_id = job.spec.run_id
    evidence, verdict, states = examination.evidence, examination.verdict, examination.states
    recording.phases.decide(RunPhase.VERIFY, f"the outcome is {verdict.outcome.value}", verdict.sentence)
    posts = [
        post_tree(state.base, split.declared) if verdict.commits else state.base
        for state, split in zip(states, verdict.domains, strict=True)
    ]
    post_roots: list[Digest] = [post.root for post in posts]
    ends = [DomainEnd(*parts) for parts in zip(states, evidence.domains, verdict.domains, posts, strict=True)]
    write_manifests(writer, recording.workspace, run_id, ends, flat=job.plan.flat_manifests)
    difference = restore_diff(run_id, verdict)
    writer.write_record(RESTORE_DIFF_FILE, difference)
    views = [state.view for state in states]
    outputs = outputs_record(run_id, evidence, verdict, views, _notes_by_output(evidence, notes))
    writer.write_record(OUTPUTS_FILE, outputs)
    writer.write_record(DOMAIN_ROOTS_FILE, domain_roots(run_id, evidence, post_roots))
    for step in recording.steps:
        writer.write_record(step_file(step.index, "json"), step)
    log = writer.add_log(session.log_path)
    keeper.write(run_id, writer, states)
    writer.write_record(RUN_INFO_FILE, _run_info(job, session, recording))
    writer.write_record(STATUS_FILE, status_record(run_id, evidence, verdict, recording.phases.phases))
    recording.phases.decide(RunPhase.RECORD, f"recorded {counted(len(writer.files) + 1, 'file')}")
    writer.write_record(LEDGER_FILE, _ledger(job, recording, examination))
    facts = ProofFacts(
        created=system_clock(),
        rechecked_paths=sum(state.checked for state in states),
        known=tuple(state.note for state in states),
        log=log,
    )
    proof = assemble_proof(job.spec, evidence, verdict, post_roots, facts, writer.files)
    writer.prepare(proof)
    return Conclusion(proof, verdict.sentence, difference, tuple(notes))


def _ledger(job: Job, recording: Recording, examination: Examination) -> LedgerRecord:
    """Give the record that names the other files; all of them are written."""
    files = recording.writer.files
    return LedgerRecord(
        run_id=job.spec.run_id,
        references={key: files[file] for key, file in REFERENCED_FILES.items()},
        keep_going=job.plan.keep_going,
        steps=tuple(recording.notes) or tuple(StepNote(step.index) for step in recording.steps),
        decisions=tuple(recording.phases.decisions),
        restoration_verified=examination.verdict.commits,
        declared=job.plan.declared,
    )


def _roots_text(examination: Examination) -> str:
    domains = examination.evidence.domains
    return "; ".join(f"base {domain.base_root.hex}, view {domain.view_root.hex}" for domain in domains)


def _log_content(session: Session, examination: Examination) -> None:
    """Let the log say what every changed file held in the end, so that it leads to a tree by itself."""
    for index, domain in enumerate(examination.evidence.domains):
        for change in domain.changes:
            node = session.view.resolve(index, change.path)
            if change.after is None or change.after.kind is not Kind.FILE or node is None:
                continue
            details: Details = {"length": change.after.size, "digest": change.after.digest.hex.encode()}
            place = Place(index, change.path)
            session.log.append("content", place, node.ino, SESSION_ACTOR, system_clock(), details)
    session.log.flush()


def _notes_by_output(
    evidence: Evidence, notes: Sequence[Note]
) -> dict[tuple[bytes, bytes], list[OutputNote]]:
    """Give each note of a commit to the output that it is about, or that it made room for."""
    found: dict[tuple[bytes, bytes], list[OutputNote]] = defaultdict(list)
    for domain in evidence.domains:
        for note in notes:
            if note.domain != domain.path:
                continue
            for output in domain.outputs:
                if is_at_or_below(note.path, (output,)) or output.startswith(note.path + b"/"):
                    found[domain.path, output].append(OutputNote(note.kind.value, note.path, note.detail))
    return found


def _run_info(job: Job, session: Session, recording: Recording) -> RunInfo:
    return RunInfo(
        run_id=job.spec.run_id,
        catfs=catfs.__version__,
        python=platform.python_version(),
        kernel=platform.release(),
        host=platform.node(),
        uid=os.getuid(),
        user=_user_name(),
        cwd=os.fsencode(recording.cwd),
        argv=tuple(os.fsencode(word) for word in recording.argv),
        started=recording.started,
        ended=system_clock(),
        transport=job.spec.transport,
        session=session.identity,
    )


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
