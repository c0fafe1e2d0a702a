"""The log of a session that goes on right now: of a mount, or of a run that has not ended."""

from pathlib import Path

from catfs.errors import UsageError
from catfs.runtime.live import session_log
from catfs.runtime.log_reading import LogSource
from catfs.runtime.sessions import SessionFacts
from catfs.runtime.subject import check_word, live_sessions, require_workspace
from catfs.values import dataclass


@dataclass(frozen=True, slots=True)
class LiveLog:
    """The log of a session that goes on.

    Args:
        session: The session.
        source: Its log.
    """

    session: SessionFacts
    source: LogSource


def find_live_log(word: str | None, cwd: Path) -> LiveLog:
    """Give the log of a session that goes on: of a mount, or of a run that has not ended.

    Args:
        word: A domain, the id of a run or the beginning of one; None for the only session there is.
        cwd: The working directory.

    Raises:
        UsageError: when there is none, or several.
        OSError: when a folder cannot be read.
    """
    if word is not None:
        check_word(word, "DOMAIN or RUN")
    found = live_sessions(require_workspace(cwd))
    if word is not None:
        domain = Path(word).resolve()
        found = [facts for facts in found if domain in facts.domains or facts.identity.startswith(word)]
    if not found:
        hint = "`catfs log` shows what ended ones wrote"
        raise UsageError("nothing goes on here: there is no mounted session and no run", hint=hint)
    if len(found) > 1:
        names = ", ".join(facts.identity for facts in found)
        raise UsageError("several sessions go on", hint=f"name one of {names}, or its domain")
    return LiveLog(found[0], session_log(found[0]))
