"""The helper process that reads the domains of a session whole, while the command already runs.

A process and not a thread, because reading and hashing would keep the interpreter of the server from
answering requests. It puts the nodes of the trees into the store of the workspace, brings the index of each
domain up to date, and leaves a file of facts per domain. Killed at any point it leaves nothing that is wrong:
the nodes of a domain are published together, and the index replaces the old one in one step.
"""

import mmap
import os
import signal
import struct
from contextlib import ExitStack
from select import poll
from types import FrameType

from catfs.digest import Digest
from catfs.errors import CatfsError, ExitStatus, FormatError, MachineError
from catfs.linux import set_parent_death_signal
from catfs.merkle import MissingNodeError, RememberedNodes
from catfs.proof.capture import Capture, CaptureError, capture
from catfs.proof.capture_known import KnownBase, open_known
from catfs.proof.capture_nodes import BatchNodes, StoredNodes
from catfs.records import BaseKind, BaseNote
from catfs.runtime.base import (
    Base,
    BasePlaces,
    KeptBase,
    UnreadableDomainError,
    Used,
    load_bases,
    write_facts,
)
from catfs.runtime.stopping import leave_stopping_to_the_parent
from catfs.store import LocalStore

_COUNTERS = struct.Struct("=QQ")
_READINGS_MAX = 5
"""How often a domain is read that does not hold still. Commits of other runs take moments; what changes for
longer than that cannot be vouched for."""

_NICENESS = 5
"""The command has the machine first; the base only has to be there when the command ends."""

_GIVING_UP = signal.SIGUSR1
"""Tells the helper that nobody waits for it any more; it takes away what it has not finished."""

_GIVING_UP_MS = 50
"""How long the end of a session waits for that, in milliseconds. A helper that has kept nodes already may not
hear of it in the middle of a very large directory; then it is killed, and what it leaves in the store goes
when that is cleaned."""

SMALL_DOMAIN_FILES: int = 10_000
"""Most files of domains whose full base is always waited for: looking at so many takes 0.1 s."""


class _TidyNodes(BatchNodes):
    """The nodes that the helper keeps. Until the first, giving up ends it at once, whatever it is doing.

    An index that was begun stays beside the old one then; the next writer takes it over.
    """

    def put(self, node: bytes) -> Digest:
        """Keep a node, given with its tag byte; from now on the helper has something to take away."""
        signal.signal(_GIVING_UP, _give_up)
        return super().put(node)


