"""Redaction: what looks like a secret in the arguments of a process is not written down.

The environment of a process is never recorded at all. Of its arguments these parts are replaced:

1. the value of an option or variable whose name contains one of the words: `--token=VALUE`, `--token VALUE`,
   `API_KEY=VALUE`, also within the text of a script;
2. the password in a URL: `https://user:VALUE@host/`;
3. what follows `Authorization:`, as in a header.

It is a rule about how secrets are usually written, and no more: a password that stands alone is kept.
"""

import re
from collections.abc import Sequence
from typing import Final

SECRET_WORDS: Final = ("password", "passwd", "passphrase", "token", "secret", "key", "credential")
"""Words that make the name of an option or variable one of a secret, in either case."""

REDACTED: Final = b"[redacted]"

_URL: Final = re.compile(rb"([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_HEADER: Final = re.compile(rb"(authorization:\s*)[^\r\n'\"]+", re.IGNORECASE)


class Redaction:
    """Takes secrets out of arguments.

    Args:
        words: What the name of an option or variable must contain for its value to be a secret; none
            switches that rule off.
    """

    def __init__(self, words: Sequence[str] = SECRET_WORDS) -> None:
        self._option: re.Pattern[bytes] | None = None
        if words:
            one = b"|".join(re.escape(word.encode()) for word in words)
            name = rb"[\w.-]*(?:" + one + rb")[\w.-]*"
            value = rb"(?:\"[^\"]*\"|'[^']*'|[^\s'\"]+)"
            self._option = re.compile(rb"-{1,2}" + name, re.IGNORECASE)
            self._assigned = re.compile(rb"((?<![\w.-])-{0,2}" + name + rb"=)" + value, re.IGNORECASE)
            self._spaced = re.compile(rb"((?<![\w.-])-{1,2}" + name + rb"\s+)" + value, re.IGNORECASE)

    def arguments(self, argv: Sequence[bytes]) -> tuple[bytes, ...]:
        """Give the arguments of a process without what looks like a secret.

        Args:
            argv: The arguments, the program's name first.
        """
        kept: list[bytes] = []
        is_secret = False
        for number, argument in enumerate(argv):
            kept.append(REDACTED if is_secret else self._text(argument))
            option = self._option.fullmatch(argument) if self._option is not None and number else None
            is_secret = option is not None and not is_secret
        return tuple(kept)

    def _text(self, argument: bytes) -> bytes:
        text = _HEADER.sub(rb"\1" + REDACTED, _URL.sub(rb"\1" + REDACTED, argument))
        if self._option is None:
            return text
        # One that is itself an assignment has no quotes: its whole rest is the value.
        name, equals, _ = text.partition(b"=")
        if equals and (self._option.fullmatch(name) or self._option.fullmatch(b"-" + name)):
            return name + equals + REDACTED
        return self._spaced.sub(rb"\1" + REDACTED, self._assigned.sub(rb"\1" + REDACTED, text))
