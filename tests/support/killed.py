"""Work that is killed at one of its calls to the system, for tests of what must hold afterwards."""

import os
from collections.abc import Callable, Sequence

_KILLED = 77


def run_until(number: int, calls: Sequence[str], action: Callable[[], None]) -> bool:
    """Do something in a process that dies at a call, before it is made, and say whether it got to the end.

    Args:
        number: At which call, counted from 1.
        calls: Names in `os` of the calls that count; what they are in other modules is not changed.
        action: What is done.
    """
    child = os.fork()
    if not child:
        left = number
        for name in calls:
            real = getattr(os, name)

            def counted(*arguments: object, _real: Callable[..., object] = real, **named: object) -> object:
                nonlocal left
                left -= 1
                if not left:
                    os._exit(_KILLED)
                return _real(*arguments, **named)

            setattr(os, name, counted)
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, _KILLED)
    return status == 0
