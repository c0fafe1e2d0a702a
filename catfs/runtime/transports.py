"""Which transport serves a session."""

from collections.abc import Callable

from catfs.overlay.transports import Pyfuse3Transport, Transport

_MAKERS: dict[str, Callable[[], Transport]] = {
    "auto": Pyfuse3Transport,
    "pyfuse3": Pyfuse3Transport,
}

TRANSPORTS = tuple(_MAKERS)
"""The names on the command line; `auto` takes the best that this machine has."""


def make_transport(name: str) -> Transport:
    """Make a transport.

    Args:
        name: One of TRANSPORTS.
    """
    return _MAKERS[name]()
