"""Keeping history: what a commit overwrites is saved first, and the bytes of a session go with its run."""

import os
from collections.abc import Sequence

from catfs.digest import Digest
from catfs.errors import MachineError, printable
from catfs.ledger import RunWriter
from catfs.limits import HASH_CHUNK_BYTES
from catfs.overlay import DataFile, Lower
from catfs.overlay.lower import origin_at
from catfs.records import (
    HISTORY_FILE,
    Change,
    DomainHistory,
    HardLinkGroup,
    History,
    KeptOriginal,
    Kind,
)
from catfs.runtime.session import DomainState, Session
from catfs.runtime.session_files import DATA_FILE

_FULL_HINT = "make room in the workspace, or run without --history"


class HistoryKeeper:
    """Keeps the history of one session that is being concluded; does nothing for a session without.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._originals: dict[int, list[KeptOriginal]] = {}

    def keep_originals(self, declared: Sequence[Sequence[Change]]) -> None:
        """Save what a commit is about to replace or remove.

        Args:
            declared: The changes that will be committed, for each domain.

        Raises:
            MachineError: when it cannot be saved; nothing was committed.
        """
        if not self._session.history:
            return
        for index, changes in enumerate(declared):
            lower = self._session.view.domains[index].lower
            try:
                self._originals[index] = [
                    _keep(lower, index, change, self._session.view.data)
                    for change in changes
                    if _is_lost(change)
                ]
            except OSError as error:
                what = f"the history cannot be kept: {error.strerror or error}; nothing was committed"
                raise MachineError(what, hint=_FULL_HINT) from error

    def write(self, run_id: str, writer: RunWriter, states: Sequence[DomainState]) -> None:
        """Write the record of the history and its data into the folder of a run.

        Args:
            run_id: The run.
            writer: Its folder.
            states: What was judged.

        Raises:
            OSError: when the disk refuses.
        """
        session = self._session
        if not session.history:
            return
        # The folder of a run's session goes at once, that of a mounted one may be written on.
        size, digest = writer.add_history(session.folder / DATA_FILE, linked=not session.view.durable)
        domains = tuple(
            DomainHistory(
                path=os.fsencode(state.declaration.path),
                hard_links=tuple(
                    HardLinkGroup(tuple(sorted(paths)))
                    for paths in sorted(state.hard_links.values())
                    if len(paths) > 1
                ),
                originals=tuple(self._originals.get(index, ())),
            )
            for index, state in enumerate(states)
        )
        writer.write_record(HISTORY_FILE, History(run_id, size, digest, domains))


def _is_lost(change: Change) -> bool:
    """Say whether a commit takes content away."""
    before, after = change.before, change.after
    if before is None or before.kind not in {Kind.FILE, Kind.SYMLINK}:
        return False
    return after is None or (after.kind, after.digest) != (before.kind, before.digest)


def _keep(lower: Lower, domain: int, change: Change, data: DataFile) -> KeptOriginal:
    """Add what is at a path of the original to the data.

    Raises:
        OSError: when it cannot be read or added.
        MachineError: when it is not there any more.
    """
    origin = origin_at(lower, domain, change.path)
    before = change.before
    if origin is None or before is None:
        raise MachineError(f"the history cannot be kept: {printable(change.path)} is not there any more")
    if before.kind is Kind.SYMLINK:
        target = lower.readlink(origin)
        return KeptOriginal(change.path, Digest.of(target), data.append(target), len(target))
    start = data.size
    for offset in range(0, origin.lower_stat.size, HASH_CHUNK_BYTES):
        data.append(lower.read(origin, offset, HASH_CHUNK_BYTES))
    return KeptOriginal(change.path, before.digest, start, data.size - start)
