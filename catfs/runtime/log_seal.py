"""A whole log held against what a proof states of it; the first bad record is named as far as can be told."""

from dataclasses import field

from catfs.errors import FormatError, counted
from catfs.merkle import LogTree
from catfs.records import LogSummary
from catfs.records.log_lines import LogDamageError
from catfs.values import dataclass


@dataclass(slots=True)
class LogTimes:
    """Watches the times of records that go by in their order."""

    backward: int | None = None
    """The first record that is older than the one before it; None when none is."""
    _last: int = field(default=0, init=False)

    def note(self, seq: int, time: int) -> None:
        """Take the time of the next record, in nanoseconds since 1970."""
        if time < self._last and self.backward is None:
            self.backward = seq
        self._last = time


def check_seal(name: str, tree: LogTree, times: LogTimes, stated: LogSummary) -> None:
    """Hold the records of a log against what the proof states of them.

    Args:
        name: Of the log, for people.
        tree: Has all its records.
        times: Saw all of them.
        stated: What the proof states.

    Raises:
        LogDamageError: when records are missing or too many; the first such is named.
        FormatError: when the records are others; which one cannot be told, but where time steps back is said.
    """
    states = f"the proof states {counted(stated.records, 'record')}"
    if tree.size < stated.records:
        raise LogDamageError(name, f"record {tree.size} is missing: {states}", tree.size)
    if tree.size > stated.records:
        raise LogDamageError(name, f"record {stated.records} is one too many: {states}", stated.records)
    if tree.root != stated.root:
        raise FormatError(
            name,
            f"expected records with the root {stated.root}, which the proof states, got {tree.root}",
            hint="every record is whole and in its place, so which one was changed cannot be told"
            if times.backward is None
            else f"record {times.backward} is the first that is older than the one before it",
        )
