"""The page of a run: gathers what its folder, its log and the domain as it is now have to say."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from catfs.digest import Digest
from catfs.durable import publish
from catfs.errors import FormatError, UsageError, printable
from catfs.forensics.report import Content, RunFacts, StepFacts, TextDiff, compare_texts, make_page
from catfs.forensics.report.diffs import DIFF_BYTES_MAX
from catfs.ledger import RunReader
from catfs.records import Change, Entry, JobSpec, Kind, RestoreDiff, step_file
from catfs.runtime.changed import git_output
from catfs.runtime.log_reading import LogSource
from catfs.runtime.runs import checked_difference
from catfs.runtime.sealed_log import SealedLog

STREAM_BYTES_MAX: Final = 64 * 1024
"""Most bytes of what a step printed that come onto the page: the end, where the reason stands."""

DIFFS_MAX: Final = 300
"""Most files that are compared line by line."""


def write_report(source: LogSource, run: RunReader, path: Path, progress: Callable[[str], None]) -> int:
    """Write the page of a run.

    Args:
        source: Its log.
        run: The run.
        path: The file, in place of what is there.
        progress: Told what is done next.

    Returns:
        Bytes of the page.

    Raises:
        UsageError: when the place cannot be used, or there are too many records for a page.
        LogDamageError: when the log is damaged or not the one that the proof seals; nothing is written then.
        FormatError: when another file of the run is not what it should be.
        OSError: when something cannot be read or written.
    """
    if not path.name or not path.parent.is_dir() or path.is_dir():
        raise UsageError(
            f"{printable(os.fsencode(path))} cannot be a file", hint="name one in a folder that is there"
        )
    progress("reading the run")
    facts = _gather(run)
    progress("reading the log")
    page = make_page(SealedLog(source, facts.proof), facts)
    publish(path.parent, os.fsencode(path.name), page)
    return len(page)


def _gather(run: RunReader) -> RunFacts:
    if not run.is_complete:
        return RunFacts(run.run_id, _declaration(run), None, None, None, None, (), ())
    proof, job = run.proof(), run.job()
    difference = checked_difference(run, proof)
    return RunFacts(
        run_id=run.run_id,
        job=job,
        info=run.info(),
        proof=proof,
        status=run.status(),
        difference=difference,
        steps=tuple(_steps(run, job)),
        diffs=tuple(_diffs(difference)),
    )


def _declaration(run: RunReader) -> JobSpec | None:
    try:
        return run.job()
    except FormatError:
        return None  # stopped before it was written, or damaged: the log says what there is to say


def _steps(run: RunReader, job: JobSpec) -> Iterator[StepFacts]:
    """Give the steps that ran; those after a failed one did not."""
    files = run.files
    for step in job.steps:
        if step_file(step.index, "json") in files:
            ends = (
                files.get(step_file(step.index, part), b"")[-STREAM_BYTES_MAX:]
                for part in ("stdout", "stderr")
            )
            yield StepFacts(run.step(step.index), *ends)


def _diffs(difference: RestoreDiff) -> Iterator[TextDiff]:
    """Compare the declared files that changed, each with what is still known of it."""
    count = 0
    for place, domain in enumerate(difference.domains):
        for change in domain.declared:
            sides = (change.before, change.after)
            if any(side is not None and side.kind is not Kind.FILE for side in sides):
                continue
            if count == DIFFS_MAX:
                return
            count += 1
            before, after = (_content(domain.path, change, side) for side in sides)
            yield compare_texts(place, change.path, change.kind.value, before, after)


def _content(domain: bytes, change: Change, entry: Entry | None) -> Content | None:
    """Give what one side of a change held: from the domain as it is now, or from the last commit of git."""
    if entry is None:
        return None
    if entry.size > DIFF_BYTES_MAX:
        return Content(entry.size, None)
    for read in (_read_file, _read_committed):
        data = read(domain, change.path)
        if data is not None and Digest.of(data) == entry.digest:
            return Content(entry.size, data)
    return Content(entry.size, None)


def _read_file(domain: bytes, path: bytes) -> bytes | None:
    try:
        descriptor = os.open(domain + b"/" + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None  # gone, or something else by now
    with open(descriptor, "rb") as file:
        try:
            return file.read(DIFF_BYTES_MAX + 1)
        except OSError:
            return None  # a folder, or a disk that fails: the digest could not be held against it


def _read_committed(domain: bytes, path: bytes) -> bytes | None:
    try:
        return git_output(Path(os.fsdecode(domain)), "cat-file", "blob", b"HEAD:./" + path)
    except UsageError:
        return None  # no repository, or nothing of that name in it
