"""The processes that keep a mount from going, as far as this user may see them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from catfs.errors import printable
from catfs.runtime.mounts import workspace_of_view

_PROCESSES = Path("/proc")
_NAMESPACE = Path("ns/mnt")

_NAMES_MAX = 5
"""Most processes that are named; the rest is counted."""


def occupants(domain: Path, processes: Path = _PROCESSES) -> list[tuple[int, bytes]]:
    """Give id and name of each process that works in a directory or has a file below it open.

    Links of /proc are read and nothing is followed: a mount whose server hangs is not touched. This process
    is left out, and so are those of other mount namespaces: their copy of a mount is in nobody's way, and
    the server of the mount is among them, which has the directory below it open.

    Args:
        domain: The directory; absolute, symlinks resolved.
        processes: Folder like /proc.
    """
    top, own = os.fsencode(domain), os.readlink(processes / "self" / _NAMESPACE)
    found = []
    for folder in processes.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):  # it ended meanwhile, or is not ours to see
            inside = any(place == top or place.startswith(top + b"/") for place in _places(folder))
            if inside and os.readlink(folder / _NAMESPACE) == own:
                found.append((int(folder.name), _name_of(folder)))
    return sorted(found)


def holders(domain: Path, workspace: Path, processes: Path = _PROCESSES) -> list[tuple[int, bytes]]:
    """Give id and name of each process in another mount namespace that has the view of a domain.

    A namespace begins with a copy of every mount, and a server serves its view until the last copy is gone.

    Args:
        domain: The domain; absolute, symlinks resolved.
        workspace: Root of the workspace that it was mounted from.
        processes: Folder like /proc.
    """
    has_view = {os.readlink(processes / "self" / _NAMESPACE): False}
    found = []
    for folder in processes.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # it ended meanwhile, or is not ours to see
            namespace = os.readlink(folder / _NAMESPACE)
            if namespace not in has_view:
                has_view[namespace] = workspace_of_view(domain, folder / "mounts") == workspace
            if has_view[namespace]:
                found.append((int(folder.name), _name_of(folder)))
    return sorted(found)


def process_names(found: Sequence[tuple[int, bytes]]) -> str:
    """Give processes for people: the first ones by name, and how many more there are.

    Args:
        found: Id and name of each.
    """
    names = [f"{printable(name)} (process {pid})" for pid, name in found]
    if len(names) > _NAMES_MAX:
        names[_NAMES_MAX:] = [f"{len(names) - _NAMES_MAX} more"]
    return ", ".join(names)


def _name_of(process: Path) -> bytes:
    return (process / "comm").read_bytes().rstrip(b"\n")


def _places(process: Path) -> Iterator[bytes]:
    """Give the paths that a process holds on to."""
    for name in ("cwd", "root", "exe"):
        with suppress(OSError):
            yield os.readlink(os.fsencode(process / name))
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):
            yield os.readlink(os.fsencode(descriptor))
