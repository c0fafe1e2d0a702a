"""The phases of a run: when each part began and ended, and what was decided in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field

from catfs.clock import system_clock
from catfs.records import Phase
from catfs.records.ledger_record import Decision, RunPhase
from catfs.values import dataclass


@dataclass(slots=True)
class Phases:
    """The parts of a run and when each began and ended, and its decision log.

    Args:
        phases: The parts so far.
        decisions: The decisions so far.
        on_decision: Told of each decision; None for nobody.
    """

    phases: list[Phase] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    on_decision: Callable[[Decision], None] | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note a part of the run."""
        started = system_clock()
        try:
            yield
        finally:
            self.phases.append(Phase(name, started, system_clock()))

    def draft(self, name: str, started: int) -> "Phases":
        """Give a copy for a record that may still come to nothing, with one more part that ends now.

        Args:
            name: The part that is going on.
            started: When it began, in nanoseconds since 1970.
        """
        return Phases([*self.phases, Phase(name, started, system_clock())], list(self.decisions))

    def adopt(self, draft: "Phases") -> None:
        """Go on from a draft whose record counts, and tell what was decided in it."""
        fresh = draft.decisions[len(self.decisions) :]
        self.phases, self.decisions = draft.phases, draft.decisions
        if self.on_decision is not None:
            for decision in fresh:
                self.on_decision(decision)

    def decide(self, phase: RunPhase, decision: str, detail: str = "") -> None:
        """Put a line into the decision log. A clock that was set back does not turn the order around.

        Args:
            phase: The phase; never an earlier one than before.
            decision: What was decided, in a few words.
            detail: On what grounds.
        """
        last = self.decisions[-1].time if self.decisions else 0
        self.decisions.append(Decision(max(last, system_clock()), phase, decision, detail))
        if self.on_decision is not None:
            self.on_decision(self.decisions[-1])
