"""Any base tree, any change of the outputs: the commit gives the expected tree and leaves the rest alone."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from catfs.commit import Outcome, recover
from catfs.records import Kind
from tests.model.commit_tools import (
    NEW_TIME,
    OLD_TIME,
    CrashError,
    Disk,
    Item,
    Model,
    Scene,
    crash,
    file,
    folder,
)

NAMES = (b"a", b"b", b"\xff\n", b"sub")

_files = st.builds(file, st.binary(max_size=6), st.sampled_from([0o644, 0o755, 0o400, 0o4755]))
_links = st.sampled_from([b"a", b"../x", b"/nowhere"]).map(lambda target: Item(Kind.SYMLINK, 0o777, target))
_pipes = st.sampled_from([0o600, 0o644]).map(lambda mode: Item(Kind.FIFO, mode))
_modes = st.sampled_from([0o755, 0o700, 0o2755, 0o555])
_leaves = st.one_of(_files, _links, _pipes).map(lambda item: {b"": item})


def _joined(mode: int, children: Mapping[bytes, Model]) -> Model:
    """Give the tree of a directory from the trees of its names."""
    tree: Model = {b"": folder(mode)}
    for name, child in children.items():
        tree.update(_below(name, child))
    return tree


def _below(path: bytes, tree: Model) -> Model:
    """Give a tree moved below a path."""
    return {(path + b"/" + inner if inner else path): item for inner, item in tree.items()}


_trees = st.recursive(
    _leaves,
    lambda children: st.builds(
        _joined, _modes, st.dictionaries(st.sampled_from(NAMES), children, max_size=4)
    ),
    max_leaves=12,
)
_roots = st.builds(_joined, st.just(0o755), st.dictionaries(st.sampled_from(NAMES), _trees, max_size=4))
_outputs = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(b"/".join)


def _replaced(before: Model, output: bytes, tree: Model | None) -> Model | None:
    """Give the view in which an output has become another tree; None when there is no place for it."""
    after = {
        path: item for path, item in before.items() if path != output and not path.startswith(output + b"/")
    }
    parent = output.rpartition(b"/")[0]
    if tree is None:
        return after
    if parent not in after:
        after[parent] = folder(0o755, NEW_TIME)
    if after[parent].kind is not Kind.DIRECTORY:
        return None
    after.update(_below(output, tree))
    return after


def _with_times(before: Model, after: Model, outputs: list[bytes]) -> Model:
    """Give the view with new times at what differs in the outputs, and at all their directories."""
    result: Model = {}
    for path, item in after.items():
        inside = any(path == output or path.startswith(output + b"/") for output in outputs)
        kept = path in before and before[path] == item and item.kind is not Kind.DIRECTORY
        result[path] = Item(item.kind, item.mode, item.content, NEW_TIME) if inside and not kept else item
    return result


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Model, Model, list[bytes]]:
    """Give a base tree, a view and the declared outputs."""
    before = draw(_roots)
    after = before
    outputs: list[bytes] = []
    for output in draw(st.lists(_outputs, min_size=1, max_size=2, unique=True)):
        following = _replaced(after, output, draw(st.none() | _trees))
        if following is not None:
            after = following
            outputs.append(output)
    return before, _with_times(before, after, outputs), outputs


@settings(max_examples=150)
@given(_cases())
def test_a_commit_gives_the_view_in_the_outputs_and_the_base_elsewhere(
    case: tuple[Model, Model, list[bytes]],
) -> None:
    """Content, kind, mode and time of every name are what they must be, and nothing is left over."""
    before, after, outputs = case
    place = Path(tempfile.mkdtemp(prefix="commit-"))
    try:
        scene = Scene(place / "scene", [before], [after], [outputs])
        scene.commit()
        assert scene.read() == scene.expected
        assert scene.leftovers() == []
    finally:
        shutil.rmtree(place)


@settings(max_examples=150)
@given(_cases(), st.integers(1, 80))
def test_a_commit_that_dies_anywhere_ends_old_or_new(
    case: tuple[Model, Model, list[bytes]], number: int
) -> None:
    """Whatever the trees, whatever the call: after recovery exactly one of the two states."""
    before, after, outputs = case
    place = Path(tempfile.mkdtemp(prefix="commit-"))
    try:
        scene = Scene(place / "scene", [before], [after], [outputs])
        died = _dies(scene, number)
        decided = scene.is_decided
        reports = recover(scene.control)
        assert {report.outcome for report in reports} <= {Outcome.FINISHED, Outcome.GIVEN_UP}
        states = [scene.expected] if decided or not died else [scene.before, scene.expected]
        assert scene.read() in states
        assert scene.leftovers() == []
    finally:
        shutil.rmtree(place)


def _dies(scene: Scene, number: int) -> bool:
    """Commit on a disk that dies at a call; say whether the commit got so far."""
    try:
        with Disk(number, crash, lasting=True).installed():
            scene.commit()
    except CrashError:
        return True
    return False


def test_the_times_of_base_and_view_differ() -> None:
    """Otherwise the tests here could not tell them apart."""
    assert OLD_TIME != NEW_TIME
