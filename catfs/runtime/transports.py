"""Which transport serves a session.

A transport is imported when it is chosen: importing pyfuse3 takes a tenth of what a whole `catfs run -- true`
may take, and it needs not be there for sessions that devfuse serves.
"""

import importlib

from catfs.overlay.transports import Transport

_PLACES = {
    "auto": ("catfs.overlay.transports.devfuse", "DevfuseTransport"),
    "devfuse": ("catfs.overlay.transports.devfuse", "DevfuseTransport"),
    "pyfuse3": ("catfs.overlay.transports.pyfuse3", "Pyfuse3Transport"),
}
"""Module and class of each, by its name on the command line."""

TRANSPORTS = tuple(_PLACES)
"""The names on the command line. `auto` takes devfuse, which asks the kernel for nothing newer than
Linux 5.4 (protocol 7.31); the proof names what served the session in the end."""


def make_transport(name: str) -> Transport:
    """Make a transport.

    Args:
        name: One of TRANSPORTS.
    """
    module, kind = _PLACES[name]
    made: Transport = getattr(importlib.import_module(module), kind)()
    return made
