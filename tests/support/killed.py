"""Work that is killed or refused at one of its calls to the system."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence

_KILLED = 77


def run_until(
    number: int, calls: Sequence[str], action: Callable[[], None], *, code: int = 0, half: bool = False
) -> bool:
    """Do something in a process that dies at a call, before it is made, and say whether it got to the end.

    Args:
        number: At which call, counted from 1.
        calls: Names in `os` of the calls that count; what they are in other modules is not changed.
        action: What is done.
        code: With which error the call fails instead; 0 for dying there. The action may raise it then.
        half: Whether half of what it writes is written first, when the call is a write.

    Returns:
        Whether the action came to its end.
    """
    child = os.fork()
    if not child:
        _strike(number, calls, code, half=half)
        status = 1
        try:
            action()
            status = 0
        except OSError as error:
            status = _KILLED if code and error.errno == code else 1
        finally:
            if status == 1:
                traceback.print_exc(file=sys.__stderr__)
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, _KILLED)
    return status == 0


def _strike(number: int, calls: Sequence[str], code: int, *, half: bool) -> None:
    """Let one of the next calls of this process be the one that goes wrong."""
    left = number
    for name in calls:
        real = getattr(os, name)

        def counted(
            *arguments: object, _real: Callable[..., object] = real, _name: str = name, **named: object
        ) -> object:
            nonlocal left
            left -= 1
            if left:
                return _real(*arguments, **named)
            if half and _name in ("write", "pwrite"):
                data = arguments[1]
                assert isinstance(data, bytes | memoryview)
                _real(arguments[0], data[: len(data) // 2], *arguments[2:])
            if code:
                raise OSError(code, errno.errorcode[code])
            os._exit(_KILLED)

        setattr(os, name, counted)
