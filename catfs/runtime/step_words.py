"""Steps as a command line says them."""

from catfs.errors import UsageError
from catfs.runtime.request import StepRequest

STEP_SEPARATOR = "::"
"""What stands between intent and command of a step on a command line."""


def parse_step(word: str, timeout_seconds: float | None = None) -> StepRequest:
    """Read a step from a command line: `intent::command`, the command being a line for `sh -c`.

    Args:
        word: The word.
        timeout_seconds: Longest time for it; None for no limit.

    Raises:
        UsageError: when there is no separator, or no command behind it.
    """
    intent, separator, command = word.partition(STEP_SEPARATOR)
    if not separator or not command.strip():
        raise UsageError(
            f"expected a step as INTENT{STEP_SEPARATOR}COMMAND, got {word!r}",
            hint='for example --step "build the index::python3 index.py"',
        )
    return StepRequest(intent.strip(), ("sh", "-c", command), timeout_seconds)
