"""`catfs run --jobspec`: run a job specification.

A module of its own, so that other runs do not wait for the validator.
"""

import argparse

from catfs.cli.run import add_arguments, command_request, run_request
from catfs.errors import UsageError
from catfs.runtime.jobs import job_request, read_job

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> int:
    """Run the job."""
    request = command_request(arguments)
    if arguments.jobspec is None:  # the word belongs to the command
        return run_request(request, arguments)
    for name in ("domain", "output", "leftovers", "confine", "intent", "keep_going", "step_timeout"):
        if getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for commands and steps; a job specification says it itself")
    return run_request(job_request(read_job(arguments.jobspec, request.cwd), request), arguments)
