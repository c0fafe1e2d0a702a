"""The base of a session: what each domain was, and how that is known.

A full base was read whole by a helper process (`base_reader`), which keeps the nodes of the trees in the
store of the workspace and leaves a small file of facts per domain. A known base is the one of the last time,
looked at again only where the session used it (docs/design/0005).
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from catfs.digest import Digest
from catfs.durable import publish
from catfs.errors import CatfsError, FormatError, UsageError
from catfs.merkle import MemoryNodes, MissingNodeError, NodeSource, RememberedNodes
from catfs.merkle.nodes import load_node
from catfs.overlay import HardLinks
from catfs.proof.capture import Capture
from catfs.proof.capture_nodes import StoredNodes
from catfs.records import BaseKind, BaseNote, Entry, Kind
from catfs.store import LocalStore
from catfs.values import dataclass

Used = Callable[[int, int], Iterable[bytes] | None]
"""Told the index of a domain, and when it was last read whole; gives the paths at which the base of a session
must be true again: what it read or touched, and what was committed since. None when they cannot be told."""


class UnreadableDomainError(UsageError):
    """A domain cannot be read whole, so nothing can be proven of it.

    Args:
        problem: What cannot be read, and why.
    """

    def __init__(self, problem: str) -> None:
        hint = "every path of a domain must be readable; take it out of the domain, or run as its owner"
        super().__init__(problem, hint=hint)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class BasePlaces:
    """Where the domains of a session are, and what is kept of them.

    Args:
        folder: The session's folder.
        store: The folder of the workspace's store.
        indexes: The index of each domain.
        roots: Descriptor of each domain's directory.
        hidden: (device, inode) of directories that are not part of any domain.
    """

    folder: Path
    store: Path
    indexes: tuple[Path, ...]
    roots: tuple[int, ...]
    hidden: tuple[tuple[int, int], ...]

    def problem(self) -> Path:
        """Give the file in which the helper says why it could not read the domains."""
        return self.folder / "base.problem"

    def facts(self, index: int) -> Path:
        """Give the file that says what a domain was when the session began."""
        return self.folder / f"base-{index}.json"

    def forget(self) -> None:
        """Remove what was read of the domains, so that they are read again.

        Raises:
            OSError: when something cannot be removed.
        """
        for index in range(len(self.roots)):
            self.facts(index).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Base:
    """What a domain was when the session began.

    Args:
        nodes: Holds the nodes of its tree.
        fresh: Holds those of them that the store of the workspace does not keep yet.
        root_entry: The entry of its own directory.
        hard_links: Its files with several names.
        files: Number of its regular files.
        size: Bytes in them.
        note: How all this is known.
        index_problem: What is wrong with the index that was there; None when nothing is.
    """

    nodes: NodeSource
    fresh: MemoryNodes
    root_entry: Entry
    hard_links: HardLinks
    files: int
    size: int
    note: BaseNote
    index_problem: str | None = None


class KeptBase:
    """The base of a resumed session, read whole when the session began.

    Args:
        bases: One base per domain.
    """

    def __init__(self, bases: Sequence[Base]) -> None:
        self._bases = list(bases)

    def progress(self) -> tuple[int, int]:
        """Give how many files and how many bytes were read."""
        return sum(base.files for base in self._bases), sum(base.size for base in self._bases)

    def check(self) -> None:
        """Find nothing wrong: it was read."""

    def finish(self) -> list[Base]:
        """Give one base per domain."""
        return self._bases

    def current(self, used: Used) -> list[Base]:
        """Give one base per domain."""
        del used
        return self._bases

    def known_since(self) -> list[int]:
        """Give nothing: no base rests on an earlier reading."""
        return []

    def known(self, used: Used) -> list[Base]:
        """Give nothing, for the same reason."""
        del used
        return []

    def give_up(self) -> None:
        """Do nothing: nobody reads."""

    def stop(self) -> None:
        """Do nothing: nobody reads."""


def write_facts(places: BasePlaces, index: int, found: Capture) -> None:
    """Write down what a domain was; whoever finds the file finds it whole.

    Args:
        places: Where the session keeps it.
        index: The domain.
        found: What reading it gave; its nodes are in the store.

    Raises:
        OSError: when it cannot be written.
    """
    facts = {
        "mode": found.root_entry.mode,
        "node": found.root_entry.digest.hex,
        "files": found.files,
        "size": found.size,
        "names": found.names,
        "read": found.started,
        "index_problem": found.index_problem,
        "hard_links": [
            [device, inode, [base64.b64encode(path).decode() for path in paths]]
            for (device, inode), paths in found.hard_links.items()
        ],
    }
    path = places.facts(index)
    publish(path.parent, path.name.encode(), orjson.dumps(facts), mode=0o600, durable=False)


def load_bases(places: BasePlaces) -> list[Base]:
    """Give the full base of each domain, which the session's folder and the store hold.

    Raises:
        OSError: when there is none.
        FormatError: when what is there is damaged, or the store does not hold the tree any more.
    """
    paths = [places.facts(index) for index in range(len(places.roots))]
    facts = [_facts(path) for path in paths]
    nodes = RememberedNodes(StoredNodes(LocalStore(places.store)))
    return [_base(path, item, nodes) for path, item in zip(paths, facts, strict=True)]


def read_roots(folder: Path) -> list[Entry]:
    """Give the root entry of each domain that was read for the session in a folder.

    Raises:
        FormatError: when the facts of one are damaged.
        OSError: when they cannot be read.
    """
    return [_root_entry(path, _facts(path)) for path in sorted(folder.glob("base-*.json"))]


def _base(path: Path, facts: dict[str, Any], nodes: NodeSource) -> Base:
    try:
        links = {
            (device, inode): [base64.b64decode(item) for item in paths]
            for device, inode, paths in facts["hard_links"]
        }
        note = BaseNote(BaseKind.FULL, facts["read"], facts["names"])
        entry = _root_entry(path, facts)
        load_node(nodes, entry.digest)
        problem = facts["index_problem"]
        return Base(nodes, MemoryNodes(), entry, links, facts["files"], facts["size"], note, problem)
    except (KeyError, TypeError, ValueError, MissingNodeError) as error:
        raise FormatError(str(path), f"cannot be read back: {error}") from error


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FormatError(str(path), f"cannot be read back: {error}") from error
    if not isinstance(facts, dict):
        raise FormatError(str(path), f"expected an object, got {type(facts).__name__}")
    return facts


def _root_entry(path: Path, facts: dict[str, Any]) -> Entry:
    try:
        return Entry(Kind.DIRECTORY, facts["mode"], 0, Digest.from_hex(facts["node"]))
    except (KeyError, TypeError, ValueError, CatfsError) as error:
        raise FormatError(str(path), f"cannot be read back: {error}") from error
