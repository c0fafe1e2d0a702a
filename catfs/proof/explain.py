"""A proof in sentences, for people."""

from collections.abc import Iterable, Iterator
from typing import Final

from catfs.errors import counted, printable
from catfs.records import (
    BaseKind,
    BaseNote,
    Change,
    ChangeKind,
    Confine,
    DomainProof,
    Entry,
    EntryCounts,
    Kind,
    Proof,
    RestoreDiff,
    format_time,
    listed_entry,
)

LEFTOVERS_SHOWN: Final = 20
"""Leftovers of one domain that are listed; the rest is counted."""

ROOT_DIGITS: Final = 16
"""Hexadecimal digits of a root that are shown: enough to tell any two apart, few enough to compare by eye."""


def explain(proof: Proof, difference: RestoreDiff | None = None) -> list[str]:
    """Give a proof as lines of text.

    Args:
        proof: The proof.
        difference: RESTORE_DIFF.json of the same run, to list leftovers; None only counts them.
    """
    lines = [
        f"run {proof.run_id}: {proof.outcome.value}, exit status {proof.exit_status}",
        f"  proven {format_time(proof.created)}, proof digest {proof.digest.hex}",
        f"  isolated: {_yes_or_no(proof.isolated)} - {_isolation(proof)}",
        f"  self_restored: {_yes_or_no(proof.self_restored)} - {_restoration(proof)}",
    ]
    if proof.commit_problem is not None:
        lines.append(f"  commit: {proof.commit_problem}")
    listed = {} if difference is None else {domain.path: domain.leftovers for domain in difference.domains}
    for domain in proof.domains:
        lines += _explain_domain(domain)
        lines += explain_leftovers(listed.get(domain.roots.path, ()))
    for output in proof.outputs:
        place = printable(output.domain.rstrip(b"/") + b"/" + output.path if output.path else output.domain)
        state = "committed" if output.committed else "not committed" if output.present else "missing"
        lines.append(f"  output {place}: {state}")
    lines.append(
        f"  write log: {counted(proof.log.records, 'record')}, {proof.log.size} bytes, "
        f"root {_short(proof.log.root.hex)}"
    )
    lines.append(f"  confinement: {_confinement(proof)}")
    return lines


def explain_leftovers(leftovers: Iterable[Change], limit: int = LEFTOVERS_SHOWN) -> list[str]:
    """Give the first leftovers, one to a line, and how many more there are.

    Args:
        leftovers: Undeclared changes.
        limit: Most lines for single leftovers.
    """
    found = list(leftovers)
    lines = [f"    {_explain_change(change)}" for change in found[:limit]]
    if len(found) > limit:
        lines.append(f"    and {len(found) - limit} more, {len(found)} in all")
    return lines


def _explain_domain(domain: DomainProof) -> Iterator[str]:
    roots = domain.roots
    yield f"  domain {printable(roots.path)}"
    yield f"    base {_short(roots.base_root.hex)} ({_knowledge(domain.known)})"
    yield f"    view {_short(roots.view_root.hex)}"
    if roots.replay_root == roots.view_root:
        yield "    the write log leads from base to view"
    else:
        yield f"    THE WRITE LOG LEADS TO {_short(roots.replay_root.hex)} INSTEAD"
    yield f"    post {_short(roots.post_root.hex)}"
    yield f"    {counted(domain.declared, 'declared change')}, {counted(domain.leftovers, 'leftover')}"


def _knowledge(known: BaseNote | EntryCounts) -> str:
    """Say what the root of a base rests on."""
    if isinstance(known, EntryCounts):
        return counted(known.base, "path")
    if known.kind is BaseKind.FULL:
        return f"all of it was looked at: {counted(known.names, 'name')}"
    return f"read whole at {format_time(known.read)}, {counted(known.names, 'name')} looked at again"


def _explain_change(change: Change) -> str:
    path = printable(change.path) or "the domain itself"
    before, after = change.before, change.after
    if before is None or after is None:
        there = after if before is None else before
        return f"{change.kind.value} {path}{'/' if _is_directory(there) else ''}"
    return (
        f"{ChangeKind.CHANGED.value} {path}: {', '.join(_aspects(listed_entry(before), listed_entry(after)))}"
    )


def _aspects(before: Entry, after: Entry) -> Iterator[str]:
    if before.kind is not after.kind:
        yield f"{before.kind.value} became {after.kind.value}"
    if before.mode != after.mode:
        yield f"mode {before.mode:04o} became {after.mode:04o}"
    if before.size != after.size:
        yield f"{before.size} bytes became {after.size}"
    elif before.digest != after.digest:
        yield "other content of the same size"


def _is_directory(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.DIRECTORY


def _isolation(proof: Proof) -> str:
    if proof.isolated:
        return f"{counted(proof.rechecked_paths, 'path')} of the original looked at again, none had changed"
    first = proof.conflicts[0]
    place = printable(first.path) or "the domain itself"
    count = counted(len(proof.conflicts), "path")
    return f"{count} changed underneath; {place}: expected {first.expected}, got {first.got}"


def _restoration(proof: Proof) -> str:
    leftovers = sum(domain.leftovers for domain in proof.domains)
    if not leftovers:
        return "the program left nothing undeclared behind"
    count = counted(leftovers, "undeclared change")
    return f"the program left {count} behind; policy: {proof.leftovers.value}"


def _confinement(proof: Proof) -> str:
    if proof.confine is Confine.OFF:
        return "OFF: the command could write anywhere that its user can"
    places = ", ".join(map(printable, proof.allow_write)) or "nowhere"
    return f"on; outside the domains the command could write to: {places}"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _short(digits: str) -> str:
    return digits[:ROOT_DIGITS]
