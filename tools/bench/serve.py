"""The server of one view, as a process of its own, for rows that work inside a mount.

    python -m tools.bench.serve TRANSPORT WORKSPACE DOMAIN

It makes a session as `catfs run` does, mounts it over the domain, prints `served`, and ends when the
domain is unmounted. The reading of the domain is finished before, so that a row measures the overlay.
"""

import os
import signal
import sys
from pathlib import Path

import trio

from catfs.linux import set_parent_death_signal
from catfs.overlay import Trace
from catfs.runtime.declaration import DomainDeclaration
from catfs.runtime.launch import enter_private_namespace, launch_mount
from catfs.runtime.mounts import view_source
from catfs.runtime.session import Session, SessionKind
from catfs.runtime.transports import make_transport
from catfs.runtime.workspace import Workspace


def main(trace: Trace | None = None) -> None:
    """Mount, serve until unmounted.

    Args:
        trace: Takes down the changes instead of the write log.
    """
    transport, workspace, domain = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    set_parent_death_signal(signal.SIGKILL)
    declarations = [DomainDeclaration(domain, ())]
    with Session(Workspace.find_or_create(workspace), "bench", declarations, SessionKind.RUN) as session:
        session.base.finish()
        if trace is not None:
            session.view.trace = trace
        child = launch_mount(domain, view_source(workspace))
        enter_private_namespace()
        child.proceed()  # mount, now that the mount will not be seen from here
        connection = child.receive_connection()
        child.proceed()  # and end
        os.waitpid(child.pid, 0)
        child.close()
        sys.stdout.write("served\n")
        sys.stdout.flush()
        trio.run(make_transport(transport).serve, session.view, connection)


if __name__ == "__main__":
    main()
