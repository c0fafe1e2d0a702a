"""The files in the folder of a session, `.catfs/sessions/<id>/`, that several modules know."""

from typing import Final

FACTS_FILE: Final = "session.json"
"""Who and what the session is."""

COMMIT_FILE: Final = "commit.json"
"""By which run it is being committed, or was."""

LOCK_FILE: Final = "lock"
"""Held as long as the session lives."""

LOG_FILE: Final = "log.jsonl"
"""The write log."""

DATA_FILE: Final = "data"
"""New bytes."""
