"""A program that mounts and serves one view, and answers questions on its standard input.

    python -m tests.support.serve_view TRANSPORT LOWER MOUNT LOG SECONDS

It prints one line of JSON when the view is served, one for each question, one when the view has been
unmounted, and a last one: whether the log leads to the same tree as the view. It ends itself by an
alarm after so many seconds, whatever happens, which aborts the connection and lets every caller go.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import trio

from catfs.merkle import MemoryNodes, Tree
from catfs.overlay import (
    ContentDigests,
    DataFile,
    DirectoryLower,
    Domain,
    NoTrace,
    Processes,
    ReplayClock,
    View,
    WriteLog,
    fold,
    replay,
)
from catfs.overlay.nodes import SESSION_ACTOR, File
from catfs.overlay.transports import DevfuseTransport
from catfs.overlay.transports.devfuse import Notifier
from catfs.overlay.transports.pyfuse3 import Pyfuse3Transport
from catfs.proof.capture import capture
from catfs.records.log_lines import log_lines, log_records
from catfs.runtime.launch import enter_private_namespace, launch_mount
from catfs.runtime.mounts import view_source


class Server:
    """A served view and what can be asked of it."""

    def __init__(self, transport: str, lower: Path, log: Path) -> None:
        self.root = os.open(lower, os.O_RDONLY | os.O_DIRECTORY)
        self.log_path = log
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.log = WriteLog(descriptor, Processes())
        data = DataFile(os.memfd_create("catfs-test-data"))
        self.view = View([Domain(DirectoryLower(self.root))], data, self.log)
        self.transport = DevfuseTransport() if transport == "devfuse" else Pyfuse3Transport()
        self.questions: dict[str, Callable[[], object]] = {
            "flush": self._flush,
            "requests": self._requests,
            "nodes": self._nodes,
            "garbage": self._garbage,
            "roots": self.roots,
            "stored": self._stored,
            "stop": self._stop,
        }
        self._scope = trio.CancelScope()

    async def run(self, connection: int) -> None:
        """Serve and answer until the view is unmounted."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, connection)
            with self._scope:
                await self.transport.serve(self.view, connection)
            nursery.cancel_scope.cancel()

    async def _answer(self, connection: int) -> None:
        async with trio.lowlevel.FdStream(os.dup(0)) as stream:
            pending = b""
            async for block in stream:
                *lines, pending = (pending + block).split(b"\n")
                for line in lines:
                    words = line.decode().split(" ")
                    if words[0] == "change":
                        await self._change(connection, int(words[1]), words[2].encode())
                        say({"answer": None})
                    else:
                        say({"answer": self.questions[words[0]]()})

    def _flush(self) -> None:
        self.log.flush()

    def _requests(self) -> int:
        assert isinstance(self.transport, DevfuseTransport)
        return self.transport.requests

    def _nodes(self) -> int:
        return len(self.view.nodes)

    def _garbage(self) -> int:
        return gc.collect()

    def _stored(self) -> int:
        return self.view.data.size

    def _stop(self) -> None:
        self._scope.cancel()

    async def _change(self, connection: int, ino: int, content: bytes) -> None:
        """Change a file on the session's own account and tell the kernel."""
        node = self.view.node(ino)
        assert isinstance(node, File)
        self.view.truncate(node, 0, SESSION_ACTOR)
        self.view.write_file(node, 0, content, SESSION_ACTOR, clear_set_id=False)
        await trio.to_thread.run_sync(Notifier(connection).forget_content, ino)

    def roots(self) -> dict[str, str]:
        """Give the root of the view, and that of the view made again from the lower and the log alone."""
        self.log.flush()
        nodes = MemoryNodes()
        base = capture(self.root, nodes)
        again = View(
            [Domain(DirectoryLower(self.root))],
            DataFile(self.view.data.descriptor, self.view.data.size),
            NoTrace(),
            ReplayClock(),
        )
        with self.log_path.open("rb") as stream:
            replay(log_records(log_lines(stream, "log"), "log"), again)
        tree, digests = Tree(nodes, base.root_entry), ContentDigests()
        views = {"view": self.view, "replay": again}
        return {
            name: fold(view, 0, tree, nodes, digests, base.hard_links).root.hex
            for name, view in views.items()
        }

    def log_leads_to_view(self) -> bool:
        """Say whether the tree of the view made again from the log is that of the view."""
        return len(set(self.roots().values())) == 1


def say(fact: dict[str, object]) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Mount, serve until unmounted, and check."""
    transport, lower, mount, log, seconds = sys.argv[1:]
    signal.alarm(int(seconds))
    server = Server(transport, Path(lower), Path(log))
    child = launch_mount(Path(mount), view_source())
    enter_private_namespace()
    child.proceed()
    connection = child.receive_connection()
    child.proceed()
    say({"served": True})
    trio.run(server.run, connection)
    say({"ended": True})
    say({"log_leads_to_view": server.log_leads_to_view()})


if __name__ == "__main__":
    main()
