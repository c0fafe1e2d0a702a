"""Every point of a commit and of its recovery, struck in process: thousands of them in a minute.

A point is one call that changes the disk, of one shape of commit. There the process dies, or the disk
refuses: this one call, or this one and all that follow. Then a sound disk recovers, and it must be the old
state or the new one, told as it is, recorded if and only if it happened, with nothing left over.
"""

import errno
import functools
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from catfs.commit import Outcome, Recovery, UnfinishedCommitError, recover
from catfs.commit import workspace as workspace_module
from catfs.errors import CommitError
from tests.model.commit_tools import (
    BASE,
    NEW_FILE,
    NEW_TIME,
    CrashError,
    Disk,
    Model,
    Scene,
    crash,
    fail_with,
    fifo,
    file,
    folder,
    link,
)


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens at a point.

    Args:
        name: What to call it.
        fault: Raises.
        lasting: Whether every later call goes wrong as well.
    """

    name: str
    fault: Callable[[], None]
    lasting: bool


def _refusals() -> Iterator[Strike]:
    for code in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
        name = errno.errorcode[code]
        yield Strike(name, fail_with(code), lasting=False)
        yield Strike(f"{name} from then on", fail_with(code), lasting=True)


STRIKES = {strike.name: strike for strike in (Strike("SIGKILL", crash, lasting=True), *_refusals())}
"""Name to what happens. Nothing that comes after a kill reaches the disk."""

Domains = tuple[tuple[Model, Model, tuple[bytes, ...]], ...]
"""The base tree, the view and the outputs of each domain of a commit."""

_NEW_OUT = folder(0o755, NEW_TIME)
_TREE: Model = {
    b"out/sub": folder(0o750, NEW_TIME),
    b"out/sub/deep": folder(0o700, NEW_TIME),
    b"out/sub/deep/leaf": file(b"leaf", 0o640, NEW_TIME),
    b"out/sub/two": file(b"two", 0o755, NEW_TIME),
}
_OLD_TREE: Model = {
    b"out/sub": folder(0o750),
    b"out/sub/deep": folder(0o700),
    b"out/sub/deep/leaf": file(b"leaf", 0o640),
    b"out/sub/two": file(b"two", 0o755),
}


def _one(before: Model, after: Model, output: bytes = b"out") -> Domains:
    return ((before, after, (output,)),)


def _with(*changes: Model, root: Model = BASE) -> Model:
    """Give the usual tree with other things in it, and the new time at its output folder."""
    tree = {**root, b"out": _NEW_OUT}
    for change in changes:
        tree.update(change)
    return tree


def _replaced(old: Model, new: Model) -> Domains:
    """Give the commit in which a name of the output folder becomes something else."""
    return _one({**BASE, **old}, _with(new))


_LINK: Model = {b"out/x": link(b"a")}
_NEW_LINK: Model = {b"out/x": link(b"../keep", NEW_TIME)}
_FILE: Model = {b"out/x": file(b"old x")}
_FOLDER: Model = {b"out/x": folder(), b"out/x/y": file(b"y")}
_NEW_FOLDER: Model = {b"out/x": folder(0o750, NEW_TIME), b"out/x/y": file(b"new y", 0o600, NEW_TIME)}
_MANY = {b"out/%03d" % number: file(b"%d" % number, 0o644, NEW_TIME) for number in range(36)}

SHAPES: Mapping[str, Domains] = {
    "changed file": _one(BASE, _with({b"out/a": NEW_FILE})),
    "new file": _one(BASE, _with({b"out/n": NEW_FILE})),
    "empty file": _one(BASE, _with({b"out/n": file(b"", 0o644, NEW_TIME)})),
    "removed file": _one({**BASE, **_FILE}, _with()),
    "new tree": _one(BASE, _with(_TREE)),
    "removed tree": _one({**BASE, **_OLD_TREE}, _with()),
    "file becomes directory": _replaced(_FILE, _NEW_FOLDER),
    "directory becomes file": _replaced(_FOLDER, {b"out/x": NEW_FILE}),
    "directory becomes symlink": _replaced(_FOLDER, _NEW_LINK),
    "symlink becomes directory": _replaced(_LINK, _NEW_FOLDER),
    "file becomes symlink": _replaced(_FILE, _NEW_LINK),
    "symlink becomes file": _replaced(_LINK, {b"out/x": NEW_FILE}),
    "changed symlink": _replaced(_LINK, _NEW_LINK),
    "fifo": _replaced(_FILE, {b"out/x": fifo(0o640)}),
    "mode of a file": _replaced(_FILE, {b"out/x": file(b"old x", 0o700, NEW_TIME)}),
    "mode of a directory": _one({**BASE, **_FOLDER}, {**BASE, **_FOLDER, b"out/x": folder(0o500, NEW_TIME)}),
    "directory without write permission": _one(
        {b"": folder(), b"out": folder(0o500), b"out/a": file(b"old")},
        {b"": folder(), b"out": folder(0o500, NEW_TIME), b"out/a": NEW_FILE, b"out/n": NEW_FILE},
    ),
    "output without a parent": _one(BASE, {**BASE, b"p": folder(0o755, NEW_TIME), b"p/q": NEW_FILE}, b"p/q"),
    "output that is gone": _one(
        BASE, {path: item for path, item in BASE.items() if not path.startswith(b"out")}
    ),
    "whole domain": _one(
        BASE,
        {b"": folder(0o750, NEW_TIME), b"out": _NEW_OUT, b"out/a": NEW_FILE, b"n": NEW_FILE},
        b"",
    ),
    "names that are no text": _one(
        BASE, _with({b"out/\xff\n": NEW_FILE, b"out/\xfe": link(b"\xff", NEW_TIME)})
    ),
    "large file": _one(BASE, _with({b"out/a": file(b"\0x" * 700_000, 0o644, NEW_TIME)})),
    "many files": _one(BASE, _with(_MANY)),
    "three domains": (
        (BASE, _with({b"out/a": NEW_FILE}), (b"out",)),
        ({**BASE, **_FILE}, _with(), (b"out",)),
        ({**BASE, **_FOLDER}, _with(_NEW_LINK), (b"out",)),
    ),
}
"""Name to a commit: every kind of output, replaced by every other kind."""


class Points:
    """The points of one shape of commit.

    Args:
        folder: An empty folder.
        shape: Name of the shape.
        inside: Whether new content is staged in the domain, as if the workspace were on another mount.
    """

    def __init__(self, folder: Path, shape: str, *, inside: bool) -> None:
        self._folder, self._shape, self._inside = folder, shape, inside
        self.name = f"{shape}, staged in the {'domain' if inside else 'workspace'}"
        """What is committed, and how."""
        self._count = itertools.count()
        disk = Disk(0, crash, lasting=False)
        with self._scene() as scene, disk.installed():
            scene.commit(recorded=True)
        self.calls = tuple(disk.calls)
        """The calls of the commit that change the disk."""

    def commit_points(self) -> Iterator[Callable[[], list[str]]]:
        """Give a strike for each call of the commit, and each thing that can happen there."""
        for strike in STRIKES.values():
            for number in range(1, len(self.calls) + 1):
                yield functools.partial(self.commit, strike, number)

    def recovery_points(self) -> Iterator[Callable[[], list[str]]]:
        """Give a strike for each call of the recovery from a kill at each call of the commit."""
        for number in range(1, len(self.calls) + 1):
            for second in range(1, self._recovery_calls(number) + 1):
                for strike in STRIKES.values():
                    yield functools.partial(self.recovery, number, strike, second)

    def _recovery_calls(self, number: int) -> int:
        """Give how many calls the recovery from a kill has."""
        with self._scene() as scene:
            _committed(scene, Disk(number, crash, lasting=True))
            disk = Disk(0, crash, lasting=False)
            with disk.installed():
                recover(scene.control, publish=scene.publish)
            return len(disk.calls)

    def _scene(self) -> "_Place":
        return _Place(self._folder / str(next(self._count)), SHAPES[self._shape], inside=self._inside)

    def commit(self, strike: Strike, number: int) -> list[str]:
        """Strike a commit at one of its calls, recover, and give the violations."""
        with self._scene() as scene:
            told = _committed(scene, Disk(number, strike.fault, lasting=strike.lasting))
            found = [*_check_told(scene, told, is_single=not strike.lasting)]
            found += _settle(scene, told)
        return [f"{self._what(strike.name, number)}: {violation}" for violation in found]

    def recovery(self, number: int, strike: Strike, second: int) -> list[str]:
        """Kill a commit at one of its calls, strike its recovery, recover again, and give the violations."""
        with self._scene() as scene:
            told = _committed(scene, Disk(number, crash, lasting=True))
            decided = scene.is_decided
            disk = Disk(second, strike.fault, lasting=strike.lasting)
            found: list[str] = []
            try:
                with disk.installed():
                    reports = recover(scene.control, publish=scene.publish)
                found += _check_reports(reports)
            except CrashError:
                pass
            except OSError as error:
                if error.errno not in {errno.EIO, errno.ENOSPC, errno.EDQUOT}:
                    found.append(f"the recovery says {error}")
            if scene.is_decided and not decided:
                found.append("the recovery has decided a commit")
            found += _settle(scene, told)
        what = self._what("SIGKILL", number)
        return [f"{what}, {strike.name} at call {second} of the recovery: {violation}" for violation in found]

    def _what(self, fault: str, number: int) -> str:
        return f"{self.name}, {fault} at {self.calls[number - 1]} {number}"


class _Place:
    """A scene for one strike, which is gone afterwards."""

    def __init__(self, path: Path, domains: Domains, *, inside: bool) -> None:
        self._path, self._domains = path, domains
        self._patch = pytest.MonkeyPatch()
        if inside:
            numbers = itertools.count()
            self._patch.setattr(workspace_module, "_mount_number", lambda _descriptor: b"%d" % next(numbers))

    def __enter__(self) -> Scene:
        before, after, outputs = zip(*self._domains, strict=True)
        return Scene(self._path, list(before), list(after), outputs)

    def __exit__(self, *exception: object) -> None:
        self._patch.undo()
        shutil.rmtree(self._path)


def _committed(scene: Scene, disk: Disk) -> BaseException | None:
    """Commit on a disk that goes wrong; give what the commit said, or None for success."""
    try:
        with disk.installed():
            scene.commit(recorded=True)
    except (CrashError, CommitError, OSError) as error:
        return error
    return None


def _check_told(scene: Scene, told: BaseException | None, *, is_single: bool) -> Iterator[str]:
    """Check that what a commit said is what is there."""
    if told is None and scene.read() != scene.expected:
        yield "the commit said that it was done"
    if isinstance(told, OSError):
        yield f"the error is none of a commit: {told}"
    if isinstance(told, CommitError) and not isinstance(told, UnfinishedCommitError):
        if scene.is_decided or (is_single and scene.read() != scene.before):
            yield f"the domain has changed, and the commit said: {told}"
        if is_single and scene.leftovers():
            yield f"{scene.leftovers()} is left over, and the commit said: {told}"
    if isinstance(told, CommitError) and "Errno" in str(told):
        yield f"the message is none for people: {told}"


def _check_reports(reports: tuple[Recovery, ...]) -> Iterator[str]:
    for report in reports:
        if report.outcome not in {Outcome.FINISHED, Outcome.GIVEN_UP, Outcome.FAILED}:
            yield f"the recovery says {report.outcome.value}: {report.message}"
        if "Errno" in report.message:
            yield f"the message is none for people: {report.message}"


def _settle(scene: Scene, told: BaseException | None) -> Iterator[str]:
    """Recover on a sound disk, and check that exactly one of the two states holds, and its record."""
    decided = scene.is_decided
    for report in recover(scene.control, publish=scene.publish):
        if report.outcome not in {Outcome.FINISHED, Outcome.GIVEN_UP}:
            yield f"the last recovery says {report.outcome.value}: {report.message}"
    trees = scene.read()
    if trees not in (scene.expected, scene.before):
        yield "the domain is neither old nor new"
    if decided and trees != scene.expected:
        yield "a decided commit is not there"
    given_up = isinstance(told, CommitError) and not isinstance(told, UnfinishedCommitError)
    if given_up and trees != scene.before:
        yield "a commit that was given up is there"
    if scene.is_recorded is not (trees == scene.expected):
        yield f"the commit is {'' if scene.is_recorded else 'not '}recorded"
    if scene.leftovers():
        yield f"{scene.leftovers()} is left over"
