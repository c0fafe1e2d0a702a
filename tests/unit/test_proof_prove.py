"""The judgement on a run: what is declared, what is left over, and which outcome comes first."""

from collections.abc import Mapping

import pytest

from catfs.digest import Digest
from catfs.errors import FormatError
from catfs.merkle import MemoryNodes, Tree, diff
from catfs.proof import (
    DomainEvidence,
    Evidence,
    committed_changes,
    missing_outputs,
    outputs_record,
    post_tree,
    prove,
    split_changes,
)
from catfs.records import BaseConflict, Change, Entry, Kind, Leftovers, Outcome
from tests.run_samples import BASE, DIRECTORY, DOMAIN, LEFTOVERS, OUTPUT_CHANGES, conflict

FILE = Entry(Kind.FILE, 0o644, 1, Digest.of(b"x"))
OTHER = Digest.of(b"another root")


def _domain(
    changes: Mapping[bytes, Entry | None],
    outputs: tuple[bytes, ...] = (b"dist",),
    *,
    replay_root: Digest | None = None,
    conflicts: tuple[BaseConflict, ...] = (),
) -> DomainEvidence:
    base = Tree.from_entries(MemoryNodes(), BASE)
    view = base.update(changes)
    return DomainEvidence(
        path=DOMAIN,
        base_root=base.root,
        view_root=view.root,
        replay_root=replay_root or view.root,
        changes=tuple(diff(base, view)),
        outputs=outputs,
        missing=missing_outputs(view, outputs),
        conflicts=conflicts,
    )


def _run(
    *domains: DomainEvidence,
    status: int = 0,
    leftovers: Leftovers = Leftovers.FAIL,
    commit_problem: str | None = None,
) -> Evidence:
    return Evidence(domains, status, leftovers, commit_problem)


def test_only_declared_outputs_restore_the_run() -> None:
    """A program that leaves its output and nothing else gets both verdicts."""
    verdict = prove(_run(_domain(OUTPUT_CHANGES)))
    assert (verdict.outcome, verdict.exit_status) == (Outcome.RESTORED, 0)
    assert verdict.isolated
    assert verdict.self_restored
    assert verdict.commits
    assert [change.path for change in verdict.domains[0].declared] == [b"dist", b"dist/it.whl"]
    assert verdict.sentence == "the original is as it was but for 2 declared changes"


def test_a_run_that_changed_nothing_says_just_that() -> None:
    """Nothing declared is nothing to except."""
    assert prove(_run(_domain({}, ()))).sentence == "the original is as it was"
    dropped = prove(_run(_domain(LEFTOVERS, ()), leftovers=Leftovers.DISCARD)).sentence
    assert dropped == "the original is as it was, 5 undeclared changes dropped"


@pytest.mark.parametrize(
    "changes",
    [
        {b"a": Entry(Kind.DIRECTORY, 0o700)},
        {b"a-b": Entry(Kind.SYMLINK, 0o777, 5, Digest.of(b"a/two"))},
        {b"new empty": DIRECTORY},
        {b"a/one": None, b"a/uno": BASE[b"a/one"]},
        {b"a/two\xff": None},
        {b"": Entry(Kind.DIRECTORY, 0o700)},
        {b"distant": FILE},
    ],
    ids=["chmod", "symlink", "empty-directory", "rename", "delete", "own-mode", "name-with-same-beginning"],
)
def test_every_undeclared_change_makes_the_run_dirty(changes: Mapping[bytes, Entry | None]) -> None:
    """In strict mode any leftover whatever ends the run dirty, with nothing committed."""
    verdict = prove(_run(_domain({**OUTPUT_CHANGES, **changes})))
    assert (verdict.outcome, verdict.exit_status) == (Outcome.DIRTY, 1)
    assert verdict.isolated
    assert not verdict.self_restored
    assert not verdict.commits
    assert {change.path for change in verdict.domains[0].leftovers} == set(changes)
    assert "left behind, first /home/ann/tree" in verdict.sentence


def test_leftovers_can_be_discarded_on_request() -> None:
    """With the policy discard the run is restored, and still says that the program was not tidy."""
    evidence = _run(_domain({**OUTPUT_CHANGES, **LEFTOVERS}), leftovers=Leftovers.DISCARD)
    verdict = prove(evidence)
    assert (verdict.outcome, verdict.isolated, verdict.self_restored) == (Outcome.RESTORED, True, False)
    assert verdict.sentence.endswith("2 declared changes, 5 undeclared changes dropped")


def test_a_failing_command_keeps_its_own_status() -> None:
    """Nothing is committed, and the status is the command's, whatever it left behind."""
    verdict = prove(_run(_domain({**OUTPUT_CHANGES, **LEFTOVERS}), status=42))
    assert (verdict.outcome, verdict.exit_status, verdict.commits) == (Outcome.FAILED, 42, False)
    assert "failed with status 42" in verdict.sentence


def test_a_missing_output_is_named() -> None:
    """A declared output that is not there is never a success."""
    verdict = prove(_run(_domain(OUTPUT_CHANGES, (b"dist", b"doc/\xff"))))
    assert (verdict.outcome, verdict.exit_status) == (Outcome.MISSING_OUTPUT, 1)
    assert r"/home/ann/tree/doc/\xff" in verdict.sentence


def test_an_unchanged_output_is_there() -> None:
    """An output that the run left as it was is present."""
    assert prove(_run(_domain({}, (b"a/one", b"")))).outcome is Outcome.RESTORED


