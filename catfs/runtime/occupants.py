"""The processes that keep a mount from being unmounted, as far as this user may see them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")
_NAMESPACE = Path("ns/mnt")


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
                found.append((int(folder.name), (folder / "comm").read_bytes().rstrip(b"\n")))
    return sorted(found)


def _places(process: Path) -> Iterator[bytes]:
    """Give the paths that a process holds on to."""
    for name in ("cwd", "root", "exe"):
        with suppress(OSError):
            yield os.readlink(os.fsencode(process / name))
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):
            yield os.readlink(os.fsencode(descriptor))
