"""What a transport is: it carries kernel requests to a view, and answers back."""

from typing import Protocol

from catfs.overlay.view import View


class Transport(Protocol):
    """Serves one view on one connection to the kernel."""

    name: str
    """What the proof calls it."""

    async def serve(self, view: View, connection: int) -> None:
        """Answer requests until the file system is unmounted or the connection is aborted.

        Args:
            view: The view; nothing else may use it meanwhile, except from tasks of the same thread.
            connection: Descriptor of /dev/fuse that is, or is about to be, mounted; it is closed in
                the end.

        Cancelling ends the serving; what programs still ask for then fails with ENOTCONN.
        """
        ...