def test_a_change_underneath_is_a_conflict() -> None:
    """A base that changed is named and beats everything the command did."""
    verdict = prove(_run(_domain(OUTPUT_CHANGES, conflicts=(conflict(),)), status=1))
    assert (verdict.outcome, verdict.exit_status, verdict.isolated) == (Outcome.CONFLICT, 3, False)
    assert "/home/ann/tree/a/one: expected a file of 3 bytes, got nothing" in verdict.sentence


def test_a_write_that_escaped_the_trace_is_an_internal_error() -> None:
    """When the log leads elsewhere than the view, nothing else counts."""
    verdict = prove(_run(_domain(OUTPUT_CHANGES, replay_root=OTHER, conflicts=(conflict(),)), status=1))
    assert (verdict.outcome, verdict.exit_status) == (Outcome.INTERNAL, 125)
    assert OTHER.hex[:16] in verdict.sentence


def test_a_commit_that_was_given_up_is_an_internal_error() -> None:
    """A run whose commit failed is never a success, and says why."""
    verdict = prove(_run(_domain(OUTPUT_CHANGES), commit_problem="the disk is full"))
    assert (verdict.outcome, verdict.exit_status) == (Outcome.INTERNAL, 125)
    assert verdict.sentence == "nothing was committed: the disk is full"


def test_several_domains_are_judged_together() -> None:
    """One dirty domain makes the run dirty."""
    verdict = prove(_run(_domain(OUTPUT_CHANGES), _domain({b"x": FILE}, ())))
    assert verdict.outcome is Outcome.DIRTY
    assert [len(split.leftovers) for split in verdict.domains] == [0, 1]


def test_an_output_in_a_file_that_became_a_directory_cannot_be_had() -> None:
    """Dropping the leftover would leave no place for the output, so even discard is dirty."""
    domain = _domain({b"a/one": DIRECTORY, b"a/one/out": FILE}, (b"a/one/out",))
    verdict = prove(_run(domain, leftovers=Leftovers.DISCARD))
    assert (verdict.outcome, verdict.commits) == (Outcome.DIRTY, False)
    assert "/home/ann/tree/a/one became a directory" in verdict.sentence


def test_new_directories_above_an_output_are_declared() -> None:
    """A directory that is made for an output is declared, what else lies in it is not."""
    changes = [
        Change(b"out", None, DIRECTORY),
        Change(b"out/deep", None, DIRECTORY),
        Change(b"out/deep/it", None, FILE),
        Change(b"out/log", None, FILE),
        Change(b"out2", None, DIRECTORY),
    ]
    declared, leftovers = split_changes(changes, [b"out/deep/it"])
    assert [change.path for change in declared] == [b"out", b"out/deep", b"out/deep/it"]
    assert [change.path for change in leftovers] == [b"out/log", b"out2"]


def test_a_changed_mode_above_an_output_is_a_leftover() -> None:
    """Only making a directory is declared, not changing one that was there."""
    change = Change(b"a", DIRECTORY, Entry(Kind.DIRECTORY, 0o700))
    assert split_changes([change], [b"a/out"]) == ((), (change,))


def test_declaring_the_whole_domain_declares_everything() -> None:
    """The empty path is above every other."""
    change = Change(b"", DIRECTORY, Entry(Kind.DIRECTORY, 0o700))
    assert split_changes([change], [b""]) == ((change,), ())


def test_the_post_tree_has_declared_changes_only() -> None:
    """A new directory comes without the leftovers that lie in it, and files without set-id bits."""
    changes = {**OUTPUT_CHANGES, b"dist/deep": DIRECTORY, b"dist/deep/left": FILE, **LEFTOVERS}
    domain = _domain(changes, (b"dist/it.whl",))
    verdict = prove(_run(domain, leftovers=Leftovers.DISCARD))
    post = post_tree(Tree.from_entries(MemoryNodes(), BASE), verdict.domains[0].declared)
    expected = {
        **BASE,
        b"dist": DIRECTORY,
        b"dist/it.whl": Entry(Kind.FILE, 0o755, 9, Digest.of(b"the wheel")),
    }
    assert post == Tree.from_entries(MemoryNodes(), expected)


def test_dropped_set_id_bits_can_leave_nothing_to_commit() -> None:
    """A change of set-id bits alone changes nothing in the domain; those of a directory stay."""
    directory = Entry(Kind.DIRECTORY, 0o2755)
    changes = [Change(b"f", FILE, Entry(Kind.FILE, 0o6644, 1, FILE.digest)), Change(b"d", None, directory)]
    assert committed_changes(changes) == {b"d": directory}


def test_outputs_are_listed_as_they_are_committed() -> None:
    """Entries stand in the order of a walk, changed files without set-id bits, unchanged ones as they are."""
    old = Entry(Kind.FILE, 0o4755, 1, FILE.digest)
    base = Tree.from_entries(MemoryNodes(), {b"": DIRECTORY, b"o": DIRECTORY, b"o/old": old})
    changes = {b"o/a": DIRECTORY, b"o/a/x": old, b"o/a-b": FILE}
    view = base.update(changes)
    domain = DomainEvidence(DOMAIN, base.root, view.root, view.root, tuple(diff(base, view)), (b"o",))
    evidence = _run(domain)
    [output] = outputs_record("r", evidence, prove(evidence), [view], {}).outputs
    assert output.committed
    assert [(row.path, row.entry.mode) for row in output.entries] == [
        (b"o", 0o755),
        (b"o/a", 0o755),
        (b"o/a/x", 0o755),
        (b"o/a-b", 0o644),
        (b"o/old", 0o4755),
    ]


def test_an_impossible_command_status_is_refused() -> None:
    """Exit statuses fit a byte."""
    with pytest.raises(FormatError, match="exit status from 0 to 255, got 256"):
        _run(_domain({}), status=256)
