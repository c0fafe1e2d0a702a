"""Random sessions on a disk that loses what was not synced: nothing synced is lost, no byte is wrong.

A long form of the same runs in `tools/torture.py`.
"""

import os
import random
from collections import defaultdict
from pathlib import Path

import pytest

from catfs.overlay.nodes import Actor
from catfs.runtime.mending import Doubt
from tests.support.memory_lower import MemoryLower
from tests.support.power import POWER_CUT, DurableSession, Power, PowerCutError, install
from tests.support.views import create_file, node_at, split, write_at

ACTOR = Actor(0, 0, 0)
SEEDS = range(60)


class Modelled:
    """One file of the model.

    Args:
        content: What it holds.
    """

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.later: defaultdict[int, set[int]] = defaultdict(set)
        """By offset the bytes written since the last sync: a power cut may leave any of them in place."""


Moment = dict[bytes, tuple[Modelled, bytes]]
"""Name to file and what it held at a sync."""


class Driver:
    """A session and its model.

    Args:
        folder: Where the session is.
        seed: Decides everything.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  # a test must be repeatable
        self.lower = MemoryLower()
        self.model: dict[bytes, Modelled] = {}
        for number in range(3):
            content = self.random.randbytes(self.random.randint(1, 3000))
            self.lower.file(b"low %d" % number, content)
            self.model[b"low %d" % number] = Modelled(content)
        self.session = DurableSession(folder, self.lower)
        self.power = Power(self.random)
        self.synced = self._moment()
        self.tried: Moment | None = None
        """What a sync that was not acknowledged would have kept."""

    def _moment(self) -> Moment:
        return {name: (file, bytes(file.content)) for name, file in self.model.items()}

    def step(self) -> None:
        """Do one random thing to the session and to the model."""
        action = self.random.choice(
            ["create", "write", "write", "write", "truncate", "rename", "unlink", "sync"]
        )
        getattr(self, f"_{action}")()

    def _name(self) -> bytes | None:
        return self.random.choice(sorted(self.model)) if self.model else None

    def _create(self) -> None:
        name = b"new %d" % self.random.randrange(6)
        if name not in self.model:
            create_file(self.session.view, name)
            self.model[name] = Modelled(b"")

    def _write(self) -> None:
        name = self._name()
        if name is None:
            return
        file = self.model[name]
        offset = self.random.randint(0, len(file.content))
        data = self.random.randbytes(self.random.randint(1, 1500))
        write_at(self.session.view, name, offset, data)
        if len(file.content) < offset + len(data):
            file.content.extend(bytes(offset + len(data) - len(file.content)))
        file.content[offset : offset + len(data)] = data
        for place, byte in enumerate(data, offset):
            file.later[place].add(byte)

    def _truncate(self) -> None:
        name = self._name()
        if name is None:
            return
        size = self.random.randint(0, 2000)
        node = node_at(self.session.view, name)
        self.session.view.truncate(node, size, ACTOR)  # type: ignore[arg-type]  # every node here is a file
        content = self.model[name].content
        self.model[name].content = bytearray(content[:size].ljust(size, b"\0"))

    def _rename(self) -> None:
        name = self._name()
        if name is None:
            return
        target = b"new %d" % self.random.randrange(6)
        self.session.view.rename(*split(self.session.view, name), *split(self.session.view, target), 0, ACTOR)
        self.model[target] = self.model.pop(name)

    def _unlink(self) -> None:
        name = self._name()
        if name is not None:
            self.session.view.unlink(*split(self.session.view, name), ACTOR)
            del self.model[name]

    def _sync(self) -> None:
        self.tried = self._moment()
        self.session.view.sync()
        self.synced, self.tried = self.tried, None
        for file in [*self.model.values(), *(file for file, _ in self.synced.values())]:
            file.later.clear()

    def check_after_power_cut(self) -> None:
        """Check that the files are those of the last sync, but for bytes overwritten in place since."""
        files = self.session.files()
        moments = [self.synced] if self.tried is None else [self.synced, self.tried]
        assert any(_fits(files, moment) for moment in moments), sorted(files)
        [moment] = [moment for moment in moments if _fits(files, moment)][-1:]
        self.model = {}
        for name, (file, _) in moment.items():
            file.content = bytearray(files[name])
            self.model[name] = file
        self.tried = None

    def check_after_kill(self) -> None:
        """Check that the files are exactly what programs were told."""
        assert self.session.files() == {name: bytes(file.content) for name, file in self.model.items()}
        self.tried = None


def _fits(files: dict[bytes, bytes], moment: Moment) -> bool:
    if files.keys() != moment.keys():
        return False
    for name, (file, content) in moment.items():
        found = files[name]
        if len(found) != len(content):
            return False
        for place, (byte, kept) in enumerate(zip(found, content, strict=True)):
            if byte != kept and byte not in file.later.get(place, ()):
                return False
    return True


def run_session(folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run one random session with kills and power cuts, and check it after each.

    Args:
        folder: An empty folder.
        seed: Decides everything.
        monkeypatch: Takes os.fdatasync away from the session.

    Returns:
        How often it was resumed.
    """
    driver = Driver(folder, seed)
    install(monkeypatch, driver.power.fdatasync)
    driver.session.start()
    driver.session.view.sync()
    resumed = 0
    for _ in range(driver.random.randint(2, 5)):
        driver.power.cut_at = driver.power.syncs + driver.random.randint(1, 20)
        try:
            for _ in range(driver.random.randint(1, 25)):
                driver.step()
            is_cut = driver.random.random() < 0.6
        except PowerCutError:
            is_cut = True
        driver.power.cut_at = None
        driver.session.stop()
        if is_cut:
            driver.power.cut(driver.session.paths)
        driver.session.start(POWER_CUT if is_cut else Doubt())
        if is_cut:
            driver.check_after_power_cut()
        else:
            driver.check_after_kill()
        driver.session.view.sync()  # as a server does before it serves
        driver.synced = driver._moment()
        for file in driver.model.values():
            file.later.clear()
        resumed += 1
    driver.session.stop()
    return resumed


@pytest.mark.parametrize("seed", SEEDS)
def test_random_session_survives_kills_and_power_cuts(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill everything is there, after a power cut everything that was synced."""
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: fsync(descriptor) if descriptor < 0 else None)
    assert run_session(tmp_path, seed, monkeypatch) > 1
