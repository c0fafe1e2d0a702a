"""Every moment of a session with history can be had again, whatever the program did before and after.

The random program of the overlay model works on a view that keeps everything. After each of its steps the
root of the view is noted; in the end the log is followed to each of those moments again.
"""

import itertools
import os
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis.stateful import initialize, invariant

from catfs.merkle import Tree, diff
from catfs.overlay import Lower, Undo, Undone, View
from catfs.overlay.between import changes_between
from catfs.overlay.nodes import SESSION_ACTOR
from catfs.records import listed_change
from catfs.records.write_record import Record
from catfs.runtime.past_lower import PastLower
from tests.model.test_overlay_model import OverlayMachine
from tests.support.views import read_lines, replayed


class MomentMachine(OverlayMachine):
    """A random program, the root of its view after each step, and the way back to each of them."""

    @initialize()
    def begin(self) -> None:
        """Make a view that keeps every byte, and note how it looks at first."""
        super().begin()
        self.data.keeps_all = True
        self.moments: list[tuple[int, Tree]] = []

    @invariant()
    def note(self) -> None:
        """Note the moment and the tree that the view has then."""
        if hasattr(self, "moments"):
            self.moments.append((self.trace.sequence, self.fold(self.view)))

    def check_end(self) -> None:
        """Go back to every moment, and compare each with the next."""
        records = self.read_records()
        views = [self.view_at(records, end, Undone()) for end, _ in self.moments]
        for view, (_, tree) in zip(views, self.moments, strict=True):
            assert self.fold(view) == tree
        for (before, old), (after, new) in itertools.pairwise(zip(views, self.moments, strict=True)):
            found = list(map(listed_change, changes_between(before, after, 0)))
            assert found == list(map(listed_change, diff(old[1], new[1])))
        self.check_undo(records)
        self.check_lower()

    def check_undo(self, records: list[Record]) -> None:
        """Go back in the log to the moment in the middle; the state is the one of then."""
        end, tree = self.moments[len(self.moments) // 2]
        self.trace.undo(end, SESSION_ACTOR, 5)
        again = self.read_records()
        undone = Undone([Undo(again[-1].seq, end)])
        assert again[: len(records)] == records
        assert self.fold(self.view_at(again, len(again), undone)) == tree

    def read_records(self) -> list[Record]:
        """Read the log back."""
        self.trace.flush()
        return read_lines(os.pread(self.log, os.fstat(self.log).st_size, 0).splitlines())

    def view_at(self, records: list[Record], end: int, undone: Undone) -> View:
        """Make the view of a moment."""
        return replayed(undone.counting(records, end), self.moment_lower(), self.data)

    def moment_lower(self) -> Lower:
        """Give what lies below the views of moments."""
        return self.lower()


class PastMomentMachine(MomentMachine):
    """The same, when nothing is left of the session but its log, its bytes and the tree of its base."""

    def moment_lower(self) -> Lower:
        """Give the original as its tree tells it, with content from the real files."""
        if not hasattr(self, "past"):
            groups = [paths for paths in self.hard_links.values() if len(paths) > 1]
            self.past = PastLower(self.base, Path(self.folder / "lower"), groups)
        return self.past

    def fold(self, view: View) -> Tree:
        """Give the tree of a view, knowing the hard links of its own lower."""
        past = getattr(self, "past", None)
        if past is None or view is self.view:
            return super().fold(view)
        real, self.hard_links = self.hard_links, past.hard_links()
        try:
            return super().fold(view)
        finally:
            self.hard_links = real

    def close_lower(self) -> None:
        """Close the past too."""
        if hasattr(self, "past"):
            self.past.close()
        super().close_lower()


_SETTINGS = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)

TestMoments = MomentMachine.TestCase
TestMoments.settings = _SETTINGS
TestPastMoments = PastMomentMachine.TestCase
TestPastMoments.settings = _SETTINGS
