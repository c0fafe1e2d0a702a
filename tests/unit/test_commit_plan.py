"""The plan of a commit: what it allows, what it refuses, and in which order it works."""

from dataclasses import FrozenInstanceError

import pytest

from catfs.commit import Action, DomainChanges, NoteKind, RefusedChangeError, Step, plan_commit
from catfs.digest import Digest
from catfs.errors import CommitError, FormatError
from catfs.records import Change, Entry, Kind

DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


def _file(content: bytes, mode: int = 0o644) -> Entry:
    """Give the entry of a file."""
    return Entry(Kind.FILE, mode, len(content), Digest.of(content))


def _domain(changes: list[Change], *outputs: bytes) -> DomainChanges:
    """Give a domain with changes."""
    return DomainChanges(b"/domain", changes, outputs)


def _plan(changes: list[Change], *outputs: bytes) -> list[tuple[Action, bytes]]:
    """Give action and path of each planned step."""
    return [(step.action, step.path) for step in plan_commit([_domain(changes, *outputs)]).steps]


def test_steps_never_shut_out_later_ones() -> None:
    """Removals deepest first, directories outermost first, content, and modes deepest first."""
    changes = [
        Change(b"out", DIRECTORY, Entry(Kind.DIRECTORY, 0o500)),
        Change(b"out/a", DIRECTORY, None),
        Change(b"out/a/b", DIRECTORY, None),
        Change(b"out/a/b/c", _file(b"c"), None),
        Change(b"out/d", DIRECTORY, Entry(Kind.DIRECTORY, 0o500)),
        Change(b"out/d/new", None, DIRECTORY),
        Change(b"out/d/new/deep", None, DIRECTORY),
        Change(b"out/d/new/deep/file", None, _file(b"1")),
        Change(b"out/e", _file(b"old"), _file(b"new")),
    ]
    assert _plan(changes, b"out") == [
        (Action.REMOVE, b"out/a/b/c"),
        (Action.REMOVE, b"out/a/b"),
        (Action.REMOVE, b"out/a"),
        (Action.MAKE, b"out/d/new"),
        (Action.MAKE, b"out/d/new/deep"),
        (Action.PUT, b"out/d/new/deep/file"),
        (Action.PUT, b"out/e"),
        (Action.MODE, b"out/d"),
        (Action.MODE, b"out"),
    ]


def test_replaced_kinds_are_one_step_each() -> None:
    """File to directory is made, directory to file is put, in place of what is there."""
    changes = [
        Change(b"out/a", _file(b""), DIRECTORY),
        Change(b"out/b", DIRECTORY, _file(b"")),
    ]
    assert _plan(changes, b"out") == [(Action.MAKE, b"out/a"), (Action.PUT, b"out/b")]


@pytest.mark.parametrize("path", [b"outside", b"output", b"ou", b"outer/out", b"a/out"])
def test_a_change_outside_the_outputs_is_refused(path: bytes) -> None:
    """Also where the name only begins like an output."""
    with pytest.raises(RefusedChangeError, match="outside every declared output") as caught:
        _plan([Change(path, None, _file(b""))], b"out")
    assert caught.value.path == path


def test_the_whole_domain_can_be_an_output() -> None:
    """An empty output declares everything, also the mode of the domain itself."""
    changes = [Change(b"", DIRECTORY, Entry(Kind.DIRECTORY, 0o700)), Change(b"a", None, _file(b""))]
    assert _plan(changes, b"") == [(Action.PUT, b"a"), (Action.MODE, b"")]


@pytest.mark.parametrize("after", [None, _file(b"")])
def test_the_domain_itself_is_never_replaced(after: Entry | None) -> None:
    """It can neither be removed nor become something else."""
    with pytest.raises(RefusedChangeError, match="neither removed nor replaced"):
        _plan([Change(b"", DIRECTORY, after)], b"")


