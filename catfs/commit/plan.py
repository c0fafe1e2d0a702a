"""The plan of a commit: which names change, in which order. A pure function of the changes.

Order within a domain: removals, deepest first; new directories, outermost first; then everything that
is put in place; modes of directories last, deepest first, so that no step shuts out a later one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from catfs.errors import CommitError, FormatError, printable
from catfs.records import Change, Entry, Kind
from catfs.records.names import check_absolute, check_relative, is_at_or_below
from catfs.values import dataclass

_SET_ID_BITS: Final = 0o6000
_DEVICES: Final = frozenset({Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE})


class RefusedChangeError(CommitError):
    """A change cannot be part of any commit.

    Args:
        path: Path relative to the domain.
        reason: Why not, as the rest of a sentence.
        hint: What the reader can do about it, or None.
    """

    def __init__(self, path: bytes, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{printable(path) or 'the domain itself'} cannot be committed: {reason}", hint=hint)
        self.path = path
        self.reason = reason


class Action(Enum):
    """What a step does to one name. The value is the word in the journal."""

    REMOVE = "remove"
    """Take away a non-directory, or a directory that is empty by then."""
    MAKE = "make"
    """Put a new, empty directory in place, where nothing or a non-directory is."""
    PUT = "put"
    """Put a staged file, symlink, fifo or socket in place of what is there."""
    MODE = "mode"
    """Give a directory that stays other permission bits."""


class NoteKind(Enum):
    """What a commit left out or added on its own, for the ledger and for people."""

    SET_ID_DROPPED = "set_id_dropped"
    PARENT_CREATED = "parent_created"
    XATTR_DROPPED = "xattr_dropped"
    OWNER_DROPPED = "owner_dropped"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing in which the committed output differs from the view, or that was created beside it.

    Args:
        kind: What it is.
        domain: Absolute path of the domain.
        path: Path relative to the domain.
        detail: The bits, attribute or owner that was left out; empty where there is no more to say.
    """

    kind: NoteKind
    domain: bytes
    path: bytes
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One name to change.

    Args:
        domain: Index of the domain in the plan.
        action: What to do.
        path: Path relative to the domain.
        before: What must be there; None for nothing. A directory without its digest.
        after: What will be there; None for nothing. A directory without its digest.
    """

    domain: int
    action: Action
    path: bytes
    before: Entry | None
    after: Entry | None

    def __post_init__(self) -> None:
        check_relative(self.path)
        if not self.path and self.action is not Action.MODE:
            raise FormatError("commit step", "the domain itself can get another mode, nothing else")
        if self.before == self.after or self.action is not _action(self.before, self.after):
            raise FormatError("commit step", f"{self.action.value} does not lead from before to after")
        if self.after is not None and self.after.kind in _DEVICES:
            raise FormatError("commit step", "a device node is never committed")


@dataclass(frozen=True, slots=True)
class DomainChanges:
    """How one domain is to change.

    Args:
        path: Absolute path of the domain, without `.`, `..` or double slashes.
        changes: What changes at and below the outputs, and new directories above them.
        outputs: Declared outputs, relative to the domain; b"" declares all of it.
    """

    path: bytes
    changes: Sequence[Change]
    outputs: Sequence[bytes]

    def __post_init__(self) -> None:
        check_absolute(self.path)
        for output in self.outputs:
            check_relative(output)


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """Everything a commit will do.

    Args:
        domains: Absolute paths of the domains.
        outputs: Declared outputs of each domain, in the same order.
        steps: What to do, in order.
        notes: What is left out or added.
    """

    domains: tuple[bytes, ...]
    outputs: tuple[tuple[bytes, ...], ...]
    steps: tuple[Step, ...]
    notes: tuple[Note, ...]


def plan_commit(domains: Sequence[DomainChanges]) -> CommitPlan:
    """Turn the changes of all domains into one ordered plan.

    Args:
        domains: The domains, none inside another.

    Raises:
        RefusedChangeError: for a change outside the declared outputs, a device node, or changes that
            contradict each other.
        CommitError: when one domain is or contains another.
    """
    paths = [domain.path for domain in domains]
    for first in paths:
        if paths.count(first) > 1 or any(second.startswith(first + b"/") for second in paths):
            raise CommitError(
                f"{printable(first)} is given twice, or holds another domain of the same commit"
            )
    steps: list[Step] = []
    notes: list[Note] = []
    for index, domain in enumerate(domains):
        _check_consistency(domain.changes)
        planned = [step for change in domain.changes if (step := _plan_change(index, domain, change, notes))]
        steps += sorted(planned, key=_order)
    return CommitPlan(
        tuple(paths), tuple(tuple(domain.outputs) for domain in domains), tuple(steps), tuple(notes)
    )


def parent_of(path: bytes) -> bytes:
    """Give the path of the directory that holds a path; b"" for a name in the domain itself."""
    return path.rpartition(b"/")[0]


def _action(before: Entry | None, after: Entry | None) -> Action:
    """Give the one action that leads from an entry to another."""
    if after is None:
        return Action.REMOVE
    if after.kind is not Kind.DIRECTORY:
        return Action.PUT
    return Action.MODE if before is not None and before.kind is Kind.DIRECTORY else Action.MAKE


def _order(step: Step) -> tuple[int, int, bytes]:
    """Give the sort key of the order described at the top."""
    depth = step.path.count(b"/")
    phase = (Action.REMOVE, Action.MAKE, Action.PUT, Action.MODE).index(step.action)
    return phase, {Action.MAKE: depth, Action.PUT: 0}.get(step.action, -depth), step.path


def _plan_change(index: int, domain: DomainChanges, change: Change, notes: list[Note]) -> Step | None:
    """Give the step for one change and append its notes; None when nothing is left to do."""
    before, after = _without_digest(change.before), _without_digest(change.after)
    if not is_at_or_below(change.path, domain.outputs):
        if before == after:
            return None
        if not _is_new_parent(change, domain.outputs):
            raise RefusedChangeError(change.path, "it is outside every declared output")
        notes.append(Note(NoteKind.PARENT_CREATED, domain.path, change.path))
    if after is not None and after.kind in _DEVICES:
        raise RefusedChangeError(change.path, "it is a device node", hint="remove it before the run ends")
    if not change.path and before != after and _action(before, after) is not Action.MODE:
        raise RefusedChangeError(b"", "a domain can be neither removed nor replaced")
    # On a directory the bits grant nobody a right: set-gid there only says which group new files get.
    if after is not None and after.kind is not Kind.DIRECTORY and after.mode & _SET_ID_BITS:
        notes.append(
            Note(NoteKind.SET_ID_DROPPED, domain.path, change.path, f"{after.mode & _SET_ID_BITS:#o}")
        )
        after = replace(after, mode=after.mode & ~_SET_ID_BITS)
    return None if before == after else Step(index, _action(before, after), change.path, before, after)


def _is_new_parent(change: Change, outputs: Iterable[bytes]) -> bool:
    """Say whether a change adds a directory that a declared output needs above it."""
    added = change.before is None and change.after is not None and change.after.kind is Kind.DIRECTORY
    return added and any(output.startswith(change.path + b"/") for output in outputs)


def _without_digest(entry: Entry | None) -> Entry | None:
    """Give the entry as a step needs it: what a directory holds is the business of other steps."""
    if entry is None or entry.kind is not Kind.DIRECTORY:
        return entry
    return Entry(Kind.DIRECTORY, entry.mode)


def _check_consistency(changes: Sequence[Change]) -> None:
    """Check that paths are proper and unique, and that nothing is or was below a non-directory."""
    by_path: dict[bytes, Change] = {}
    for change in changes:
        try:
            check_relative(change.path)
        except FormatError as error:
            raise RefusedChangeError(change.path, error.problem) from error
        if change.path in by_path:
            raise RefusedChangeError(change.path, "it is listed twice")
        by_path[change.path] = change
    for change in changes:
        parent = by_path.get(parent_of(change.path)) if change.path else None
        if parent is not None and not _parent_allows(parent, change):
            raise RefusedChangeError(change.path, "its parent is not a directory at the same time")


def _parent_allows(parent: Change, child: Change) -> bool:
    """Say whether the parent is a directory wherever the child exists."""
    pairs: Mapping[str, tuple[Entry | None, Entry | None]] = {
        "before": (parent.before, child.before),
        "after": (parent.after, child.after),
    }
    return all(below is None or (above and above.kind is Kind.DIRECTORY) for above, below in pairs.values())