class BaseReader:
    """The base of a new session: read by a helper process, and known from the last time until that is done.

    Args:
        places: Where the domains are.

    Raises:
        OSError: when the process cannot be started.
    """

    def __init__(self, places: BasePlaces) -> None:
        self._places = places
        self._counters = mmap.mmap(-1, mmap.PAGESIZE)
        self._bases: list[Base] | None = None
        self._status: int | None = None
        self._gave_up = False
        self._stack = ExitStack()
        self._known = self._open_known()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid:
            self.descriptor = os.pidfd_open(self._pid)
            return
        status = ExitStatus.INTERNAL
        try:
            set_parent_death_signal(signal.SIGKILL)
            leave_stopping_to_the_parent()
            signal.signal(_GIVING_UP, signal.SIG_DFL)
            os.nice(_NICENESS)
            if os.getppid() == parent:
                self._read_all()
                status = ExitStatus.RESTORED
        except CaptureError as error:
            status = ExitStatus.USAGE if error.is_lasting else ExitStatus.INTERNAL
            self._tell(error)
        except (CatfsError, OSError) as error:
            self._tell(error)
        finally:
            os._exit(status)

    def progress(self) -> tuple[int, int]:
        """Give how many files and how many bytes have been dealt with so far."""
        files, size = _COUNTERS.unpack_from(self._counters, 0)
        return files, size

    def check(self) -> None:
        """See whether the helper has failed already; it goes on otherwise.

        Raises:
            UnreadableDomainError: when a domain cannot be read whole.
            MachineError: when the helper failed for another reason.
        """
        if not self._gave_up and self._has_ended(0):
            self._wait()

    def finish(self) -> list[Base]:
        """Wait for the helper and give what it found: the full base of each domain.

        Raises:
            UnreadableDomainError: when a domain cannot be read whole.
            MachineError: when the helper failed for another reason.
            FormatError: when the results are damaged.
        """
        self._wait()
        if self._bases is None:
            self._bases = load_bases(self._places)
        return self._bases

    def current(self, used: Used) -> list[Base]:
        """Give the full base of each domain if it is there, or soon is, else the known one.

        Args:
            used: Gives the paths for which the known base must hold.

        Raises:
            UnreadableDomainError, MachineError, FormatError: as `finish`.
        """
        if self._known is None or (not self._gave_up and self._has_ended(0)):
            return self.finish()
        if sum(known.files for known in self._known) <= SMALL_DOMAIN_FILES:
            return self.finish()
        return self.known(used) or self.finish()

    def known(self, used: Used) -> list[Base]:
        """Give the known base of each domain, without waiting for the helper; nothing when there is none.

        Args:
            used: Gives the paths for which it must hold.
        """
        known = self._known or []
        try:
            bases = [self._refreshed(index, one, used) for index, one in enumerate(known)]
        except (CaptureError, MissingNodeError, FormatError):
            # Somebody changes it, or its nodes are gone: only reading all of it helps.
            return []
        found = [base for base in bases if base is not None]
        return found if len(found) == len(known) else []

    def known_since(self) -> list[int]:
        """Give when each domain was read that is known from before, in ns since 1970; nothing for none."""
        return [] if self._known is None else [known.read for known in self._known]

    def give_up(self) -> None:
        """Let the helper end, without waiting for that: nobody will ask for a full base any more."""
        if self._status is None and not self._gave_up:
            self._gave_up = True
            os.kill(self._pid, _GIVING_UP)

    def stop(self) -> None:
        """End the helper, whatever it is doing, and close what was opened."""
        if self._status is None:
            self.give_up()
            if not self._has_ended(_GIVING_UP_MS):
                os.kill(self._pid, signal.SIGKILL)
            self._reap()
        self._stack.close()

    def _open_known(self) -> list[KnownBase] | None:
        """Open what is known of the domains; None when that is not so for all of them."""
        if not all(path.exists() for path in self._places.indexes):
            return None
        nodes = RememberedNodes(StoredNodes(LocalStore(self._places.store)))
        found = []
        for path, root in zip(self._places.indexes, self._places.roots, strict=True):
            known = open_known(path, root, nodes, self._places.hidden)
            if known is None:
                return None
            found.append(self._stack.enter_context(known))
        return found

    def _refreshed(self, index: int, known: KnownBase, used: Used) -> Base | None:
        paths = used(index, known.read)
        if paths is None:
            return None
        fresh = known.refreshed(self._places.roots[index], paths)
        return Base(
            nodes=fresh.tree.nodes,
            fresh=fresh.fresh,
            root_entry=fresh.tree.root_entry,
            hard_links=known.hard_links(),
            files=known.files,
            size=known.size,
            note=BaseNote(BaseKind.KNOWN, known.read, fresh.checked),
        )

    def _has_ended(self, milliseconds: int) -> bool:
        """Say whether the helper has ended, or does within a time."""
        if self._status is not None:
            return True
        waiting = poll()
        waiting.register(self.descriptor)
        return bool(waiting.poll(milliseconds))

    def _wait(self) -> None:
        """Wait for the helper.

        Raises:
            UnreadableDomainError, MachineError: when it failed.
        """
        if self._status is None:
            self._reap()
        if self._status == ExitStatus.RESTORED:
            return
        problem = self._problem()
        if self._status == ExitStatus.USAGE:
            raise UnreadableDomainError(problem)
        raise MachineError(problem)

    def _reap(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._status = code if code >= 0 else int(ExitStatus.INTERNAL)
        os.close(self.descriptor)

    def _problem(self) -> str:
        try:
            return self._places.problem().read_text(encoding="utf-8")
        except OSError:
            return "the process that reads the domain ended before it was done"

    def _tell(self, error: Exception) -> None:
        text = error.message if isinstance(error, CatfsError) else str(error)
        self._places.problem().write_text(text, encoding="utf-8", errors="backslashreplace")

    def _read_all(self) -> None:
        store = LocalStore(self._places.store)
        for index in range(len(self._places.roots)):
            write_facts(self._places, index, self._read_one(index, store))

    def _read_one(self, index: int, store: LocalStore) -> Capture:
        """Read one domain, again when others change it meanwhile: other runs may be committing to it."""
        for _ in range(_READINGS_MAX - 1):
            try:
                return self._read_once(index, store)
            except CaptureError as error:
                if error.is_lasting:
                    raise
        return self._read_once(index, store)

    def _read_once(self, index: int, store: LocalStore) -> Capture:
        places = self._places
        with store.batch() as batch:
            return capture(
                places.roots[index],
                _TidyNodes(batch),
                places.hidden,
                self._note,
                index=places.indexes[index],
            )

    def _note(self, files: int, size: int) -> None:
        _COUNTERS.pack_into(self._counters, 0, files, size)


def open_base(places: BasePlaces) -> BaseReader | KeptBase:
    """Give the base of a session: the one that its folder holds whole, or a reader that reads it now.

    Args:
        places: Where the domains are, and what is kept of them.

    Raises:
        OSError: when the reader cannot be started.
    """
    try:
        return KeptBase(load_bases(places))
    except (OSError, FormatError):
        places.forget()
        return BaseReader(places)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(ExitStatus.INTERNAL)
