"""The verdicts on a run: a pure function of what it left, what was declared, and what was seen on the way.

The same function judges a run when it ends and again whenever its record is verified, so a record can
never claim another outcome than this one.
"""

from collections.abc import Iterable, Sequence

from catfs.digest import Digest
from catfs.errors import ExitStatus, counted, printable
from catfs.records import BaseConflict, Change, Kind, Leftovers, Outcome
from catfs.records.names import is_at_or_below
from catfs.records.run import check_exit_status
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class DomainEvidence:
    """What is known of one domain at the end of a run.

    Args:
        path: Absolute path of the domain.
        base_root: Merkle root of the lower.
        view_root: Merkle root of the view.
        replay_root: Merkle root of what the write log leads to from the lower.
        changes: How the view differs from the lower, in the order of a walk.
        outputs: Declared outputs, relative to the domain; b"" declares all of it.
        missing: Those of them that the view does not have.
        conflicts: Paths of the lower that are no longer what the session saw.
    """

    path: bytes
    base_root: Digest
    view_root: Digest
    replay_root: Digest
    changes: Sequence[Change]
    outputs: tuple[bytes, ...] = ()
    missing: tuple[bytes, ...] = ()
    conflicts: tuple[BaseConflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a run at its end.

    Args:
        domains: The domains, in the order of the job.
        command_status: Status of the first step that failed, else 0.
        leftovers: What was declared to happen to undeclared differences.
        commit_problem: Why a commit was refused or given up with nothing committed, as a sentence; None
            when it was not, or not tried yet.
    """

    domains: tuple[DomainEvidence, ...]
    command_status: int
    leftovers: Leftovers
    commit_problem: str | None = None

    def __post_init__(self) -> None:
        check_exit_status(self.command_status, "evidence")


@dataclass(frozen=True, slots=True)
class SplitChanges:
    """The changes of one domain.

    Args:
        path: Absolute path of the domain.
        declared: Changes at and below declared outputs, and new directories above them.
        leftovers: All others.
    """

    path: bytes
    declared: tuple[Change, ...]
    leftovers: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on a run.

    Args:
        outcome: How it ended.
        exit_status: What `catfs run` exits with.
        isolated: The original was never touched; only declared outputs left, or may leave, the overlay.
        self_restored: The program left no undeclared difference.
        sentence: The outcome for people.
        domains: The changes of each domain, in the order of the evidence.
    """

    outcome: Outcome
    exit_status: int
    isolated: bool
    self_restored: bool
    sentence: str
    domains: tuple[SplitChanges, ...]

    @property
    def commits(self) -> bool:
        """Whether declared outputs are to be committed, or were: only a restored run does."""
        return self.outcome is Outcome.RESTORED


def prove(evidence: Evidence) -> Verdict:
    """Judge a run.

    1. Changes are split into declared ones and leftovers.
    2. `isolated`: nothing of the original changed underneath. That the session itself cannot write to it
       is by construction; that nobody else did is what the recheck says.
    3. `self_restored`: there are no leftovers.
    4. The outcome is the first of these that applies:
       a. the log leads elsewhere than the view: `internal`, for a write has escaped the trace;
       b. the original changed underneath: `conflict`;
       c. a step failed: `failed`, with its own exit status;
       d. a declared output is missing: `missing_output`;
       e. there are leftovers and the policy is `fail`, or an output cannot be had without one: `dirty`;
       f. the commit was refused or given up: `internal`;
       g. else: `restored`.

    What stays with the caller: that the roots and changes are those of the domain, and that conflicts are
    what a recheck of everything read and touched has found.

    Args:
        evidence: What is known at the end.
    """
    # 1. Declared changes and leftovers.
    domains = tuple(
        SplitChanges(domain.path, *split_changes(domain.changes, domain.outputs))
        for domain in evidence.domains
    )
    # 2. and 3. The two verdicts.
    isolated = not any(domain.conflicts for domain in evidence.domains)
    self_restored = not any(domain.leftovers for domain in domains)
    # 4. The outcome.
    outcome, exit_status, sentence = _outcome(evidence, domains)
    return Verdict(outcome, int(exit_status), isolated, self_restored, sentence, domains)


def split_changes(
    changes: Iterable[Change], outputs: Iterable[bytes]
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Split changes into declared ones and leftovers; both keep their order.

    A change is declared when its path is an output or below one, or when it adds a directory above one.

    Args:
        changes: The changes of a domain.
        outputs: Its declared outputs, relative to it.
    """
    outputs = tuple(outputs)
    declared: list[Change] = []
    leftovers: list[Change] = []
    for change in changes:
        is_declared = is_at_or_below(change.path, outputs) or _is_new_parent(change, outputs)
        (declared if is_declared else leftovers).append(change)
    return tuple(declared), tuple(leftovers)


def _is_new_parent(change: Change, outputs: Iterable[bytes]) -> bool:
    added = change.before is None and change.after is not None and change.after.kind is Kind.DIRECTORY
    return added and _is_above(change.path, outputs)


def _is_above(path: bytes, outputs: Iterable[bytes]) -> bool:
    return any(output.startswith(path + b"/") for output in outputs)


def _outcome(evidence: Evidence, domains: Sequence[SplitChanges]) -> tuple[Outcome, int, str]:
    """Give outcome, exit status and sentence, in the order of step 4 of `prove`."""
    # a. The log must lead to the view.
    for domain in evidence.domains:
        if domain.replay_root != domain.view_root:
            text = (
                f"the write log of {printable(domain.path)} leads to {domain.replay_root.hex[:16]}, but the "
                f"view is {domain.view_root.hex[:16]}: a change escaped the trace; nothing was committed"
            )
            return Outcome.INTERNAL, ExitStatus.INTERNAL, text
    # b. The original must still be what it was.
    conflicts = [conflict for domain in evidence.domains for conflict in domain.conflicts]
    if conflicts:
        first = conflicts[0]
        place = _in(first.domain, first.path)
        text = (
            f"{counted(len(conflicts), 'path')} changed underneath the run, first {place}: "
            f"expected {first.expected}, got {first.got}; nothing was committed"
        )
        return Outcome.CONFLICT, ExitStatus.CONFLICT, text
    # c. The command must succeed.
    if evidence.command_status:
        text = f"the command failed with status {evidence.command_status}; nothing was committed"
        return Outcome.FAILED, evidence.command_status, text
    # d. Every output must be there.
    missing = [_in(domain.path, output) for domain in evidence.domains for output in domain.missing]
    if missing:
        text = f"declared but not there: {', '.join(missing)}; nothing was committed"
        return Outcome.MISSING_OUTPUT, ExitStatus.DIRTY, text
    # e. to g.
    return _outcome_by_leftovers(evidence, domains)


def _outcome_by_leftovers(evidence: Evidence, domains: Sequence[SplitChanges]) -> tuple[Outcome, int, str]:
    # e. Nothing undeclared may be left, unless it can be dropped.
    found = [(domain.path, change.path) for domain in domains for change in domain.leftovers]
    if found and evidence.leftovers is Leftovers.FAIL:
        count, first = counted(len(found), "undeclared change"), _in(*found[0])
        text = f"{count} left behind, first {first}; nothing was committed"
        return Outcome.DIRTY, ExitStatus.DIRTY, text
    for domain, split in zip(evidence.domains, domains, strict=True):
        for change in split.leftovers:
            if _carries_output(change, domain.outputs):
                place = _in(domain.path, change.path)
                text = f"{place} became a directory, and a declared output lies in it; nothing was committed"
                return Outcome.DIRTY, ExitStatus.DIRTY, text
    # f. The commit must have gone through.
    if evidence.commit_problem is not None:
        return Outcome.INTERNAL, ExitStatus.INTERNAL, f"nothing was committed: {evidence.commit_problem}"
    # g. All is well.
    declared = sum(len(domain.declared) for domain in domains)
    dropped = f", {counted(len(found), 'undeclared change')} dropped" if found else ""
    text = "the original is as it was"
    if declared:
        text += f" but for {counted(declared, 'declared change')}"
    return Outcome.RESTORED, ExitStatus.RESTORED, text + dropped


def _carries_output(change: Change, outputs: Iterable[bytes]) -> bool:
    """Say whether an undeclared change put a directory where something else was, above an output."""
    before, after = change.before, change.after
    return (
        before is not None
        and before.kind is not Kind.DIRECTORY
        and after is not None
        and after.kind is Kind.DIRECTORY
        and _is_above(change.path, outputs)
    )


def _in(domain: bytes, path: bytes) -> str:
    """Give the absolute path of a path in a domain, for people."""
    return printable(domain.rstrip(b"/") + b"/" + path if path else domain)
