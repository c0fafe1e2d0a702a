"""The ways a view can be served to the kernel, behind one interface.

`pyfuse3` is not re-exported: whoever serves by it imports its module, and nobody else waits for that.
"""

from catfs.overlay.transports.base import Transport
from catfs.overlay.transports.devfuse import DevfuseTransport

__all__ = ["DevfuseTransport", "Transport"]
