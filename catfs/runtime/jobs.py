"""Jobs: from the file of a job specification to a run.

Only what is given a job imports this module: validating it loads jsonschema, for which a run by command line
should not wait.
"""

from dataclasses import replace
from pathlib import Path

from catfs.clock import Clock, system_clock
from catfs.errors import CatfsError, ExitStatus, UsageError
from catfs.records.job_reading import read_job_value
from catfs.records.job_validation import validate_jobspec
from catfs.records.job_written import WrittenJob, WrittenStep
from catfs.records.validation import ValidationResult
from catfs.runtime.request import RunRequest, StepRequest


class JobRefusedError(CatfsError):
    """A job specification cannot be used.

    Args:
        name: The file.
        result: What the validator found.
    """

    exit_status = ExitStatus.USAGE

    def __init__(self, name: str, result: ValidationResult) -> None:
        first, more = result.errors[0], len(result.errors) - 1
        place = first.pointer or "the whole file"
        rest = f", and {more} more" if more else ""
        super().__init__(
            f"{name}: {first.code.value} at {place}: {first.message}{rest}",
            hint="catfs validate jobspec lists everything",
        )
        self.name = name
        self.result = result


def read_job(path: Path, base: Path, *, clock: Clock = system_clock) -> WrittenJob:
    """Read and validate a job specification.

    Args:
        path: Its file.
        base: The folder from which its relative paths count.
        clock: Gives the time of the validation.

    Raises:
        JobRefusedError: when it has an error.
        UsageError: when it cannot be read.
    """
    data = read_file(path)
    result = validate_jobspec(data, base, clock=clock)
    if not result.ok:
        raise JobRefusedError(str(path), result)
    value = read_job_value(data)
    assert isinstance(value, dict)
    return WrittenJob.from_valid(value)


def read_file(path: Path) -> bytes:
    """Read a file that a command line names.

    Raises:
        UsageError: when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def job_request(job: WrittenJob, request: RunRequest) -> RunRequest:
    """Give the request of a job.

    Args:
        job: The job.
        request: What does not come from it: working directory, transport, places that may be written, more
            allowed roots, and a run id other than that of the job.
    """
    cwd = request.cwd
    return replace(
        request,
        steps=tuple(map(_step_request, job.steps)),
        domains=tuple(cwd / path for path in job.domains),
        outputs=tuple(cwd / output.path for output in job.outputs),
        allowed_roots=(*request.allowed_roots, *(cwd / path for path in job.allowed_roots)),
        leftovers=job.leftovers,
        confine=job.confine,
        intent=job.intent,
        run_id=request.run_id or job.job_id,
        keep_going=job.keep_going,
        timeout_seconds=float(job.timeout_seconds),
        criteria=tuple(
            (cwd / output.path, output.criteria) for output in job.outputs if output.criteria is not None
        ),
        declared=job.value,
    )


def _step_request(step: WrittenStep) -> StepRequest:
    timeout = None if step.timeout_seconds is None else float(step.timeout_seconds)
    return StepRequest(step.intent, step.argv, timeout)
