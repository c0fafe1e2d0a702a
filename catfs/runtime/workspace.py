"""The workspace: the folder that holds `.catfs/`, found upward from the working directory."""

import contextlib
import os
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from catfs.errors import MachineError, UsageError
from catfs.overlay.redaction import SECRET_WORDS
from catfs.runtime.mounts import workspace_of_view
from catfs.values import dataclass

FOLDER = ".catfs"
CONFIGURATION_FILE = "config.toml"
_KEYS = frozenset({"allowed_roots", "allow_write", "redact"})
_PARTS = ("sessions", "runs", "journal", "stage")
_GITIGNORE = b"# Made by catfs: what a workspace holds is nothing to commit.\n*\n"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What `.catfs/config.toml` says; every key may be missing.

    Args:
        allowed_roots: Folders, relative to the workspace, under which outputs may be declared; empty
            means anywhere in a domain.
        allow_write: Places that a confined command may write besides its domains.
        redact: Words that mark the value of an option as a secret, which the write log does not keep.
    """

    allowed_roots: tuple[Path, ...] = ()
    allow_write: tuple[Path, ...] = ()
    redact: tuple[str, ...] = SECRET_WORDS


class Workspace:
    """A workspace.

    Args:
        root: The folder that holds `.catfs/`; absolute, symlinks resolved.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER
        self.sessions = self.folder / "sessions"
        self.runs = self.folder / "runs"
        self.journal = self.folder / "journal"
        self.store = self.folder / "store"
        self.indexes = self.folder / "index"
        self.spectra = self.folder / "spectra"

    @classmethod
    def find(cls, start: Path) -> Self | None:
        """Give the nearest workspace of this user at or above a folder, or None.

        A mounted view hides the workspace in its domain, and stands for the one that it was mounted from.
        What somebody else owns is passed over, and so is what lies in a folder above that everybody may
        write (/tmp): whoever made it there would decide about everything below.
        """
        for folder in (start, *start.parents):
            mounted_by = workspace_of_view(folder)
            if mounted_by is not None and _is_own_workspace(mounted_by):
                return cls(mounted_by)
            try:
                is_shared = folder != start and bool(os.stat(folder).st_mode & stat.S_IWOTH)
            except OSError:  # below a mount whose server died: the search goes on above
                continue
            if not is_shared and _is_own_workspace(folder):
                return cls(folder)
        return None

    @classmethod
    def find_or_create(cls, start: Path) -> Self:
        """Give the nearest workspace at or above a folder; make one in the folder itself where there is none.

        The folder's times stay as they were: it may be a domain. Git sees nothing of a new workspace.

        Raises:
            MachineError: when it cannot be made.
            UsageError: when somebody else has one in that very folder, or its name is taken by a file.
        """
        # Looked at first: what another run makes in between is found, and not taken for somebody else's.
        taken = os.path.lexists(cls(start).folder)
        found = cls.find(start)
        workspace = found or cls(start)
        before = os.stat(start)
        if found is None and taken:
            if not workspace.folder.is_dir():
                raise UsageError(
                    f"expected the directory of a workspace at {workspace.folder}, got something else",
                    hint="move it away, or work in another folder",
                )
            raise UsageError(
                f"{workspace.folder} belongs to somebody else", hint="work as its owner, or in another folder"
            )
        try:
            for part in _PARTS:
                (workspace.folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            if found is None:
                (workspace.folder / ".gitignore").write_bytes(_GITIGNORE)
                with contextlib.suppress(PermissionError):  # only the owner may set them
                    os.utime(start, ns=(before.st_atime_ns, before.st_mtime_ns))
        except OSError as error:
            raise MachineError(
                f"cannot make the workspace {workspace.folder}: {error.strerror}",
                hint="inside a mount of catfs no workspace can be made; elsewhere, check the permissions",
            ) from error
        return workspace

    @classmethod
    def of_session(cls, folder: Path) -> Self:
        """Give the workspace that the folder of a session is in."""
        return cls(folder.parent.parent.parent)

    @property
    def identity(self) -> tuple[int, int]:
        """(device, inode) of `.catfs/`, by which views hide it."""
        status = self.folder.stat()
        return status.st_dev, status.st_ino

    def configuration(self) -> Configuration:
        """Read `.catfs/config.toml`.

        Raises:
            UsageError: when it is not what it should be.
        """
        path = self.folder / CONFIGURATION_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Configuration()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path} is not TOML: {error}") from error
        unknown = values.keys() - _KEYS
        if unknown:
            raise UsageError(
                f"{path} has the unknown key {min(unknown)!r}", hint=f"known are {', '.join(sorted(_KEYS))}"
            )
        return Configuration(
            allowed_roots=self._paths(path, values, "allowed_roots"),
            allow_write=self._paths(path, values, "allow_write"),
            redact=_texts(path, values, "redact", SECRET_WORDS),
        )

    def _paths(self, path: Path, values: dict[str, object], key: str) -> tuple[Path, ...]:
        return tuple(self.root / item for item in _texts(path, values, key))


def hidden_folders(workspace: Workspace | None, places: Iterable[Path]) -> tuple[tuple[int, int], ...]:
    """Give (device, inode) of each `.catfs/` that is no part of any domain, in order.

    Args:
        workspace: The workspace that is used; None for none.
        places: Domains, each of which may be a workspace itself.

    Raises:
        OSError: when the workspace is not there.
    """
    hidden = set() if workspace is None else {workspace.identity}
    for place in places:
        with contextlib.suppress(OSError):
            status = (place / FOLDER).lstat()
            if stat.S_ISDIR(status.st_mode):
                hidden.add((status.st_dev, status.st_ino))
    return tuple(sorted(hidden))


def _is_own_workspace(folder: Path) -> bool:
    """Say whether a folder holds a workspace that belongs to this user."""
    try:
        found = os.stat(folder / FOLDER)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _texts(path: Path, values: dict[str, object], key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Give a list of texts.

    Raises:
        UsageError: when it is something else, or a text is empty or holds a NUL, which no path and no
            argument can.
    """
    found = values.get(key, list(default))
    if not isinstance(found, list) or not all(
        isinstance(item, str) and item and "\0" not in item for item in found
    ):
        raise UsageError(f"{path}: expected a list of texts for {key}, got {found!r}")
    return tuple(found)