def test_a_new_parent_of_an_output_is_made_and_reported() -> None:
    """Directories above an output that were not there come with it, each with a note."""
    changes = [
        Change(b"a", None, DIRECTORY),
        Change(b"a/b", None, DIRECTORY),
        Change(b"a/b/out", None, _file(b"")),
    ]
    plan = plan_commit([_domain(changes, b"a/b/out")])
    assert [step.action for step in plan.steps] == [Action.MAKE, Action.MAKE, Action.PUT]
    assert [(note.kind, note.path) for note in plan.notes] == [
        (NoteKind.PARENT_CREATED, b"a"),
        (NoteKind.PARENT_CREATED, b"a/b"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [(DIRECTORY, Entry(Kind.DIRECTORY, 0o700)), (_file(b""), DIRECTORY), (DIRECTORY, None)],
)
def test_an_existing_parent_of_an_output_does_not_change(before: Entry, after: Entry | None) -> None:
    """Mode and kind of what is above an output belong to the domain."""
    with pytest.raises(RefusedChangeError, match="outside every declared output"):
        _plan([Change(b"a", before, after)], b"a/out")


def test_set_id_bits_are_dropped_and_reported() -> None:
    """The file is committed without them, and the plan says so."""
    plan = plan_commit([_domain([Change(b"out", None, _file(b"x", 0o6755))], b"out")])
    assert plan.steps[0].after == _file(b"x", 0o755)
    assert [(note.kind, note.path, note.detail) for note in plan.notes] == [
        (NoteKind.SET_ID_DROPPED, b"out", "0o6000")
    ]


def test_a_file_that_only_gained_a_set_id_bit_is_left_alone() -> None:
    """Without the bit nothing is left to do."""
    plan = plan_commit([_domain([Change(b"out", _file(b"x", 0o755), _file(b"x", 0o4755))], b"out")])
    assert plan.steps == ()
    assert len(plan.notes) == 1


@pytest.mark.parametrize("kind", [Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE])
def test_a_device_node_is_refused_by_name(kind: Kind) -> None:
    """The error names the path."""
    with pytest.raises(
        RefusedChangeError, match="out/disk cannot be committed: it is a device node"
    ) as caught:
        _plan([Change(b"out/disk", None, Entry(kind, 0o600))], b"out")
    assert caught.value.path == b"out/disk"


def test_a_directory_that_differs_in_its_digest_only_needs_no_step() -> None:
    """What it holds is the business of other changes; so it does not matter where it is either."""
    changes = [
        Change(path, DIRECTORY, Entry(Kind.DIRECTORY, 0o755, 0, Digest.of(b"node")))
        for path in (b"out", b"src")
    ]
    assert _plan(changes, b"out") == []


def test_a_path_that_is_listed_twice_is_refused() -> None:
    """Two wishes for one name contradict each other."""
    with pytest.raises(RefusedChangeError, match="listed twice"):
        _plan([Change(b"out", None, _file(b"1")), Change(b"out", None, _file(b"2"))], b"out")


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (Change(b"out", DIRECTORY, None), Change(b"out/a", None, _file(b""))),
        (Change(b"out", DIRECTORY, _file(b"")), Change(b"out/a", _file(b"1"), _file(b"2"))),
        (Change(b"out", None, DIRECTORY), Change(b"out/a", _file(b""), None)),
    ],
)
def test_nothing_is_or_was_below_what_is_no_directory(parent: Change, child: Change) -> None:
    """Changes that cannot all be true are refused."""
    with pytest.raises(RefusedChangeError, match="parent is not a directory") as caught:
        _plan([parent, child], b"out")
    assert caught.value.path == b"out/a"


@pytest.mark.parametrize("path", [b"out/../etc", b"/etc", b"out//a", b"out/", b"./out", b"a\0b", b"x" * 256])
def test_a_path_that_could_lead_away_is_refused(path: bytes) -> None:
    """Only names joined by single slashes are paths."""
    with pytest.raises(RefusedChangeError, match="expected names joined"):
        _plan([Change(path, None, _file(b""))], b"")
    with pytest.raises(FormatError, match="expected names joined"):
        _domain([], path)


@pytest.mark.parametrize("path", [b"relative", b"", b"/a/../b", b"/a/", b"//a"])
def test_the_path_of_a_domain_is_absolute_and_plain(path: bytes) -> None:
    """There is one way to name a domain."""
    with pytest.raises(FormatError, match="expected"):
        DomainChanges(path, [], [])


@pytest.mark.parametrize("second", [b"/a", b"/a/b"])
def test_domains_do_not_overlap(second: bytes) -> None:
    """The same name must not be reached in two ways."""
    with pytest.raises(CommitError, match="/a is given twice, or holds another"):
        plan_commit([DomainChanges(second, [], []), DomainChanges(b"/a", [], [])])


def test_domains_that_only_begin_alike_are_two() -> None:
    """A common beginning of the name is no overlap; steps name their domain by its index."""
    plan = plan_commit(
        [
            DomainChanges(b"/a", [Change(b"o", None, _file(b""))], [b"o"]),
            DomainChanges(b"/ab", [Change(b"o", None, _file(b""))], [b"o"]),
        ]
    )
    assert [step.domain for step in plan.steps] == [0, 1]


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (Action.PUT, None, DIRECTORY),
        (Action.MAKE, DIRECTORY, Entry(Kind.DIRECTORY, 0o700)),
        (Action.REMOVE, None, None),
        (Action.REMOVE, _file(b""), _file(b"1")),
        (Action.MODE, None, DIRECTORY),
    ],
)
def test_a_step_checks_that_its_action_leads_to_its_end(
    action: Action, before: Entry | None, after: Entry | None
) -> None:
    """A journal cannot say `put` and mean `make`."""
    with pytest.raises(FormatError, match="does not lead from before to after"):
        Step(0, action, b"a", before, after)


def test_a_step_is_frozen() -> None:
    """What is planned stays planned."""
    step = Step(0, Action.PUT, b"a", None, _file(b""))
    with pytest.raises(FrozenInstanceError, match="path"):
        step.path = b"b"  # type: ignore[misc] # the type checker knows it too
