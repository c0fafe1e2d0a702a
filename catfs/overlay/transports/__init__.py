"""The ways a view can be served to the kernel, behind one interface."""

from catfs.overlay.transports.base import Transport
from catfs.overlay.transports.devfuse import DevfuseTransport
from catfs.overlay.transports.pyfuse3 import Pyfuse3Transport

__all__ = ["DevfuseTransport", "Pyfuse3Transport", "Transport"]
