"""Times in the files of a run: UTC in ISO 8601 with nine digits, `2026-01-31T12:00:00.000000001Z`.

Nanoseconds since 1970 do not fit the whole numbers of canonical JSON (2**53 - 1 of them end in April
1970), so a run file holds a text that people can read. Every time has one text of 30 characters, and
texts sort like times.
"""

import calendar
import re
import time

from catfs.errors import FormatError

TIME_MAX = 253_402_300_800 * 10**9 - 1
"""Last time that can be written, in nanoseconds since 1970: the end of the year 9999."""

_SECOND = 10**9
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{9})Z", re.ASCII)


def format_time(nanoseconds: int) -> str:
    """Give the text of a time.

    Args:
        nanoseconds: Since 1970, 0 to TIME_MAX.

    Raises:
        FormatError: when it is out of range.
    """
    if not 0 <= nanoseconds <= TIME_MAX:
        raise FormatError("time", f"expected nanoseconds since 1970 up to the year 9999, got {nanoseconds}")
    seconds, rest = divmod(nanoseconds, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def parse_time(text: object) -> int:
    """Read the text of a time and give nanoseconds since 1970.

    Raises:
        FormatError: when it is anything but the one text of a time.
    """
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is not None:
        try:
            seconds = calendar.timegm(tuple(map(int, match.groups()[:6])))
        except ValueError:
            seconds = -1
        nanoseconds = seconds * _SECOND + int(match[7])
        # timegm takes hour 25 too; only what is written the same again is the text of a time.
        if 0 <= nanoseconds <= TIME_MAX and format_time(nanoseconds) == text:
            return nanoseconds
    raise FormatError("time", f"expected a time like 2026-01-31T12:00:00.000000001Z, got {text!r}")
