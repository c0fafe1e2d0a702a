"""Which transport serves a session."""

from collections.abc import Callable

from catfs.overlay.transports import DevfuseTransport, Pyfuse3Transport, Transport

_MAKERS: dict[str, Callable[[], Transport]] = {
    "auto": DevfuseTransport,
    "devfuse": DevfuseTransport,
    "pyfuse3": Pyfuse3Transport,
}

TRANSPORTS = tuple(_MAKERS)
"""The names on the command line. `auto` takes devfuse, which asks the kernel for nothing newer than
Linux 5.4 (protocol 7.31); the proof names what served the session in the end."""


def make_transport(name: str) -> Transport:
    """Make a transport.

    Args:
        name: One of TRANSPORTS.
    """
    return _MAKERS[name]()
