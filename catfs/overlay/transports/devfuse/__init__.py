"""The direct transport: the kernel's FUSE protocol on /dev/fuse, without libfuse.

`wire` describes the messages, `negotiation` what is agreed with the kernel, `names`, `content`,
`attributes` and `directories` answer requests, `dispatch` says who answers what, `connection` reads
and replies, `transport` joins it to trio, and `notify` tells the kernel what to forget.
"""

from catfs.overlay.transports.devfuse.notify import Notifier
from catfs.overlay.transports.devfuse.transport import DevfuseTransport

__all__ = ["DevfuseTransport", "Notifier"]
