"""The server of a mount, whose start or end is made slow or impossible in its own process."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.support.commands import TIMEOUT_SECONDS, Result, kill_hard
from tests.support.forked import call_forked

pytestmark = pytest.mark.fuse

_RUN_MAIN = "import sys; from catfs.cli.main import main; sys.exit(main())"

_SERVES_LATE = """
import catfs.runtime.mount_server as m, trio
at_once = m.MountServer._serve
async def late(*arguments):
    await trio.sleep(0.3)
    await at_once(*arguments)
m.MountServer._serve = late
"""

_CANNOT_FINISH = """
import catfs.commit.apply as m, errno
def refuse(*_):
    raise OSError(errno.EIO, "Input/output error")
m.finish_commit = refuse
"""


class PatchedMount:
    """A mounted domain whose server runs with a patch, and unpatched commands.

    Args:
        folder: An existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.output = folder / "domain" / "out"
        self.output.parent.mkdir()

    def start(self, patch: str) -> None:
        """Mount the domain."""
        words = [
            sys.executable,
            "-c",
            f"{patch}\n{_RUN_MAIN}",
            "mount",
            "domain",
            "--output",
            str(self.output),
        ]
        subprocess.run(words, cwd=self._folder, check=True, capture_output=True, timeout=TIMEOUT_SECONDS)

    def catfs(self, *words: str) -> Result:
        """Run a command of catfs."""
        return call_forked(words, self._folder)

    def servers(self) -> list[int]:
        """Give the server of each session."""
        facts = (self._folder / ".catfs" / "sessions").glob("*/session.json")
        return [orjson.loads(path.read_bytes())["pid"] for path in facts]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[PatchedMount]:
    """Give a domain that can be mounted; servers that a failing test leaves are ended."""
    made = PatchedMount(tmp_path)
    yield made
    for pid in made.servers():
        kill_hard(pid)


def test_mount_can_be_asked_as_soon_as_it_is_there(mount: PatchedMount) -> None:
    """Whoever heard that it is mounted is answered, however long the server needs to begin."""
    mount.start(_SERVES_LATE)
    ended = mount.catfs("umount", "domain", "--discard")
    assert ended.status == 0, ended.stderr


def test_server_ends_when_its_commit_cannot_be_finished_and_the_next_command_says_what_became_of_it(
    mount: PatchedMount,
) -> None:
    """The commit is decided, so the next command finishes it, and tells by which run."""
    mount.start(_CANNOT_FINISH)
    mount.output.write_text("new\n")
    [server] = mount.servers()
    descriptor = os.pidfd_open(server)
    try:
        refused = mount.catfs("umount", "domain", "--commit")
        assert refused.status == 125
        assert "is decided but not finished: Input/output error" in refused.stderr
        assert select.select([descriptor], [], [], TIMEOUT_SECONDS)[0], "the server stays"
    finally:
        os.close(descriptor)
    assert not mount.output.exists()
    ended = mount.catfs("umount", "domain", "--commit")
    assert ended.status == 0, ended.stderr
    assert "the session was committed by run" in ended.stderr
    assert mount.output.read_text() == "new\n"
    assert mount.servers() == []
