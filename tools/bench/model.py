"""What is measured and what comes of it: samples, medians, promises and verdicts. Nothing here measures."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from catfs.errors import CatfsError

NATIVE = "native"
OVERLAYFS = "overlayfs"
VOLATILE = "overlayfs-volatile"
FUSE_OVERLAYFS = "fuse-overlayfs"
PYFUSE3 = "catfs-pyfuse3"
DEVFUSE = "catfs-devfuse"
TWO_SNAPSHOTS = "two-snapshots"
NONO = "nono-py"

CATFS = (PYFUSE3, DEVFUSE)
"""Ours, the one that `auto` prefers last."""
FILE_SYSTEMS = (NATIVE, OVERLAYFS, VOLATILE, FUSE_OVERLAYFS, *CATFS)
"""The peers that a program can work in."""
PEERS = (*FILE_SYSTEMS, TWO_SNAPSHOTS, NONO)
"""All peers, in the order of the tables."""


class RowError(CatfsError):
    """A row did not do what it should have done: its time would mean nothing."""


class UnavailableError(CatfsError):
    """A peer cannot do a row on this machine; that is no failure, and it is named."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    Args:
        value: Seconds, or bytes in a row about memory.
        server_cpu: Processor seconds of the file system's server, or None when there is no server.
        server_bytes: Most memory the server ever had resident, or None.
    """

    value: float
    server_cpu: float | None = None
    server_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """An upper limit for catfs: a factor on another median, or a fixed value.

    Args:
        limit: The factor; or seconds or bytes when neither `peer` nor `row` is named.
        peer: Whose median in the same row is multiplied, or None.
        row: The row whose median for the same peer is multiplied, or None.
    """

    limit: float
    peer: str | None = None
    row: str | None = None


Watch = Callable[[int | None], AbstractContextManager[None]]
"""Makes what the timed part of a sample happens in, from the process id of the server if that is known."""


def unwatched(server: int | None) -> AbstractContextManager[None]:
    """Watch nothing."""
    del server
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a measurement may work; all on one file system.

    Args:
        lower: The prepared directory. Only the row's preparation changes it.
        assets: Prepared files that are not part of it, such as an archive.
        scratch: An empty folder for this sample.
        kept: A folder of this row and peer that survives from round to round.
        watch: Who looks on while the timed part runs; only rows on work inside a mount, and the build, ask.
    """

    lower: Path
    assets: Path
    scratch: Path
    kept: Path
    watch: Watch = unwatched


Prepare = Callable[[Path, Path], None]
"""Fills `lower` and `assets`, once for a row."""
Measure = Callable[[str, Place], Sample]
"""Takes one sample of a peer."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work.

    Args:
        name: What it is called on the command line.
        what: What is done, for people.
        prepare: Not timed, once.
        measure: Takes one sample.
        peers: Who takes part; ratios are to the first of them that was measured.
        promises: Limits for catfs.
        unit: `s`, `bytes` or `ratio`.
        extra: Whether it is measured only when named, because it takes long.
        material: Rows of the same material that follow each other are prepared once, by the first of them;
            empty for a row that has its own.
    """

    name: str
    what: str
    prepare: Prepare
    measure: Measure
    peers: tuple[str, ...] = FILE_SYSTEMS
    promises: tuple[Promise, ...] = ()
    unit: str = "s"
    extra: bool = False
    material: str = ""


@dataclass(slots=True)
class Cell:
    """All samples of one peer in one row.

    Args:
        samples: Those that succeeded.
        problem: Why the last one failed, or None.
        unavailable: Why the peer takes no part, or None.
    """

    samples: list[Sample] = field(default_factory=list)
    problem: str | None = None
    unavailable: str | None = None

    @property
    def values(self) -> list[float]:
        """The measured values in the order of the rounds."""
        return [sample.value for sample in self.samples]

    @property
    def median(self) -> float | None:
        """The middle value, or None when nothing was measured."""
        return statistics.median(self.values) if self.samples else None

    @property
    def server_cpu(self) -> float | None:
        """The middle of the server's processor seconds, or None without a server."""
        found = [sample.server_cpu for sample in self.samples if sample.server_cpu is not None]
        return statistics.median(found) if found else None

    @property
    def server_bytes(self) -> int | None:
        """The most memory the server had in any round, or None without a server."""
        return max((s.server_bytes for s in self.samples if s.server_bytes is not None), default=None)


Cells = Mapping[str, Cell]
"""The cells of a row by peer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row and what was measured in it.

    Args:
        row: The row.
        cells: Its cells by peer, in the order of PEERS.
    """

    row: Row
    cells: Cells

    @property
    def base(self) -> str | None:
        """The peer that ratios are to: the first one measured, when it is none of ours."""
        for peer in self.row.peers:
            if peer in self.cells and self.cells[peer].samples:
                return None if peer in CATFS else peer
        return None

    def ratio(self, peer: str, to: str | None) -> float | None:
        """Give the median of a peer as a multiple of another's; None when either is missing."""
        if to is None:
            return None
        mine, other = (self.cells[name].median if name in self.cells else None for name in (peer, to))
        return mine / other if mine is not None and other else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a promise holds.

    Args:
        row: Name of the row.
        peer: The transport that was measured.
        promise: The promise.
        got: What stands against the limit; None when it was not measured, so that nothing is known.
        binding: Whether this is the transport that `auto` takes, which the promise is about.
    """

    row: str
    peer: str
    promise: Promise
    got: float | None
    binding: bool

    @property
    def holds(self) -> bool | None:
        """Yes, no, or None when it was not measured."""
        return None if self.got is None else self.got <= self.promise.limit


def verdicts(outcomes: Sequence[Outcome]) -> Iterator[Verdict]:
    """Judge every promise for every transport that was measured.

    Args:
        outcomes: All rows of one run.
    """
    by_name = {outcome.row.name: outcome for outcome in outcomes}
    for outcome in outcomes:
        measured = [peer for peer in CATFS if peer in outcome.cells and outcome.cells[peer].samples]
        for promise in outcome.row.promises:
            for peer in measured:
                got = _against(promise, outcome, by_name, peer)
                yield Verdict(outcome.row.name, peer, promise, got, peer == measured[-1])


def _against(promise: Promise, outcome: Outcome, by_name: Mapping[str, Outcome], peer: str) -> float | None:
    if promise.peer is not None:
        return outcome.ratio(peer, promise.peer)
    mine = outcome.cells[peer].median
    if promise.row is None:
        return mine
    other = by_name.get(promise.row)
    base = other.cells[peer].median if other is not None and peer in other.cells else None
    return mine / base if mine is not None and base else None
