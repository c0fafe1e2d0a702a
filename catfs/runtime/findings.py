"""What `catfs doctor` finds, and what becomes of it."""

from collections.abc import Callable
from enum import Enum

from catfs.errors import CatfsError
from catfs.values import dataclass


class Trouble(Enum):
    """What was found."""

    INTERRUPTED_COMMIT = "interrupted_commit"
    LEFT_STAGE = "left_stage"
    DEAD_SESSION = "dead_session"
    DAMAGED_SESSION = "damaged_session"
    DEAD_MOUNT = "dead_mount"
    SILENT_MOUNT = "silent_mount"
    LOST_SESSION = "lost_session"
    INCOMPLETE_RUN = "incomplete_run"
    DAMAGED_CONFIGURATION = "damaged_configuration"
    DAMAGED_INDEX = "damaged_index"
    DAMAGED_STORE = "damaged_store"
    LEFT_TEMPORARIES = "left_temporaries"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not in order.

    Args:
        trouble: What it is.
        subject: Id or path of it.
        sentence: What is the matter, for people.
        lost: What cleaning up loses for good; empty when nothing.
        clean: Cleans it up and says what was done; None when nothing can be done here.
    """

    trouble: Trouble
    subject: str
    sentence: str
    lost: str
    clean: Callable[[], str] | None


@dataclass(frozen=True, slots=True)
class Treatment:
    """What became of one finding.

    Args:
        finding: The finding.
        cleaned: Whether it is gone.
        report: What was done, or what stood in the way.
    """

    finding: Finding
    cleaned: bool
    report: str


class NotCleanedError(CatfsError):
    """What was found is still there; the sentence says why."""
