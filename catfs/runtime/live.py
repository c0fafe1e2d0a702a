"""What a mounted session answers to questions, decoded and checked."""

import os
from collections.abc import Mapping

from catfs.digest import Digest
from catfs.errors import FormatError, UsageError, printable
from catfs.ledger import RunReader
from catfs.records import Outcome, RestoreDiff
from catfs.records.fields import Fields
from catfs.runtime.control import ask
from catfs.runtime.log_reading import LogSource, log_of_run
from catfs.runtime.session_files import LOG_FILE
from catfs.runtime.sessions import SessionFacts
from catfs.runtime.subject import Subject
from catfs.runtime.workspace import Workspace
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class LiveRoots:
    """The Merkle roots of one domain of a session as it is now.

    Args:
        base: Of the lower.
        view: Of the view.
        replay: Of what the write log leads to from the lower.
    """

    base: Digest
    view: Digest
    replay: Digest

    @classmethod
    def take(cls, fields: Fields) -> "LiveRoots":
        """Take the fields of the roots out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(fields.digest("base"), fields.digest("view"), fields.digest("replay"))


@dataclass(frozen=True, slots=True)
class LiveExamination:
    """The judgement on a session as it is now: what a commit at this moment would come to.

    Args:
        outcome: How it would end.
        exit_status: Exit status that goes with it.
        sentence: The outcome for people.
        isolated: Whether nothing of the original changed underneath.
        self_restored: Whether there is no undeclared difference.
        difference: Every change, split into declared ones and leftovers.
        roots: The roots of each domain, in the order of the difference.
    """

    outcome: Outcome
    exit_status: int
    sentence: str
    isolated: bool
    self_restored: bool
    difference: RestoreDiff
    roots: tuple[LiveRoots, ...]

    @classmethod
    def from_dict(cls, answer: Mapping[str, object]) -> "LiveExamination":
        """Read the answer of a session.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(dict(answer), "answer")
        verdicts = fields.part("verdicts")
        examination = cls(
            outcome=fields.choice("outcome", Outcome),
            exit_status=fields.number("exit_status"),
            sentence=fields.text("sentence"),
            isolated=verdicts.flag("isolated"),
            self_restored=verdicts.flag("self_restored"),
            difference=RestoreDiff.from_dict(fields.value("difference")),
            roots=fields.parts("roots", LiveRoots.take),
        )
        verdicts.end()
        fields.end()
        if len(examination.roots) != len(examination.difference.domains):
            raise FormatError("answer", "expected the roots of every domain")
        return examination


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """How a mounted session stands.

    Args:
        mounted: Whether its view is mounted.
        records: Records of its write log.
        new_bytes: Bytes of new content.
        base_files: Files of the domain that were read so far.
        base_bytes: Bytes in them.
    """

    mounted: bool
    records: int
    new_bytes: int
    base_files: int
    base_bytes: int


def ask_examination(session: SessionFacts) -> LiveExamination:
    """Ask a mounted session for the judgement on it; waits until its base was read.

    Raises:
        UsageError: when it is suspended.
        RefusedError: when it refuses.
        MachineError: when it does not answer.
        FormatError: when the answer cannot be read.
    """
    if not session.live:
        domain = printable(os.fsencode(session.domains[0]))
        raise UsageError(
            f"the session of {domain} is suspended: nobody serves it",
            hint=f"`catfs mount {domain}` goes on with it; `catfs log {domain}` shows what it wrote",
        )
    return LiveExamination.from_dict(ask(session.folder, {"ask": "examine"}))


def ask_status(session: SessionFacts) -> LiveStatus:
    """Ask a mounted session how it stands; answered at once.

    Raises:
        RefusedError, MachineError, FormatError: as `ask_examination`.
    """
    fields = Fields(dict(ask(session.folder, {"ask": "status"})), "answer")
    numbers = (fields.number(key) for key in ("records", "new_bytes", "base_files", "base_bytes"))
    status = LiveStatus(fields.flag("mounted"), *numbers)
    fields.end()
    return status


def ask_log(session: SessionFacts) -> LogSource:
    """Let a mounted session write out its log, and say where that is; a suspended one has nothing to write.

    Raises:
        RefusedError, MachineError, FormatError: as `ask_examination`.
    """
    if session.live:
        ask(session.folder, {"ask": "flush"})
    return session_log(session)


def session_log(session: SessionFacts) -> LogSource:
    """Say where the log of a session is, as far as it was written out."""
    path = session.folder / LOG_FILE
    domains = tuple(os.fsencode(domain) for domain in session.domains)
    return LogSource(path, f"the log of session {session.identity}", True, domains)


def log_of_subject(subject: Subject) -> LogSource:
    """Give the log of a session or a run, whatever `find_subject` found.

    Raises:
        RefusedError, MachineError: as `ask_examination`.
        FormatError: as there, and when a run has no log.
    """
    if not isinstance(subject, RunReader):
        return ask_log(subject)
    workspace = Workspace.find(subject.folder.resolve())
    return log_of_run(subject, None if workspace is None else workspace.sessions)
