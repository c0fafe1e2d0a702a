"""Confinement: the wall around a command, built by bubblewrap.

Everything outside the domains is read-only, /tmp and /run are private, the process sees only its own
processes, and it holds no capability with which a mount could be changed. As root the capabilities
that only concern files are kept (docs/design/0003-confinement.md): without them root could not do in
its own domain what root does every day, and outside every mount is read-only.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from catfs.errors import MachineError
from catfs.values import dataclass

_SERVICES = Path("/run")
"""Where services have their sockets. A socket on a read-only mount can still be connected to, and a
service that acts for its callers (a container engine is one) is a door in the wall."""

_PRIVATE = (Path("/tmp"), _SERVICES)  # noqa: S108
"""Folders of which the command gets an empty one of its own."""

_FILE_CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD")

_SESSION_WITH_TERMINAL = ("/usr/bin/env", "setsid", "-c")
"""Lets a command behind the wall lead a session with the terminal that is its standard input: the leader of
the wall's own session is the wall."""

_WALL_FAILED = 1
"""Exit status of bubblewrap for everything that goes wrong with it."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a command may reach.

    Args:
        on: Whether there is a wall at all.
        domains: The domains, which it may write.
        allow_write: Other places that it may write.
        workspace: The folder `.catfs/`, which it may not see.
        network: Whether it may reach the network; otherwise it has a loopback of its own and nothing else.
    """

    on: bool
    domains: tuple[Path, ...]
    allow_write: tuple[Path, ...]
    workspace: Path
    network: bool = True

    def command(
        self, arguments: Sequence[str], cwd: Path, report: int, terminal: str | None = None
    ) -> list[str]:
        """Give the arguments to execute so that a command runs behind the wall.

        Args:
            arguments: The command.
            cwd: Its working directory.
            report: Inheritable descriptor to which the wall says what becomes of the command.
            terminal: Path of the terminal that the command is to control, its standard input; None for none.

        Raises:
            MachineError: when bubblewrap is not installed.
        """
        if not self.on:
            return list(arguments) if terminal is None else _controlling(terminal, arguments)
        program = shutil.which("bwrap")
        if program is None:
            raise MachineError(
                "bubblewrap is not installed, so the command cannot be confined",
                hint="install the package bubblewrap, or run with --confine off",
            )
        wall = [program, "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session"]
        if not self.network:
            wall.append("--unshare-net")
        wall += ["--json-status-fd", str(report), "--cap-drop", "ALL"]
        if os.geteuid() == 0:
            for capability in _FILE_CAPABILITIES:
                wall += ["--cap-add", capability]
        wall += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        for place in _PRIVATE:
            wall += ["--tmpfs", str(place)]
        names = Path(os.path.realpath("/etc/resolv.conf"))
        if names.is_relative_to(_SERVICES) and names.exists():
            wall += ["--ro-bind", str(names), str(names)]
        if self._is_hidden(cwd):
            wall += ["--ro-bind", str(cwd), str(cwd)]
        # Outer places first: a bind mount hides what was mounted below its place before.
        for path in sorted((*self.allow_write, *self.domains), key=lambda path: len(path.parts)):
            wall += ["--bind", str(path), str(path)]
        if not any(self.workspace.is_relative_to(domain) for domain in self.domains) and (
            not self._is_hidden(self.workspace)
            or cwd == self.workspace.parent
            or self.workspace.is_relative_to(cwd)
        ):
            wall += ["--tmpfs", str(self.workspace), "--remount-ro", str(self.workspace)]
        wall += ["--chdir", str(cwd), "--"]
        if terminal is not None:
            wall += _SESSION_WITH_TERMINAL
        return [*wall, "/bin/sh", "-c", 'exec "$@"', "catfs", *arguments]

    def has_failed(self, status: int, report: bytes) -> bool:
        """Say whether it was the wall that failed, and not the command, which then never ran.

        Args:
            status: Exit status of what `command` gave.
            report: What the wall said; it speaks of an exit only when the command was executed.
        """
        return self.on and status == _WALL_FAILED and b"exit-code" not in report

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Give the environment of the command: the caller's, with temporary files in the private /tmp."""
        changed = dict(base)
        if self.on and "TMPDIR" in changed:
            changed["TMPDIR"] = "/tmp"  # noqa: S108
        return changed

    def _is_hidden(self, path: Path) -> bool:
        """Say whether a private folder would hide a path that nothing else brings back."""
        if not any(path.is_relative_to(place) for place in _PRIVATE):
            return False
        return not any(path.is_relative_to(place) for place in (*self.domains, *self.allow_write))


def _controlling(terminal: str, arguments: Sequence[str]) -> list[str]:
    """Give the arguments to execute so that a command leads a session with a terminal.

    Whoever leads a session without one gets the first that it opens.
    """
    return ["/bin/sh", "-c", ': <"$0"; exec "$@"', terminal, *arguments]
